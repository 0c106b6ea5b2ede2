//! `kora run` and `kora dev`: serve until a signal says stop.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use kora::config::{
    DEFAULT_COMPRESSION_THRESHOLD, DEFAULT_PORT, Durability, LocalClients,
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
            compress_from: NonZeroUsize::new(self.compression_threshold),
            reloading,
            local_clients: self.authorize_local.map(|authorize| match authorize {
                true => LocalClients::SuperUsers,
                false => LocalClients::Nobody,
            }),
            administrator: administrator::source(reloading),
            ..Config::new(self.dir)
        }
    }
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
