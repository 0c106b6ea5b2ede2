//! What MQTT 5 says about messages: passed on, kept with the event, and acted upon.

use hyper::body::Bytes;
use mqtt_proto::v5::{
    LastWill, Packet, PubackReasonCode, PublishProperties, SubscribeReasonCode, UserProperty,
    WillProperties,
};
use mqtt_proto::{Pid, QoS, TopicFilter, TopicName};
use serde_json::json;

use super::app;
use crate::harness::client::JSON;
use crate::harness::mqtt::{Mqtt, connect, connect_durable, options};

fn said() -> PublishProperties {
    PublishProperties {
        payload_is_utf8: Some(true),
        message_expiry_interval: Some(600),
        content_type: Some("application/json".into()),
        response_topic: Some(TopicName::try_from("Room/answers").unwrap()),
        correlation_data: Some(Bytes::from_static(b"\x00\xff\x01")),
        user_properties: vec![user("place", "roof"), user("place", "cellar")],
        ..PublishProperties::default()
    }
}

fn user(name: &str, value: &str) -> UserProperty {
    UserProperty { name: name.into(), value: value.into() }
}

/// What came, without what the time has taken of it.
fn but_for_time(mut properties: PublishProperties) -> PublishProperties {
    let left = properties.message_expiry_interval.expect("an interval");
    assert!((1..=600).contains(&left), "{left} seconds are left");
    properties.message_expiry_interval = Some(600);
    properties
}

async fn publish(client: &mut Mqtt, payload: &str, properties: PublishProperties, retain: bool) {
    let mut message = client.message("Room/a", payload.as_bytes(), QoS::Level1);
    (message.properties, message.retain) = (properties, retain);
    assert_eq!(client.publish_and_wait(message).await.reason_code, PubackReasonCode::Success);
}

#[tokio::test]
async fn they_are_passed_on_live_and_later() {
    let app = app();
    let server = app.run();
    let mut publisher = server.mqtt(connect("p")).await;
    let mut clients = Vec::new();
    for (name, qos) in [("0", QoS::Level0), ("1", QoS::Level1), ("2", QoS::Level2)] {
        let mut client = server.mqtt(connect(name)).await;
        client.subscribe("Room/#", qos).await;
        clients.push(client);
    }
    let mut shared = server.mqtt(connect("shared")).await;
    shared.subscribe("$share/g/Room/#", QoS::Level1).await;
    let mut away = server.mqtt(connect_durable("away")).await;
    away.subscribe("Room/#", QoS::Level1).await;
    away.expect_nothing().await;
    drop(away);
    for is_retained in [false, true] {
        publish(&mut publisher, r#"{"name":"told"}"#, said(), is_retained).await;
        for client in clients.iter_mut().chain([&mut shared]) {
            let message = client.next_acknowledged().await;
            assert_eq!(but_for_time(message.properties), said());
        }
    }
    publish(&mut publisher, r#"{"name":"plain"}"#, PublishProperties::default(), false).await;
    for client in &mut clients {
        let message = client.next_acknowledged().await;
        assert_eq!(message.properties, PublishProperties::default());
    }
    // Out of the change log, also after the server was away.
    assert!(server.terminate().success());
    let server = app.run();
    let mut away = server.mqtt(connect_durable("away")).await;
    assert!(away.connack.session_present);
    for _ in 0..2 {
        let message = away.next_acknowledged().await;
        assert_eq!(but_for_time(message.properties), said());
    }
    let plain = away.next_acknowledged().await;
    assert_eq!(plain.properties, PublishProperties::default());
    // The events of other transports are what they always were.
    let mut socket = server.socket("/Room/a?$previous=1").await;
    let keys: Vec<String> = socket.next().await.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["id", "localTime", "value", "version", "type"]);
}

#[tokio::test]
async fn content_types_are_those_of_what_is_sent() {
    let app = app();
    let server = app.run();
    let mut client = server.mqtt(connect("c")).await;
    client.subscribe("Room/#", QoS::Level1).await;
    for (told, payload, sent, expected) in [
        (Some("application/json"), &b"[1]"[..], Some("application/json"), &b"[1]"[..]),
        (Some("text/plain"), b"hi", Some("text/plain"), b"hi"),
        (Some("text/csv"), b"a,b", Some("text/csv"), b"a,b"),
        (Some("image/png"), b"\x89PNG", Some("image/png"), b"\x89PNG"),
        // Those who did not ask for CBOR get JSON, and are told so.
        (
            Some("application/cbor"),
            b"\xa1\x64name\x61C",
            Some("application/json"),
            br#"{"name":"C"}"#,
        ),
        (None, b"\x00\x01", None, b"\x00\x01"),
        (None, br#"{"name":"J"}"#, None, br#"{"name":"J"}"#),
    ] {
        let mut message = client.message("Room/x", payload, QoS::Level0);
        message.properties.content_type = told.map(Into::into);
        client.send(&message.into()).await;
        let arrived = client.next_acknowledged().await;
        assert_eq!(arrived.properties.content_type.as_deref(), sent, "{told:?}");
        assert_eq!(&arrived.payload[..], expected, "{told:?}");
    }
}

#[tokio::test]
async fn messages_whose_time_is_over_are_not_delivered() {
    let app = app();
    let server = app.run();
    let mut away = server.mqtt(connect_durable("away")).await;
    away.subscribe("Room/#", QoS::Level1).await;
    away.expect_nothing().await;
    drop(away);
    let mut publisher = server.mqtt(connect("p")).await;
    let short =
        || PublishProperties { message_expiry_interval: Some(1), ..PublishProperties::default() };
    let long = || PublishProperties { message_expiry_interval: Some(600), ..short() };
    publish(&mut publisher, r#"{"name":"short"}"#, short(), false).await;
    publish(&mut publisher, r#"{"name":"long"}"#, long(), false).await;
    // A record that was retained for a second is one that ends then.
    publish(&mut publisher, r#"{"name":"kept for a second"}"#, short(), true).await;
    server.until("/Room/a", |answer| answer.status == 404).await;
    publish(&mut publisher, r#"{"name":"last"}"#, PublishProperties::default(), false).await;
    let mut away = server.mqtt(connect_durable("away")).await;
    let long = away.next_acknowledged().await;
    assert_eq!(&long.payload[..], br#"{"name":"long"}"#);
    assert!(long.properties.message_expiry_interval.unwrap() < 600, "time has passed");
    let mut names = Vec::new();
    loop {
        let message = away.next_acknowledged().await;
        // The end of the record may be told by an empty message.
        if !message.payload.is_empty() {
            names.push(String::from_utf8(message.payload.to_vec()).unwrap());
        }
        if names.last().is_some_and(|name| name.contains("last")) {
            break;
        }
    }
    assert_eq!(names, [r#"{"name":"last"}"#]);
    away.expect_nothing().await;
}

#[tokio::test]
async fn topics_get_aliases_where_the_client_takes_them() {
    let app = app();
    let server = app.run();
    let mut packet = connect("c");
    packet.properties.topic_alias_max = Some(2);
    let mut client = server.mqtt(packet).await;
    client.subscribe("Room/#", QoS::Level0).await;
    let mut seen = Vec::new();
    for (n, id) in ["a", "a", "b", "c", "b", "a"].into_iter().enumerate() {
        server.put(&format!("/Room/{id}"), &format!(r#"{{"name":"{n}"}}"#)).await.expect(204);
        let message = client.next().await;
        seen.push((message.topic_name.to_string(), message.properties.topic_alias));
    }
    let expected = [
        ("Room/a", Some(1)),
        ("", Some(1)),
        ("Room/b", Some(2)),
        ("Room/c", None),
        ("", Some(2)),
        ("", Some(1)),
    ];
    assert_eq!(seen, expected.map(|(topic, alias)| (topic.to_owned(), alias)));
}

#[tokio::test]
async fn nothing_is_larger_than_the_client_takes() {
    let app = app();
    let server = app.run();
    let mut packet = connect("small");
    packet.properties.max_packet_size = Some(60);
    packet.properties.topic_alias_max = Some(9);
    let mut client = server.mqtt(packet).await;
    client.subscribe("Room/#", QoS::Level1).await;
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(100));
    for (id, body) in [("1", large.as_str()), ("2", r#"{"name":"s"}"#), ("1", r#"{"name":"t"}"#)] {
        server.put(&format!("/Room/{id}"), body).await.expect(204);
    }
    // What is too large counts as delivered, and has defined no alias.
    let first = client.next_acknowledged().await;
    assert_eq!((&*first.topic_name, first.properties.topic_alias), ("Room/2", Some(1)));
    let second = client.next_acknowledged().await;
    assert_eq!((&*second.topic_name, second.properties.topic_alias), ("Room/1", Some(2)));
    // Reasons in words go where they do not fit.
    let ack = client.publish("Nothing/at/all/is/served/here/so/that/it/fails", "{}").await;
    assert_eq!(ack.reason_code, PubackReasonCode::TopicNameInvalid);
    assert_eq!(ack.properties.reason_string, None);
}

#[tokio::test]
async fn reasons_are_said_in_words_unless_they_are_not_wanted() {
    let app = app();
    let server = app.run();
    for (wanted, has_words) in [(None, true), (Some(true), true), (Some(false), false)] {
        let mut packet = connect("c");
        packet.properties.request_problem_info = wanted;
        let mut client = server.mqtt(packet).await;
        let ack = client.publish("Nothing/5", "{}").await;
        assert_eq!(ack.properties.reason_string.is_some(), has_words, "{wanted:?}");
        let filter = TopicFilter::try_from("Nothing/#").unwrap();
        let topics = vec![(filter, options(QoS::Level0))];
        let id = Pid::try_from(77).unwrap();
        client.send(&mqtt_proto::v5::Subscribe::new(id, topics).into()).await;
        let Some(Packet::Suback(suback)) = client.read().await else { panic!("no SUBACK") };
        assert_eq!(suback.topics, [SubscribeReasonCode::TopicFilterInvalid]);
        assert_eq!(suback.properties.reason_string.is_some(), has_words, "{wanted:?}");
    }
}

#[tokio::test]
async fn wills_have_them_too_and_their_time_begins_with_them() {
    let app = app();
    let server = app.run();
    let mut client = server.mqtt(connect("c")).await;
    client.subscribe("Room/will", QoS::Level1).await;
    let mut packet = connect("dying");
    let topic = TopicName::try_from("Room/will").unwrap();
    let mut will = LastWill::new(QoS::Level1, topic, Bytes::from_static(br#"{"name":"gone"}"#));
    let PublishProperties { content_type, response_topic, correlation_data, .. } = said();
    will.properties = WillProperties {
        payload_is_utf8: Some(true),
        message_expiry_interval: Some(600),
        content_type,
        response_topic,
        correlation_data,
        user_properties: said().user_properties,
        delay_interval: None,
    };
    packet.last_will = Some(will.clone());
    drop(server.mqtt(packet.clone()).await);
    let message = client.next_acknowledged().await;
    assert_eq!(&message.payload[..], br#"{"name":"gone"}"#);
    assert_eq!(message.properties, said(), "all of its time is left");
    // One that is left over by a server that was killed.
    let _dying = server.mqtt(packet).await;
    server.kill();
    let server = app.run();
    let mut client = server.mqtt(connect("c")).await;
    client.subscribe("Room/will", QoS::Level1).await;
    assert_eq!(client.next_acknowledged().await.properties, said());
}

/// The first will is still being published when the client is back and leaves its second.
#[tokio::test]
async fn a_will_is_kept_while_the_last_one_is_published() {
    let code = "let finish;\nconst heard = [];\nexport class Slow extends Resource {\n\tstatic loadAsInstance = \
                false;\n\tasync publish(target, data) {\n\t\theard.push((await data).name);\n\t\tif \
                (heard[0] === 'first') await new Promise((done) => { finish = done; });\n\t}\n}\nexport const \
                Heard = { get: () => heard };\nexport const Finish = { get: () => { finish(); return true; } };\n";
    let app = app();
    app.write("resources/slow.js", code);
    app.write(
        "config.yaml",
        "rest: true\ngraphqlSchema:\n  files: schema.graphql\njsResource:\n  files: resources/*.js\n",
    );
    let server = app.run();
    let dying = |name: &str| {
        let mut packet = connect("dying");
        let topic = TopicName::try_from("Slow/1").unwrap();
        let payload = Bytes::from(format!(r#"{{"name":"{name}"}}"#));
        packet.last_will = Some(LastWill::new(QoS::Level1, topic, payload));
        packet
    };
    drop(server.mqtt(dying("first")).await);
    server.until("/Heard", |answer| answer.json() == json!(["first"])).await;
    let _dying = server.mqtt(dying("second")).await;
    server.get("/Finish").await.expect(200);
    // Commits come in order: by now the first will is forgotten.
    for n in 0..3 {
        server.put(&format!("/Room/{n}"), "{}").await.expect(204);
    }
    server.kill();
    let server = app.run();
    server.until("/Heard", |answer| answer.json() == json!(["second"])).await;
}

#[tokio::test]
async fn code_sees_them_as_headers() {
    let code = "import { Resource, tables } from 'harperdb';\nexport class Heard extends Resource {\n\
                \tstatic loadAsInstance = false;\n\tasync publish(target, data) {\n\t\tconst { headers } \
                = this.getContext();\n\t\tconst name = [headers.get('place'), \
                headers.get('response-topic'), headers.get('correlation-data')].join(' ');\n\t\tawait \
                tables.Room.put({ id: 'heard', name });\n\t}\n}\n";
    let app = app();
    app.write("resources/heard.js", code);
    app.write(
        "config.yaml",
        "rest: true\ngraphqlSchema:\n  files: schema.graphql\njsResource:\n  files: resources/*.js\n",
    );
    let server = app.run();
    let mut client = server.mqtt(connect("c")).await;
    let mut message = client.message("Heard/1", b"{}", QoS::Level1);
    message.properties =
        PublishProperties { user_properties: vec![user("Place", "roof")], ..said() };
    assert_eq!(client.publish_and_wait(message).await.reason_code, PubackReasonCode::Success);
    let heard = server.send("GET", "/Room/heard", &[JSON], "").await.expect(200).json();
    assert_eq!(heard, json!({"id": "heard", "name": "roof Room/answers AP8B"}));
}
