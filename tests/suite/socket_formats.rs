//! One change, each client in its own format (`spec/harper-realtime.md` sections 5, 7 and 8).

use fastwebsockets::OpCode;
use kora_resource::value::{Format, Value};
use mqtt_proto::QoS;
use mqtt_proto::v5::Packet;
use serde_json::json;

use crate::harness::mqtt::connect;
use crate::harness::socket::Socket;
use crate::harness::{App, DOGS};

/// The next frame, which must be of this format.
async fn next(socket: &mut Socket, format: Format) -> Value {
    let (opcode, payload) = socket.read().await;
    let expected = if format.is_text() { OpCode::Text } else { OpCode::Binary };
    assert_eq!(opcode, expected, "{format}");
    format.decode(&payload).unwrap_or_else(|error| panic!("{format}: {error}"))
}

fn text<'v>(value: &'v Value, path: &[&str]) -> &'v str {
    let found = path.iter().try_fold(value, |value, name| value.get(name));
    found.and_then(Value::as_str).unwrap_or_else(|| panic!("no {path:?} in {value:?}"))
}

#[tokio::test]
async fn what_is_published_as_json_arrives_in_the_format_of_each() {
    let app = App::new(DOGS);
    let server = app.run();
    let mut sockets = Vec::new();
    for (path, accept, format) in [
        ("/Dog/", "application/json", Format::Json),
        ("/Dog/", "*/*", Format::Json),
        ("/Dog/", "application/cbor", Format::Cbor),
        ("/Dog/", "application/x-msgpack", Format::MessagePack),
        ("/Dog/", "application/json;q=0.5, application/cbor", Format::Cbor),
        ("/Dog/", "text/yaml", Format::Yaml),
        ("/Dog/rex.cbor", "", Format::Cbor),
        ("/Dog/rex.msgpack", "", Format::MessagePack),
        ("/Dog/rex.json", "application/cbor", Format::Json),
    ] {
        let headers: &[(&str, &str)] = if accept.is_empty() { &[] } else { &[("accept", accept)] };
        sockets.push((server.socket_with(path, headers).await, format));
    }
    let mut client = server.mqtt(connect("c")).await;
    for (is_retained, kind) in [(true, "put"), (false, "message")] {
        let payload = json!({"name": kind}).to_string();
        let mut message = client.message("Dog/rex", payload.as_bytes(), QoS::Level1);
        message.retain = is_retained;
        client.publish_and_wait(message).await;
        for (socket, format) in &mut sockets {
            let event = next(socket, *format).await;
            assert_eq!(text(&event, &["id"]), "rex", "{format}");
            assert_eq!(text(&event, &["type"]), kind, "{format}");
            assert_eq!(text(&event, &["value", "name"]), kind, "{format}");
        }
    }
    let mut unknown = server.socket_with("/Dog/", &[("accept", "text/html")]).await;
    let (opcode, payload) = unknown.read().await;
    assert_eq!((opcode, &payload[..2]), (OpCode::Close, &1011u16.to_be_bytes()[..]));
}

#[tokio::test]
async fn positions_come_in_every_format_and_lead_back() {
    let app = App::new(DOGS);
    let server = app.run();
    for (accept, format) in [
        ("application/json", Format::Json),
        ("application/cbor", Format::Cbor),
        ("application/x-msgpack", Format::MessagePack),
        ("text/yaml", Format::Yaml),
    ] {
        let id = format!("of-{}", accept.rsplit(['/', '-']).next().unwrap());
        let record = format!("/Dog/{id}");
        let mut socket =
            server.socket_with(&format!("{record}?$positions"), &[("accept", accept)]).await;
        let position = next(&mut socket, format).await;
        assert_eq!(text(&position, &["type"]), "position");
        server.put(&record, r#"{"name":"first"}"#).await.expect(204);
        let first = next(&mut socket, format).await;
        assert_eq!(text(&first, &["value", "name"]), "first");
        let resume = text(&first, &["position"]).to_owned();
        drop(socket);
        server.put(&record, r#"{"name":"second"}"#).await.expect(204);
        let path = format!("{record}?$positions&$resume={resume}");
        let mut socket = server.socket_with(&path, &[("accept", accept)]).await;
        let mut second = next(&mut socket, format).await;
        while text(&second, &["type"]) == "position" {
            second = next(&mut socket, format).await;
        }
        assert_eq!(text(&second, &["value", "name"]), "second", "{format}");
    }
}

/// The headers of the upgrade say what the payloads of MQTT over a WebSocket are.
#[tokio::test]
async fn mqtt_over_web_sockets_has_the_formats_of_its_upgrade() {
    let app = App::new(DOGS);
    let server = app.run();
    let headers = [
        ("sec-websocket-protocol", "mqtt"),
        ("accept", "application/cbor"),
        ("content-type", "application/cbor"),
    ];
    let mut socket = server.socket_with("/", &headers).await;
    let mut plain = server.mqtt(connect("plain")).await;
    plain.subscribe("Dog/rex", QoS::Level0).await;
    let mut sent = Vec::new();
    sent.extend_from_slice(Packet::from(connect("c")).encode().unwrap().as_ref());
    let topics = vec![(
        mqtt_proto::TopicFilter::try_from("Dog/rex").unwrap(),
        crate::harness::mqtt::options(QoS::Level0),
    )];
    let id = mqtt_proto::Pid::try_from(1).unwrap();
    let subscribe = mqtt_proto::v5::Subscribe::new(id, topics);
    sent.extend_from_slice(Packet::from(subscribe).encode().unwrap().as_ref());
    socket.write(OpCode::Binary, &sent).await;
    let mut payload = Vec::new();
    Format::Cbor.encode(&Value::Object([("name".to_owned(), "Rex".into())].into()), &mut payload);
    let message = plain.message("Dog/rex", &payload, QoS::Level0);
    let bytes = Packet::from(message).encode().unwrap();
    socket.write(OpCode::Binary, bytes.as_ref()).await;
    let (_, received) = plain.next_json().await;
    assert_eq!(received, json!({"name": "Rex"}));
    let mut packets = Vec::new();
    let publish = loop {
        packets.extend(socket.read().await.1);
        let packet = Packet::decode(&packets).unwrap();
        match packet {
            Some(Packet::Publish(publish)) => break publish,
            Some(other) => drop(packets.drain(..other.encode_len().unwrap())),
            None => {}
        }
    };
    let value = Format::Cbor.decode(&publish.payload).unwrap();
    assert_eq!(text(&value, &["name"]), "Rex");
}
