//! What every parser and decoder must hold, whatever it is given: it does not panic, it takes memory and
//! time in proportion to its input, and what it has read survives being written and read again.
//!
//! A panic is a finding; so is a stack that overflows, for which `fuzz/run` gives the process a small
//! one. Time is that of the thread on a processor, so that a busy machine finds nothing.

mod memory;
mod time;

use kora_resource::Value;
use kora_resource::value::format::DecodeError;
use kora_resource::value::{Format, msgpack};

/// How much memory an input may take: this, and `per_byte` for each of its bytes.
const MEMORY: usize = 256 << 10;

/// How long an input may take: this, and [`TIME_PER_BYTE`] for each of its bytes; in nanoseconds.
const TIME: u64 = 100_000_000;
const TIME_PER_BYTE: u64 = 10_000;

/// How long an input is made by repeating a part of it.
const LONG: usize = 64 << 10;

/// Runs `read` on the input, and now and then on the input with its end repeated: what takes a square of
/// its length, or nests with it, shows only in long texts.
pub fn check<T>(input: &[u8], per_byte: usize, read: impl Fn(&[u8]) -> T) -> T {
    let sum =
        input.iter().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
    if !input.is_empty() && sum.is_multiple_of(32) {
        let (head, unit) = input.split_at(sum / 32 % input.len());
        let mut long = head.to_vec();
        while long.len() < LONG {
            long.extend_from_slice(unit);
        }
        drop(measured(&long, per_byte, &read));
    }
    measured(input, per_byte, &read)
}

fn measured<T>(input: &[u8], per_byte: usize, read: impl Fn(&[u8]) -> T) -> T {
    let length = input.len();
    within(MEMORY + per_byte * length, TIME + TIME_PER_BYTE * length as u64, || read(input))
}

/// Does some work that may hold so many bytes at a time, and take so many nanoseconds.
pub fn within<T>(bytes: usize, nanoseconds: u64, work: impl FnOnce() -> T) -> T {
    let clock = time::Clock::start();
    let (done, peak) = memory::peak(work);
    let elapsed = clock.elapsed();
    assert!(peak <= bytes, "{peak} bytes of memory were taken; at most {bytes} were expected");
    assert!(elapsed <= nanoseconds, "it took {elapsed} ns; at most {nanoseconds} were expected");
    done
}

/// A decoder of a content type: what it has read is written the same way again and again, and every
/// other format can write it, too.
pub fn decoder(format: Format, input: &[u8]) {
    // An element is a byte in MessagePack, and the vector that holds it grows by doubling.
    let decoded = check(input, 600, |input| format.decode(input));
    let value = match decoded {
        Ok(value) => value,
        Err(error) => return explained(&error),
    };
    assert!(value.nests_within(msgpack::MAX_DEPTH + 1), "nests deeper than is allowed");
    for format in Format::ALL {
        format.encode(&value, &mut Vec::new());
    }
    let once = written(format, &value);
    let read = format.decode(&once).unwrap_or_else(|error| {
        panic!("what was written can't be read: {error}\n{}", String::from_utf8_lossy(&once))
    });
    // A date of YAML is a text from here on: JSON shows both alike.
    let shown = if format == Format::Yaml { Format::Json } else { format };
    let (once, again) = (written(shown, &value), written(shown, &read));
    assert_eq!(String::from_utf8_lossy(&once), String::from_utf8_lossy(&again));
}

fn written(format: Format, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    format.encode(value, &mut out);
    out
}

/// An error has a text, and is not as long as what was sent.
fn explained(error: &DecodeError) {
    assert!(!error.problem.is_empty() && error.problem.len() < 4096, "{error}");
}
