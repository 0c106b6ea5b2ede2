//! PUBLISH as `publish`, `put` and `delete`, and the codes that say how it went.

use mqtt_proto::QoS;
use mqtt_proto::v5::PubackReasonCode;
use serde_json::{Value, json};

use super::app;
use crate::harness::mqtt::connect;

#[tokio::test]
async fn retained_messages_are_records() {
    let app = app();
    let server = app.run();
    let mut client = server.mqtt(connect("c")).await;
    let mut socket = server.socket("/Room/").await;
    let ack = client.put("Room/a", br#"{"name":"A"}"#).await;
    assert_eq!(ack.reason_code, PubackReasonCode::Success);
    assert_eq!(server.get("/Room/a").await.expect(200).json(), json!({"id": "a", "name": "A"}));
    client.publish("Room/a", r#"{"name":"said"}"#).await;
    assert_eq!(server.get("/Room/a").await.json()["name"], "A", "only an event");
    client.put("Room/a", b"").await;
    server.get("/Room/a").await.expect(404);
    let mut told = Vec::new();
    for _ in 0..3 {
        let event = socket.next().await;
        told.push(format!("{} {} {}", event["type"], event["id"], event["value"]["name"]));
    }
    assert_eq!(told, [r#""put" "a" "A""#, r#""message" "a" "said""#, r#""delete" "a" null"#]);
}

#[tokio::test]
async fn what_is_published_over_http_arrives_and_nothing_that_is_not_meant() {
    let app = app();
    let server = app.run();
    let mut client = server.mqtt(connect("c")).await;
    client.subscribe("Room/a", QoS::Level0).await;
    server.put("/Room/b", r#"{"name":"B"}"#).await.expect(204);
    server.put("/Room/a", r#"{"name":"A"}"#).await.expect(204);
    assert_eq!(client.next_json().await, ("Room/a".to_owned(), json!({"id": "a", "name": "A"})));
    server.send("DELETE", "/Room/a", &[], "").await.expect(200);
    let deleted = client.next().await;
    assert!(deleted.payload.is_empty() && !deleted.retain);
    client.expect_nothing().await;
}

#[tokio::test]
async fn bytes_come_back_as_they_were() {
    let app = app();
    let server = app.run();
    let mut client = server.mqtt(connect("c")).await;
    client.subscribe("Room/#", QoS::Level1).await;
    for (n, bytes) in
        [&b"\x00\xff"[..], b"plain", b"[1,2]", b"{broken", b"\"text\""].iter().enumerate()
    {
        let topic = format!("Room/{n}");
        let message = client.message(&topic, bytes, QoS::Level0);
        client.send(&message.into()).await;
        assert_eq!(&client.next_acknowledged().await.payload[..], *bytes);
        // Retained: what a later subscriber gets.
        let message = client.message(&topic, bytes, QoS::Level0);
        client.send(&mqtt_proto::v5::Publish { retain: true, ..message }.into()).await;
        assert_eq!(&client.next_acknowledged().await.payload[..], *bytes);
    }
    let mut later = server.mqtt(connect("later")).await;
    later.subscribe("Room/0", QoS::Level0).await;
    assert_eq!(&later.next().await.payload[..], b"\x00\xff");
}

#[tokio::test]
async fn content_types_decide_how_payloads_are_read() {
    let app = app();
    let server = app.run();
    let mut client = server.mqtt(connect("c")).await;
    let mut socket = server.socket("/Room/").await;
    for (content_type, payload, expected) in [
        ("application/json", &b"[1]"[..], json!([1])),
        ("text/plain", b"hi", json!("hi")),
        ("text/csv", b"a,b", json!({"contentType": "text/csv", "data": "a,b"})),
        ("application/cbor", b"\xa1\x64name\x61C", json!({"name": "C"})),
        ("application/x-msgpack", b"\x81\xa4name\xa1M", json!({"name": "M"})),
    ] {
        let mut message = client.message("Room/x", payload, QoS::Level1);
        message.properties.content_type = Some(content_type.into());
        let ack = client.publish_and_wait(message).await;
        assert_eq!(ack.reason_code, PubackReasonCode::Success, "{content_type}");
        assert_eq!(socket.next().await["value"], expected);
    }
    let mut wrong = client.message("Room/x", b"{", QoS::Level1);
    wrong.properties.content_type = Some("application/json".into());
    let ack = client.publish_and_wait(wrong).await;
    assert_eq!(ack.reason_code, PubackReasonCode::PayloadFormatInvalid);
    assert!(ack.properties.reason_string.unwrap().contains("not application/json"));
}

#[tokio::test]
async fn failures_have_reason_codes() {
    let app = app();
    let server = app.run();
    let mut client = server.mqtt(connect("c")).await;
    for (topic, payload, reason) in [
        ("Nothing/5", "{}", PubackReasonCode::TopicNameInvalid),
        ("Hidden/5", "{}", PubackReasonCode::TopicNameInvalid),
        ("$SYS/broker/uptime", "{}", PubackReasonCode::TopicNameInvalid),
        ("Room/5", r#"{"name":{"not":"a string"}}"#, PubackReasonCode::PayloadFormatInvalid),
        ("Chat/5", r#"{"fail":true}"#, PubackReasonCode::NotAuthorized),
        ("Chat/5", r#"{"text":"hi"}"#, PubackReasonCode::Success),
    ] {
        let ack = client.publish(topic, payload).await;
        assert_eq!(ack.reason_code, reason, "{topic} {:?}", ack.properties.reason_string);
    }
    let room: Value = server.get("/Room/5").await.expect(200).json();
    assert_eq!(room["name"], "hi", "a class's publish ran");
}
