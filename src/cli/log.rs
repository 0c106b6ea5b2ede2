//! The log: `tracing` to stderr, and to a file if the root configuration names one. The host is quiet
//! unless something is wrong; what a component's own code says by `console.log` or `logger.info` is
//! shown.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::log_line::LogLine;

/// Components decide themselves, each by its own level, what of theirs is logged (`kora-js`).
const DEFAULT_FILTER: &str = "warn,component=trace";

/// Starts logging as `filter` says, or as `RUST_LOG` does, or from the configured `level` on, or as
/// [`DEFAULT_FILTER`] says.
pub(super) fn start(filter: Option<&str>, level: Option<&str>, file: Option<&Path>) {
    let filter = match (filter, level) {
        (Some(filter), _) => EnvFilter::new(filter),
        (None, level) => EnvFilter::try_from_default_env()
            .unwrap_or_else(|_| EnvFilter::new(level.map_or(DEFAULT_FILTER.into(), of_level))),
    };
    let file = file.and_then(|path| match open(path) {
        Ok(file) => Some(file),
        Err(error) => {
            eprintln!("kora: the log can't be written to {}: {error}", path.display());
            None
        }
    });
    let colors = if io::stderr().is_terminal() && file.is_none() {
        super::log_line::Colors::On
    } else {
        super::log_line::Colors::Off
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .event_format(LogLine { colors })
        .with_writer(Outputs { file: file.map(|file| Arc::new(Mutex::new(file))) })
        .init();
}

/// The least level of component code where a filter is given: that level, or all of them, so that the
/// filter alone decides. `None` leaves it to the configuration.
pub(super) fn level_of(filter: Option<&str>) -> Option<String> {
    match filter {
        Some(filter) if ["trace", "debug", "info", "warn", "error"].contains(&filter) => {
            Some(filter.to_owned())
        }
        Some(_) => Some("trace".to_owned()),
        None => std::env::var_os(EnvFilter::DEFAULT_ENV).map(|_| "trace".to_owned()),
    }
}

/// A level of Harper's as a filter: for ourselves and for components, not for the libraries below.
fn of_level(level: &str) -> String {
    let level = match level {
        "fatal" | "notify" => "error",
        other => other,
    };
    let own = if matches!(level, "trace" | "debug") { level } else { "warn" };
    format!("warn,kora={own},kora_js={own},kora_store={own},component=trace")
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    File::options().create(true).append(true).open(path)
}

/// Where lines go.
struct Outputs {
    file: Option<Arc<Mutex<File>>>,
}

/// One line on its way.
struct Output {
    file: Option<Arc<Mutex<File>>>,
}

impl<'a> MakeWriter<'a> for Outputs {
    type Writer = Output;

    fn make_writer(&'a self) -> Output {
        Output { file: self.file.clone() }
    }
}

impl Write for Output {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(file) = &self.file {
            // A full disk must not silence stderr.
            let _ = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line);
        }
        io::stderr().write_all(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
