//! Guests and their twins as MQTT clients see them: topics are their paths, messages their verbs.

use mqtt_proto::QoS;
use mqtt_proto::v5::{PubackReasonCode, SubscribeReasonCode};
use serde_json::json;

use super::Twins;
use crate::harness::mqtt::connect;

#[tokio::test]
async fn messages_are_verbs_and_streams_are_subscriptions() {
    let twins = Twins::serve();
    for (language, server) in twins.each() {
        let mut client = server.mqtt(connect("owner")).await;
        let mut watcher = server.mqtt(connect("watcher")).await;
        // Retained: `put`.
        let ack = client.put("Kennel/rex", br#"{"id":"rex","name":"Rex","age":3}"#).await;
        assert_eq!(ack.reason_code, PubackReasonCode::Success, "{language}");
        let code = watcher.subscribe("Watch/rex", QoS::Level1).await;
        assert_eq!(code, SubscribeReasonCode::GrantedQoS1, "{language}");
        let seen = |kind: &str, name: Option<&str>| {
            ("Watch/rex".to_owned(), json!({"kind": kind, "id": "rex", "name": name}))
        };
        assert_eq!(watcher.next_json().await, seen("put", Some("Rex")), "{language}");
        // Not retained: `publish`.
        let ack = client.publish("Watch/rex", r#"{"id":"rex","name":"Told","age":3}"#).await;
        assert_eq!(ack.reason_code, PubackReasonCode::Success, "{language}");
        assert_eq!(watcher.next_json().await, seen("message", Some("Told")), "{language}");
        assert_eq!(server.get("/Dog/rex").await.expect(200).json()["name"], "Rex", "{language}");
        // Retained and empty: `delete`.
        client.put("Kennel/rex", b"").await;
        assert_eq!(watcher.next_json().await, seen("delete", None), "{language}");
        server.get("/Dog/rex").await.expect(404);
        watcher.unsubscribe("Watch/rex").await;
        server.put("/Dog/rex", r#"{"name":"Rex"}"#).await.expect(204);
        watcher.expect_nothing().await;
    }
}

#[tokio::test]
async fn what_goes_wrong_is_told_alike() {
    let twins = Twins::serve();
    for (topic, payload) in [
        // Not a dog; no dog named; no such verb; a dog without a name.
        ("Watch/rex", r#"{"name":5}"#),
        ("Watch", r#"{"id":"rex","name":"Rex","age":3}"#),
        ("Echo/rex", "{}"),
        ("Nothing/rex", "{}"),
    ] {
        let mut codes = Vec::new();
        for (_, server) in twins.each() {
            let mut client = server.mqtt(connect("owner")).await;
            let ack = client.publish(topic, payload).await;
            assert_ne!(ack.reason_code, PubackReasonCode::Success, "{topic}");
            codes.push(ack.reason_code);
        }
        assert_eq!(codes[0], codes[1], "{topic}");
    }
}
