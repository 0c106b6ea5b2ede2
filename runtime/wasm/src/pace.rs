//! Where the calls of a resource begin: on their caller's thread, which also drives sockets, or on the guests' own.
//!
//! Handing a call over and its answer back wakes two threads, which takes longer than a short call does. So a call of a
//! resource whose last calls were short is begun where it comes in. It is handed over, as it is, as soon as it waits
//! for something or the engine's tick finds it running: no such thread runs a guest for longer than two ticks. Each call
//! that turns out long sends the resource's next calls to the guests' threads at once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What a caller's thread may be kept from its sockets without anybody noticing.
pub(crate) const LONG: Duration = Duration::from_micros(500);

/// How many short calls weigh as much as a long one.
const WEIGHT: u32 = 50;
/// How many long calls are remembered at most.
const REMEMBERED: u32 = 10;

/// How long the last calls of one resource took: long ones weigh it down, short ones lift it up.
#[derive(Debug, Default)]
pub(crate) struct Pace(AtomicU32);

/// How a call turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Took {
    Short,
    Long,
}

impl Pace {
    /// Whether the next call may begin on its caller's thread.
    pub(crate) fn is_short(&self) -> bool {
        self.0.load(Ordering::Relaxed) < WEIGHT
    }

    /// Two calls that end at once may count as one: it is an estimate.
    pub(crate) fn note(&self, took: Took) {
        let before = self.0.load(Ordering::Relaxed);
        let after = match took {
            Took::Short if before == 0 => return,
            Took::Short => before - 1,
            Took::Long => (before + WEIGHT).min(WEIGHT * REMEMBERED),
        };
        self.0.store(after, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_call_is_made_up_for_by_short_ones() {
        let pace = Pace::default();
        assert!(pace.is_short());
        pace.note(Took::Long);
        assert!(!pace.is_short());
        pace.note(Took::Short);
        assert!(pace.is_short());
        // One in ten is too many: more and more short calls are asked for.
        for _ in 0..50 {
            pace.note(Took::Long);
            (0..9).for_each(|_| pace.note(Took::Short));
        }
        let mut calls = 0;
        while !pace.is_short() {
            pace.note(Took::Short);
            calls += 1;
        }
        assert!((400..500).contains(&calls), "{calls}");
    }
}
