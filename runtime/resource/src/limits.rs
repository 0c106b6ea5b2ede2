//! What a component's code may use, whatever language it is written in (`limits:` in config.yaml), and what the
//! caller of code that used more is told.

use std::time::Duration;

use crate::{Error, ErrorKind};

/// Bounds on the work of one component's code. Each kind of code has its own defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time on the processor of one call, or of one turn of a stream between two waits.
    pub cpu: Duration,
    /// Time of one call from its arrival to its answer; a stream's opening counts, its life does not.
    pub wall_time: Duration,
    /// Bytes that one instance or isolate may hold.
    pub memory: usize,
    /// Calls that run at the same time; streams have as many again.
    pub concurrency: usize,
}

/// Which bound was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exceeded {
    Cpu,
    WallTime,
    Memory,
}

impl Limits {
    /// What the caller is told whose call it was: 503, since the code may answer others, but nothing that says that
    /// trying again would help.
    pub fn error(&self, exceeded: Exceeded, resource: &str) -> Error {
        let message = match exceeded {
            Exceeded::Cpu => format!(
                "{resource} was stopped: it used more than limits.cpu, {} ms of processor time",
                self.cpu.as_millis()
            ),
            Exceeded::WallTime => format!(
                "{resource} was stopped: it took longer than limits.wallTime, {} ms",
                self.wall_time.as_millis()
            ),
            Exceeded::Memory => format!(
                "{resource} was stopped: it asked for more than limits.memory, {} MiB",
                self.memory >> 20
            ),
        };
        let mut error = Error::new(ErrorKind::Status(503), message);
        error.code = "LimitExceeded".to_owned();
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_the_limit_and_its_value() {
        let limits = Limits {
            cpu: Duration::from_millis(250),
            wall_time: Duration::from_secs(2),
            memory: 64 << 20,
            concurrency: 8,
        };
        for (exceeded, part) in [
            (Exceeded::Cpu, "limits.cpu, 250 ms"),
            (Exceeded::WallTime, "limits.wallTime, 2000 ms"),
            (Exceeded::Memory, "limits.memory, 64 MiB"),
        ] {
            let error = limits.error(exceeded, "Dog");
            assert_eq!(error.status(), 503);
            assert!(error.message.starts_with("Dog was stopped") && error.message.contains(part));
        }
    }
}
