//! Components' code in both languages, side by side: what a call costs, and what one that never ends costs its
//! neighbours. The guest is `benches/load/guest`, built by the server under test; its twin is `guests/twin.js`.
//!
//! Two applications in one folder: the one that is measured, and one with the same code and `limits.cpu` of 100 ms, in
//! which endless loops run.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::app;
use crate::generator::{self, Outcome, Stop};
use crate::http1::{self, Exchange};
use crate::process::Server;
use crate::report::{Report, Target, median, quantile};
use crate::suite::Options;

const TWIN: &str = include_str!("guests/twin.js");

/// `limits.cpu` of the application in which loops run.
const LIMIT: Duration = Duration::from_millis(100);
/// Loops that are stopped one after the other.
const LOOPS: usize = 20;
/// Connections of what is measured beside loops: few, so that the processors are not full already.
const NEIGHBOURS: usize = 4;
/// Bytes of the list that is transformed, about.
const LIST: usize = 10_000;

/// Adds the rows. Where this machine has no compiler for guests, says so instead.
pub(crate) fn run(scratch: &Path, options: &Options, report: &mut Report) -> Result<()> {
    let guest = match build(options) {
        Ok(guest) => guest,
        Err(error) => {
            eprintln!("SKIPPED, the rows about guests: {error:#}");
            return Ok(());
        }
    };
    let applications = scratch.join("guests");
    let measured = applications.join("measured");
    app::write(&measured)?;
    let config = measured.join("config.yaml");
    let before = std::fs::read_to_string(&config)?;
    write(&measured, &format!("{before}wasmResource: true\n"), &guest)?;
    write(&applications.join("endless"), &endless(), &guest)?;
    let data = scratch.join("guests-data");
    let kora = Server::kora(&options.kora, &applications, &data, options.threads)?;
    fill(&kora)?;
    calls(&kora, scratch, options, report)?;
    languages(&kora, options, report)?;
    limit(&kora, options, report)
}

/// The guest's bytes.
fn build(options: &Options) -> Result<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let target = std::path::absolute(target)?.join("guests");
    let output = Command::new(&options.kora)
        .arg("build")
        .arg(&options.guest)
        .env("CARGO_TARGET_DIR", target)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("start {}", options.kora.display()))?;
    ensure!(output.status.success(), "{} does not build", options.guest.display());
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let file = printed.trim().strip_prefix("Built ").context("one guest")?;
    Ok(PathBuf::from(file))
}

fn write(directory: &Path, config: &str, guest: &Path) -> Result<()> {
    std::fs::create_dir_all(directory.join("resources"))?;
    std::fs::write(directory.join("config.yaml"), config)?;
    std::fs::write(directory.join("resources/twin.js"), TWIN)?;
    std::fs::copy(guest, directory.join("resources/bench.wasm"))?;
    Ok(())
}

/// The configuration of the application in which loops run.
fn endless() -> String {
    format!(
        "rest: true\njsResource: {{ files: resources/*.js, urlPath: endless }}\nwasmResource: {{ files: \
         resources/*.wasm, urlPath: endless }}\nlimits: {{ cpu: {}ms }}\n",
        LIMIT.as_millis()
    )
}

fn fill(kora: &Server) -> Result<()> {
    let puts: Vec<_> = (0..app::ITEMS)
        .map(|number| {
            let (id, json) = app::item(number);
            http1::put(&format!("/Item/{id}"), &json)
        })
        .collect();
    generator::run(kora.address, 16, &puts, Stop::Requests(puts.len()))
        .context("fill the table")?;
    Ok(())
}

fn gets(resource: &str) -> Vec<Vec<u8>> {
    let path = |number| format!("/{resource}/{}", app::item(number).0);
    (0..app::ITEMS).map(|number| http1::get(&path(number))).collect()
}

/// A round of each in turns, as often as the options say; the first round of each is a warm-up.
fn in_turns<const N: usize>(
    address: SocketAddr,
    connections: usize,
    sides: [&[Vec<u8>]; N],
    options: &Options,
) -> Result<[Vec<Outcome>; N]> {
    let mut outcomes = [const { Vec::new() }; N];
    for round in 0..=options.rounds {
        for (side, requests) in sides.into_iter().enumerate() {
            let outcome = generator::run(address, connections, requests, options.round())?;
            if round > 0 {
                outcomes[side].push(outcome);
            }
        }
    }
    Ok(outcomes)
}

/// The median, over rounds, of a quantile of the latencies, in microseconds.
fn latency(outcomes: &[Outcome], share: f64) -> f64 {
    median(outcomes.iter().map(|outcome| outcome.latency(share) as f64).collect())
}

fn rate(outcomes: &[Outcome]) -> f64 {
    median(outcomes.iter().map(Outcome::rate).collect())
}

/// One read: through a guest, through a class, and of the table itself.
fn calls(kora: &Server, scratch: &Path, options: &Options, report: &mut Report) -> Result<()> {
    let (table, guest, class) = (gets("Item"), gets("GuestReader"), gets("ClassReader"));
    for connections in [1, options.connections] {
        let sides = [&table[..], &guest[..], &class[..]];
        let [table, guest, class] = in_turns(kora.address, connections, sides, options)?;
        let [table, guest, class] = [&table, &guest, &class].map(|side| latency(side, 0.5));
        let detail = format!("{guest:.0} us against {table:.0} us; a JS class: {class:.0} us");
        let name = format!("guest get / table get, p50, {connections} connections");
        report.add(name, guest / table, "x", Target::Below(1.3), detail);
    }
    crate::suite::against_bare(
        kora,
        "GET a guest",
        &guest,
        Target::AtLeast(0.4),
        scratch,
        options,
        report,
    )?;
    // A stream has an instance of its own, so what opening one costs more than a call is an instance, and a little.
    let streams =
        [b"GET /GuestReader HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
            .to_vec()];
    let sides = [&guest[..], &streams[..]];
    let [calls, streams] = in_turns(kora.address, 1, sides, options)?;
    let (call, stream) = (latency(&calls, 0.5), latency(&streams, 0.5));
    let detail =
        format!("opening and ending a stream {stream:.0} us, a call of a warm one {call:.0} us");
    report.add("new guest instance, at most", stream - call, "us", Target::Below(100.0), detail);
    Ok(())
}

/// The same work in both languages.
fn languages(kora: &Server, options: &Options, report: &mut Report) -> Result<()> {
    let post = |resource: &str| vec![http1::post(&format!("/{resource}/"), &list())];
    let get = |resource: &str| vec![http1::get(&format!("/{resource}"))];
    for (name, connections, guest, class) in [
        ("one read", options.connections, gets("GuestReader"), gets("ClassReader")),
        ("JSON of 10 KB", options.connections, post("GuestTransform"), post("ClassTransform")),
        ("pure computation", 1, get("GuestCompute"), get("ClassCompute")),
    ] {
        let [guest, class] = in_turns(kora.address, connections, [&guest, &class], options)?;
        let detail = format!(
            "{:.0}/s, p50 {:.2} ms against {:.0}/s, p50 {:.2} ms",
            rate(&guest),
            latency(&guest, 0.5) / 1e3,
            rate(&class),
            latency(&class, 0.5) / 1e3
        );
        let ratio = rate(&guest) / rate(&class);
        report.add(format!("{name}: Rust guest / JS class"), ratio, "x", Target::Report, detail);
    }
    Ok(())
}

/// About [`LIST`] bytes.
fn list() -> String {
    let line = |number: usize| {
        format!(
            r#"{{"name":"line number {number:04}","price":12.5,"quantity":{},"tags":["red","large"],"note":"unused"}}"#,
            number % 4
        )
    };
    let count = LIST / (line(0).len() + 1);
    format!("[{}]", (0..count).map(line).collect::<Vec<_>>().join(","))
}

/// How late a loop is stopped, and what the neighbours notice of it.
fn limit(kora: &Server, options: &Options, report: &mut Report) -> Result<()> {
    for (language, path, own) in [
        ("guest", "/endless/GuestLoop", "GuestReader"),
        ("JS class", "/endless/ClassLoop", "ClassReader"),
    ] {
        let mut late =
            (0..LOOPS).map(|_| stopped_after(kora.address, path)).collect::<Result<Vec<_>>>()?;
        late.sort_unstable();
        let worst = quantile(&late, 1.0) as f64 / 1e3;
        let detail = format!(
            "past limits.cpu of {} ms, the latest of {LOOPS}; median {:.1} ms",
            LIMIT.as_millis(),
            quantile(&late, 0.5) as f64 / 1e3
        );
        report.add(
            format!("endless loop of a {language} is stopped"),
            worst,
            "ms",
            Target::Below(20.0),
            detail,
        );
        for (whose, resource) in [("table", "Item"), (language, own)] {
            let requests = gets(resource);
            neighbours(kora.address, language, path, (whose, &requests), options, report)?;
        }
    }
    Ok(())
}

/// Microseconds past the limit until the answer came.
fn stopped_after(address: SocketAddr, path: &str) -> Result<u64> {
    let mut exchange = Exchange::connect(address)?;
    let began = Instant::now();
    let (response, bytes) = exchange.send(&http1::get(path))?;
    let took = began.elapsed();
    ensure!(response.status == 503, "{path}: {}", String::from_utf8_lossy(&bytes));
    Ok(u64::try_from(took.saturating_sub(LIMIT).as_micros())?)
}

/// The p99 of others' calls while loops run one after the other, against the same without loops.
fn neighbours(
    address: SocketAddr,
    language: &str,
    path: &str,
    (whose, requests): (&str, &[Vec<u8>]),
    options: &Options,
    report: &mut Report,
) -> Result<()> {
    let (mut alone, mut beside, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let p99 = |outcome: Outcome| outcome.latency(0.99) as f64;
        let normal = p99(generator::run(address, NEIGHBOURS, requests, options.round())?);
        let ended = AtomicBool::new(false);
        let meanwhile = std::thread::scope(|threads| {
            let loops = threads.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    stopped_after(address, path)?;
                }
                anyhow::Ok(())
            });
            let outcome = generator::run(address, NEIGHBOURS, requests, options.round());
            ended.store(true, Ordering::Relaxed);
            loops.join().expect("the thread does not panic")?;
            outcome
        });
        let meanwhile = p99(meanwhile?);
        ratios.push(meanwhile / normal);
        alone.push(normal);
        beside.push(meanwhile);
    }
    let detail = format!(
        "{:.0} us against {:.0} us, {NEIGHBOURS} connections",
        median(beside),
        median(alone)
    );
    let name = format!("p99 of a {whose} beside loops of a {language} / alone");
    report.add(name, median(ratios), "x", Target::Below(2.0), detail);
    Ok(())
}
