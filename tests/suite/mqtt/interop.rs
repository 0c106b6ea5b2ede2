//! Clients that others wrote, and MQTT over WebSocket.

use std::process::{Command, Stdio};

use fastwebsockets::OpCode;
use mqtt_proto::v5::Packet;

use super::app;
use crate::harness::mqtt::connect;

#[tokio::test]
async fn mqtt_is_spoken_over_web_sockets() {
    let app = app();
    let server = app.run();
    let mut socket = server.socket_with("/", &[("sec-websocket-protocol", "mqtt")]).await;
    assert_eq!(socket.response.get("sec-websocket-protocol").unwrap(), "mqtt");
    let connect = Packet::from(connect("c")).encode().unwrap();
    let bytes = connect.as_ref();
    // Frames need not end where packets do.
    socket.write(OpCode::Binary, &bytes[..5]).await;
    socket.write(OpCode::Binary, &bytes[5..]).await;
    let (opcode, connack) = socket.read().await;
    assert_eq!(opcode, OpCode::Binary);
    assert!(matches!(Packet::decode(&connack), Ok(Some(Packet::Connack(_)))));
    socket.write(OpCode::Ping, b"still there?").await;
    assert_eq!(socket.read().await, (OpCode::Pong, b"still there?".to_vec()));
    socket.write(OpCode::Binary, Packet::Pingreq.encode().unwrap().as_ref()).await;
    assert_eq!(socket.read().await, (OpCode::Binary, vec![0xD0, 0]));
}

/// Debian's mosquitto clients, where they are installed.
#[tokio::test]
async fn mosquitto_clients_work() {
    if Command::new("mosquitto_pub").arg("--version").output().is_err() {
        eprintln!("SKIPPED: mosquitto_pub is not installed (apt-get install mosquitto-clients)");
        return;
    }
    let app = app();
    let server = app.run();
    let port = server.mqtt.port().to_string();
    for version in ["mqttv311", "mqttv5"] {
        for qos in ["0", "1", "2"] {
            let text = format!(r#"{{"name":"{version} {qos}"}}"#);
            let publish = Command::new("mosquitto_pub")
                .args(["-p", &port, "-V", version, "-q", qos, "-r", "-t", "Room/m", "-m", &text])
                .output()
                .unwrap();
            assert!(publish.status.success(), "{publish:?}");
            let subscribe = Command::new("mosquitto_sub")
                .args(["-p", &port, "-V", version, "-q", qos, "-t", "Room/+", "-C", "1", "-W", "20"])
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let said = String::from_utf8(subscribe.stdout).unwrap();
            assert_eq!(said, format!("{{\"id\":\"m\",\"name\":\"{version} {qos}\"}}\n"));
        }
    }
}
