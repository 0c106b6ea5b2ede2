//! What one guest may use by default, and the meters that a store reports to.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use kora_resource::{Exceeded, Limits};
use rustix::time::{ClockId, clock_gettime};
use wasmtime::ResourceLimiter;

use crate::engine::TICK;

/// The bounds of a guest whose component's config.yaml names none.
pub const DEFAULT_LIMITS: Limits = Limits {
    cpu: Duration::from_secs(1),
    wall_time: Duration::from_secs(30),
    memory: 128 << 20,
    concurrency: 64,
};

/// The largest memory that an instance may have: what the pool of instances has room for.
pub const MAX_MEMORY: usize = 1 << 30;

/// Counts what one instance uses. Shared with the engine's callbacks.
///
/// Processor time is that of the thread while it polls the instance: what other threads and other guests use meanwhile
/// is not its own. It is read when a tick finds the instance running, and when a poll begins and ends if
/// [`Precision`] asks for it.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// Nanoseconds of processor time since the work began.
    used: AtomicU64,
    /// When the poll that runs began, in nanoseconds of [`wall_time`].
    began: AtomicU64,
    /// What the polling thread had used when the instance was last looked at, in nanoseconds; `UNSEEN` if nobody has
    /// looked since the poll began.
    seen: AtomicU64,
    /// What ticks have found the poll that runs to have used, in nanoseconds.
    piece: AtomicU64,
    /// 0: none; 1: CPU; 2: memory.
    exceeded: AtomicU8,
    /// Set when a tick made the guest give way: the next poll goes on with the same work.
    gave_way: std::sync::atomic::AtomicBool,
}

/// How the processor time of a poll is found that no tick interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// By the clock on the wall, which costs nothing and counts what other threads did if this one had to wait.
    Wall,
    /// By the thread's own clock: two calls into the system, some two microseconds.
    Thread,
}

const UNSEEN: u64 = u64::MAX;

/// What a time by the clock on the wall counts for at most, in nanoseconds: a tick. Nobody knows whether it was used.
const UNCERTAIN: u64 = TICK.as_nanos() as u64;

/// What a poll may use until a tick has it give way, in nanoseconds: a tick may come soon after it began, and others
/// while its thread waits for a processor.
const PIECE: u64 = TICK.as_nanos() as u64 / 2;

/// What a running guest is to do when a tick has found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    GoOn,
    /// Let others of its thread run, then go on.
    GiveWay,
    /// It is past its limit.
    Stop,
}

/// Nanoseconds since some moment before the first call.
fn wall_time() -> u64 {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    // 584 years fit.
    FIRST.elapsed().as_nanos() as u64
}

/// Processor time that the calling thread has used since it began, in nanoseconds.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // A thread's time is not negative, and 584 years fit.
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

impl Meter {
    /// Begins new work.
    pub(crate) fn reset(&self) {
        self.used.store(0, Ordering::Relaxed);
        self.exceeded.store(0, Ordering::Relaxed);
    }

    /// The calling thread begins to poll the instance.
    fn enter(&self, precision: Precision) {
        self.began.store(wall_time(), Ordering::Relaxed);
        let seen = match precision {
            Precision::Wall => UNSEEN,
            Precision::Thread => thread_time(),
        };
        self.seen.store(seen, Ordering::Relaxed);
        self.piece.store(0, Ordering::Relaxed);
    }

    /// The calling thread has polled the instance: what no tick has found counts, too.
    fn leave(&self) {
        let ran = match self.seen.load(Ordering::Relaxed) {
            UNSEEN => self.since_began(),
            seen => thread_time().saturating_sub(seen),
        };
        self.used.fetch_add(ran, Ordering::Relaxed);
    }

    fn since_began(&self) -> u64 {
        wall_time().saturating_sub(self.began.load(Ordering::Relaxed)).min(UNCERTAIN)
    }

    /// Runs `work`, which polls the instance.
    pub(crate) async fn around<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| self.poll(work.as_mut(), cx, Precision::Thread)).await
    }

    /// Polls `work`, which polls the instance.
    pub(crate) fn poll<T>(
        &self,
        work: Pin<&mut impl Future<Output = T>>,
        cx: &mut Context<'_>,
        precision: Precision,
    ) -> Poll<T> {
        self.enter(precision);
        let polled = work.poll(cx);
        self.leave();
        polled
    }

    /// A tick found the instance running.
    pub(crate) fn tick(&self, limit: Duration) -> Verdict {
        let now = thread_time();
        let (ran, known) = match self.seen.swap(now, Ordering::Relaxed) {
            UNSEEN => (self.since_began(), 0),
            seen => (now.saturating_sub(seen), now.saturating_sub(seen)),
        };
        let piece = self.piece.fetch_add(known, Ordering::Relaxed) + known;
        if !self.count(Duration::from_nanos(ran), limit) {
            return Verdict::Stop;
        }
        if piece < PIECE {
            return Verdict::GoOn;
        }
        self.gave_way.store(true, Ordering::Relaxed);
        Verdict::GiveWay
    }

    /// Whether what it has used by now is within its limit.
    fn count(&self, ran: Duration, limit: Duration) -> bool {
        let ran = ran.as_nanos() as u64;
        let used = self.used.fetch_add(ran, Ordering::Relaxed) + ran;
        let within = Duration::from_nanos(used) <= limit;
        if !within {
            self.exceeded.store(1, Ordering::Relaxed);
        }
        within
    }

    /// Processor time since the work began, as far as it was counted.
    pub(crate) fn used(&self) -> Duration {
        Duration::from_nanos(self.used.load(Ordering::Relaxed))
    }

    /// Whether the guest stopped running only because a tick asked it to.
    pub(crate) fn take_gave_way(&self) -> bool {
        self.gave_way.swap(false, Ordering::Relaxed)
    }

    fn refused_memory(&self) {
        self.exceeded.store(2, Ordering::Relaxed);
    }

    pub(crate) fn exceeded(&self) -> Option<Exceeded> {
        match self.exceeded.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Exceeded::Cpu),
            _ => Some(Exceeded::Memory),
        }
    }
}

/// Refuses memory past the limit. A refused `memory.grow` returns -1 to the guest, which then usually traps.
#[derive(Debug)]
pub(crate) struct MemoryLimiter {
    pub(crate) limit: usize,
    pub(crate) used: usize,
    pub(crate) meter: std::sync::Arc<Meter>,
}

impl MemoryLimiter {
    fn grow(&mut self, current: usize, desired: usize) -> bool {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
            self.meter.refused_memory();
            return false;
        }
        self.used = used;
        true
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = size_of::<usize>();
        Ok(self.grow(current.saturating_mul(bytes), desired.saturating_mul(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_over_all_memories_and_tables() {
        let meter = std::sync::Arc::new(Meter::default());
        let mut limiter = MemoryLimiter { limit: 1000, used: 0, meter: meter.clone() };
        assert!(limiter.memory_growing(0, 600, None).unwrap());
        assert!(limiter.memory_growing(0, 300, None).unwrap());
        assert_eq!(meter.exceeded(), None);
        assert!(!limiter.table_growing(0, 100, None).unwrap());
        assert_eq!(meter.exceeded(), Some(Exceeded::Memory));
    }

    #[test]
    fn processor_time_is_counted_from_the_start_of_the_work() {
        let (meter, limit) = (Meter::default(), Duration::from_millis(10));
        assert!(meter.count(limit / 2, limit) && meter.count(limit / 2, limit));
        meter.reset();
        assert!(meter.count(limit, limit));
        assert_eq!((meter.exceeded(), meter.used()), (None, limit));
        assert!(!meter.count(Duration::from_nanos(1), limit));
        assert_eq!(meter.exceeded(), Some(Exceeded::Cpu));
        meter.reset();
        assert_eq!(meter.exceeded(), None);
    }

    #[test]
    fn a_thread_that_waits_uses_no_time_of_a_processor() {
        let (meter, limit) = (Meter::default(), Duration::from_millis(10));
        meter.enter(Precision::Thread);
        std::thread::sleep(limit);
        assert_eq!(meter.tick(limit), Verdict::GoOn);
        meter.leave();
        assert!(meter.used() < limit / 2, "{:?}", meter.used());
        // By the wall the first look counts for a tick, and it does not interrupt.
        meter.reset();
        meter.enter(Precision::Wall);
        std::thread::sleep(limit);
        assert_eq!((meter.tick(limit), meter.used()), (Verdict::GoOn, TICK));
        assert!(!meter.take_gave_way());
    }

    #[test]
    fn what_computes_gives_way_and_then_stops() {
        let (meter, limit) = (Meter::default(), 2 * TICK);
        let compute = |time: Duration| {
            let begun = thread_time();
            while thread_time() - begun < time.as_nanos() as u64 {}
        };
        for (precision, verdict) in
            [(Precision::Thread, Verdict::GiveWay), (Precision::Wall, Verdict::GoOn)]
        {
            meter.reset();
            meter.enter(precision);
            compute(TICK);
            assert_eq!(meter.tick(limit), verdict);
            compute(TICK);
            assert_eq!(meter.tick(limit * 2), Verdict::GiveWay);
            assert!(meter.take_gave_way() && !meter.take_gave_way());
            compute(TICK);
            assert_eq!((meter.tick(limit), meter.exceeded()), (Verdict::Stop, Some(Exceeded::Cpu)));
        }
    }
}
