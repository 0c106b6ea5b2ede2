//! What is measured, in which order, against which targets. Rates that are compared are taken in turns, a round of
//! one and a round of the other, and the median of the rounds' ratios is what counts.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::app;
use crate::generator::{self, Stop};
use crate::guests;
use crate::http1::{self, Exchange};
use crate::process::{self, Server};
use crate::realtime::{self, Scale};
use crate::report::{Report, Target, median};
use crate::tables;

#[derive(Args)]
pub(crate) struct Options {
    /// The binary under test
    #[arg(long, default_value = "bin/kora")]
    pub(crate) kora: PathBuf,
    /// The component whose start is timed
    #[arg(long, default_value = "components/starter")]
    starter: PathBuf,
    /// The crate of the guest that is measured
    #[arg(long, default_value = "benches/load/guest")]
    pub(crate) guest: PathBuf,
    /// The engine that the binary was built with, for the report
    #[arg(long, default_value = "not told")]
    engine: String,
    /// Worker threads of each server
    #[arg(long, default_value_t = 2)]
    pub(crate) threads: usize,
    /// Keep-alive connections of the generator
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,
    /// Rounds of each side of a comparison
    #[arg(long, default_value_t = 4)]
    pub(crate) rounds: usize,
    /// Seconds a round
    #[arg(long, default_value_t = 2)]
    pub(crate) seconds: u64,
    /// Subscribers of the fan-out, of each transport
    #[arg(long, default_value_t = 1000)]
    subscribers: usize,
    /// Records of the large table
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) rows: usize,
    /// Vectors of 128 numbers that are searched
    #[arg(long, default_value_t = 100_000)]
    pub(crate) vectors: usize,
    /// Only these groups of rows, in the order in which they stand here
    #[arg(long, value_delimiter = ',')]
    only: Vec<Rows>,
}

/// A group of rows that is measured on a server of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rows {
    /// Requests of tables and classes, beside a bare handler
    Requests,
    /// Fan-out over each transport, beside the machine's ceiling and mosquitto
    Realtime,
    /// Memory of idle connections
    Idle,
    /// Large tables: load, index, join, vectors, history
    Tables,
    /// Start to first answer
    Start,
    /// Calls of guests beside those of classes, and what code that never ends costs others
    Guests,
}

impl Options {
    /// A server on the generated app, with an empty database of its own.
    fn serve(&self, scratch: &Path, rows: Rows) -> Result<Server> {
        let data = scratch.join(format!("data-{rows:?}"));
        Server::kora(&self.kora, &app::directory(scratch), &data, self.threads)
    }

    pub(crate) fn round(&self) -> Stop {
        Stop::After(Duration::from_secs(self.seconds))
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    allow_many_sockets(realtime::sockets(options.subscribers))?;
    let scratch = tempfile::tempdir()?;
    app::write(&app::directory(scratch.path()))?;
    let mut report = Report::default();
    for &rows in Rows::value_variants() {
        if !options.only.is_empty() && !options.only.contains(&rows) {
            continue;
        }
        match rows {
            Rows::Requests => requests(options, scratch.path(), &mut report)?,
            Rows::Realtime => {
                let scale = Scale {
                    subscribers: options.subscribers,
                    duration: Duration::from_secs(options.seconds * 3),
                    rounds: options.rounds,
                };
                let kora = options.serve(scratch.path(), rows)?;
                realtime::run(&kora, scratch.path(), &scale, &mut report)?;
            }
            Rows::Idle => {
                realtime::idle(|| options.serve(scratch.path(), rows), &mut report)?;
            }
            Rows::Tables => tables::run(options, scratch.path(), &mut report)?,
            Rows::Start => start(options, &mut report)?,
            Rows::Guests => guests::run(scratch.path(), options, &mut report)?,
        }
    }
    println!("\n{}", report.table());
    println!("{}", conditions(options));
    Ok(())
}

fn requests(options: &Options, scratch: &Path, report: &mut Report) -> Result<()> {
    let kora = options.serve(scratch, Rows::Requests)?;
    let resident = kora.resident()? as f64 / 1048576.0;
    let detail = format!("VmRSS, {} workers", options.threads);
    report.add("memory, idle", resident, "MiB", Target::Report, detail);

    fill(&kora, options)?;
    for (name, requests, target) in [
        ("GET a record", gets("/Item"), Target::AtLeast(0.5)),
        ("GET a JS class", gets("/Reader"), Target::AtLeast(0.25)),
        ("POST a JS class (2 reads, 1 write)", orders(), Target::Report),
    ] {
        against_bare(&kora, name, &requests, target, scratch, options, report)?;
    }
    writes(&kora, options, report)
}

/// As many sockets here and in each server; the children inherit the limit.
fn allow_many_sockets(count: usize) -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = count as u64 + 512;
    if limit.current.is_some_and(|current| current < wanted) {
        ensure!(
            limit.maximum.is_none_or(|maximum| maximum >= wanted),
            "{count} connections need {wanted} open files: raise `ulimit -Hn`"
        );
        limit.current = Some(wanted);
        setrlimit(Resource::Nofile, limit)?;
    }
    Ok(())
}

fn item_puts() -> Vec<Vec<u8>> {
    (0..app::ITEMS)
        .map(|number| {
            let (id, json) = app::item(number);
            http1::put(&format!("/Item/{id}"), &json)
        })
        .collect()
}

fn fill(kora: &Server, options: &Options) -> Result<()> {
    let mut puts = item_puts();
    puts.extend((0..app::ITEMS).map(|number| {
        let (id, json) = app::customer(number);
        http1::put(&format!("/Customer/{id}"), &json)
    }));
    generator::run(kora.address, options.connections, &puts, Stop::Requests(puts.len()))
        .context("fill the tables")?;
    Ok(())
}

fn gets(base: &str) -> Vec<Vec<u8>> {
    (0..app::ITEMS).map(|number| http1::get(&format!("{base}/{}", app::item(number).0))).collect()
}

fn orders() -> Vec<Vec<u8>> {
    (0..app::ITEMS).map(|number| http1::post("/Checkout/", &app::order(number))).collect()
}

/// Rate and p99 of `requests`, beside a bare handler that answers with the same bytes.
pub(crate) fn against_bare(
    kora: &Server,
    name: &str,
    requests: &[Vec<u8>],
    target: Target,
    scratch: &Path,
    options: &Options,
    report: &mut Report,
) -> Result<()> {
    let (response, bytes) = Exchange::connect(kora.address)?.send(&requests[0])?;
    ensure!(response.is_success(), "{name}: {}", String::from_utf8_lossy(&bytes));
    let recorded = scratch.join("recorded-response");
    std::fs::write(&recorded, &bytes)?;
    let bare = Server::bare(&recorded, options.threads)?;

    let load =
        |address: SocketAddr, stop| generator::run(address, options.connections, requests, stop);
    let warm_up = Stop::After(Duration::from_secs(1));
    load(kora.address, warm_up)?;
    load(bare.address, warm_up)?;
    let (mut ours, mut theirs, mut ratios, mut p99) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let own = load(kora.address, options.round())?;
        let bare = load(bare.address, options.round())?.rate();
        ratios.push(own.rate() / bare);
        p99.push(own.latency(0.99) as f64 / 1000.0);
        ours.push(own.rate());
        theirs.push(bare);
    }
    let detail = format!(
        "{:.0}/s against {:.0}/s of bare hyper; p99 {:.2} ms; {} B a response",
        median(ours),
        median(theirs),
        median(p99),
        bytes.len()
    );
    report.add(format!("{name} / bare"), median(ratios), "x", target, detail);
    Ok(())
}

fn writes(kora: &Server, options: &Options, report: &mut Report) -> Result<()> {
    let puts = item_puts();
    let (mut alone, mut together, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let one = generator::run(kora.address, 1, &puts, options.round())?.rate();
        let many =
            generator::run(kora.address, options.connections, &puts, options.round())?.rate();
        ratios.push(many / one);
        alone.push(one);
        together.push(many);
    }
    let detail = format!("{:.0}/s against {:.0}/s", median(together), median(alone));
    let name = format!("durable PUT, {} connections / 1", options.connections);
    report.add(name, median(ratios), "x", Target::AtLeast(8.0), detail);
    Ok(())
}

fn start(options: &Options, report: &mut Report) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..5 {
        let time =
            process::start_to_first_answer(&options.kora, &options.starter, options.threads)?;
        times.push(time.as_secs_f64());
    }
    report.add(
        "starter, start to first answer",
        median(times),
        "s",
        Target::Below(1.0),
        "median of 5, GET /Greeting",
    );
    Ok(())
}

fn conditions(options: &Options) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{cores} cores, shared by server and generator; engine {}; {} worker threads; {} keep-alive connections; \
         {} rounds of {} s each side in turns, medians; durability full (fsync before the answer); \
         {} subscribers of one table, {}-byte changes",
        options.engine,
        options.threads,
        options.connections,
        options.rounds,
        options.seconds,
        options.subscribers,
        app::TICK,
    )
}
