//! What one guest may use by default, and the meters that a store reports to.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use kora_resource::{Exceeded, Limits};
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
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// Ticks of the engine that found this instance running since its work began.
    ticks: AtomicU64,
    /// 0: none; 1: CPU; 2: memory.
    exceeded: AtomicU8,
    /// Set when a tick made the guest give way: the next poll goes on with the same work.
    gave_way: std::sync::atomic::AtomicBool,
}

impl Meter {
    /// Begins new work.
    pub(crate) fn reset(&self) {
        self.ticks.store(0, Ordering::Relaxed);
        self.exceeded.store(0, Ordering::Relaxed);
    }

    /// One tick found the instance running; whether it may go on.
    pub(crate) fn tick(&self, allowed: u64) -> bool {
        self.gave_way.store(true, Ordering::Relaxed);
        let used = self.ticks.fetch_add(1, Ordering::Relaxed) + 1;
        if used > allowed {
            self.exceeded.store(1, Ordering::Relaxed);
        }
        used <= allowed
    }

    /// Ticks that found the instance running since its work began.
    pub(crate) fn ticks(&self) -> u64 {
        self.ticks.load(Ordering::Relaxed)
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
    fn ticks_are_counted_from_the_start_of_the_work() {
        let meter = Meter::default();
        assert!(meter.tick(2) && meter.tick(2));
        meter.reset();
        assert!(meter.tick(1));
        assert!(!meter.tick(1));
        assert_eq!(meter.exceeded(), Some(Exceeded::Cpu));
        meter.reset();
        assert_eq!(meter.exceeded(), None);
        assert!(meter.take_gave_way() && !meter.take_gave_way());
    }
}
