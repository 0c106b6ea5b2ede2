//! What a worker shows of itself to those who watch it, and how they stop its code.
//!
//! Code is stopped at its next step: there, on the worker's own thread, the place where it is gets noted. Where no step
//! comes, it is ended without its place.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deno_core::v8::IsolateHandle;
use kora_resource::Exceeded;

use super::places::{self, Place};

/// What one worker shows of itself. A worker that gets a new isolate keeps its pulse.
#[derive(Default)]
pub(crate) struct Pulse {
    /// Odd while the worker is in its isolate; grows with each entry and each exit.
    turn: AtomicU64,
    /// When the last turn began, in nanoseconds of [`super::wall_time`].
    began: AtomicU64,
    /// Whether its isolate takes calls: false while it is made.
    serves: AtomicBool,
    /// 0: none; 1: CPU; 2: memory.
    exceeded: AtomicU8,
    /// The worker's thread, as the system numbers it.
    thread: AtomicU32,
    /// Processor time that one turn may take, in microseconds.
    allowed: AtomicU64,
    isolate: Mutex<Option<IsolateHandle>>,
    /// The last buffer that code asked for was refused, with its place; `None` once it was given one.
    refused: Mutex<Option<Vec<Place>>>,
    /// Where the code was when it was stopped, the innermost place first; empty where that is not known.
    stopped_at: Mutex<Vec<Place>>,
}

/// How soon a worker comes to what it is given, the soonest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Attention {
    Soon,
    /// It makes a new isolate first.
    Restarting,
    /// It has been in one turn for long, nobody knows for how much longer.
    Held,
}

/// How long a turn may take before other workers are given what comes.
const HELD: Duration = Duration::from_millis(2);

/// The worker is in its isolate for as long as this lives.
pub(crate) struct Inside<'a>(&'a Pulse);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.turn.fetch_add(1, Ordering::SeqCst);
    }
}

impl Pulse {
    /// Called on the worker's thread, with a new isolate: from here on it is watched.
    pub(crate) fn begin(self: &Arc<Self>, isolate: IsolateHandle) {
        self.exceeded.store(0, Ordering::SeqCst);
        lock(&self.stopped_at).clear();
        self.grant();
        self.thread.store(super::own_thread(), Ordering::SeqCst);
        let before = lock(&self.isolate).replace(isolate);
        if before.is_none() {
            super::watch(self);
        }
    }

    /// How much processor time a turn may take from here on.
    pub(crate) fn allow(&self, cpu: Duration) {
        let cpu = u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX);
        self.allowed.store(cpu, Ordering::SeqCst);
    }

    /// The worker enters its isolate.
    pub(crate) fn enter(&self) -> Inside<'_> {
        // The next step publishes it.
        self.began.store(super::wall_time(), Ordering::Relaxed);
        self.turn.fetch_add(1, Ordering::SeqCst);
        super::wake();
        Inside(self)
    }

    /// Its isolate takes calls from here on, or no longer.
    pub(crate) fn serve(&self, serves: bool) {
        self.serves.store(serves, Ordering::SeqCst);
    }

    /// How soon the worker comes to what it is given now.
    pub(crate) fn attention(&self) -> Attention {
        if !self.serves.load(Ordering::SeqCst) {
            Attention::Restarting
        } else if self.running().is_some() && self.turn_took() > HELD {
            Attention::Held
        } else {
            Attention::Soon
        }
    }

    /// How long ago, by the clock, the last turn began.
    pub(super) fn turn_took(&self) -> Duration {
        let began = self.began.load(Ordering::Relaxed);
        Duration::from_nanos(super::wall_time().saturating_sub(began))
    }

    /// Has the code stop at its next step, where its place can be noted. Harmless where none runs.
    pub(crate) fn stop(&self, exceeded: Exceeded) {
        if self.exceed(exceeded)
            && let Some(isolate) = &*lock(&self.isolate)
        {
            places::ask(isolate);
        }
    }

    /// Has the engine end the code at once: for code that was to stop and has not come to a step since.
    pub(crate) fn end(&self) {
        if let Some(isolate) = &*lock(&self.isolate) {
            isolate.terminate_execution();
        }
    }

    /// Whether it is the first reason, which is the one that is told.
    fn exceed(&self, exceeded: Exceeded) -> bool {
        let number = match exceeded {
            Exceeded::Cpu | Exceeded::WallTime => 1,
            Exceeded::Memory => 2,
        };
        self.exceeded.compare_exchange(0, number, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// A buffer was refused to the code, which is at `places`. The engine may still find room by collecting garbage;
    /// whether it has is known at the code's next step.
    #[cfg_attr(not(feature = "v8"), allow(dead_code, reason = "QuickJS counts buffers itself"))]
    pub(crate) fn refuse(&self, places: Vec<Place>) {
        let before = lock(&self.refused).replace(places);
        if before.is_none()
            && let Some(isolate) = &*lock(&self.isolate)
        {
            places::ask(isolate);
        }
    }

    /// The code was given a buffer.
    pub(crate) fn grant(&self) {
        *lock(&self.refused) = None;
    }

    /// Whether the code waits for a buffer that was refused: the engine collects garbage, to ask once more.
    #[cfg(feature = "v8")]
    pub(crate) fn is_refused(&self) -> bool {
        lock(&self.refused).is_some()
    }

    /// Called between two steps of the code: stops it if it is to be stopped. `places` tells where it is.
    pub(super) fn interrupt(&self, places: impl FnOnce() -> Vec<Place>) {
        let refused = lock(&self.refused).take();
        let stopped_at = match (refused, self.exceeded()) {
            (Some(places), None) => {
                self.exceed(Exceeded::Memory);
                places
            }
            (_, Some(_)) => places(),
            (None, None) => return,
        };
        *lock(&self.stopped_at) = stopped_at;
        self.end();
    }

    /// The limit that the isolate's code was stopped for.
    pub(crate) fn exceeded(&self) -> Option<Exceeded> {
        match self.exceeded.load(Ordering::SeqCst) {
            0 => None,
            1 => Some(Exceeded::Cpu),
            _ => Some(Exceeded::Memory),
        }
    }

    /// Where the code was when it was stopped, as far as that is known.
    pub(crate) fn take_places(&self) -> Vec<Place> {
        std::mem::take(&mut *lock(&self.stopped_at))
    }

    /// The turn that runs now.
    pub(super) fn running(&self) -> Option<u64> {
        let turn = self.turn.load(Ordering::SeqCst);
        (turn % 2 == 1).then_some(turn)
    }

    pub(super) fn thread(&self) -> u32 {
        self.thread.load(Ordering::SeqCst)
    }

    pub(super) fn allowed(&self) -> Duration {
        Duration::from_micros(self.allowed.load(Ordering::SeqCst))
    }
}

/// What is locked is whole after each statement, so what a panic left behind is still right.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
