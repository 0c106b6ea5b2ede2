//! Clients that others wrote, and MQTT over WebSocket.

use std::process::{Command, Stdio};

use fastwebsockets::OpCode;
use mqtt_proto::v5::Packet;
use serde_json::{Value, json};

use super::app;
use crate::harness::mqtt::connect;
use crate::harness::npm;

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
            // With quality 0 the client leaves before the message is stored.
            server.until("/Room/m", |room| room.body.contains(&format!("{version} {qos}"))).await;
            let subscribe = Command::new("mosquitto_sub")
                .args([
                    "-p", &port, "-V", version, "-q", qos, "-t", "Room/+", "-C", "1", "-W", "20",
                ])
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let said = String::from_utf8(subscribe.stdout).unwrap();
            assert_eq!(said, format!("{{\"id\":\"m\",\"name\":\"{version} {qos}\"}}\n"));
        }
    }
}

/// The `mqtt` package of npm, over TCP and over WebSocket.
#[tokio::test]
async fn the_npm_client_works() {
    let Some(packages) = npm::packages("mqtt") else { return };
    if Command::new("node").arg("--version").output().is_err() {
        eprintln!("SKIPPED: node is not installed (apt-get install nodejs)");
        return;
    }
    let script =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mqtt/client.js");
    // Where its packages are is where node looks for them.
    std::fs::copy(script, packages.join("client.js")).unwrap();
    let mut expected = Vec::new();
    for version in [4, 5] {
        for qos in 0..3 {
            let (id, said) = (format!("v{version}q{qos}"), r#"{"name":"said"}"#);
            let topic = format!("Room/{id}");
            let record = json!({"id": id, "name": "put"}).to_string();
            expected.push(json!([qos, topic, record, qos, false]));
            expected.push(json!([topic, said, qos, false]));
            expected.push(json!([topic, "", qos, false]));
        }
    }
    expected.push(json!([false, true]));
    for n in 1..=3 {
        let record = json!({"id": n.to_string(), "name": format!("missed {n}")}).to_string();
        expected.push(json!([format!("Room/{n}"), record, 1, false]));
    }
    expected.push(json!(["Room/will", r#"{"name":"gone"}"#, 1, false]));
    for scheme in ["mqtt", "ws"] {
        let app = app();
        let server = app.run();
        let address = if scheme == "ws" { server.address } else { server.mqtt };
        let url = format!("{scheme}://{address}");
        let mut node = Command::new("timeout");
        node.args(["60", "node", "client.js", &url]).current_dir(&packages).stdin(Stdio::null());
        let ran = tokio::task::spawn_blocking(move || node.output()).await.unwrap().unwrap();
        let stderr = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{url}: {stderr}");
        let stdout = String::from_utf8(ran.stdout).unwrap();
        let said = stdout.lines().map(|line| serde_json::from_str(line).unwrap());
        assert_eq!(said.collect::<Vec<Value>>(), expected, "{url}: {stderr}");
    }
}
