//! `connect` in both languages, over WebSocket and Server-Sent Events.

use serde_json::json;

use super::Twins;
use crate::harness::client::JSON;

#[tokio::test]
async fn what_a_client_sends_is_answered() {
    let twins = Twins::serve();
    for (language, server) in twins.each() {
        let mut socket = server.socket("/Echo").await;
        assert_eq!(socket.next().await, json!("hello"), "{language}");
        for n in 0..100 {
            socket.send(&json!({"say": n.to_string()}).to_string()).await;
        }
        for n in 0..100 {
            assert_eq!(socket.next().await, json!({"heard": n.to_string()}), "{language}");
        }
    }
}

#[tokio::test]
async fn a_client_that_only_listens_gets_the_greeting_and_the_end() {
    let twins = Twins::serve();
    for (language, server) in twins.each() {
        let mut events = server.events("/Echo").await;
        assert_eq!(events.next_block().await.as_deref(), Some("data: hello"), "{language}");
        assert_eq!(events.next_block().await, None, "{language}");
    }
}

#[tokio::test]
async fn events_of_a_table_reach_the_client() {
    let twins = Twins::serve();
    for (language, server) in twins.each() {
        server.put("/Dog/rex", r#"{"name":"Rex","age":1}"#).await.expect(204);
        let mut socket = server.socket("/Watch/rex").await;
        let mut events = server.events("/Watch/rex").await;
        let rex = json!({"kind": "put", "id": "rex", "name": "Rex"});
        assert_eq!(socket.next().await, rex, "{language}");
        assert_eq!(events.next().await, rex, "{language}");
        server.put("/Dog/bo", r#"{"name":"Bo"}"#).await.expect(204);
        server.put("/Dog/rex", r#"{"name":"Max"}"#).await.expect(204);
        let told = r#"{"id":"rex","name":"Told"}"#;
        server.send("POST", "/Watch/rex", &[JSON], told).await.expect(204);
        server.send("DELETE", "/Dog/rex", &[], "").await;
        for expected in [
            json!({"kind": "put", "id": "rex", "name": "Max"}),
            json!({"kind": "message", "id": "rex", "name": "Told"}),
            json!({"kind": "delete", "id": "rex", "name": null}),
        ] {
            assert_eq!(socket.next().await, expected, "{language}");
            assert_eq!(events.next().await, expected, "{language}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_fails_to_open_says_why() {
    let twins = Twins::serve();
    let mut reasons = Vec::new();
    for (_, server) in twins.each() {
        reasons.push(server.socket("/Watch/").await.closed().await);
    }
    assert_eq!(reasons[0], reasons[1]);
}
