//! Readers that stop reading: they cost a bound of memory, hold up nobody, and have lost nothing when
//! they go on.

use std::time::{Duration, Instant};

use mqtt_proto::QoS;
use serde_json::Value;

use crate::harness::mqtt::connect;
use crate::harness::{App, DOGS};

/// Of each kind.
const READERS: usize = 4;
const WRITES: usize = 300;
const SIZE: usize = 100_000;
/// What the server may need more than before: less than the 30 MB that were written, of which a server
/// without bounds would keep each record and three encoded forms.
const GROWTH: u64 = 24 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_stop_are_bounded_and_lose_nothing() {
    let app = App::new(DOGS);
    let server = app.run();
    let (mut sockets, mut streams, mut clients) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..READERS {
        sockets.push(server.socket("/Dog/").await);
        streams.push(server.events("/Dog/").await);
        let mut client = server.mqtt(connect(&format!("slow{n}"))).await;
        client.subscribe("Dog/#", QoS::Level0).await;
        clients.push(client);
    }
    let mut quick = server.socket("/Dog/").await;
    let before = server.own_memory();
    let name = "x".repeat(SIZE);
    let (mut took, mut most) = (Vec::with_capacity(WRITES), 0);
    for n in 0..WRITES {
        let body = format!(r#"{{"name":"{name}","age":{n}}}"#);
        server.put("/Dog/big", &body).await.expect(204);
        let committed = Instant::now();
        assert_eq!(quick.next().await["value"]["age"], n);
        took.push(committed.elapsed());
        most = most.max(server.own_memory());
    }
    let growth = most.saturating_sub(before);
    took.sort_unstable();
    let at = |part: usize| took[(WRITES - 1) * part / 100];
    let (p99, longest) = (at(99), at(100));
    eprintln!("{} MB more at most; to the quick reader: p99 {p99:?}, {longest:?}", growth >> 20);
    assert!(growth < GROWTH, "{growth} bytes more");
    assert!(longest < Duration::from_secs(5), "{longest:?}");
    // All of them go on at the same time.
    let age = |value: &Value| value["age"].as_u64().unwrap() as usize;
    let mut reading = tokio::task::JoinSet::new();
    for mut socket in sockets {
        reading.spawn(async move {
            for n in 0..WRITES {
                assert_eq!(age(&socket.next().await["value"]), n);
            }
        });
    }
    for mut events in streams {
        reading.spawn(async move {
            for n in 0..WRITES {
                assert_eq!(age(&events.next().await["value"]), n);
            }
        });
    }
    for mut client in clients {
        reading.spawn(async move {
            for n in 0..WRITES {
                assert_eq!(age(&client.next_json().await.1), n);
            }
        });
    }
    reading.join_all().await;
}
