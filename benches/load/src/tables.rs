//! What tables take and give when they are large: a million records loaded, read by an index, walked through
//! from JavaScript; a join; vectors; the history of all that cut off while clients write.

mod app;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::generator::{self, Stop};
use crate::http1::{self, Exchange};
use crate::process::Server;
use crate::report::{Report, Target};
use crate::suite::{Options, against_bare};

/// How many records one request of a load carries, and how many are sent before the next are made.
const BATCH: usize = 5000;
const ROUND: usize = 100_000;
const LOADERS: usize = 4;
/// The same for vectors, whose records are larger.
const VECTOR_BATCH: usize = 500;
const VECTOR_ROUND: usize = 5000;

pub(crate) fn run(options: &Options, scratch: &Path, report: &mut Report) -> Result<()> {
    let (folder, data) = (scratch.join("tables-app"), scratch.join("tables-data"));
    app::write(&folder)?;
    let bench = Bench { options, folder, data, scratch: scratch.to_owned() };
    let kora = bench.start(&[])?;
    bench.load(&kora, report)?;
    bench.by_index(&kora, report)?;
    bench.walk(&kora, report)?;
    bench.join(&kora, report)?;
    bench.vectors(&kora, report)?;
    drop(kora);
    bench.cut(report)
}

struct Bench<'o> {
    options: &'o Options,
    folder: PathBuf,
    data: PathBuf,
    scratch: PathBuf,
}

impl Bench<'_> {
    fn start(&self, more: &[&str]) -> Result<Server> {
        let Options { kora, threads, .. } = self.options;
        Server::kora_with(kora, &self.folder, &self.data, *threads, more)
    }

    /// Arrays of records by PUT, over some connections; only the server's time counts, not the making of requests.
    fn load(&self, kora: &Server, report: &mut Report) -> Result<()> {
        let count = self.options.rows;
        let mut elapsed = Duration::ZERO;
        for first in (0..count).step_by(ROUND) {
            let numbers: Vec<usize> = (first..count.min(first + ROUND)).collect();
            let requests = arrays("/Row/", &numbers, BATCH, |number| app::row(*number, count));
            elapsed += send_all(kora, &requests, LOADERS)?;
        }
        let seconds = elapsed.as_secs_f64();
        let detail = format!(
            "{:.0}/s; {} B each, two indexes; arrays of {BATCH} by PUT over {LOADERS} connections",
            count as f64 / seconds,
            app::ROW
        );
        let target = if count == 1_000_000 { Target::Below(90.0) } else { Target::Report };
        report.add(format!("load of {count} records"), seconds, "s", target, detail);
        Ok(())
    }

    fn by_index(&self, kora: &Server, report: &mut Report) -> Result<()> {
        let count = self.options.rows;
        let requests: Vec<_> = (0..1000)
            .map(|number| http1::get(&format!("/Row/?group={}", app::group(number * 17, count))))
            .collect();
        let name = format!("GET {} rows of {count} by index", app::GROUP);
        let target = Target::AtLeast(0.25);
        against_bare(kora, &name, &requests, target, &self.scratch, self.options, report)
    }

    /// All records through `for await` in a class, and what that takes of memory.
    fn walk(&self, kora: &Server, report: &mut Report) -> Result<()> {
        let count = self.options.rows;
        let mut exchange = Exchange::connect(kora.address)?;
        // Compiled and warm.
        exchange.send(&http1::get("/Walk/20000"))?;
        let before = kora.anonymous()?;
        let (peak, done) = (AtomicU64::new(before), AtomicBool::new(false));
        let (answered, elapsed) = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    // A server that has died is noticed by who waits for its answer.
                    let now = kora.anonymous().unwrap_or_default();
                    peak.fetch_max(now, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(10));
                }
            });
            let began = Instant::now();
            let answered = exchange.send(&http1::get(&format!("/Walk/{count}")));
            done.store(true, Ordering::Relaxed);
            (answered, began.elapsed())
        });
        let (response, bytes) = answered?;
        let text = String::from_utf8_lossy(&bytes);
        ensure!(
            response.is_success() && text.contains(&format!(r#""rows":{count}"#)),
            "walk: {text}"
        );
        let rate = count as f64 / elapsed.as_secs_f64();
        let detail = format!("{:.2} s for {count} rows in a JS class", elapsed.as_secs_f64());
        report.add("for await over a table", rate, "rows/s", Target::Report, detail);
        let grown = peak.load(Ordering::Relaxed).saturating_sub(before) as f64 / 1048576.0;
        let detail = "most anonymous memory during it, above that before";
        report.add("for await, memory", grown, "MiB", Target::Below(64.0), detail);
        Ok(())
    }

    fn join(&self, kora: &Server, report: &mut Report) -> Result<()> {
        let numbers: Vec<usize> = (0..app::DAYS * app::DAY).collect();
        send_all(kora, &arrays("/Sale/", &numbers, BATCH, |number| app::sale(*number)), 1)?;
        let numbers = &numbers[..app::BUYERS];
        send_all(kora, &arrays("/Buyer/", numbers, BATCH, |number| app::buyer(*number)), 1)?;
        let select = "select(id,amount,buyer{name,town})";
        let requests: Vec<_> =
            (0..app::DAYS).map(|day| http1::get(&format!("/Sale/?day={day}&{select}"))).collect();
        let (response, bytes) = Exchange::connect(kora.address)?.send(&requests[0])?;
        let text = String::from_utf8_lossy(&bytes);
        ensure!(response.is_success() && text.matches("buyer ").count() == app::DAY, "{text}");
        let name = format!("join, {} rows of two tables", app::DAY);
        self.one_by_one(kora, name, &requests, format!("{select}; {} B", bytes.len()), report)
    }

    fn vectors(&self, kora: &Server, report: &mut Report) -> Result<()> {
        let count = self.options.vectors;
        let mut vectors = app::Vectors::new();
        let mut elapsed = Duration::ZERO;
        for first in (0..count).step_by(VECTOR_ROUND) {
            let round: Vec<_> =
                (first..count.min(first + VECTOR_ROUND)).map(|_| vectors.doc()).collect();
            let requests = arrays("/Doc/", &round, VECTOR_BATCH, String::clone);
            elapsed += send_all(kora, &requests, 2)?;
        }
        let name = format!("vectors, {count} of {}", app::DIMENSIONS);
        let detail = format!("arrays of {VECTOR_BATCH} by PUT over 2 connections");
        let rate = count as f64 / elapsed.as_secs_f64();
        report.add(format!("{name}: indexed"), rate, "/s", Target::Report, detail);
        let requests: Vec<_> = (0..200)
            .map(|_| {
                let target = vectors.vector();
                let sort = format!(r#"{{"attribute":"vector","target":{target}}}"#);
                let query = format!(r#"{{"sort":{sort},"limit":10,"select":["id","$distance"]}}"#);
                http1::query("/Doc/", &query)
            })
            .collect();
        let detail = "the 10 nearest, by QUERY";
        self.one_by_one(kora, format!("{name}: search"), &requests, detail.to_owned(), report)
    }

    /// Requests over one connection: the median of their times.
    fn one_by_one(
        &self,
        kora: &Server,
        name: String,
        requests: &[Vec<u8>],
        detail: String,
        report: &mut Report,
    ) -> Result<()> {
        generator::run(kora.address, 1, requests, Stop::After(Duration::from_secs(1)))?;
        let outcome = generator::run(kora.address, 1, requests, self.options.round())?;
        let [p50, p99] = [0.5, 0.99].map(|share| outcome.latency(share) as f64 / 1000.0);
        let detail = format!("one connection; p99 {p99:.2} ms; {detail}");
        report.add(format!("{name}, p50"), p50, "ms", Target::Report, detail);
        Ok(())
    }

    /// The slowest durable write while the history of all the records is cut off.
    fn cut(&self, report: &mut Report) -> Result<()> {
        let kora = self.start(&["--history-age", "1s"])?;
        let puts: Vec<_> = (0..1000)
            .map(|number| {
                let record = app::row(number, self.options.rows);
                http1::put(&format!("/Row/{number:07}"), &record)
            })
            .collect();
        let stop = Stop::After(Duration::from_secs(self.options.seconds * 4));
        let outcome = generator::run(kora.address, 1, &puts, stop)?;
        let [p50, p99, slowest] =
            [0.5, 0.99, 1.0].map(|share| outcome.latency(share) as f64 / 1000.0);
        let detail = format!(
            "of {} PUTs over one connection; p50 {p50:.2} ms, p99 {p99:.2} ms",
            outcome.completed
        );
        let name = "slowest PUT while history is cut";
        report.add(name, slowest, "ms", Target::Below(50.0), detail);
        Ok(())
    }
}

/// Requests that put arrays of records.
fn arrays<T>(path: &str, items: &[T], batch: usize, record: impl Fn(&T) -> String) -> Vec<Vec<u8>> {
    let request = |items: &[T]| {
        let records: Vec<_> = items.iter().map(&record).collect();
        http1::put(path, &format!("[{}]", records.join(",")))
    };
    items.chunks(batch).map(request).collect()
}

fn send_all(kora: &Server, requests: &[Vec<u8>], connections: usize) -> Result<Duration> {
    let stop = Stop::Requests(requests.len());
    Ok(generator::run(kora.address, connections.min(requests.len()), requests, stop)?.elapsed)
}
