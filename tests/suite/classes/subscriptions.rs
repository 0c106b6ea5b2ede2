//! Subscriptions in the hands of classes (`spec/harper-realtime.md` sections 3 and 4).

use serde_json::json;

use super::{ask, serve};

#[tokio::test]
async fn options_choose_what_is_told() {
    let (_app, server) = serve(include_str!("subscriptions.ts")).await;
    let mut feeds = Vec::new();
    for name in ["transactions", "children", "rows", "events", "filteredCurrent"] {
        let mut feed = server.socket(&format!("/Feed/{name}")).await;
        assert_eq!(feed.next().await, json!(["ready"]));
        feeds.push(feed);
    }
    let mut untouched = server.socket("/Untouched/filteredCurrent").await;
    assert_eq!(untouched.next().await["id"], "b");
    let record = |id: &str, age: i32| json!({"id": id, "name": "X", "age": age});
    for (put, delete) in [
        (vec![record("top/a", 1), record("top/a/b", 9)], vec!["a"]),
        (vec![record("other", 7)], vec![]),
    ] {
        let body = json!({"put": put, "delete": delete}).to_string();
        ask(&server, "POST", "/Work/", &body).await.expect(204);
    }
    let end = json!(["end_txn", null, true]);
    for (feed, expected) in feeds.iter_mut().zip([
        vec![
            json!(["put", "top/a", true]),
            json!(["put", "top/a/b", false]),
            json!(["delete", "a", false]),
            end.clone(),
            json!(["put", "other", true]),
            end,
        ],
        vec![json!(["put", "top/a", false])],
        vec![
            json!(["put", "top/a/b", false]),
            json!(["delete", "a", false]),
            json!(["put", "other", false]),
        ],
        vec![json!(["delete", "a", false])],
        vec![json!(["put", "b", false]), json!(["delete", "a", false])],
    ]) {
        for expected in expected {
            assert_eq!(feed.next().await, expected);
        }
    }
}

#[tokio::test]
async fn a_subscription_may_be_read_before_it_is_returned() {
    let (_app, server) = serve(include_str!("subscriptions.ts")).await;
    let mut partly = server.socket("/Partly/").await;
    for n in 1..40 {
        assert_eq!(partly.next().await["id"], format!("n{n}"));
    }
}

#[tokio::test]
async fn messages_are_acknowledged_when_they_are_sent() {
    let (_app, server) = serve(include_str!("subscriptions.ts")).await;
    let mut events = server.events("/Acknowledging/").await;
    for n in 0..3 {
        assert_eq!(events.next().await, json!({"n": n}));
    }
    server.until("/Acknowledging/", |answer| answer.json() == json!([0, 1, 2])).await;
}
