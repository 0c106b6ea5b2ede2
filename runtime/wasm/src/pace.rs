//! Where the calls of a resource begin: on their caller's thread, which also drives sockets, or on the guests' own.
//!
//! Handing a call over and its answer back wakes two threads, which takes longer than a short call does. So a call of a
//! resource whose last calls were short is begun where it comes in. It is handed over, as it is, as soon as it waits
//! for something or the engine's ticks find it computing: no such thread runs a guest for longer than two ticks. A
//! call that ticks interrupt sends the resource's next calls to the guests' threads at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a caller's thread may be kept from its sockets, on average, without anybody noticing.
const SHORT: Duration = Duration::from_micros(500);

/// Over how many calls the average is taken. A call's time is that of the clock on the wall: one whose thread had to
/// wait for a processor seems long, which so many others make up for.
const CALLS: u64 = 50;

/// What a call weighs that ticks interrupted: twice what lifts the average from nothing past `SHORT`, so that some
/// thirty short calls make up for it.
const INTERRUPTED: Duration = Duration::from_micros(500 * CALLS * 2);

/// How long the last calls of one resource took: their average, the latest weighing most.
#[derive(Debug, Default)]
pub(crate) struct Pace(AtomicU64);

/// How a call turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Took {
    /// No tick found it computing; how long it did.
    Time(Duration),
    /// Ticks had it give way.
    Interrupted,
}

impl Pace {
    /// Whether the next call may begin on its caller's thread.
    pub(crate) fn is_short(&self) -> bool {
        self.0.load(Ordering::Relaxed) < SHORT.as_nanos() as u64
    }

    /// Two calls that end at once may count as one: it is an estimate.
    pub(crate) fn note(&self, took: Took) {
        let nanos = match took {
            Took::Time(time) => time.min(INTERRUPTED),
            Took::Interrupted => INTERRUPTED,
        }
        .as_nanos() as u64;
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before - before / CALLS + nanos / CALLS, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Took = Took::Time(Duration::from_micros(20));

    fn calls_until_short(pace: &Pace) -> u32 {
        (0..).find(|_| pace.is_short() || (pace.note(QUICK), false).1).unwrap()
    }

    #[test]
    fn an_interrupted_call_is_made_up_for_by_short_ones() {
        let pace = Pace::default();
        assert!(pace.is_short());
        pace.note(Took::Interrupted);
        assert!(!pace.is_short());
        let calls = calls_until_short(&pace);
        assert!((30..50).contains(&calls), "{calls}");
        // One in ten is too many: more and more short calls are asked for.
        for _ in 0..50 {
            pace.note(Took::Interrupted);
            (0..9).for_each(|_| pace.note(QUICK));
        }
        let calls = calls_until_short(&pace);
        assert!((90..150).contains(&calls), "{calls}");
    }

    #[test]
    fn calls_that_had_to_wait_for_a_processor_now_and_then_stay_short() {
        let pace = Pace::default();
        for call in 0..1000 {
            pace.note(if call % 40 == 0 { Took::Time(Duration::from_millis(5)) } else { QUICK });
            assert!(pace.is_short(), "{call}");
        }
        (0..100).for_each(|_| pace.note(Took::Time(Duration::from_millis(1))));
        assert!(!pace.is_short());
    }
}
