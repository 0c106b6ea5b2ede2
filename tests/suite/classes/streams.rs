//! Answers that come piece by piece, answers that are thrown, heads without bodies (section 10).

use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::{check, serve};
use crate::harness::DEADLINE;

#[tokio::test]
async fn bodies_are_sent_as_they_come() {
    let (_app, server) = serve(include_str!("streams.ts")).await;
    let mut slow = server.open("GET", "/Streams/slow", &[], "").await.unwrap();
    assert_eq!(slow.status(), 200);
    assert_eq!(slow.headers()["content-type"], "text/slow");
    let first = tokio::time::timeout(DEADLINE, slow.body_mut().frame()).await.unwrap();
    assert_eq!(first.unwrap().unwrap().into_data().unwrap(), "first");
    server.get("/Streams/release").await.expect(200);
    assert_eq!(slow.into_body().collect().await.unwrap().to_bytes(), " second");

    // A reader that goes away ends the stream that it read.
    let mut endless = server.open("GET", "/Streams/endless", &[], "").await.unwrap();
    endless.body_mut().frame().await.unwrap().unwrap();
    drop(endless);
    server.until("/Streams/log", |answer| answer.json() == json!(["cancelled"])).await;

    // What breaks off must not pass for the whole.
    let broken = server.open("GET", "/Streams/breaks", &[], "").await.unwrap();
    assert_eq!(broken.status(), 200);
    assert!(broken.into_body().collect().await.is_err());
    server.get("/Streams/breaksAtOnce").await.expect(500);
}

#[tokio::test]
async fn responses_have_the_heads_that_they_say() {
    let (_app, server) = serve(include_str!("streams.ts")).await;
    for (name, status, content_type, body) in [
        ("node", 200, "text/html", "<p>node</p>"),
        ("readable", 200, "text/html", "<p>readable</p>"),
        ("typedNode", 200, "text/node", "ab"),
        ("blobBody", 200, "text/blob", "blob"),
        ("responseBlob", 200, "text/blob", "blob"),
        ("nullBody", 200, "", ""),
        ("dataIterable", 201, "application/json", "[1,2]"),
        ("dataSearch", 203, "application/json", r#"["Ann","Bob","Cy"]"#),
        ("headersOnly", 204, "", ""),
        ("headersAndMore", 200, "application/json", r#"{"headers":{"x-a":"1"},"name":"whole"}"#),
        ("noStatus", 200, "application/json", r#"{"a":1}"#),
        ("created", 201, "application/json", r#"{"made":true}"#),
        ("located", 200, "application/json", r#"{"moved":true}"#),
        ("createdItems", 201, "application/json", "[1]"),
        ("thrownResponse", 418, "text/plain;charset=UTF-8", "tea"),
        ("thrownLike", 402, "application/json", r#"{"pay":"first"}"#),
    ] {
        let answer = server.get(&format!("/Streams/{name}")).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{name}: {answer:?}");
        assert_eq!(answer.header("content-type").unwrap_or(""), content_type, "{name}");
        let header = match name {
            "dataIterable" | "dataSearch" | "headersOnly" | "headersAndMore" | "noStatus"
            | "thrownResponse" | "thrownLike" => Some(("x-a", "1")),
            "located" => Some(("location", "/some/where%20else")),
            "createdItems" => Some(("location", "a/1")),
            _ => None,
        };
        if let Some((header, value)) = header {
            assert_eq!(answer.header(header), Some(value), "{name}");
        }
    }
    let large = server.get("/Streams/large").await.expect(200);
    assert_eq!((large.header("content-length"), large.body.len()), (Some("300000"), 300_000));
    let merged = server.get("/Streams/merged").await.expect(200);
    let headers = ["x-a", "x-b", "x-c"].map(|name| merged.header(name).unwrap().to_owned());
    assert_eq!(headers, ["response", "context", "default"]);
    for (name, status, title) in [
        ("thrownStatus", 422, "just a status"),
        ("thrownErrorStatus", 423, "an error's status"),
        ("thrownNumber", 500, "5"),
        ("statusThenThrow", 451, "the context's status"),
    ] {
        let problem = server.get(&format!("/Streams/{name}")).await.expect(status).json();
        assert_eq!((&problem["title"], &problem["status"]), (&json!(title), &json!(status)));
    }
}

#[tokio::test]
async fn what_is_there_decides_the_status() {
    let (_app, server) = serve(include_str!("streams.ts")).await;
    super::ask(&server, "POST", "/Streams/x", "{}").await.expect(409);
    let (to, headers) = ([("destination", "/Streams/b")], []);
    let copied = server.send("COPY", "/Streams/a", &to, "").await.expect(200);
    assert_eq!(copied.json(), json!(["copied", "a", "/Streams/b"]));
    let moved = server.send("MOVE", "/Streams/a", &to, "").await.expect(200);
    assert_eq!(moved.json(), json!(["moved", "a", "/Streams/b"]));
    server.send("COPY", "/Streams/a", &headers, "").await.expect(400);
    server.send("MOVE", "/Dog/a", &to, "").await.expect(405);
    check(
        &server,
        vec![
            ("GET", "/Dog/thrown", "", 404, Value::Null),
            ("PUT", "/Streams/x", "{}", 204, Value::Null),
        ],
    )
    .await;
    // A version makes an entity tag, wherever it came from.
    for name in ["modified", "spread"] {
        let answer = server.get(&format!("/Streams/{name}")).await.expect(200);
        let tag = answer.header("etag").expect(name).to_owned();
        let known = [("if-none-match", tag.as_str())];
        server.send("GET", &format!("/Streams/{name}"), &known, "").await.expect(304);
    }
    let events = [("accept", "text/event-stream")];
    for (name, status) in [("nothing", 204), ("null", 204), ("once", 200), ("empty", 200)] {
        let answer = server.send("GET", &format!("/Streams/{name}"), &events, "").await;
        assert_eq!(answer.status, status, "{name}");
        let body = if name == "once" { "data: {\"one\":\"frame\"}\n\n" } else { "" };
        assert_eq!(answer.body, body, "{name}");
    }
    let options = server.send("OPTIONS", "/Streams/", &[], "").await.expect(204);
    assert_eq!(options.header("allow"), Some("GET, HEAD, PUT, POST, MOVE, COPY"));
}

#[tokio::test]
async fn a_read_of_null_says_so() {
    let module = "export class Nothing extends Resource {\n\
                  get(target) { return target.id === 'null' ? null : undefined } }\n";
    let (_app, server) = serve(module).await;
    let null = server.get("/Nothing/null").await.expect(404);
    assert_eq!(
        (null.body.as_str(), null.header("content-type")),
        ("null", Some("application/json"))
    );
    assert_eq!(server.get("/Nothing/undefined").await.expect(404).body, "");
    assert_eq!(server.get("/Dog/none").await.expect(404).body, "");
}
