//! The instances of one guest that wait for a call, and how many may run.
//!
//! A new instance is made when none waits. The last used goes first, so that the others may be let go: after a number
//! of calls (a leak in a guest is bounded by it), when they have idled, and after a trap always.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use kora_resource::{Error, Result};

use crate::instance::Instance;

/// Calls that one instance answers before it is replaced.
const MAX_CALLS: u32 = 10_000;
/// How long an instance may wait for its next call.
const MAX_IDLE: Duration = Duration::from_secs(60);
/// Calls that may wait for an instance, for each that may run.
const QUEUE: usize = 64;

pub(crate) struct Pool {
    idle: Mutex<Vec<(Instance, Instant)>>,
    permits: Semaphore,
    waiting: Semaphore,
}

impl Pool {
    pub(crate) fn new(concurrency: usize) -> Pool {
        let concurrency = concurrency.max(1);
        Pool {
            idle: Mutex::default(),
            permits: Semaphore::new(concurrency),
            waiting: Semaphore::new(concurrency.saturating_mul(QUEUE).min(Semaphore::MAX_PERMITS)),
        }
    }

    /// The right to run; waits for it. 503 when too many wait already.
    pub(crate) async fn permit(&self) -> Result<SemaphorePermit<'_>> {
        let busy = || Error::unavailable("Service unavailable, exceeded request queue limit");
        if let Ok(permit) = self.permits.try_acquire() {
            return Ok(permit);
        }
        let _waiting = self.waiting.try_acquire().map_err(|_| busy())?;
        // The semaphore is never closed.
        self.permits.acquire().await.map_err(|_| busy())
    }

    /// An instance that waits, if one does.
    pub(crate) fn take(&self) -> Option<Instance> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle.pop()?;
        let stale = idle.partition_point(|(_, since)| since.elapsed() > MAX_IDLE);
        // Dropping an instance gives memory back: not under the lock.
        let dropped: Vec<_> = idle.drain(..stale).collect();
        drop(idle);
        drop(dropped);
        Some(taken.0)
    }

    /// Takes back an instance whose call ended well.
    pub(crate) fn put(&self, mut instance: Instance) {
        instance.calls += 1;
        if instance.calls < MAX_CALLS {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push((instance, Instant::now()));
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("permits", &self.permits).finish_non_exhaustive()
    }
}
