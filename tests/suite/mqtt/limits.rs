//! Clients that break the protocol, or are not there any more.

use std::time::Instant;

use mqtt_proto::v5::{ConnectReasonCode, Disconnect, DisconnectReasonCode, Packet};
use mqtt_proto::{QoS, v3};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::app;
use crate::harness::mqtt::connect;

async fn last_word(packet: Option<Packet>) -> DisconnectReasonCode {
    match packet {
        Some(Packet::Disconnect(Disconnect { reason_code, .. })) => reason_code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn garbage_ends_its_connection_and_no_other() {
    let app = app();
    let server = app.run();
    let mut witness = server.mqtt(connect("witness")).await;
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x10\x0c\x00\x04MQTT\x09\x02\x00\x00\x00\x00",
        b"\x10\xff\xff\xff\x7f",
        b"\x10\x04\x00\x09MQ",
        b"\xc0\x00",
    ] {
        let mut stream = TcpStream::connect(server.mqtt).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        // A reset is an end, too.
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty(), "{rest:?}");
    }
    for (bytes, reason) in [
        (&b"\x00\x00"[..], DisconnectReasonCode::MalformedPacket),
        (b"\x82\x02\x00\x00", DisconnectReasonCode::MalformedPacket),
        (b"\x32\xff\xff\xff\xff", DisconnectReasonCode::MalformedPacket),
        (b"\x32\xff\xff\xff\x7f", DisconnectReasonCode::PacketTooLarge),
        (b"\x30\x06\x00\x00\x03\x23\x00\x21", DisconnectReasonCode::TopicAliasInvalid),
        (b"\xd0\x00", DisconnectReasonCode::ProtocolError),
    ] {
        let mut client = server.mqtt(connect("garbage")).await;
        client.write(bytes).await;
        let packet = client.read().await;
        assert_eq!(last_word(packet).await, reason, "{bytes:x?}");
        assert_eq!(client.read().await, None);
    }
    witness.expect_nothing().await;
}

#[tokio::test]
async fn a_silent_client_is_disconnected_after_one_and_a_half_intervals() {
    let app = app();
    let server = app.run();
    let mut packet = connect("c");
    packet.keep_alive = 1;
    let began = Instant::now();
    let mut client = server.mqtt(packet).await;
    let packet = client.read().await;
    assert_eq!(last_word(packet).await, DisconnectReasonCode::KeepAliveTimeout);
    assert!(began.elapsed().as_millis() >= 1400, "{:?}", began.elapsed());
}

#[tokio::test]
async fn refusals_are_said_in_the_clients_version() {
    let app = app();
    let server = app.run();
    let mut packet = connect("c");
    packet.properties.auth_method = Some("SCRAM".into());
    let client = server.mqtt(packet).await;
    assert_eq!(client.connack.reason_code, ConnectReasonCode::BadAuthMethod);
    let mut stream = TcpStream::connect(server.mqtt).await.unwrap();
    let mut packet = v3::Connect::new("".into(), 0);
    packet.clean_session = false;
    stream.write_all(v3::Packet::from(packet).encode().unwrap().as_ref()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes, [0x20, 2, 0, 2], "identifier rejected");
}

#[tokio::test]
async fn version_3_is_spoken() {
    let app = app();
    let server = app.run();
    let mut stream = TcpStream::connect(server.mqtt).await.unwrap();
    let mut packet = v3::Connect::new("three".into(), 0);
    packet.clean_session = true;
    let send = |packet: v3::Packet| packet.encode().unwrap().as_ref().to_vec();
    stream.write_all(&send(packet.into())).await.unwrap();
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).await.unwrap();
    assert_eq!(connack, [0x20, 2, 0, 0]);
    let filter = |text: &str| mqtt_proto::TopicFilter::try_from(text).unwrap();
    let topics = vec![(filter("Room/#"), QoS::Level1), (filter("No/#"), QoS::Level1)];
    let id = mqtt_proto::Pid::try_from(5).unwrap();
    stream.write_all(&send(v3::Subscribe::new(id, topics).into())).await.unwrap();
    let mut suback = [0; 6];
    stream.read_exact(&mut suback).await.unwrap();
    assert_eq!(suback, [0x90, 4, 0, 5, 1, 0x80]);
    server.put("/Room/a", r#"{"name":"A"}"#).await.expect(204);
    let expected = b"\x32\x1f\x00\x06Room/a\x00\x01{\"id\":\"a\",\"name\":\"A\"}";
    let mut publish = vec![0; expected.len()];
    stream.read_exact(&mut publish).await.unwrap();
    assert_eq!(publish, expected);
}

#[tokio::test]
async fn aliases_stand_for_topics() {
    let app = app();
    let server = app.run();
    let mut client = server.mqtt(connect("c")).await;
    let mut named = client.message("Room/a", br#"{"name":"1"}"#, QoS::Level1);
    named.properties.topic_alias = Some(3);
    client.publish_and_wait(named).await;
    let mut alias = client.message("x", br#"{"name":"2"}"#, QoS::Level1);
    alias.topic_name = mqtt_proto::TopicName::try_from("").unwrap();
    alias.properties.topic_alias = Some(3);
    alias.retain = true;
    client.publish_and_wait(alias).await;
    assert_eq!(server.get("/Room/a").await.expect(200).json()["name"], "2");
}

#[tokio::test]
async fn the_server_says_goodbye_when_it_stops() {
    let app = app();
    let server = app.run();
    let mut client = server.mqtt(connect("c")).await;
    let reading = tokio::spawn(async move {
        let packet = client.read().await;
        (last_word(packet).await, client.read().await)
    });
    assert!(tokio::task::spawn_blocking(move || server.terminate()).await.unwrap().success());
    let (reason, end) = reading.await.unwrap();
    assert_eq!(reason, DisconnectReasonCode::ServerShuttingDown);
    assert_eq!(end, None);
}

#[tokio::test]
async fn a_burst_of_connections_is_served() {
    let app = app();
    let server = app.run();
    let connecting = (0..500).map(|n| {
        let address = server.mqtt;
        tokio::spawn(async move {
            let packet = connect(&format!("c{n}"));
            crate::harness::mqtt::Mqtt::connect(address, packet).await
        })
    });
    for client in connecting.collect::<Vec<_>>() {
        client.await.unwrap().expect_nothing().await;
    }
}
