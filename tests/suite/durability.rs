//! `kill -9`: no acknowledged write is lost, no event tells of a write that is not there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{App, DOGS, Server, rounds};

/// Writes of one round; each goes to a record of its own.
const WRITES: usize = 500;

/// Clients that write at the same time.
const CLIENTS: usize = 4;

/// A small linear congruential generator: the moments of death differ, and a run can be repeated.
struct Moments(u64);

impl Moments {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % below
    }
}

/// What clients saw of one life of the server.
struct Life {
    /// For each client the numbers of its acknowledged writes.
    acknowledged: Vec<Vec<usize>>,
    /// The ids that the socket heard of.
    heard: Vec<String>,
}

/// Writes until `die_after` writes are acknowledged, then kills the server.
async fn live_and_die(server: Server, round: usize, die_after: usize) -> Life {
    let mut socket = server.socket("/Dog/").await;
    let listening = tokio::spawn(async move {
        let mut heard = Vec::new();
        while let Some(event) = socket.try_next().await {
            heard.push(event["id"].as_str().unwrap().to_owned());
        }
        heard
    });
    let server = Arc::new(server);
    let count = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (server, count) = (server.clone(), count.clone());
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for n in 0..WRITES / CLIENTS {
                    let path = format!("/Dog/{round}-{client}-{n}");
                    let body = format!(r#"{{"name":"{client}","age":{n}}}"#);
                    let json = [crate::harness::client::JSON];
                    match server.try_send("PUT", &path, &json, &body).await {
                        Ok(answer) if answer.status == 204 => acknowledged.push(n),
                        Ok(answer) => panic!("{answer:?}"),
                        Err(_) => break,
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                }
                acknowledged
            })
        })
        .collect();
    while count.load(Ordering::Relaxed) < die_after {
        tokio::task::yield_now().await;
    }
    server.kill_now();
    let mut acknowledged = Vec::new();
    for client in clients {
        acknowledged.push(client.await.unwrap());
    }
    Life { acknowledged, heard: listening.await.unwrap() }
}

/// 3 kills by default; `KORA_CRASH_ROUNDS=20` makes it 10,000 writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_sigkill() {
    let app = App::new(DOGS);
    let mut moments = Moments(42);
    for round in 0..rounds("KORA_CRASH_ROUNDS", 3) {
        let die_after = 1 + moments.next(WRITES - CLIENTS);
        let life = live_and_die(app.run(), round, die_after).await;
        let server = app.run();
        for (client, acknowledged) in life.acknowledged.iter().enumerate() {
            for n in acknowledged {
                let found = server.get(&format!("/Dog/{round}-{client}-{n}")).await;
                assert_eq!(found.status, 200, "round {round}: write {client}-{n} is lost");
                assert_eq!(found.json()["age"], *n);
            }
        }
        for id in &life.heard {
            let found = server.get(&format!("/Dog/{id}")).await;
            assert_eq!(found.status, 200, "round {round}: an event told of {id}");
        }
        assert!(!life.heard.is_empty(), "round {round}: the socket heard nothing");
        server.kill();
    }
}
