//! Caching tables against an origin that counts what it is asked (`spec/harper-resources.md` section
//! 13, `spec/harper-rest.md` section 5).

mod answers;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::harness::origin::Origin;
use crate::harness::{App, Server};

const FILES: &[(&str, &str)] = &[
    (
        "config.yaml",
        "rest: true\ngraphqlSchema: { files: schema.graphql }\njsResource: { files: resources.ts }\n",
    ),
    (
        "schema.graphql",
        "type Item @table @export { id: ID @primaryKey name: String @indexed }\n\
         type NoteCache @table { id: ID @primaryKey text: String }\n\
         type Page @table @export { id: ID @primaryKey }\n\
         type Pushed @table { id: ID @primaryKey from: String }\n\
         type Plain @table @export { id: ID @primaryKey }\n",
    ),
];

async fn start(threads: usize) -> (App, Arc<Server>, Origin) {
    let origin = Origin::start().await;
    let app = App::new(FILES);
    app.write("resources.ts", &module(&origin));
    let server = app.run_on(threads);
    (app, Arc::new(server), origin)
}

fn module(origin: &Origin) -> String {
    include_str!("caching/resources.ts").replace("ORIGIN_ADDRESS", &origin.address.to_string())
}

fn control(text: &str) -> [(&str, &str); 1] {
    [("cache-control", text)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miss_is_loaded_once_and_then_kept() {
    let (_app, server, origin) = start(2).await;
    origin.answer("/items/1", r#"{"name":"One"}"#);
    origin.delay(Duration::from_millis(200));
    let asking = (0..12).map(|_| {
        let server = Arc::clone(&server);
        tokio::spawn(async move { server.get("/Item/1").await.expect(200).json() })
    });
    for answer in asking.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        assert_eq!(answer["name"], "One");
        assert_eq!((&answer["id"], &answer["replaces"]), (&json!("1"), &json!(null)));
    }
    assert_eq!(origin.count("GET /items/1"), 1, "single flight across workers");
    let hit = server.get("/Item/1").await.expect(200);
    assert!(hit.header("age").is_some() && !hit.header("server-timing").unwrap().contains("miss"));
    // A record with an ETag, as any other.
    let tag = hit.header("etag").unwrap();
    server.send("GET", "/Item/1", &[("if-none-match", tag)], "").await.expect(304);
    origin.delay(Duration::ZERO);
    origin.answer("/items/2", r#"{"name":"Two","modified":1700000000000}"#);
    let miss = server.get("/Item/2").await.expect(200);
    assert!(miss.header("server-timing").unwrap().ends_with(", miss"), "{miss:?}");
    assert_eq!(miss.header("age"), None);
    let found = server.get("/Item/?name=Two&select(name,$updatedtime)").await.expect(200).json();
    assert_eq!(found[0]["name"], "Two");
    // Nothing there: 404, asked again each time.
    for _ in 0..2 {
        server.get("/Item/none").await.expect(404);
    }
    assert_eq!(origin.count("GET /items/none"), 2);
    server.get("/Plain/none").await.expect(404);
    let probes = [
        ("twice", json!([["P", true], ["P", true]])),
        ("again", json!([false, true])),
        ("invalidate", json!("P2")),
        ("missing", json!({"found": "nothing"})),
        ("own", json!("mine")),
    ];
    origin.answer("/items/p", r#"{"name":"P"}"#);
    for (probe, expected) in probes {
        if probe == "invalidate" {
            origin.answer("/items/p", r#"{"name":"P2"}"#);
        }
        assert_eq!(
            server.get(&format!("/Probe/{probe}")).await.expect(200).json(),
            expected,
            "{probe}"
        );
    }
    assert_eq!(origin.count("GET /items/p"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_says_what_it_takes_from_the_cache() {
    let (_app, server, origin) = start(1).await;
    let only = server.send("GET", "/Item/1", &control("only-if-cached"), "").await.expect(504);
    assert_eq!(only.json()["title"], "Entry is not cached");
    assert_eq!(origin.requests(), Vec::<String>::new());
    for (asked, expected) in [
        ("no-store", 1),
        ("", 2),
        ("only-if-cached", 2),
        ("max-age=60", 2),
        ("max-age=0", 3),
        ("no-cache", 4),
    ] {
        origin.answer("/items/1", &format!(r#"{{"name":"{expected}"}}"#));
        // Older than nothing at all, so that `max-age=0` finds it too old.
        tokio::time::sleep(Duration::from_millis(2)).await;
        let answer = server.send("GET", "/Item/1", &control(asked), "").await.expect(200);
        assert_eq!(answer.json()["name"], expected.to_string(), "{asked}");
        assert_eq!(origin.count("GET /items/1"), expected, "{asked}");
    }
    // The source itself may refuse to be kept.
    origin.answer("/items/secret", r#"{"name":"s","private":true}"#);
    for round in 1..=2 {
        server.get("/Item/secret").await.expect(200);
        assert_eq!(origin.count("GET /items/secret"), round);
    }
    // A table without a source takes no notice.
    server.put("/Plain/1", "{}").await.expect(204);
    server.send("GET", "/Plain/1", &control("only-if-cached, no-cache"), "").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn expiry_errors_and_what_is_stale() {
    let (_app, server, origin) = start(1).await;
    origin.answer("/items/short", r#"{"name":"first","ttl":30}"#);
    server.get("/Item/short").await.expect(200);
    tokio::time::sleep(Duration::from_millis(40)).await;
    origin.answer("/items/short", r#"{"name":"second","ttl":30}"#);
    let renewed = server.get("/Item/short").await.expect(200).json();
    assert_eq!((&renewed["name"], &renewed["replaces"]), (&json!("second"), &json!("first")));
    tokio::time::sleep(Duration::from_millis(40)).await;
    // An error names what was asked for; with stale-if-error the stale record stands in.
    origin.fail(Some(503));
    let error = server.get("/Item/short").await.expect(503).json();
    assert_eq!(error["title"], "origin said 503 while resolving record short for Item");
    let stale = server.send("GET", "/Item/short", &control("stale-if-error"), "").await.expect(200);
    assert_eq!(stale.json()["name"], "second");
    let strict = control("stale-if-error, must-revalidate");
    server.send("GET", "/Item/short", &strict, "").await.expect(503);
    origin.fail(Some(400));
    server.send("GET", "/Item/short", &control("stale-if-error"), "").await.expect(400);
    origin.fail(None);
    // Stale while it is loaded anew, if the class allows it.
    for id in ["swr", "strict"] {
        origin.answer(&format!("/notes/{id}"), "old");
        let note = server.get(&format!("/Note/{id}")).await.expect(200).json();
        assert_eq!((&note["text"], &note["source"]), (&json!("old"), &json!(true)));
        origin.answer(&format!("/notes/{id}"), "new");
    }
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(server.get("/Note/swr").await.expect(200).json()["text"], "old");
    server.until("/Note/swr", |answer| answer.json()["text"] == "new").await;
    assert_eq!(server.get("/Note/strict").await.expect(200).json()["text"], "new");
    server.get("/Note/missing").await.expect(404);
    // What a source tells by itself is written to the table.
    let pushed = server.get("/Probe/pushed").await.expect(200).json();
    assert_eq!(pushed, json!(["event", "get"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_go_to_the_source_first() {
    let (_app, server, origin) = start(1).await;
    server.put("/Item/1", r#"{"name":"mine"}"#).await.expect(204);
    assert_eq!(origin.requests(), [r#"PUT /items/1 {"id":"1","name":"mine"}"#]);
    assert_eq!(server.get("/Item/1").await.expect(200).json()["name"], "mine");
    // The source has no patch: it gets the whole record.
    server
        .send("PATCH", "/Item/1", &[crate::harness::client::JSON], r#"{"size":2}"#)
        .await
        .expect(204);
    assert_eq!(origin.requests()[1], r#"PUT /items/1 {"id":"1","name":"mine","size":2}"#);
    origin.fail(Some(500));
    server.put("/Item/1", r#"{"name":"lost"}"#).await.expect(422);
    origin.fail(None);
    assert_eq!(server.get("/Item/1").await.expect(200).json()["name"], "mine");
    server.send("DELETE", "/Item/1", &[], "").await.expect(200);
    assert_eq!(origin.count("DELETE /items/1"), 1);
    server.get("/Item/1").await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_become_records() {
    let (_app, server, origin) = start(1).await;
    origin.answer("/pages/a", "<h1>A</h1>");
    // The response again, and a record where it is asked for as one.
    let page = server.get("/Page/a").await.expect(200);
    assert_eq!(
        (page.body.as_str(), page.header("content-type")),
        ("<h1>A</h1>", Some("text/html"))
    );
    let record = server.get("/Page/a?select(id,body)").await.expect(200).json();
    assert_eq!(record, json!({"id": "a", "body": "<h1>A</h1>"}));
    // 304 keeps what was there.
    let kept = server.send("GET", "/Page/a", &control("no-cache"), "").await.expect(200);
    assert_eq!(kept.body, "<h1>A</h1>");
    origin.fail(Some(403));
    let refused = server.get("/Page/b").await.expect(403).json();
    assert_eq!(refused["title"], "failing while resolving record b for Page");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_the_source_without_a_gap() {
    let (app, server, origin) = {
        let origin = Origin::start().await;
        let app = App::new(FILES);
        app.write("resources.ts", &module(&origin));
        let server = app.dev();
        (app, server, origin)
    };
    origin.answer("/items/1", r#"{"name":"one"}"#);
    origin.answer("/items/2", r#"{"name":"two"}"#);
    server.get("/Item/1").await.expect(200);
    app.write("resources.ts", "throw new Error('broken');");
    server.stderr.wait_for("broken");
    assert_eq!(server.get("/Item/2").await.expect(200).json()["name"], "two");
    app.write(
        "resources.ts",
        "import { tables } from 'harperdb';\n\
         tables.Item.sourcedFrom({ get: (id) => ({ name: `new ${id}` }) });\n",
    );
    for n in 0.. {
        let name = server.get(&format!("/Item/n{n}")).await;
        match name.status {
            404 => {}
            200 => {
                assert_eq!(name.json()["name"], format!("new n{n}"));
                break;
            }
            _ => panic!("{name:?}"),
        }
    }
    app.write("resources.ts", "export const nothing = {};");
    for n in 0.. {
        if server.get(&format!("/Item/g{n}")).await.status == 404 {
            break;
        }
    }
}
