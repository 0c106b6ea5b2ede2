//! The log: `tracing` to stderr. The host is quiet unless something is wrong; what a component's own
//! code says by `console.log` or `logger.info` is shown.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

const DEFAULT_FILTER: &str = "warn,component=info";

/// Starts logging at `level`, or as `RUST_LOG` says, or as [`DEFAULT_FILTER`] does.
pub(super) fn start(level: Option<&str>) {
    let filter = match level {
        Some(level) => EnvFilter::new(level),
        None => {
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER))
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
