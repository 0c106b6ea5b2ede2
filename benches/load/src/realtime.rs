//! The realtime rows: fan-out over each transport, beside what the machine gives and beside mosquitto; idle
//! connections; and what subscribers of other records cost a write.

mod ceiling;
mod fanout;
mod mosquitto;
mod mqtt;
mod subscribers;
mod transport;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::http1::{self, Exchange};
use crate::process::Server;
use crate::report::{Report, Target, median};
pub(crate) use ceiling::serve as serve_ceiling;
use fanout::{Fanout, Scene, Writing};
use mosquitto::Mosquitto;
use mqtt::Quality;
use subscribers::{Arrival, Spread, Subscribers};
use transport::Transport;

/// What is asked of each transport, in delivered messages a second.
const WANTED: [(Transport, f64); 2] =
    [(Transport::WebSocket, 150_000.0), (Transport::Sse, 100_000.0)];

/// How many changes a publisher of MQTT may be ahead of the subscribers.
const AHEAD: usize = 16;

/// Subscribers of other records than the one that is written.
const CROWDS: [usize; 3] = [1, 100, 5000];

/// Idle connections, and the most that one of them may cost over WebSocket.
const IDLE: usize = 10_000;
const IDLE_KIB: f64 = 12.0;

/// How long and how large the rows are.
pub(crate) struct Scale {
    pub(crate) subscribers: usize,
    pub(crate) duration: Duration,
    pub(crate) rounds: usize,
}

/// The sockets that this process needs at the same time.
pub(crate) fn sockets(subscribers: usize) -> usize {
    subscribers.max(IDLE).max(CROWDS[CROWDS.len() - 1])
}

pub(crate) fn run(kora: &Server, scratch: &Path, scale: &Scale, report: &mut Report) -> Result<()> {
    let mut first = 0;
    fan_out(kora, scale, &mut first, report)?;
    against_mosquitto(kora, scratch, scale, &mut first, report)?;
    crowds(kora, scale, report)
}

fn fan_out(kora: &Server, scale: &Scale, first: &mut usize, report: &mut Report) -> Result<()> {
    for (transport, wanted) in WANTED {
        let name = transport.name();
        let scene = Scene {
            transport,
            subscribers_at: kora.address,
            writers_at: kora.address,
            subscribers: scale.subscribers,
        };
        let flood = fanout::run(scene, *first, Writing::Puts { writers: 4 }, scale.duration)?;
        *first += flood.changes;
        let rate = flood.delivered_per_second;
        report.add(
            format!("{name} fan-out, flooded: delivered"),
            rate,
            "msg/s",
            Target::AtLeast(wanted),
            arrived(&flood, scale.subscribers),
        );
        if transport == Transport::WebSocket {
            ceiling(scale, &flood, report)?;
        }
        // Half of the rate that is asked for: at half of the flood's one writer would be the bottleneck.
        let interval = Duration::from_secs_f64(scale.subscribers as f64 / (wanted / 2.0));
        let half = fanout::run(scene, *first, Writing::Steady(interval), scale.duration)?;
        *first += half.changes;
        report.add(
            format!("{name} fan-out at {:.0} msg/s: p99 commit to arrival", wanted / 2.0),
            half.p99 as f64 / 1000.0,
            "ms",
            Target::Below(10.0),
            format!(
                "p50 {:.2} ms at {:.0} msg/s; {}",
                half.p50 as f64 / 1000.0,
                half.delivered_per_second,
                arrived(&half, scale.subscribers)
            ),
        );
        if transport == Transport::WebSocket {
            spread(scale, &half, interval, report)?;
        }
    }
    Ok(())
}

fn arrived(run: &Fanout, subscribers: usize) -> String {
    format!(
        "{} of {} arrived; {} subscribers cut off",
        run.delivered,
        run.changes * subscribers,
        run.cut_off
    )
}

/// The same number of messages to the same number of sockets without a server.
fn ceiling(scale: &Scale, flood: &Fanout, report: &mut Report) -> Result<()> {
    let started = Instant::now();
    let arrivals = without_server(scale, flood.changes.max(1), Duration::ZERO)?;
    let end = arrivals.iter().map(|arrival| arrival.at).max().unwrap_or(started);
    let start = arrivals.iter().map(|arrival| arrival.at).min().unwrap_or(started);
    let rate = arrivals.len() as f64 / (end - start).as_secs_f64();
    report.add(
        "WebSocket fan-out / a loop that writes the same",
        flood.delivered_per_second / rate,
        "x",
        Target::Report,
        format!("{rate:.0} msg/s of {} messages by one thread with no server", arrivals.len()),
    );
    Ok(())
}

/// How much later than the first subscriber the last one hears of a change, beside what a loop with no server takes
/// to tell them all, as often.
fn spread(scale: &Scale, steady: &Fanout, interval: Duration, report: &mut Report) -> Result<()> {
    let bare = Spread::of(&without_server(scale, steady.changes.max(1), interval)?);
    let milliseconds = |microseconds: u64| microseconds as f64 / 1000.0;
    report.add(
        "WebSocket fan-out, as often: last after first subscriber",
        milliseconds(steady.spread.p50),
        "ms",
        Target::Report,
        format!(
            "p99 {:.2} ms; a loop that writes the same: {:.2} ms, p99 {:.2} ms",
            milliseconds(steady.spread.p99),
            milliseconds(bare.p50),
            milliseconds(bare.p99)
        ),
    );
    Ok(())
}

fn without_server(scale: &Scale, changes: usize, interval: Duration) -> Result<Vec<Arrival>> {
    let bare = Server::ceiling(scale.subscribers, changes, interval)?;
    let mut listening =
        Subscribers::connect(Transport::WebSocket, bare.address, scale.subscribers, |_| {
            "Tick/".to_owned()
        })?;
    let progress = subscribers::Progress::default();
    progress.expected.store(changes, std::sync::atomic::Ordering::Release);
    listening.collect(0, &progress)
}

fn against_mosquitto(
    kora: &Server,
    scratch: &Path,
    scale: &Scale,
    first: &mut usize,
    report: &mut Report,
) -> Result<()> {
    let broker = Mosquitto::start(scratch)?;
    let at = kora.mqtt.context("kora does not speak MQTT over TCP")?;
    for (quality, wanted) in [(Quality::AtMostOnce, 1.5), (Quality::AtLeastOnce, 1.0)] {
        let transport = Transport::Mqtt(quality);
        let writing = Writing::Publishes { quality, ahead: AHEAD };
        let mut run = |address| {
            let scene = Scene {
                transport,
                subscribers_at: address,
                writers_at: address,
                subscribers: scale.subscribers,
            };
            let run = fanout::run(scene, *first, writing, scale.duration)?;
            *first += run.changes;
            anyhow::Ok(run.delivered_per_second)
        };
        let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..scale.rounds {
            let own = run(at)?;
            ours.push(own);
            if let Some(broker) = &broker {
                let other = run(broker.address)?;
                theirs.push(other);
                ratios.push(own / other);
            }
        }
        let name = transport.name();
        if broker.is_some() {
            let detail = format!("{:.0} msg/s against {:.0} msg/s", median(ours), median(theirs));
            let name = format!("{name} fan-out / mosquitto");
            report.add(name, median(ratios), "x", Target::AtLeast(wanted), detail);
        } else {
            let detail = "mosquitto is not installed: nothing to compare with";
            let name = format!("{name} fan-out: delivered");
            report.add(name, median(ours), "msg/s", Target::Report, detail);
        }
    }
    Ok(())
}

/// What a write costs while nobody but subscribers of other records is there: the server's own time, because the
/// time of the answer is the disk's.
fn crowds(kora: &Server, scale: &Scale, report: &mut Report) -> Result<()> {
    let mut costs = Vec::new();
    for crowd in CROWDS {
        let _listening =
            Subscribers::connect(Transport::WebSocket, kora.address, crowd, |number| {
                format!("Tick/other-{number}")
            })?;
        let mut exchange = Exchange::connect(kora.address)?;
        let mut rounds = Vec::new();
        for _ in 0..scale.rounds {
            const WRITES: usize = 500;
            let before = kora.processor_time()?;
            for number in 0..WRITES {
                let put = http1::put("/Tick/written", &format!(r#"{{"n":{number}}}"#));
                let (response, _) = exchange.send(&put)?;
                ensure!(response.is_success(), "a PUT was answered with {}", response.status);
            }
            let spent = kora.processor_time()?.saturating_sub(before);
            rounds.push(spent.as_secs_f64() * 1e6 / WRITES as f64);
        }
        costs.push(median(rounds));
    }
    let detail = CROWDS.iter().zip(&costs).map(|(crowd, cost)| format!("{crowd}: {cost:.0} us"));
    report.add(
        format!("a write's processor time, {} / {} other subscribers", CROWDS[2], CROWDS[0]),
        costs[2] / costs[0],
        "x",
        Target::Below(1.25),
        detail.collect::<Vec<_>>().join(", "),
    );
    Ok(())
}

/// What an open connection costs that hears nothing, each transport on a server of its own: what another has left
/// behind in the allocator would be used again and not count.
pub(crate) fn idle(serve: impl Fn() -> Result<Server>, report: &mut Report) -> Result<()> {
    for (transport, target) in [
        (Transport::WebSocket, Target::Below(IDLE_KIB)),
        (Transport::Sse, Target::Report),
        (Transport::Mqtt(Quality::AtMostOnce), Target::Report),
    ] {
        let kora = serve()?;
        let address = match transport {
            Transport::WebSocket | Transport::Sse => kora.address,
            Transport::Mqtt(_) => kora.mqtt.context("kora does not speak MQTT over TCP")?,
        };
        let before = kora.resident()?;
        let listening = Subscribers::connect(transport, address, IDLE, |_| "Tick/idle".to_owned())?;
        // What opening them has left behind is freed, or not: that counts.
        std::thread::sleep(Duration::from_secs(1));
        let each = kora.resident()?.saturating_sub(before) as f64 / IDLE as f64 / 1024.0;
        report.add(
            format!("{IDLE} idle {} connections, each", transport.name()),
            each,
            "KiB",
            target,
            format!("VmRSS; {} still open", listening.open()),
        );
    }
    Ok(())
}
