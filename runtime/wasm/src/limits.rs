//! What one guest may use by default, and the meters that a store reports to.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use kora_resource::{Exceeded, Limits};
use rustix::time::{ClockId, clock_gettime};
use wasmtime::ResourceLimiter;

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
/// Processor time is that of the thread while it polls the instance, read when a poll begins and ends and when a tick
/// finds the instance running: what other threads and other guests use meanwhile is not its own.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// Nanoseconds of processor time since the work began.
    used: AtomicU64,
    /// What the polling thread had used when the instance was last looked at, in nanoseconds.
    seen: AtomicU64,
    /// 0: none; 1: CPU; 2: memory.
    exceeded: AtomicU8,
    /// Set when a tick made the guest give way: the next poll goes on with the same work.
    gave_way: std::sync::atomic::AtomicBool,
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
    fn enter(&self) {
        self.seen.store(thread_time(), Ordering::Relaxed);
    }

    /// The calling thread has polled the instance: what no tick has found counts, too.
    fn leave(&self) {
        self.used.fetch_add(self.since_seen(), Ordering::Relaxed);
    }

    fn since_seen(&self) -> u64 {
        let now = thread_time();
        now.saturating_sub(self.seen.swap(now, Ordering::Relaxed))
    }

    /// Runs `work`, which polls the instance.
    pub(crate) async fn around<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.enter();
            let polled = work.as_mut().poll(cx);
            self.leave();
            polled
        })
        .await
    }

    /// A tick found the instance running; whether it may go on.
    pub(crate) fn tick(&self, limit: Duration) -> bool {
        self.gave_way.store(true, Ordering::Relaxed);
        let ran = self.since_seen();
        self.count(Duration::from_nanos(ran), limit)
    }

    fn count(&self, ran: Duration, limit: Duration) -> bool {
        let ran = ran.as_nanos() as u64;
        let used = self.used.fetch_add(ran, Ordering::Relaxed) + ran;
        let may_go_on = Duration::from_nanos(used) <= limit;
        if !may_go_on {
            self.exceeded.store(1, Ordering::Relaxed);
        }
        may_go_on
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
        // A thread that waits uses no time of a processor.
        meter.enter();
        std::thread::sleep(limit);
        assert!(meter.tick(limit));
        assert!(meter.take_gave_way() && !meter.take_gave_way());
    }
}
