//! Who watches that the code of a worker keeps its limits: one thread for all workers of the process.
//!
//! A worker says when it enters its isolate and when it leaves it ([`Pulse`]): a few atomic steps a turn. The watchdog
//! looks at those that are inside, the sooner the nearer one of them is to its limit. What a turn has used is the
//! processor time of the worker's thread since it was first seen, and what the clock says went before, which is at most
//! the time between two looks. Past what the worker allows it (`limits.cpu`; more while it loads) it has the engine stop
//! the code, again and again until the turn is over. Memory is the engine's to watch: it calls when the heap is nearly
//! full (see `isolate.rs`), and asks for buffers (`buffers.rs`).
//!
//! While no worker runs code the thread sleeps; the first one to enter its isolate wakes it.

pub(crate) mod places;
mod pulse;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::thread::Thread;
use std::time::{Duration, Instant};

use kora_resource::{Exceeded, Limits};

pub(crate) use pulse::{Attention, Pulse};

/// The bounds of classes whose component's config.yaml names none. Generous: what Harper lets run must run here. The
/// wall time is that of Harper's `http.timeout`.
pub const DEFAULT_LIMITS: Limits = Limits {
    cpu: Duration::from_secs(10),
    wall_time: Duration::from_secs(120),
    memory: 1 << 30,
    concurrency: 10_000,
};

/// The bounds on loading: modules of the component's choice, and the packages that they import, take their time, so
/// what is less than the default for a call is not meant for them.
pub(crate) fn while_loading(limits: &Limits) -> Limits {
    Limits {
        cpu: limits.cpu.max(DEFAULT_LIMITS.cpu),
        wall_time: limits.wall_time.max(DEFAULT_LIMITS.wall_time),
        ..*limits
    }
}

/// How often workers are looked at of whom none is near its limit.
const TICK: Duration = Duration::from_millis(5);

/// How soon one is looked at again that is as near to its limit as can be: the grain of `limits.cpu`.
const SHORTEST: Duration = Duration::from_millis(1);

/// Processor time in which code that is to stop comes to its next step.
const TO_THE_NEXT_STEP: Duration = Duration::from_millis(10);

/// Ticks without a busy worker before the watchdog sleeps.
const IDLE_TICKS: u32 = 200;

static WATCHDOG: LazyLock<Watchdog> = LazyLock::new(Watchdog::start);

/// The watching thread, as workers see it.
struct Watchdog {
    watched: Arc<Mutex<Vec<Weak<Pulse>>>>,
    asleep: Arc<AtomicBool>,
    thread: Thread,
}

impl Watchdog {
    fn start() -> Watchdog {
        let watched = Arc::<Mutex<Vec<Weak<Pulse>>>>::default();
        let asleep = Arc::new(AtomicBool::new(false));
        let (all, sleeps) = (watched.clone(), asleep.clone());
        let started = std::thread::Builder::new()
            .name("js-watchdog".to_owned())
            .spawn(move || keep_watch(&all, &sleeps));
        let thread = match started {
            Ok(handle) => handle.thread().clone(),
            Err(error) => {
                tracing::error!("limits.cpu is not kept: no thread to watch: {error}");
                std::thread::current()
            }
        };
        Watchdog { watched, asleep, thread }
    }
}

/// Watches a worker from now on, for as long as it lives.
fn watch(pulse: &Arc<Pulse>) {
    let mut watched = WATCHDOG.watched.lock().unwrap_or_else(PoisonError::into_inner);
    watched.push(Arc::downgrade(pulse));
}

/// Has the watchdog look, if it sleeps.
fn wake() {
    if WATCHDOG.asleep.load(Ordering::SeqCst) {
        WATCHDOG.thread.unpark();
    }
}

/// Nanoseconds since some moment before the first call.
fn wall_time() -> u64 {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    // 584 years fit.
    FIRST.elapsed().as_nanos() as u64
}

/// A turn when it was first seen.
struct Seen {
    turn: u64,
    at: Instant,
    /// What the turn had used by then, as far as can be known.
    before: Duration,
    /// Processor time that its thread had used by then; `None` where the system does not tell.
    thread_used: Option<Duration>,
}

impl Seen {
    fn now(pulse: &Pulse, turn: u64) -> Seen {
        Seen {
            turn,
            at: Instant::now(),
            before: pulse.turn_took().min(TICK),
            thread_used: processor_time(pulse.thread()),
        }
    }

    /// What the turn has used by now.
    fn used(&self, pulse: &Pulse) -> Duration {
        let since = match (self.thread_used, processor_time(pulse.thread())) {
            (Some(before), Some(now)) => now.saturating_sub(before),
            (None, _) | (_, None) => self.at.elapsed(),
        };
        self.before + since
    }
}

/// The watchdog's whole life: that of the process.
fn keep_watch(watched: &Mutex<Vec<Weak<Pulse>>>, asleep: &AtomicBool) {
    let mut seen: HashMap<*const Pulse, Seen> = HashMap::new();
    let mut idle = 0;
    loop {
        let again = look(watched, &mut seen);
        idle = if again.is_some() { 0 } else { idle + 1 };
        if idle < IDLE_TICKS {
            std::thread::sleep(again.unwrap_or(TICK));
            continue;
        }
        // Who enters after this line wakes this thread; who entered before it is seen by the look.
        asleep.store(true, Ordering::SeqCst);
        if look(watched, &mut seen).is_none() {
            std::thread::park();
        }
        asleep.store(false, Ordering::SeqCst);
        idle = 0;
    }
}

/// Looks at all workers; how soon to look again, if one of them is busy.
fn look(
    watched: &Mutex<Vec<Weak<Pulse>>>,
    seen: &mut HashMap<*const Pulse, Seen>,
) -> Option<Duration> {
    let mut again: Option<Duration> = None;
    let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
    watched.retain(|pulse| {
        let key = pulse.as_ptr();
        let Some(pulse) = pulse.upgrade() else {
            seen.remove(&key);
            return false;
        };
        let Some(turn) = pulse.running() else { return true };
        let first = seen.entry(key).or_insert_with(|| Seen::now(&pulse, turn));
        if first.turn != turn {
            *first = Seen::now(&pulse, turn);
        }
        let (used, allowed) = (first.used(&pulse), pulse.allowed());
        if used > allowed {
            pulse.stop(Exceeded::Cpu);
        }
        if used > allowed + TO_THE_NEXT_STEP {
            pulse.end();
        }
        let left = allowed.saturating_sub(used).clamp(SHORTEST, TICK);
        again = Some(again.map_or(left, |again| again.min(left)));
        true
    });
    again
}

/// The number of the calling thread; 0 where the system does not tell.
fn own_thread() -> u32 {
    let link = std::fs::read_link("/proc/thread-self").unwrap_or_default();
    let number = link.file_name().and_then(|number| number.to_str());
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// The processor time that a thread has used; `None` where the system does not tell, and time on the clock counts
/// instead.
fn processor_time(thread: u32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
    let nanoseconds = text.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loading_may_take_what_a_call_may_by_default() {
        let second = Duration::from_secs(1);
        let limits = Limits { cpu: second, wall_time: 1000 * second, ..DEFAULT_LIMITS };
        let loading = while_loading(&limits);
        assert_eq!((loading.cpu, loading.wall_time), (DEFAULT_LIMITS.cpu, 1000 * second));
    }

    #[test]
    fn a_turn_is_seen_while_it_runs() {
        let pulse = Pulse::default();
        assert_eq!(pulse.running(), None);
        let inside = pulse.enter();
        assert_eq!(pulse.running(), Some(1));
        drop(inside);
        assert_eq!(pulse.running(), None);
        let _again = pulse.enter();
        assert_eq!(pulse.running(), Some(3));
    }

    #[test]
    fn who_is_held_or_restarts_is_asked_last() {
        let pulse = Pulse::default();
        assert_eq!(pulse.attention(), Attention::Restarting);
        pulse.serve(true);
        assert_eq!(pulse.attention(), Attention::Soon);
        let inside = pulse.enter();
        while pulse.attention() == Attention::Soon {}
        assert_eq!(pulse.attention(), Attention::Held);
        drop(inside);
        assert_eq!(pulse.attention(), Attention::Soon);
        assert!(Attention::Soon < Attention::Restarting && Attention::Restarting < Attention::Held);
    }

    #[test]
    fn a_turn_past_its_time_is_stopped_and_its_first_reason_kept() {
        let pulse = Arc::new(Pulse::default());
        pulse.allow(Duration::from_millis(100));
        let watched = Mutex::new(vec![Arc::downgrade(&pulse)]);
        let mut seen = HashMap::new();
        assert_eq!(look(&watched, &mut seen), None);
        let inside = pulse.enter();
        assert_eq!(look(&watched, &mut seen), Some(TICK));
        assert_eq!(pulse.exceeded(), None);
        let mut again = None;
        while pulse.exceeded().is_none() {
            std::hint::black_box((0..1000).sum::<u64>());
            again = look(&watched, &mut seen);
        }
        // The nearer to the limit, the sooner.
        assert_eq!(again, Some(SHORTEST));
        pulse.stop(Exceeded::Memory);
        assert_eq!(pulse.exceeded(), Some(Exceeded::Cpu));
        drop(inside);
        assert_eq!(look(&watched, &mut seen), None);
        drop(pulse);
        look(&watched, &mut seen);
        assert!(watched.lock().unwrap().is_empty() && seen.is_empty());
    }

    #[test]
    fn only_a_buffer_that_stays_refused_stops_code() {
        let pulse = Pulse::default();
        let place = places::Place { file: "a.ts".to_owned(), line: 1, column: 2 };
        pulse.refuse(vec![place.clone()]);
        pulse.grant();
        pulse.interrupt(Vec::new);
        assert_eq!(pulse.exceeded(), None);
        pulse.refuse(vec![place.clone()]);
        pulse.interrupt(Vec::new);
        assert_eq!(pulse.exceeded(), Some(Exceeded::Memory));
        assert_eq!(pulse.take_places(), [place]);
    }
}
