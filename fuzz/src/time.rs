//! The thread's time on a processor.

use rustix::time::{ClockId, clock_gettime};

pub(crate) struct Clock {
    began: u64,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock { began: now() }
    }

    /// In nanoseconds.
    pub(crate) fn elapsed(&self) -> u64 {
        now() - self.began
    }
}

fn now() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
