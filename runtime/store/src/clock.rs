//! The time that versions are made of.

use std::time::{SystemTime, UNIX_EPOCH};

use kora_resource::Version;

/// Milliseconds since the Unix epoch, with a fraction.
pub(crate) fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as f64 / 1000.0
}

/// The version that follows `last`: the present, or the next double where the clock has not moved
/// or has gone back.
pub(crate) fn next_version(last: Version) -> Version {
    Version(now().max(last.0.next_up()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_rise_even_if_the_clock_does_not() {
        let ahead = Version(now() + 60_000.0);
        let next = next_version(ahead);
        assert!(next > ahead && next.0 - ahead.0 < 0.001);
        assert!(next_version(Version(0.0)).0 > 1.6e12);
    }
}
