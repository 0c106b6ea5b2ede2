//! The context of a call (section 7).

use serde_json::{Value, json};

use super::{check, check_named, serve};

#[tokio::test]
async fn contexts_tell_of_the_request() {
    let (_app, server) = serve(include_str!("contexts.ts")).await;
    check_named(
        &server,
        "/Contexts/",
        vec![
            (
                "request?x=1",
                json!([
                    "GET",
                    "/Contexts/request?x=1",
                    "/Contexts/request",
                    "?x=1",
                    "http",
                    "127.0.0.1",
                    true,
                    "127.0.0.1",
                    "1.1",
                    "Contexts",
                    false,
                    null,
                    "local"
                ]),
            ),
            ("ambient", json!([true, true, "local", "local", true])),
            ("expires", json!("put")),
            ("expired", json!([6, "E", 3, 3, "gone"])),
            ("custom", json!("own")),
            ("transaction", json!([true, "number"])),
            ("signal", json!([true, false])),
            ("hints", json!(r#"{"method":"GET","url":"/Contexts/hints"}"#)),
            ("outside", json!(false)),
        ],
    )
    .await;
    let typed = server.get("/Contexts/request.json").await.expect(200).json();
    assert_eq!(typed[11], "application/json");
    let asked = [("x-asked", "this")];
    let headers = server.send("GET", "/Contexts/headers", &asked, "").await.expect(200);
    assert_eq!(headers.json(), json!(["this", true, false, "set", "this", true]));
    let response = server.get("/Contexts/response").await.expect(207);
    assert_eq!(response.header("x-set"), Some("by the context"));
    check(
        &server,
        vec![
            ("DELETE", "/Contexts/x", r#"{"a":1}"#, 200, json!(["deleted with", {"a": 1}])),
            ("DELETE", "/Contexts/x", "", 200, json!(["deleted with", Value::Null])),
            ("POST", "/Contexts/x", r#"{"a":1}"#, 200, json!(["function", {"a": 1}, "x"])),
            ("GET", "/Loaded/", "", 200, json!(["object", 0])),
        ],
    )
    .await;
}

#[tokio::test]
async fn contexts_tell_when_the_client_goes() {
    let (_app, server) = serve(include_str!("contexts.ts")).await;
    let seen =
        |wanted: Value| move |answer: &crate::harness::client::Answer| answer.json() == wanted;
    {
        let leaving = server.get("/Contexts/aborts");
        tokio::pin!(leaving);
        let began = server.until("/Contexts/seen", seen(json!(["began"])));
        tokio::select! {
            answer = &mut leaving => panic!("answered {answer:?}"),
            _ = began => {}
        }
    }
    server.until("/Contexts/seen", seen(json!(["began", "aborted"]))).await;
    let mut events = server.events("/Streaming/5?a").await;
    assert_eq!(events.next().await, json!([false, "Streaming", "/Streaming/5?a", true]));
    drop(events);
    server.until("/Contexts/seen", seen(json!(["began", "aborted", "stream aborted"]))).await;
}
