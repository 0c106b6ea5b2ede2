//! What goes wrong in a component: its clients and its log are told, nobody else notices.

use serde_json::json;

use super::{check_named, serve};

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
