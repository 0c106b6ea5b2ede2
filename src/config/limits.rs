//! `limits:` in an application's `config.yaml`: how much its code may use, in whatever language it is written.
//!
//! ```yaml
//! limits:
//!   cpu: 500ms        # processor time of one call, or of one turn of a stream between two waits
//!   wallTime: 10s     # from a call's arrival to its answer
//!   memory: 64MB      # of one instance, or of one isolate: its objects, and as much again of its buffers
//!   concurrency: 32   # calls at the same time
//! ```
//! Harper has no such key. What it leaves out stays at the default of the kind of code.

use std::time::Duration;

use kora_resource::Limits;
use serde_yaml_ng::Value;

/// What the key says; `None` for what it leaves out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitOptions {
    pub cpu: Option<Duration>,
    pub wall_time: Option<Duration>,
    /// Bytes.
    pub memory: Option<usize>,
    pub concurrency: Option<usize>,
}

impl LimitOptions {
    /// Reads the key's value. The error is a sentence without file name or line.
    pub(super) fn read(options: &Value) -> Result<LimitOptions, String> {
        let Value::Mapping(mapping) = options else {
            return Err(
                "expected cpu, wallTime, memory or concurrency, each with its value".to_owned()
            );
        };
        let mut limits = LimitOptions::default();
        for (key, value) in mapping {
            match key.as_str() {
                Some("cpu") => limits.cpu = Some(duration("cpu", value)?),
                Some("wallTime") => limits.wall_time = Some(duration("wallTime", value)?),
                Some("memory") => limits.memory = Some(memory(value)?),
                Some("concurrency") => limits.concurrency = Some(concurrency(value)?),
                _ => {
                    let shown = key.as_str().map_or_else(|| format!("{key:?}"), str::to_owned);
                    return Err(format!(
                        "`{shown}` is no limit: there are cpu, wallTime, memory and concurrency"
                    ));
                }
            }
        }
        Ok(limits)
    }

    /// These limits, with `defaults` for what they leave out.
    pub fn or(self, defaults: Limits) -> Limits {
        Limits {
            cpu: self.cpu.unwrap_or(defaults.cpu),
            wall_time: self.wall_time.unwrap_or(defaults.wall_time),
            memory: self.memory.unwrap_or(defaults.memory),
            concurrency: self.concurrency.unwrap_or(defaults.concurrency),
        }
    }
}

/// `500ms`, `2s`, `1m`; a bare number counts milliseconds.
fn duration(key: &str, value: &Value) -> Result<Duration, String> {
    let wrong = || format!("`{key}` must be a duration such as 500ms or 2s, longer than nothing");
    let milliseconds = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => with_unit(text, &[("ms", 1.0), ("s", 1e3), ("m", 60e3), ("", 1.0)]),
        _ => None,
    };
    milliseconds
        .filter(|milliseconds| *milliseconds > 0.0)
        .and_then(|milliseconds| Duration::try_from_secs_f64(milliseconds / 1e3).ok())
        .ok_or_else(wrong)
}

/// `64MB`, `64MiB`, `1GB` (all of them binary, as memory is); a bare number counts bytes.
fn memory(value: &Value) -> Result<usize, String> {
    const UNITS: [(&str, f64); 8] = [
        ("KiB", 1024.0),
        ("MiB", 1048576.0),
        ("GiB", 1073741824.0),
        ("KB", 1024.0),
        ("MB", 1048576.0),
        ("GB", 1073741824.0),
        ("B", 1.0),
        ("", 1.0),
    ];
    /// Less than a guest's stack, and nothing starts.
    const LEAST: f64 = 2.0 * 1048576.0;
    let bytes = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => with_unit(text, &UNITS),
        _ => None,
    };
    let most = kora_wasm::MAX_MEMORY;
    match bytes {
        Some(bytes) if bytes >= LEAST && bytes <= most as f64 => Ok(bytes as usize),
        _ => Err(format!("`memory` must be an amount such as 64MB, from 2MB to {}MB", most >> 20)),
    }
}

fn concurrency(value: &Value) -> Result<usize, String> {
    /// What the pool of instances has room for.
    const MOST: u64 = 1_000;
    value
        .as_u64()
        .filter(|number| (1..=MOST).contains(number))
        .map(|number| number as usize)
        .ok_or_else(|| format!("`concurrency` must be a number from 1 to {MOST}"))
}

/// A number with one of these units.
fn with_unit(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let text = text.trim();
    let (number, factor) =
        units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    number.trim().parse::<f64>().ok().map(|number| number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<LimitOptions, String> {
        LimitOptions::read(&serde_yaml_ng::from_str(text).unwrap())
    }

    #[test]
    fn reads_each_limit_with_its_units() {
        let all = parse("cpu: 250\nwallTime: 1.5s\nmemory: 64MB\nconcurrency: 4").unwrap();
        assert_eq!(all.cpu, Some(Duration::from_millis(250)));
        assert_eq!(all.wall_time, Some(Duration::from_millis(1500)));
        assert_eq!(all.memory, Some(64 << 20));
        assert_eq!(all.concurrency, Some(4));
        assert_eq!(parse("cpu: 2m").unwrap().cpu, Some(Duration::from_secs(120)));
        assert_eq!(parse("memory: 4194304").unwrap().memory, Some(4 << 20));
        let limits = parse("cpu: 5ms").unwrap().or(kora_wasm::DEFAULT_LIMITS);
        assert_eq!(limits.cpu, Duration::from_millis(5));
        assert_eq!(limits.memory, kora_wasm::DEFAULT_LIMITS.memory);
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, message) in [
            ("cpu: fast", "`cpu` must be a duration"),
            ("wallTime: 0", "`wallTime` must be a duration"),
            ("memory: 1", "`memory` must be an amount"),
            ("memory: 64GB", "`memory` must be an amount"),
            ("concurrency: 0", "`concurrency` must be a number"),
            ("speed: 1", "`speed` is no limit"),
            ("5", "expected cpu"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
