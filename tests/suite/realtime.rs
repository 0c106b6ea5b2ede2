//! Tables over WebSocket and SSE (`spec/harper-realtime.md` sections 4 to 6).

use fastwebsockets::OpCode;
use serde_json::json;

use crate::harness::socket::Close;
use crate::harness::{App, DOGS};

#[tokio::test]
async fn a_record_socket_sends_the_record_and_then_its_changes() {
    let app = App::new(DOGS);
    let server = app.run();
    server.put("/Dog/rex", r#"{"name":"Rex","age":5}"#).await.expect(204);
    let mut socket = server.socket("/Dog/rex").await;
    let first = socket.next().await;
    let keys: Vec<&String> = first.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["id", "localTime", "value", "version", "type"]);
    assert_eq!(first["id"], "rex");
    assert_eq!(first["type"], "put");
    assert_eq!(first["value"], json!({"id": "rex", "name": "Rex", "age": 5}));
    server.put("/Dog/other", r#"{"name":"Other"}"#).await.expect(204);
    server
        .send("PATCH", "/Dog/rex", &[crate::harness::client::JSON], r#"{"age":6}"#)
        .await
        .expect(204);
    let patched = socket.next().await;
    assert_eq!(patched["type"], "put");
    assert_eq!(patched["value"], json!({"id": "rex", "name": "Rex", "age": 6}));
    assert!(patched["version"].as_f64() > first["version"].as_f64());
    server.send("DELETE", "/Dog/rex", &[], "").await.expect(200);
    let deleted = socket.next().await;
    assert_eq!((&deleted["type"], &deleted["value"]), (&json!("delete"), &json!(null)));
}

#[tokio::test]
async fn a_collection_socket_sends_all_records_and_then_changes_in_order() {
    let app = App::new(DOGS);
    let server = app.run();
    server.put("/Dog/", r#"[{"id":"b","name":"B"},{"id":"a","name":"A"}]"#).await.expect(200);
    for path in ["/Dog/", "/Dog"] {
        let mut socket = server.socket(path).await;
        assert_eq!(socket.next().await["id"], "a", "{path}");
        assert_eq!(socket.next().await["id"], "b", "{path}");
        for n in 0..50 {
            server.put("/Dog/a", &format!(r#"{{"name":"A","age":{n}}}"#)).await.expect(204);
        }
        for n in 0..50 {
            assert_eq!(socket.next().await["value"]["age"], n, "{path}");
        }
    }
}

#[tokio::test]
async fn sockets_are_accepted_before_routing() {
    let app = App::new(DOGS);
    let server = app.run();
    let mut socket = server.socket("/Cat/5?x=1").await;
    let reason = "No resource was found to handle /Cat/5".to_owned();
    assert_eq!(socket.closed().await, Close { code: Some(1011), reason });
    let mut refused = server.socket_with("/Dog/", &[("accept", "text/html")]).await;
    assert_eq!(refused.closed().await.code, Some(1011));
    let offered = server.socket_with("/Dog/", &[("sec-websocket-protocol", "one, two")]).await;
    assert_eq!(offered.response["sec-websocket-protocol"], "one");
}

#[tokio::test]
async fn pings_are_answered_and_closes_echoed() {
    let app = App::new(DOGS);
    let server = app.run();
    let mut socket = server.socket("/Dog/").await;
    socket.write(OpCode::Ping, b"are you there").await;
    assert_eq!(socket.read().await, (OpCode::Pong, b"are you there".to_vec()));
    // Messages that nobody listens to do no harm.
    for _ in 0..100 {
        socket.send(&"x".repeat(100_000)).await;
    }
    let payload = [&4001u16.to_be_bytes()[..], b"bye"].concat();
    socket.write(OpCode::Close, &payload).await;
    assert_eq!(socket.read().await, (OpCode::Close, payload));
}

#[tokio::test]
async fn web_sockets_can_be_switched_off() {
    let config = "rest: { webSocket: false }\ngraphqlSchema: { files: schema.graphql }\n";
    let app = App::new(&[("config.yaml", config), DOGS[1]]);
    let server = app.run();
    let upgrade = [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("sec-websocket-version", "13"),
    ];
    server.send("GET", "/Dog/", &upgrade, "").await.expect(200);
}

#[tokio::test]
async fn protocols_of_an_export_can_be_switched_off() {
    let schema = "type Quiet @table @export(ws: false, sse: false) {\n  id: ID @primaryKey\n}\n";
    let app = App::new(&[DOGS[0], ("schema.graphql", schema)]);
    let server = app.run();
    assert_eq!(server.socket("/Quiet/").await.closed().await.code, Some(1011));
    let accept = [("accept", "text/event-stream")];
    server.send("GET", "/Quiet/", &accept, "").await.expect(404);
    server.get("/Quiet/").await.expect(200);
}

#[tokio::test]
async fn event_streams_send_the_record_and_then_its_changes() {
    let app = App::new(DOGS);
    let server = app.run();
    server.put("/Dog/rex", r#"{"name":"two\nlines","age":5}"#).await.expect(204);
    let mut events = server.events("/Dog/rex").await;
    assert_eq!(events.response.status(), 200);
    assert_eq!(events.response.headers()["content-type"], "text/event-stream");
    assert_eq!(events.response.headers()["cache-control"], "no-cache");
    let first = events.next().await;
    assert_eq!((&first["value"]["name"], &first["type"]), (&json!("two\nlines"), &json!("put")));
    server.put("/Dog/rex", r#"{"name":"Rex","age":6}"#).await.expect(204);
    assert_eq!(events.next().await["value"]["age"], 6);
    let mut collection = server.events("/Dog/").await;
    assert_eq!(collection.next().await["id"], "rex");
}
