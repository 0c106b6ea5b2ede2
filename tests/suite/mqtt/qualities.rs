//! Quality of service 1 and 2, in both directions.

use mqtt_proto::v5::{
    Packet, Pubcomp, PubcompReasonCode, Publish, Pubrec, Pubrel, PubrelReasonCode,
};
use mqtt_proto::{Pid, QoS, QosPid};

use super::app;
use crate::harness::mqtt::{connect, connect_durable};

#[tokio::test]
async fn a_message_of_quality_2_is_published_once_however_often_it_is_sent() {
    let app = app();
    let server = app.run();
    server.put("/Room/a", r#"{"name":"before"}"#).await.expect(204);
    let mut socket = server.socket("/Room/a").await;
    // It listens by now: who comes later gets the newest state instead of each change.
    assert_eq!(socket.next().await["value"]["name"], "before");
    let mut client = server.mqtt(connect_durable("c")).await;
    let message = client.message("Room/a", br#"{"name":"once"}"#, QoS::Level2);
    let QosPid::Level2(id) = message.qos_pid else { panic!() };
    client.send(&message.clone().into()).await;
    assert_eq!(client.read().await, Some(Pubrec::new_success(id).into()));
    // The answer was lost; so was the connection.
    drop(client);
    let mut client = server.mqtt(connect_durable("c")).await;
    assert!(client.connack.session_present);
    client.send(&Publish { dup: true, ..message }.into()).await;
    assert_eq!(client.read().await, Some(Pubrec::new_success(id).into()));
    client.send(&Pubrel::new_success(id).into()).await;
    assert_eq!(client.read().await, Some(Pubcomp::new_success(id).into()));
    client.send(&Pubrel::new_success(id).into()).await;
    let unknown = Pubcomp::new(id, PubcompReasonCode::PacketIdentifierNotFound);
    assert_eq!(client.read().await, Some(unknown.into()));
    client.publish("Room/a", r#"{"name":"end"}"#).await;
    assert_eq!(socket.next().await["value"]["name"], "once");
    assert_eq!(socket.next().await["value"]["name"], "end");
}

#[tokio::test]
async fn what_is_not_acknowledged_comes_again() {
    let app = app();
    let server = app.run();
    let mut publisher = server.mqtt(connect("p")).await;
    let mut client = server.mqtt(connect_durable("c")).await;
    client.subscribe("Room/#", QoS::Level2).await;
    for n in 0..4 {
        publisher.publish("Room/a", &format!(r#"{{"name":"{n}"}}"#)).await;
    }
    let mut messages = Vec::new();
    for _ in 0..4 {
        messages.push(client.next().await);
    }
    let id = |message: &Publish| message.qos_pid.pid().unwrap();
    // 0 is done with, 1 is received, 2 and 3 are not.
    for message in &messages[..2] {
        client.send(&Pubrec::new_success(id(message)).into()).await;
        assert_eq!(client.read().await, Some(Pubrel::new_success(id(message)).into()));
    }
    client.send(&Pubcomp::new_success(id(&messages[0])).into()).await;
    client.expect_nothing().await;
    drop(client);
    let mut client = server.mqtt(connect_durable("c")).await;
    assert_eq!(client.read().await, Some(Pubrel::new_success(id(&messages[1])).into()));
    for message in &messages[2..] {
        let again = client.next().await;
        assert!(again.dup);
        assert_eq!((again.qos_pid, again.payload), (message.qos_pid, message.payload.clone()));
    }
    client.expect_nothing().await;
    let other = Pid::try_from(999).unwrap();
    client.send(&Pubrec::new_success(other).into()).await;
    let unknown = Pubrel::new(other, PubrelReasonCode::PacketIdentifierNotFound);
    assert_eq!(client.read().await, Some(Packet::Pubrel(unknown)));
}

#[tokio::test]
async fn no_more_is_in_flight_than_the_client_allows() {
    let app = app();
    let server = app.run();
    let mut packet = connect("c");
    packet.properties.receive_max = Some(2);
    let mut client = server.mqtt(packet).await;
    client.subscribe("Room/#", QoS::Level1).await;
    let mut publisher = server.mqtt(connect("p")).await;
    for n in 0..5 {
        publisher.publish("Room/a", &format!(r#"{{"name":"{n}"}}"#)).await;
    }
    let first = client.next().await;
    let mut last = client.next().await;
    client.expect_nothing().await;
    client.acknowledge(&first).await;
    for _ in 0..3 {
        let next = client.next().await;
        client.expect_nothing().await;
        client.acknowledge(&last).await;
        last = next;
    }
    assert_eq!(&last.payload[..], br#"{"name":"4"}"#);
}
