//! Queries in URLs: conditions, `select`, `limit`, `sort` (`spec/harper-rest.md` section 3).

mod grammar;

use serde_json::json;

use crate::harness::client::JSON;
use crate::harness::{App, DOGS, Server};

async fn kennel() -> (App, Server) {
    let app = App::new(DOGS);
    let server = app.run();
    let dogs = json!([
        {"id": "1", "name": "Ace", "age": 3, "breed": "pug"},
        {"id": "2", "name": "Bo", "age": 7, "breed": "pug"},
        {"id": "3", "name": "Cleo", "age": 5, "breed": "boxer"},
        {"id": "4", "name": "Ace", "age": 9, "breed": "collie"},
    ]);
    server.put("/Dog/", &dogs.to_string()).await.expect(200);
    (app, server)
}

#[tokio::test]
async fn queries_answer_as_specified() {
    let (_app, server) = kennel().await;
    for (query, expected) in [
        ("?name=Ace&select(id)", json!(["1", "4"])),
        ("?name=Ace&breed=pug&select(id)", json!(["1"])),
        ("?breed=pug&select(name)", json!(["Ace", "Bo"])),
        ("?age=5&select(id,age)", json!([{"id": "3", "age": 5}])),
        ("?name=None", json!([])),
        ("?limit(2)&select(id)", json!(["1", "2"])),
        ("?limit(1,3)&select(id)", json!(["2", "3"])),
        ("?sort(-age)&breed=pug&select(age)", json!([7, 3])),
        ("?sort(+name,-id)&select(id)", json!(["4", "1", "2", "3"])),
        ("?sort(name)&limit(1)&select([id,name])", json!([["1", "Ace"]])),
        ("?age=gt=4&select(id)&sort(id)&name=Bo", json!(["2"])),
        ("?id=3&select(name)", json!(["Cleo"])),
    ] {
        let answer = server.get(&format!("/Dog/{query}")).await.expect(200);
        assert_eq!(answer.json(), expected, "{query}");
    }
}

#[tokio::test]
async fn bad_queries_are_told_so() {
    let (_app, server) = kennel().await;
    let unknown = server.get("/Dog/?colour=red").await.expect(404);
    assert_eq!(unknown.json()["title"], "colour is not a defined attribute");
    server.get("/Dog/?age=old").await.expect(400);
    server.get("/Dog/?name=a&(age=1|age=2").await.expect(400);
    server.get("/Dog/?nonsense(1)").await.expect(400);
}

#[tokio::test]
async fn the_query_method_takes_a_search_object() {
    let (_app, server) = kennel().await;
    let search = json!({
        "conditions": [{"attribute": "name", "comparator": "equals", "value": "Ace"}],
        "select": ["id"],
    });
    let answer = server.send("QUERY", "/Dog/", &[JSON], &search.to_string()).await.expect(200);
    assert_eq!(answer.json(), json!([{"id": "1"}, {"id": "4"}]));
}

#[tokio::test]
async fn a_query_may_look_at_so_much_and_no_more() {
    let app = App::new(DOGS);
    // By the flag, and by the key of the configuration.
    for limit in [&["--scan-limit", "500"][..], &["--STORAGE_SCANLIMIT=500"]] {
        let arguments = [&["run"], limit].concat();
        let server = Server::start(&arguments, &app.directory(), &app.data());
        scans_are_bounded(&server).await;
    }
}

async fn scans_are_bounded(server: &Server) {
    let dogs: Vec<_> =
        (0..2000).map(|n| json!({"id": format!("{n:04}"), "name": "x", "age": n})).collect();
    server.put("/Dog/", &json!(dogs).to_string()).await.expect(200);
    let refused = server.get("/Dog/?name=ct=y").await.expect(400);
    assert!(refused.body.contains("The query has looked at 500 records"), "{}", refused.body);
    assert_eq!(
        server.get("/Dog/?id=0100&name=ct=x&select(age)").await.expect(200).json(),
        json!([100])
    );
    server.get("/Dog/?limit(100)").await.expect(200);
}

#[tokio::test]
async fn large_results_are_whole() {
    let (_app, server) = kennel().await;
    let dogs: Vec<_> = (0..3000)
        .map(|n| json!({"id": format!("n{n:05}"), "name": "x".repeat(50), "breed": "many"}))
        .collect();
    server.put("/Dog/", &json!(dogs).to_string()).await.expect(200);
    let all = server.get("/Dog/?breed=many").await.expect(200);
    assert_eq!(all.header("content-length"), None);
    assert_eq!(all.json(), json!(dogs));
}
