//! One transaction a request, and the ambient context (sections 7 and 8).

use serde_json::{Value, json};

use super::{ask, check, serve};
use crate::harness::DEADLINE;

#[tokio::test]
async fn a_request_is_one_transaction() {
    let (_app, server) = serve(include_str!("transactions.ts")).await;
    let bob = json!({"id": "b", "name": "Bob", "age": 2, "breed": "Pug"});
    check(
        &server,
        vec![
            ("POST", "/Works/load", "{}", 200, json!(["no", true, true, false])),
            ("POST", "/Works/both", "{}", 204, Value::Null),
            ("GET", "/Dog/t2?select(name)", "", 200, json!("T")),
            ("POST", "/Works/versions", "{}", 200, json!(true)),
            ("POST", "/Works/own", "{}", 200, json!(["Own", 1, "Owned", 0, false])),
            ("GET", "/Dog/o1", "", 404, Value::Null),
            ("POST", "/Works/explicit", "{}", 200, json!(["inner", true])),
            ("POST", "/Works/explicitContext", "{}", 200, json!("done")),
            ("GET", "/Dog/e2?select(name)", "", 200, json!("E")),
            ("POST", "/Works/caught", "{}", 200, json!(true)),
            ("GET", "/Dog/c1?select(name)", "", 200, json!("Caught")),
        ],
    )
    .await;
    for (work, status) in [("failing", 409), ("throwingAtOnce", 500), ("failingAnswer", 400)] {
        ask(&server, "POST", &format!("/Works/{work}"), "{}").await.expect(status);
    }
    check(
        &server,
        vec![
            ("GET", "/Dog/f1", "", 404, Value::Null),
            ("GET", "/Dog/f2", "", 404, Value::Null),
            ("GET", "/Dog/f3", "", 404, Value::Null),
            ("GET", "/Dog/f4", "", 404, Value::Null),
            ("GET", "/Dog/a?select(age)", "", 200, json!(1)),
            ("GET", "/Dog/b", "", 200, bob),
            ("POST", "/Works/after", "{}", 200, json!("at once")),
        ],
    )
    .await;
    let deadline = std::time::Instant::now() + DEADLINE;
    while server.get("/Dog/late").await.status != 200 {
        assert!(std::time::Instant::now() < deadline, "a write after the answer is lost");
    }
}

#[tokio::test]
async fn contexts_of_interleaved_requests_stay_apart() {
    let (_app, server) = serve(include_str!("transactions.ts")).await;
    let requests = (0..20).map(|n| {
        let path = format!("/Works/ambient?n={n}");
        let body = json!({"wait": 20 - n}).to_string();
        let server = &server;
        async move {
            let answer = ask(server, "POST", &path, &body).await.expect(200);
            assert_eq!(answer.json(), json!([true, true, true, path]));
        }
    });
    futures_util::future::join_all(requests).await;
}

/// Code that reads, waits and writes is told when somebody else was quicker; no increment is lost.
#[tokio::test]
async fn what_was_read_must_still_hold_at_commit() {
    let (_app, server) = serve(include_str!("transactions.ts")).await;
    let increments = (0..5).map(|_| ask(&server, "POST", "/Works/increment", "{}"));
    let answers = futures_util::future::join_all(increments).await;
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    assert!(done >= 1, "{answers:?}");
    assert!(answers.iter().all(|answer| [200, 409].contains(&answer.status)), "{answers:?}");
    assert_eq!(server.get("/Dog/a").await.json()["age"], 1 + done);
}
