//! `kora-load`: what `make bench` runs. `bench` starts a release `kora` on an app that it generates, and beside
//! it a bare hyper handler that answers with the same bytes (this program again, as `bare`), and loads both from
//! here, in turns. Servers are processes of their own; the generator is one thread with preformatted requests,
//! so that it takes as little as it can of the cores it shares with them.

mod app;
mod bare;
mod generator;
mod guests;
mod http1;
mod process;
mod realtime;
mod report;
mod suite;
mod tables;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Measures Kora against a bare hyper handler")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure everything and print one table
    Bench(suite::Options),
    /// The bare handler: answers every request with the head and body of a recorded response
    Bare {
        /// File that holds the raw bytes of a response
        response: PathBuf,
        #[arg(long, default_value_t = 2)]
        threads: usize,
    },
    /// Writes messages to WebSockets, with no server behind it
    Ceiling { subscribers: usize, changes: usize, microseconds: u64 },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Bench(options) => suite::run(&options),
        Command::Bare { response, threads } => bare::serve(&response, threads),
        Command::Ceiling { subscribers, changes, microseconds } => {
            realtime::serve_ceiling(subscribers, changes, Duration::from_micros(microseconds))
        }
    }
}
