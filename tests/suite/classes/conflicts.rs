//! Transactions that conflict run again, and no update is lost (section 8).

use serde_json::{Value, json};

use super::{ask, check, serve, start};
use crate::harness::App;

const ELSEWHERE: (&str, &str) = (
    "resources/elsewhere.graphql",
    "type Elsewhere @table(database: \"other\") { id: ID @primaryKey }\n",
);

#[tokio::test]
async fn every_read_and_write_takes_effect() {
    let (_app, server) = serve(include_str!("conflicts.ts")).await;
    let bodies = (0..25).map(|n| json!({"id": 1, "wait": n % 4}).to_string());
    let increments = bodies.map(|body| {
        let server = &server;
        async move { ask(server, "POST", "/Increment/", &body).await.expect(200).json() }
    });
    let seen = futures_util::future::join_all(increments).await;
    // Each run begins with the body as it came.
    assert!(seen.iter().all(|seen| *seen == 1), "{seen:?}");
    check(&server, vec![("GET", "/Stock/1", "", 200, json!({"id": 1, "n": 25}))]).await;

    let sales = (0..15).map(|_| ask(&server, "POST", "/Stock/2", "{}"));
    let sales = futures_util::future::join_all(sales).await;
    let sold = sales.iter().filter(|sale| sale.status == 200).count();
    let refused = sales.iter().filter(|sale| sale.json()["title"] == "sold out").count();
    assert_eq!((sold, refused), (10, 5), "{sales:?}");

    ask(&server, "PUT", "/Stock/101", r#"{"n":0}"#).await.expect(204);
    let totals = (0..10).map(|_| ask(&server, "POST", "/Total/", "{}"));
    for total in futures_util::future::join_all(totals).await {
        total.expect(204);
    }
    assert_eq!(server.get("/Stock/101").await.json()["n"], 10);
}

#[tokio::test]
async fn workers_do_not_overwrite_each_other() {
    let app = App::new(&[
        super::CONFIG,
        super::SCHEMA,
        ("resources/resources.ts", include_str!("conflicts.ts")),
    ]);
    let server = app.run_on(3);
    let increments = (0..40).map(|_| ask(&server, "POST", "/Increment/", r#"{"id":1,"wait":1}"#));
    for answer in futures_util::future::join_all(increments).await {
        answer.expect(200);
    }
    assert_eq!(server.get("/Stock/1").await.json()["n"], 40);
}

#[tokio::test]
async fn what_conflicts_each_time_is_told() {
    let (_app, server) = serve(include_str!("conflicts.ts")).await;
    let refused = ask(&server, "POST", "/Hopeless/", "{}").await.expect(409).json();
    let title = refused["title"].as_str().unwrap();
    assert!(title.contains("changed by others each of the 20 times"), "{title}");
    check(
        &server,
        vec![
            ("GET", "/Hopeless/", "", 200, json!(20)),
            ("GET", "/Dog/hopeless", "", 404, Value::Null),
        ],
    )
    .await;
}

#[tokio::test]
async fn transactions_in_the_hands_of_code() {
    let module = ("resources/resources.ts", include_str!("conflicts.ts"));
    let app = App::new(&[
        (
            "config.yaml",
            "rest: true\ngraphqlSchema: { files: ['schema.graphql', 'resources/*.graphql'] }\n\
             jsResource: { files: 'resources/*.ts' }\n",
        ),
        super::SCHEMA,
        ELSEWHERE,
        module,
    ]);
    let server = app.run();
    server.put("/Dog/a", r#"{"name":"Ann"}"#).await.expect(204);
    let missing = |id| ("GET", id, "", 404, Value::Null);
    let there = |id| ("GET", id, "", 200, json!("X"));
    server.get("/Transactions/twoDatabases").await.expect(500);
    check(
        &server,
        vec![
            ("GET", "/Transactions/explicitCommit", "", 200, json!("number")),
            there("/Dog/x1.name"),
            ("GET", "/Transactions/commitInside", "", 200, json!([false])),
            there("/Dog/x2.name"),
            there("/Dog/x3.name"),
            ("GET", "/Transactions/abortInside", "", 200, json!("goes on")),
            missing("/Dog/x4"),
            there("/Dog/x5.name"),
            ("GET", "/Transactions/nested", "", 200, json!(true)),
            missing("/Dog/x6"),
            ("GET", "/Transactions/snapshot", "", 200, json!([null, "number", true])),
            ("GET", "/Transactions/neighbours", "", 200, json!([19, 409])),
            missing("/Dog/nb10"),
        ],
    )
    .await;
    assert_eq!(server.get("/Dog/?name=N").await.json().as_array().unwrap().len(), 19);
}

/// What a `finally` block writes when the server is told to stop is stored.
#[tokio::test]
async fn finally_blocks_are_stored_at_the_end() {
    let module = "export class Waiting extends Resource {\n\
                  async *connect(incoming) {\n\
                  try { yield 'on'; for await (const m of incoming) yield m }\n\
                  finally { await new Promise((done) => setTimeout(done, 50));\n\
                  await tables.Dog.put({ id: 'ended', name: 'Ended' }) } }\n}\n";
    let (app, server) = start(&[("resources/resources.ts", module)]);
    let mut waiting = server.socket("/Waiting/").await;
    assert_eq!(waiting.next().await, json!("on"));
    assert!(server.terminate().success());
    let server = app.run();
    server.get("/Dog/ended").await.expect(200);
}
