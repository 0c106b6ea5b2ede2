//! The log: `tracing` to stderr, quiet unless something is wrong.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging at `level`, or as `RUST_LOG` says, or warnings only.
pub(super) fn start(level: Option<&str>) {
    let filter = match level {
        Some(level) => EnvFilter::new(level),
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
