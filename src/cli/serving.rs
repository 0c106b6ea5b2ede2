//! `kora run` and `kora dev`: serve until a signal says stop.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use kora::config::{
    ByteSize, DEFAULT_COMPRESSION_THRESHOLD, DEFAULT_PORT, Durability, LocalClients, Retention,
    default_data_directory, default_workers,
};
use kora::{Config, Reloading, Server};
use tokio::signal::unix::{SignalKind, signal};

use super::administrator;

/// What is served, and how.
#[derive(Debug, Args)]
pub(super) struct Serving {
    /// An application (a folder with config.yaml, schema.graphql or resources) or a folder of them
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The address to listen on; 0.0.0.0 for all networks
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The port to listen on; 0 for any that is free
    #[arg(long, default_value_t = DEFAULT_PORT)]
    port: u16,
    /// Where the data lives [default: the folder .kora in DIR]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// JavaScript workers of each application [default: one a core]
    #[arg(long, value_name = "COUNT")]
    threads: Option<NonZeroUsize>,
    /// When a write is acknowledged: `full` after it is on disk, `interval:MS` at once, with a sync
    /// to disk every MS milliseconds
    #[arg(long, default_value = "full", value_parser = parse_durability)]
    durability: Durability,
    /// How long changes stay readable as history: a number of seconds, or one with s, m, h or d
    #[arg(long, default_value = "3d", value_name = "TIME", value_parser = parse_time)]
    history_age: Duration,
    /// How large the history of a database may grow: a number of megabytes
    #[arg(long, default_value_t = 4096, value_name = "MB")]
    history_size: usize,
    /// How large each caching table may grow, in megabytes [default: as large as it likes]
    #[arg(long, value_name = "MB")]
    cache_size: Option<usize>,
    /// From how many bytes on responses are compressed; 0 for never
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_COMPRESSION_THRESHOLD.get())]
    compression_threshold: usize,
    /// Whether clients on this machine are super users without a login [default: true for `dev` and
    /// when listening on loopback only]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    authorize_local: Option<bool>,
}

impl Serving {
    /// Serves until SIGTERM or SIGINT.
    pub(super) fn serve(self, reloading: Reloading) -> anyhow::Result<()> {
        // Before any other thread: the engine wants to be set up by the first.
        kora_js::initialize();
        allow_many_sockets();
        let config = self.config(reloading);
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_name("kora-io")
            .build()
            .context("can't start the async threads")?
            .block_on(serve_until_signal(config))
    }

    fn config(self, reloading: Reloading) -> Config {
        Config {
            host: self.host,
            port: self.port,
            data: self.data.unwrap_or_else(|| default_data_directory(&self.dir)),
            workers: self.threads.unwrap_or_else(default_workers),
            durability: self.durability,
            retention: Retention {
                age: self.history_age,
                size: ByteSize(self.history_size.saturating_mul(1 << 20)),
            },
            compress_from: NonZeroUsize::new(self.compression_threshold),
            reloading,
            cache_size: self.cache_size.map(|mb| ByteSize(mb.saturating_mul(1 << 20))),
            local_clients: self.authorize_local.map(|authorize| match authorize {
                true => LocalClients::SuperUsers,
                false => LocalClients::Nobody,
            }),
            administrator: administrator::source(reloading),
            ..Config::new(self.dir)
        }
    }
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.find(|c: char| c.is_ascii_alphabetic()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let unit = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(format!("expected a time such as 90s, 15m, 12h or 3d, found `{text}`")),
    };
    let seconds = number.parse().ok().and_then(|n: f64| Duration::try_from_secs_f64(n * unit).ok());
    seconds.ok_or_else(|| format!("expected a time such as 90s, 15m, 12h or 3d, found `{text}`"))
}

/// Takes as many open files as the system allows: each client is one, and shells start programs with
/// a limit of 1,024 that is meant for others.
fn allow_many_sockets() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!("the limit on open files can't be raised: {error}");
    }
}

async fn serve_until_signal(config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("can't wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't wait for SIGINT")?;
    let reloading = config.reloading;
    let server = tokio::select! {
        started = kora::serve(config) => started?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    report_start(&server, reloading);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    server.shutdown().await;
    Ok(())
}

fn report_start(server: &Server, reloading: Reloading) {
    for failure in server.failures() {
        eprintln!("kora: {failure}");
    }
    let address = server.local_address();
    let watching = match reloading {
        Reloading::OnChange => ", reloading on change",
        Reloading::Off => "",
    };
    println!(
        "{} {} successfully started on http://{address}/ (ws://{address}/){watching}",
        kora::PRODUCT,
        env!("CARGO_PKG_VERSION"),
    );
}

fn parse_durability(text: &str) -> anyhow::Result<Durability> {
    match text.split_once(':') {
        None if text == "full" => Ok(Durability::Full),
        Some(("interval", ms)) => {
            let ms = ms.parse().context("expected a number of milliseconds after interval:")?;
            Ok(Durability::Interval(Duration::from_millis(ms)))
        }
        _ => Err(anyhow!("expected full or interval:MS")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durability_is_full_or_an_interval() {
        assert!(matches!(parse_durability("full").unwrap(), Durability::Full));
        let interval = parse_durability("interval:50").unwrap();
        assert!(matches!(interval, Durability::Interval(ms) if ms == Duration::from_millis(50)));
        for wrong in ["", "interval", "interval:x", "none"] {
            assert!(parse_durability(wrong).is_err(), "{wrong}");
        }
    }
}
