//! Fan-out: writers change one table, many subscribers hear of it. Each change carries a number; the moment of its
//! commit is taken as the moment its writer was answered, and an event that is faster than that answer counts as
//! zero.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::mqtt::{self, Quality};
use super::subscribers::{Progress, Spread, Subscribers};
use super::transport::Transport;
use crate::app;
use crate::http1::{self, Exchange, PATIENCE};
use crate::report::quantile;

/// Who writes, and how fast.
#[derive(Clone, Copy)]
pub(crate) enum Writing {
    /// Durable PUTs as fast as answers come, over this many connections.
    Puts { writers: usize },
    /// A durable PUT each so often, over one connection.
    Steady(Duration),
    /// Published by one MQTT client, never more than so many changes ahead of the slowest: no server is measured
    /// by what it throws away.
    Publishes { quality: Quality, ahead: usize },
}

/// Where to write and listen.
#[derive(Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) transport: Transport,
    pub(crate) subscribers_at: SocketAddr,
    pub(crate) writers_at: SocketAddr,
    pub(crate) subscribers: usize,
}

pub(crate) struct Fanout {
    pub(crate) changes: usize,
    pub(crate) delivered: usize,
    pub(crate) delivered_per_second: f64,
    /// Microseconds from the answer of the PUT to the arrival of its event.
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) spread: Spread,
    pub(crate) cut_off: usize,
}

/// Runs for `duration`; changes are numbered from `first` on, so that what an earlier run left in the table and
/// the server sends as current records is not counted.
pub(crate) fn run(
    scene: Scene,
    first: usize,
    writing: Writing,
    duration: Duration,
) -> Result<Fanout> {
    let Scene { transport, subscribers_at, writers_at, subscribers } = scene;
    let mut listening =
        Subscribers::connect(transport, subscribers_at, subscribers, |_| "Tick/".to_owned())?;
    let next = AtomicUsize::new(first);
    let progress = Progress::default();
    let started = Instant::now();
    let deadline = started + duration;
    let writers = match writing {
        Writing::Puts { writers } => writers,
        Writing::Steady(_) | Writing::Publishes { .. } => 1,
    };

    let (acknowledged, arrivals) = std::thread::scope(|scope| -> Result<_> {
        let write = || match writing {
            Writing::Puts { .. } => put(writers_at, &next, None, deadline),
            Writing::Steady(interval) => put(writers_at, &next, Some(interval), deadline),
            Writing::Publishes { quality, ahead } => {
                let ahead = Ahead { changes: ahead, subscribers, first, progress: &progress };
                publish(writers_at, &next, quality, &ahead, deadline)
            }
        };
        let handles: Vec<_> = (0..writers).map(|_| scope.spawn(write)).collect();
        let collector = scope.spawn(|| listening.collect(first, &progress));
        let mut acknowledged = Vec::new();
        let mut failure = None;
        for handle in handles {
            match handle.join().expect("a writer does not panic") {
                Ok(answers) => acknowledged.extend(answers),
                Err(error) => failure = Some(error),
            }
        }
        // Set even after a failure: the collector waits for it.
        let changes = next.load(Ordering::Relaxed) - first;
        progress.expected.store(changes.max(1), Ordering::Release);
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
        spread: Spread::of(&arrivals),
        cut_off: subscribers - listening.open(),
    })
}

/// One writer over HTTP: each change's number and the moment its PUT was answered.
fn put(
    address: SocketAddr,
    next: &AtomicUsize,
    interval: Option<Duration>,
    deadline: Instant,
) -> Result<Vec<(usize, Instant)>> {
    let mut exchange = Exchange::connect(address)?;
    let mut acknowledged = Vec::new();
    while Instant::now() < deadline {
        let began = Instant::now();
        let change = next.fetch_add(1, Ordering::Relaxed);
        let (id, json) = app::tick(change);
        let (response, _) = exchange.send(&http1::put(&format!("/Tick/{id}"), &json))?;
        ensure!(response.is_success(), "a PUT was answered with {}", response.status);
        acknowledged.push((change, Instant::now()));
        if let Some(interval) = interval {
            std::thread::sleep(interval.saturating_sub(began.elapsed()));
        }
    }
    Ok(acknowledged)
}

/// How far a writer may be ahead of its readers.
struct Ahead<'a> {
    changes: usize,
    subscribers: usize,
    first: usize,
    progress: &'a Progress,
}

impl Ahead<'_> {
    fn wait(&self, change: usize) -> Result<()> {
        let needed = (change - self.first).saturating_sub(self.changes) * self.subscribers;
        let patience = Instant::now() + PATIENCE;
        while self.progress.arrived.load(Ordering::Acquire) < needed {
            ensure!(Instant::now() < patience, "the changes before {change} do not arrive");
            std::thread::sleep(Duration::from_micros(50));
        }
        Ok(())
    }
}

/// One writer over MQTT. What it is told back is only read; a change counts as committed when it is sent.
fn publish(
    address: SocketAddr,
    next: &AtomicUsize,
    quality: Quality,
    ahead: &Ahead<'_>,
    deadline: Instant,
) -> Result<Vec<(usize, Instant)>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    mqtt::connect(&mut stream, "writer")?;
    let mut answers = stream.try_clone()?;
    // Ends when the socket is closed.
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while matches!(answers.read(&mut chunk), Ok(read) if read > 0) {}
    });
    let mut sent = Vec::new();
    while Instant::now() < deadline {
        let change = next.fetch_add(1, Ordering::Relaxed);
        ahead.wait(change)?;
        let (id, json) = app::tick(change);
        // Far fewer are in flight than there are identifiers.
        let packet_id = (change % 60_000) as u16 + 1;
        let packet = mqtt::publish(&format!("Tick/{id}"), json.as_bytes(), quality, packet_id);
        stream.write_all(&packet)?;
        sent.push((change, Instant::now()));
    }
    stream.shutdown(std::net::Shutdown::Both)?;
    Ok(sent)
}
