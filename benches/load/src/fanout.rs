//! Fan-out: writers change one table, many subscribers hear of it. Each change carries a number; the moment of its
//! commit is taken as the moment its durable PUT is answered, and an event that is faster than that answer counts
//! as zero.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::app;
use crate::http1::{self, Exchange};
use crate::report::quantile;
use crate::subscribers::Subscribers;

/// How fast the writers write.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// As fast as answers come, over this many connections.
    Flood { writers: usize },
    /// One change each so often, over one connection.
    Steady(Duration),
}

pub(crate) struct Fanout {
    pub(crate) changes: usize,
    pub(crate) delivered: usize,
    pub(crate) delivered_per_second: f64,
    /// Microseconds from the answer of the PUT to the arrival of its event.
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) cut_off: usize,
}

/// Runs for `duration`; changes are numbered from `first` on, so that what an earlier run left in the table and
/// the server sends as current records is not counted.
pub(crate) fn run(
    address: SocketAddr,
    subscribers: usize,
    first: usize,
    pace: Pace,
    duration: Duration,
) -> Result<Fanout> {
    let mut listening = Subscribers::connect(address, subscribers)?;
    let next = AtomicUsize::new(first);
    let expected = AtomicUsize::new(0);
    let started = Instant::now();
    let deadline = started + duration;
    let writers = match pace {
        Pace::Flood { writers } => writers,
        Pace::Steady(_) => 1,
    };

    let (acknowledged, arrivals) = std::thread::scope(|scope| -> Result<_> {
        let handles: Vec<_> =
            (0..writers).map(|_| scope.spawn(|| write(address, &next, pace, deadline))).collect();
        let collector = scope.spawn(|| listening.collect(first, &expected));
        let mut acknowledged = Vec::new();
        let mut failure = None;
        for handle in handles {
            match handle.join().expect("a writer does not panic") {
                Ok(answers) => acknowledged.extend(answers),
                Err(error) => failure = Some(error),
            }
        }
        // Set even after a failure: the collector waits for it.
        expected.store((next.load(Ordering::Relaxed) - first).max(1), Ordering::Release);
        let arrivals = collector.join().expect("the collector does not panic")?;
        match failure {
            Some(error) => Err(error.context("a writer")),
            None => Ok((acknowledged, arrivals)),
        }
    })?;

    ensure!(!arrivals.is_empty(), "no change arrived");
    let changes = acknowledged.len();
    let mut committed = vec![started; changes];
    for (change, at) in acknowledged {
        *committed.get_mut(change - first).context("a gap in the numbers of the changes")? = at;
    }
    let end = arrivals.iter().map(|arrival| arrival.at).max().unwrap_or(started);
    let mut delays: Vec<u64> = arrivals
        .iter()
        .filter_map(|arrival| {
            let commit = *committed.get(arrival.change - first)?;
            Some(
                u64::try_from(arrival.at.saturating_duration_since(commit).as_micros())
                    .unwrap_or(u64::MAX),
            )
        })
        .collect();
    delays.sort_unstable();
    Ok(Fanout {
        changes,
        delivered: arrivals.len(),
        delivered_per_second: arrivals.len() as f64 / (end - started).as_secs_f64(),
        p50: quantile(&delays, 0.5),
        p99: quantile(&delays, 0.99),
        cut_off: subscribers - listening.open(),
    })
}

/// One writer: each change's number and the moment its PUT was answered.
fn write(
    address: SocketAddr,
    next: &AtomicUsize,
    pace: Pace,
    deadline: Instant,
) -> Result<Vec<(usize, Instant)>> {
    let mut exchange = Exchange::connect(address)?;
    let mut acknowledged = Vec::new();
    while Instant::now() < deadline {
        let change = next.fetch_add(1, Ordering::Relaxed);
        let (id, json) = app::tick(change);
        let (response, _) = exchange.send(&http1::put(&format!("/Tick/{id}"), &json))?;
        ensure!(response.is_success(), "a PUT was answered with {}", response.status);
        acknowledged.push((change, Instant::now()));
        if let Pace::Steady(interval) = pace {
            std::thread::sleep(interval);
        }
    }
    Ok(acknowledged)
}
