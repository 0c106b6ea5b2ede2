//! What goes wrong in a component: its clients and its log are told, nobody else notices.

use serde_json::json;

use super::{CONFIG, SCHEMA, check, check_named, serve};
use crate::harness::App;

/// Where `inner` throws in the TypeScript file.
const THROWN_AT: &str = "resources.ts:97:9";

#[tokio::test]
async fn failures_are_answered_and_the_worker_lives() {
    let (_app, server) = serve(include_str!("failures.ts")).await;
    for (name, status, title) in [
        ("cyclic", 500, "contains itself"),
        ("cyclicArray", 500, "contains itself"),
        ("deep", 500, "nested"),
        ("stackless", 500, ""),
        ("getter", 409, "bad getter"),
        ("toJSON", 500, "bad toJSON"),
        ("proxy", 500, "bad proxy"),
        ("huge", 500, "BigInt"),
    ] {
        let answer = server.get(&format!("/Failures/{name}")).await;
        assert_eq!(answer.status, status, "{name}: {answer:?}");
        let problem = answer.json();
        assert!(problem["title"].as_str().unwrap().contains(title), "{name}: {problem}");
    }
    check_named(
        &server,
        "/Failures/",
        vec![
            ("rejected", json!("lives")),
            ("timer", json!("lives")),
            ("listener", json!("lives")),
            ("microtask", json!("lives")),
            ("thenable", json!("from a thenable")),
        ],
    )
    .await;
    for message in [
        "nobody catches this",
        "thrown by a timer",
        "thrown by a listener",
        "reported",
        "thrown by a microtask",
    ] {
        server.stderr.wait_for(message);
    }
    server.get("/Failures/thenable").await.expect(200);
}

#[tokio::test]
async fn stacks_name_the_lines_of_the_user() {
    let (_app, server) = serve(include_str!("failures.ts")).await;
    let answer = server.get("/Failures/thrown").await.expect(500);
    assert_eq!(answer.json()["code"], "TypeError");
    assert!(!answer.body.contains("resources.ts"), "clients see no stack: {answer:?}");
    server.stderr.wait_for("of this line");
    server.stderr.wait_for(THROWN_AT);
}

#[tokio::test]
async fn values_may_call_tables_while_they_are_read() {
    let (_app, server) = serve(include_str!("failures.ts")).await;
    check_named(
        &server,
        "/Failures/",
        vec![
            ("reentrantId", json!("Ann")),
            ("reentrantQuery", json!(1)),
            ("reentrantItems", json!([{"n": 2}])),
            ("reentrantRecord", json!(true)),
        ],
    )
    .await;
    let reentrant = server.get("/Failures/reentrant").await.expect(200).json();
    assert_eq!(reentrant["read"], 4, "{reentrant}");
    assert!(reentrant["later"].as_i64() >= Some(4), "{reentrant}");
}

#[tokio::test]
async fn a_broken_module_answers_for_its_component_only() {
    let healthy = "export class Ping extends Resource { get() { return 'pong' } }\n";
    for (broken, told) in [
        ("export class Pong extends Resource {\n  get( { return 1 }\n}\n", "resources.ts:2"),
        ("const a: number = 1;\n\nthrow new Error('at the top');\n", "resources.ts:3"),
        ("import { x } from './none.ts';\nexport const y = x;\n", "none.ts"),
        ("import fs from 'left-pad';\nexport const y = fs;\n", "left-pad"),
        ("await Promise.reject(new Error('awaited'));\n", "resources.ts:1"),
        ("interface A { a: 1 }\nexport const y = notDefined;\n", "resources.ts:2"),
        ("import { nope } from 'harperdb';\nexport const y = nope();\n", "nope"),
    ] {
        let app = App::new(&[
            (
                "broken/config.yaml",
                "rest: true\njsResource: { files: resources.ts, urlPath: broken }\n",
            ),
            ("broken/resources.ts", broken),
            ("healthy/config.yaml", CONFIG.1),
            ("healthy/schema.graphql", SCHEMA.1),
            ("healthy/resources/resources.ts", healthy),
        ]);
        let server = app.run();
        let answer = server.get("/broken/Pong/").await.expect(500);
        let title = answer.json()["title"].as_str().unwrap().to_owned();
        assert!(title.contains("broken/resources.ts") && title.contains(told), "{told}: {title}");
        assert!(!title.contains("file://") && !title.contains("ext:"), "{title}");
        let logged = server.stderr.wait_for("broken/resources.ts");
        assert!(!logged.is_empty());
        check(
            &server,
            vec![("GET", "/Ping/", "", 200, json!("pong")), ("GET", "/Dog/", "", 200, json!([]))],
        )
        .await;
    }
}
