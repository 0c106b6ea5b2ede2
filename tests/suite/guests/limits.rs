//! What passes a limit is stopped from outside, in time, and its neighbours do not notice.

use std::time::{Duration, Instant};

use serde_json::json;

use super::misbehaving;

/// On a busy machine a processor's 100 ms take a while: the wall time must not end first.
const LIMITS: &str = "limits: { cpu: 100ms, wallTime: 4s, memory: 16MB, concurrency: 8 }\n";

/// How much later than its limit an answer may come here: the machine of a test is busy.
const SLACK: Duration = Duration::from_secs(5);

#[tokio::test]
async fn each_limit_stops_what_passes_it_and_names_itself() {
    let app = misbehaving(LIMITS);
    let server = app.run();
    for (how, status, named, limit) in [
        ("loop", 503, "limits.cpu, 100 ms", Duration::from_millis(100)),
        ("memory", 503, "limits.memory, 16 MiB", Duration::from_millis(100)),
        ("giant", 503, "limits.memory, 16 MiB", Duration::ZERO),
        ("regex", 503, "limits.cpu, 100 ms", Duration::from_millis(100)),
        ("storm", 503, "limits.cpu, 100 ms", Duration::from_millis(100)),
        ("sleep", 503, "limits.wallTime, 4000 ms", Duration::from_secs(4)),
        ("recursion", 500, "Bad failed: ", Duration::from_millis(100)),
        ("panic", 500, "Bad failed: ", Duration::ZERO),
    ] {
        let began = Instant::now();
        let answer = server.get(&format!("/Bad/?how={how}")).await.expect(status);
        assert!(began.elapsed() < limit + SLACK, "{how}: {:?}", began.elapsed());
        assert!(answer.json()["title"].as_str().unwrap().contains(named), "{how}: {answer:?}");
        server.stderr.wait_for(named);
        if how == "panic" {
            server.stderr.wait_for("panicked at src/lib.rs:");
        }
        assert_eq!(server.get("/Bad/").await.expect(200).json(), "fine", "after {how}");
    }
}

#[tokio::test]
async fn a_sequence_that_never_goes_on_ends() {
    let app = misbehaving(LIMITS);
    let server = app.run();
    // The first item is on its way already: the sequence ends with the reason.
    let cut = server.get("/Bad/?how=late").await.expect(200);
    assert!(cut.body.contains("limits.cpu"), "{cut:?}");
    server.stderr.wait_for("limits.cpu");
    server.get("/Bad/").await.expect(200);
}

#[tokio::test]
async fn a_stream_that_never_yields_is_closed() {
    let app = misbehaving(LIMITS);
    let server = app.run();
    let opening = server.socket("/Bad?how=opening").await.closed().await;
    assert!(opening.reason.contains("limits.cpu"), "{opening:?}");
    let mut later = server.socket("/Bad?how=later").await;
    assert_eq!(later.next().await, json!("first"));
    let closed = later.closed().await;
    assert!(closed.reason.contains("limits.cpu"), "{closed:?}");
    let mut fine = server.socket("/Bad").await;
    assert_eq!(fine.next().await, json!("first"));
    assert_eq!(fine.next().await, json!("second"));
}

#[tokio::test]
async fn neighbours_answer_meanwhile() {
    let app = misbehaving("limits: { cpu: 1s, concurrency: 8 }\n");
    let server = app.run();
    let began = Instant::now();
    let loops = (0..4).map(|_| server.get("/Bad/?how=loop"));
    let mut loops = std::pin::pin!(futures_util::future::join_all(loops));
    let mut answered = 0;
    let stopped = loop {
        tokio::select! {
            stopped = &mut loops => break stopped,
            neighbour = server.get("/Bad/") => {
                neighbour.expect(200);
                answered += 1;
            }
        }
    };
    let took = began.elapsed();
    assert!(stopped.iter().all(|answer| answer.status == 503), "{stopped:?}");
    assert!(answered >= 10, "{answered} answers in {took:?}");
}

#[tokio::test]
async fn more_calls_than_may_run_wait_their_turn() {
    let app = misbehaving("limits: { concurrency: 1, cpu: 100ms }\n");
    let server = app.run();
    let calls = (0..20).map(|_| server.get("/Bad/"));
    for answer in futures_util::future::join_all(calls).await {
        answer.expect(200);
    }
    // An open stream holds its place.
    let mut first = server.socket("/Bad?how=later").await;
    assert_eq!(first.next().await, json!("first"));
}
