//! Clients that are cut off at random points and go on where they were: every event once, in order.

use std::pin::Pin;
use std::time::Duration;

use mqtt_proto::QoS;
use mqtt_proto::v5::Packet;
use serde_json::Value;

use crate::harness::client::JSON;
use crate::harness::mqtt::{Mqtt, connect_durable};
use crate::harness::{App, DOGS, Server, rounds};

/// How often each client is cut off.
fn cuts() -> usize {
    rounds("KORA_CUTS", 200)
}

const WRITES: usize = 1500;

/// A source of numbers that differ from run to run of the loop, and not from run to run of the test.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % bound
    }
}

/// Writes numbers to some records, in groups with pauses, while clients come and go.
async fn write(server: &Server) {
    for from in (0..WRITES).step_by(10) {
        let writes: Vec<String> =
            (from..from + 10).map(|n| format!(r#"{{"id":"{}","age":{n}}}"#, n % 50)).collect();
        let body = format!("[{}]", writes.join(","));
        server.send("PUT", "/Dog/", &[JSON], &body).await.expect(200);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The numbers in what was seen, which must be all of them.
fn check(seen: &[i64]) {
    let expected: Vec<i64> = (0..WRITES as i64).collect();
    let first_wrong = seen.iter().zip(&expected).position(|(seen, expected)| seen != expected);
    assert_eq!(seen.len(), WRITES, "the first that differs: {first_wrong:?}");
    assert_eq!(first_wrong, None);
}

fn age(event: &Value) -> Option<i64> {
    assert_ne!(event["type"], "gap", "nothing is missing");
    event["value"]["age"].as_i64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_streams_go_on_after_the_last_id() {
    let app = App::new(DOGS);
    let server = app.run();
    // Before the first write: who comes later is shown the records, not each event. The snapshot of an empty
    // table has a position, too.
    let mut last_id = Some(server.events_after("/Dog/", None).await.position().await);
    let reading = async {
        let mut random = Random(1);
        let mut seen = Vec::new();
        let mut left = cuts();
        while seen.len() < WRITES {
            let mut events = server.events_after("/Dog/", last_id.as_deref()).await;
            let until = match left {
                0 => WRITES,
                _ => seen.len() + random.below(WRITES as u64 / cuts() as u64 * 2) as usize,
            };
            while seen.len() < until.min(WRITES) {
                seen.extend(age(&events.next().await));
            }
            last_id = events.last_id.or(last_id);
            left = left.saturating_sub(1);
        }
        seen
    };
    let (seen, ()) = tokio::join!(reading, write(&server));
    check(&seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn web_sockets_go_on_after_the_last_position() {
    let app = App::new(DOGS);
    let server = app.run();
    // Before the first write: who comes later is shown the records, not each event.
    let first = server.socket("/Dog/?$positions").await.next().await;
    let mut position = first["position"].as_str().expect("that of the empty table").to_owned();
    let reading = async {
        let mut random = Random(2);
        let mut seen = Vec::new();
        let mut left = cuts();
        while seen.len() < WRITES {
            let mut socket = server.socket(&format!("/Dog/?$positions&$resume={position}")).await;
            let until = match left {
                0 => WRITES,
                _ => seen.len() + random.below(WRITES as u64 / cuts() as u64 * 2) as usize,
            };
            while seen.len() < until.min(WRITES) {
                let event = socket.next().await;
                if let Some(told) = event["position"].as_str() {
                    position = told.to_owned();
                }
                if event["type"] != "position" {
                    seen.extend(age(&event));
                }
            }
            left = left.saturating_sub(1);
        }
        seen
    };
    let (seen, ()) = tokio::join!(reading, write(&server));
    check(&seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mqtt_sessions_go_on() {
    sessions_go_on(3, |server| Box::pin(server.mqtt(connect_durable("cut")))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mqtt_sessions_go_on_over_web_sockets() {
    sessions_go_on(4, |server| Box::pin(server.mqtt_over_web_socket(connect_durable("cut")))).await;
}

/// By whichever carrier a client connects.
async fn sessions_go_on(
    seed: u64,
    connect: impl for<'s> Fn(&'s Server) -> Pin<Box<dyn Future<Output = Mqtt> + 's>>,
) {
    let app = App::new(DOGS);
    let server = app.run();
    // Before the first write: who comes later is shown the records, not each event.
    let mut client = connect(&server).await;
    client.subscribe("Dog/#", QoS::Level2).await;
    let reading = async {
        let mut random = Random(seed);
        let mut seen: Vec<i64> = Vec::new();
        // A client's part of the four steps: what it has received it does not take again.
        let mut received = std::collections::HashSet::new();
        let mut left = cuts();
        while seen.len() < WRITES {
            let packets = match left {
                0 => usize::MAX,
                _ => random.below(WRITES as u64 / cuts() as u64 * 4) as usize,
            };
            for _ in 0..packets {
                if seen.len() == WRITES {
                    break;
                }
                match client.read().await {
                    Some(Packet::Publish(publish)) => {
                        let id = publish.qos_pid.pid().unwrap();
                        if received.insert(id) {
                            let value: Value = serde_json::from_slice(&publish.payload).unwrap();
                            seen.push(value["age"].as_i64().unwrap());
                        }
                        client.send(&mqtt_proto::v5::Pubrec::new_success(id).into()).await;
                    }
                    Some(Packet::Pubrel(release)) => {
                        received.remove(&release.pid);
                        client
                            .send(&mqtt_proto::v5::Pubcomp::new_success(release.pid).into())
                            .await;
                    }
                    other => panic!("{other:?}"),
                }
            }
            if left > 0 {
                left -= 1;
                client = connect(&server).await;
                assert!(client.connack.session_present);
            }
        }
        seen
    };
    let (seen, ()) = tokio::join!(reading, write(&server));
    check(&seen);
}
