//! Sessions that outlive their connections, and wills.

use std::time::{Duration, Instant};

use bytes_of::bytes;
use mqtt_proto::v5::{Disconnect, DisconnectReasonCode, LastWill, Packet};
use mqtt_proto::{QoS, TopicName};
use serde_json::json;

use super::app;
use crate::harness::mqtt::{connect, connect_durable};

mod bytes_of {
    pub fn bytes(text: &str) -> hyper::body::Bytes {
        hyper::body::Bytes::copy_from_slice(text.as_bytes())
    }
}

#[tokio::test]
async fn what_happened_while_a_client_was_away_comes_when_it_is_back() {
    let app = app();
    let server = app.run();
    server.put("/Room/before", r#"{"name":"b"}"#).await.expect(204);
    let mut client = server.mqtt(connect_durable("c")).await;
    assert!(!client.connack.session_present);
    client.subscribe("Room/#", QoS::Level1).await;
    assert_eq!(client.next_json().await.0, "Room/before");
    client.expect_nothing().await;
    client.send(&Disconnect::new_normal().into()).await;
    assert_eq!(client.read().await, None);
    for n in 0..100 {
        server.put(&format!("/Room/{n}"), r#"{"name":"away"}"#).await.expect(204);
    }
    let mut client = server.mqtt(connect_durable("c")).await;
    assert!(client.connack.session_present);
    for n in 0..100 {
        assert_eq!(client.next_json().await.0, format!("Room/{n}"));
    }
    client.expect_nothing().await;
    drop(client);
    // Also by a server that was stopped meanwhile.
    assert!(server.terminate().success());
    let server = app.run();
    server.put("/Room/later", r#"{"name":"l"}"#).await.expect(204);
    let mut client = server.mqtt(connect_durable("c")).await;
    assert!(client.connack.session_present);
    assert_eq!(client.next_json().await.0, "Room/later");
    client.expect_nothing().await;
    // A clean start forgets it all.
    let mut client = server.mqtt(connect("c")).await;
    assert!(!client.connack.session_present);
    server.put("/Room/x", r#"{"name":"x"}"#).await.expect(204);
    client.expect_nothing().await;
}

/// Most clients subscribe whenever they connect.
#[tokio::test]
async fn subscribing_again_loses_nothing_of_a_session() {
    let app = app();
    let server = app.run();
    let mut client = server.mqtt(connect_durable("c")).await;
    client.subscribe("Room/#", QoS::Level1).await;
    client.expect_nothing().await;
    drop(client);
    let mut publisher = server.mqtt(connect("p")).await;
    for n in 0..200 {
        publisher.publish("Room/a", &format!(r#"{{"name":"{n}"}}"#)).await;
    }
    publisher.put("Room/a", br#"{"name":"current"}"#).await;
    let mut client = server.mqtt(connect_durable("c")).await;
    let id = mqtt_proto::Pid::try_from(9).unwrap();
    let filter = mqtt_proto::TopicFilter::try_from("Room/#").unwrap();
    let topics = vec![(filter, crate::harness::mqtt::options(QoS::Level1))];
    client.send(&mqtt_proto::v5::Subscribe::new(id, topics).into()).await;
    let (mut missed, mut retained) = (Vec::new(), Vec::new());
    while missed.len() < 201 || retained.is_empty() {
        match client.read().await {
            Some(Packet::Publish(publish)) => {
                client.acknowledge(&publish).await;
                let value: serde_json::Value = serde_json::from_slice(&publish.payload).unwrap();
                let name = value["name"].as_str().unwrap().to_owned();
                if publish.retain { &mut retained } else { &mut missed }.push(name);
            }
            Some(Packet::Suback(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    let expected: Vec<String> =
        (0..200).map(|n| n.to_string()).chain(["current".to_owned()]).collect();
    assert_eq!(missed, expected);
    assert_eq!(retained, ["current"]);
    client.expect_nothing().await;
}

#[tokio::test]
async fn a_second_connection_takes_the_session_over() {
    let app = app();
    let server = app.run();
    let mut first = server.mqtt(connect_durable("c")).await;
    first.subscribe("Room/#", QoS::Level1).await;
    let mut second = server.mqtt(connect_durable("c")).await;
    assert!(second.connack.session_present);
    let Some(Packet::Disconnect(disconnect)) = first.read().await else { panic!("no goodbye") };
    assert_eq!(disconnect.reason_code, DisconnectReasonCode::SessionTakenOver);
    assert_eq!(first.read().await, None);
    server.put("/Room/a", r#"{"name":"a"}"#).await.expect(204);
    assert_eq!(second.next_json().await.0, "Room/a");
}

/// One that has no room for more messages hears all the same that its session is wanted.
#[tokio::test]
async fn a_full_connection_lets_its_session_go() {
    let app = app();
    let server = app.run();
    let mut connect = connect_durable("full");
    connect.properties.receive_max = Some(1);
    let mut full = server.mqtt(connect).await;
    full.subscribe("Room/#", QoS::Level1).await;
    server.put("/Room/a", r#"{"name":"a"}"#).await.expect(204);
    server.put("/Room/b", r#"{"name":"b"}"#).await.expect(204);
    full.next().await;
    let started = Instant::now();
    let again = server.mqtt(connect_durable("full")).await;
    assert!(again.connack.session_present);
    assert!(started.elapsed() < Duration::from_secs(5), "it waited for a timeout");
}

#[tokio::test]
async fn a_session_ends_when_its_time_is_over() {
    let app = app();
    let server = app.run();
    let mut packet = connect_durable("c");
    packet.properties.session_expiry_interval = Some(1);
    let mut client = server.mqtt(packet.clone()).await;
    client.subscribe("Room/#", QoS::Level1).await;
    drop(client);
    let deadline = std::time::Instant::now() + crate::harness::DEADLINE;
    // Each look makes it young again, so that there must be time between two.
    let mut pause = Duration::from_millis(1100);
    while server.mqtt(packet.clone()).await.connack.session_present {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

fn with_will(client_id: &str, delay: u32) -> mqtt_proto::v5::Connect {
    let mut packet = connect_durable(client_id);
    let topic = TopicName::try_from("Room/will").unwrap();
    let mut will = LastWill::new(QoS::Level1, topic, bytes(r#"{"name":"gone"}"#));
    will.retain = true;
    will.properties.delay_interval = Some(delay);
    packet.last_will = Some(will);
    packet
}

#[tokio::test]
async fn a_will_is_published_when_the_client_is_gone_without_a_word() {
    let app = app();
    let server = app.run();
    let mut client = server.mqtt(with_will("clean", 0)).await;
    client.send(&Disconnect::new_normal().into()).await;
    assert_eq!(client.read().await, None);
    server.get("/Room/will").await.expect(404);
    drop(server.mqtt(with_will("lost", 0)).await);
    let found = server.until("/Room/will", |answer| answer.status == 200).await;
    assert_eq!(found.json(), json!({"id": "will", "name": "gone"}));
    server.send("DELETE", "/Room/will", &[], "").await.expect(200);
    // A client that is back within the delay has not gone.
    drop(server.mqtt(with_will("back", 1)).await);
    let back = server.mqtt(connect_durable("back")).await;
    // One that asks for it, with its last word.
    let mut asking = server.mqtt(with_will("asking", 0)).await;
    let reason = DisconnectReasonCode::DisconnectWithWillMessage;
    asking.send(&Disconnect::new(reason).into()).await;
    server.until("/Room/will", |answer| answer.status == 200).await;
    drop(back);
}

#[tokio::test]
async fn a_will_survives_the_server() {
    let app = app();
    let server = app.run();
    let _client = server.mqtt(with_will("c", 0)).await;
    server.kill();
    let server = app.run();
    let found = server.until("/Room/will", |answer| answer.status == 200).await;
    assert_eq!(found.json()["name"], "gone");
}
