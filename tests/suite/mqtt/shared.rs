//! Shared subscriptions: each message to one member.

use std::collections::BTreeSet;

use mqtt_proto::QoS;

use super::app;
use crate::harness::mqtt::connect;

#[tokio::test]
async fn a_group_shares_the_messages() {
    let app = app();
    let server = app.run();
    server.put("/Room/before", r#"{"name":"not shown"}"#).await.expect(204);
    let mut first = server.mqtt(connect("1")).await;
    let mut second = server.mqtt(connect("2")).await;
    first.subscribe("$share/g/Room/#", QoS::Level1).await;
    second.subscribe("$share/g/Room/#", QoS::Level1).await;
    for n in 0..10 {
        server.put(&format!("/Room/{n}"), r#"{"name":"x"}"#).await.expect(204);
    }
    let mut seen = BTreeSet::new();
    for _ in 0..5 {
        seen.insert(first.next_json().await.0);
        // Not acknowledged: the other one gets it when this one leaves.
        second.next().await;
    }
    first.expect_nothing().await;
    drop(second);
    for _ in 0..5 {
        seen.insert(first.next_json().await.0);
    }
    assert_eq!(seen.len(), 10, "{seen:?}");
    first.expect_nothing().await;
}
