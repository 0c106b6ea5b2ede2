//! SUBSCRIBE: what is retained, wildcards, options, and classes.

use mqtt_proto::QoS;
use mqtt_proto::v5::{RetainHandling, SubscribeReasonCode, SubscriptionOptions};
use serde_json::json;

use super::app;
use crate::harness::mqtt::{Mqtt, connect, options};

async fn topics(client: &mut Mqtt, count: usize) -> Vec<String> {
    let mut topics = Vec::new();
    for _ in 0..count {
        topics.push(client.next_acknowledged().await.topic_name.to_string());
    }
    topics
}

#[tokio::test]
async fn wildcards_choose_current_records_and_changes() {
    let app = app();
    let server = app.run();
    let ids = ["a", "a/x", "a/x/y", "b/x", "c/y"];
    for id in ids {
        server.put(&format!("/Room/{id}"), r#"{"name":"n"}"#).await.expect(204);
    }
    for (filter, expected) in [
        ("Room/a", &["a"][..]),
        ("Room/#", &ids),
        ("Room/a/#", &["a/x", "a/x/y"]),
        ("Room/+", &["a"]),
        ("Room/a/+", &["a/x"]),
        ("Room/+/x", &["a/x", "b/x"]),
        ("Room/+/+", &["a/x", "b/x", "c/y"]),
        ("Room/+/x/#", &["a/x/y"]),
        ("Room", &[]),
        ("Room/", &[]),
    ] {
        let mut client = server.mqtt(connect("c")).await;
        let code = client.subscribe(filter, QoS::Level1).await;
        assert_eq!(code, SubscribeReasonCode::GrantedQoS1, "{filter}");
        let expected: Vec<String> = expected.iter().map(|id| format!("Room/{id}")).collect();
        assert_eq!(topics(&mut client, expected.len()).await, expected, "{filter}: current");
        for id in ids {
            server.put(&format!("/Room/{id}"), r#"{"name":"m"}"#).await.expect(204);
        }
        assert_eq!(topics(&mut client, expected.len()).await, expected, "{filter}: changes");
        client.expect_nothing().await;
    }
    let mut client = server.mqtt(connect("c")).await;
    for (filter, code) in [
        ("#", SubscribeReasonCode::TopicFilterInvalid),
        ("+/x", SubscribeReasonCode::TopicFilterInvalid),
        ("Nothing/#", SubscribeReasonCode::TopicFilterInvalid),
        ("Hidden/#", SubscribeReasonCode::TopicFilterInvalid),
        ("$SYS/nothing", SubscribeReasonCode::TopicFilterInvalid),
    ] {
        assert_eq!(client.subscribe(filter, QoS::Level0).await, code, "{filter}");
    }
}

#[tokio::test]
async fn a_tables_own_topic_is_not_its_collection() {
    let app = app();
    let server = app.run();
    let mut client = server.mqtt(connect("c")).await;
    client.subscribe("Room", QoS::Level0).await;
    server.put("/Room/a", r#"{"name":"A"}"#).await.expect(204);
    let message = client.message("Room", br#"{"name":"all"}"#, QoS::Level0);
    client.send(&message.into()).await;
    assert_eq!(client.next_json().await, ("Room".to_owned(), json!({"name": "all"})));
}

#[tokio::test]
async fn retain_handling_decides_whether_current_records_come() {
    let app = app();
    let server = app.run();
    server.put("/Room/a", r#"{"name":"A"}"#).await.expect(204);
    let mut client = server.mqtt(connect("c")).await;
    let handling =
        |retain_handling| SubscriptionOptions { retain_handling, ..options(QoS::Level0) };
    client.subscribe_with("Room/a", handling(RetainHandling::SendAtSubscribeIfNotExist)).await;
    let first = client.next().await;
    assert!(first.retain, "what was retained says so");
    client.subscribe_with("Room/a", handling(RetainHandling::SendAtSubscribeIfNotExist)).await;
    client.subscribe_with("Room/a", handling(RetainHandling::DoNotSend)).await;
    client.expect_nothing().await;
    client.subscribe_with("Room/a", handling(RetainHandling::SendAtSubscribe)).await;
    assert!(client.next().await.retain);
    server.put("/Room/a", r#"{"name":"B"}"#).await.expect(204);
    assert!(!client.next().await.retain);
    client.unsubscribe("Room/a").await;
    server.put("/Room/a", r#"{"name":"C"}"#).await.expect(204);
    client.expect_nothing().await;
}

#[tokio::test]
async fn unsubscribing_says_whether_there_was_something() {
    let app = app();
    let server = app.run();
    let mut client = server.mqtt(connect("c")).await;
    client.subscribe("Room/#", QoS::Level0).await;
    let filters = ["Room/#", "Room/+"].map(|text| mqtt_proto::TopicFilter::try_from(text).unwrap());
    let id = mqtt_proto::Pid::try_from(9).unwrap();
    client.send(&mqtt_proto::v5::Unsubscribe::new(id, filters.to_vec()).into()).await;
    let Some(mqtt_proto::v5::Packet::Unsuback(unsuback)) = client.read().await else {
        panic!("no UNSUBACK")
    };
    let codes: Vec<u8> = unsuback.topics.iter().map(|code| *code as u8).collect();
    assert_eq!((unsuback.pid, codes), (id, vec![0, 17]));
}

#[tokio::test]
async fn options_of_version_5_hold() {
    let app = app();
    let server = app.run();
    let mut client = server.mqtt(connect("c")).await;
    let mut own = options(QoS::Level0);
    own.no_local = true;
    own.retain_as_published = true;
    let id = mqtt_proto::Pid::try_from(77).unwrap();
    let mut subscribe = mqtt_proto::v5::Subscribe::new(
        id,
        vec![(mqtt_proto::TopicFilter::try_from("Room/#").unwrap(), own)],
    );
    subscribe.properties.subscription_id = Some(300.try_into().unwrap());
    client.send(&subscribe.into()).await;
    assert!(matches!(client.read().await, Some(mqtt_proto::v5::Packet::Suback(_))));
    for n in 0..20 {
        client.put("Room/mine", format!(r#"{{"name":"{n}"}}"#).as_bytes()).await;
    }
    let mut other = server.mqtt(connect("other")).await;
    other.put("Room/theirs", br#"{"name":"t"}"#).await;
    other.publish("Room/theirs", r#"{"name":"m"}"#).await;
    let put = client.next().await;
    assert_eq!(&*put.topic_name, "Room/theirs");
    assert!(put.retain, "as published");
    assert_eq!(put.properties.subscription_id.map(|id| id.value()), Some(300));
    assert!(!client.next().await.retain);
}

#[tokio::test]
async fn classes_subscribe_as_they_like() {
    let app = app();
    let server = app.run();
    let mut client = server.mqtt(connect("c")).await;
    client.subscribe("Chat/#", QoS::Level1).await;
    let expected = ("Chat/hello".to_owned(), json!({"to": null, "children": false}));
    assert_eq!(client.next_json().await, expected);
    assert_eq!(client.next_json().await, ("Chat/x/y".to_owned(), json!(1)));
    client.expect_nothing().await;
    client.subscribe("Chat/+", QoS::Level0).await;
    let expected = ("Chat/hello".to_owned(), json!({"to": null, "children": true}));
    assert_eq!(client.next_json().await, expected, "what has two levels does not pass");
    client.expect_nothing().await;
    // A class that extends a table has the table's topics below its own path.
    client.subscribe("Rooms/+", QoS::Level0).await;
    server.put("/Room/r", r#"{"name":"R"}"#).await.expect(204);
    assert_eq!(client.next_json().await.0, "Rooms/r");
}

#[tokio::test]
async fn the_broker_tells_of_itself() {
    let app = app();
    let server = app.run();
    let mut client = server.mqtt(connect("c")).await;
    client.subscribe("$SYS/broker/clients/+", QoS::Level0).await;
    let message = client.next().await;
    assert_eq!(&*message.topic_name, "$SYS/broker/clients/connected");
    assert_eq!(&message.payload[..], b"1");
}
