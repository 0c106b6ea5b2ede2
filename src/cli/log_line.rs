//! One line of the log, as Harper writes it (`spec/harper-components.md` section 4.3):
//! `<ISO time> [<thread>/<id>] [<level>] [<tags>]: <message>`.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use kora_resource::value::date;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Whether levels are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colors {
    On,
    Off,
}

/// Writes the lines.
#[derive(Debug)]
pub(super) struct LogLine {
    pub(super) colors: Colors,
}

/// What an event says.
#[derive(Default)]
struct Said {
    message: String,
    application: String,
    tag: String,
    /// A level that only Harper has.
    severity: String,
    /// Fields that have no place of their own.
    others: String,
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "application" => self.application = format!("{value:?}"),
            "tag" => self.tag = format!("{value:?}"),
            "severity" => self.severity = format!("{value:?}"),
            name => self.others.push_str(&format!(" {name}={value:?}")),
        }
    }
}

impl<S, N> FormatEvent<S, N> for LogLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let level = *event.metadata().level();
        let name = match said.severity.as_str() {
            "" => level.as_str().to_ascii_lowercase(),
            severity => severity.to_owned(),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = date::to_iso(now.as_millis() as f64).unwrap_or_default();
        write!(line, "{time} [{}] [", thread())?;
        match self.colors {
            Colors::On => write!(line, "\u{1b}[{}m{name}\u{1b}[0m", color(level))?,
            Colors::Off => line.write_str(&name)?,
        }
        line.write_char(']')?;
        let tags: Vec<&str> = [said.application.as_str(), said.tag.as_str()]
            .into_iter()
            .filter(|tag| !tag.is_empty())
            .collect();
        if !tags.is_empty() {
            write!(line, " [{}]", tags.join(" "))?;
        }
        writeln!(line, ": {}{}", visible(&said.message), visible(&said.others))
    }
}

/// `http/1` for the first worker of a component, `main/0` for the host itself.
fn thread() -> String {
    let thread = std::thread::current();
    let worker = thread
        .name()
        .and_then(|name| name.strip_prefix("js-")?.rsplit_once('-')?.1.parse::<usize>().ok());
    match worker {
        Some(index) => format!("http/{}", index + 1),
        None => "main/0".to_owned(),
    }
}

fn color(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    }
}

/// Control characters as text, but for line ends and tabs: what code prints must not drive a terminal.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn control_characters_are_shown() {
        assert_eq!(visible("a\n\tb\u{1b}[31mc"), "a\n\tb\\u{1b}[31mc");
    }
}
