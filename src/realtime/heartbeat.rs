//! When idle streams are to be heard from: one timer for all of them.
//!
//! A wheel has a slot for each second of the period. A stream joins the slot that has just passed, so
//! that it is told once a period, first a whole period after it began. Each second one task wakes the
//! streams of one slot: ten thousand sockets cost one timer and are spread over the period by
//! themselves. Joining and leaving are constant in time; a stream knows its place in its slot.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::time::MissedTickBehavior;

use super::drain::Drain;

/// How often each stream is told, in seconds: as often as proxies want to see something, and WebSocket
/// clients are asked whether they are still there.
const PERIOD: usize = 30;

/// The wheel. Cloning it gives another handle to the same one.
#[derive(Debug, Clone)]
pub(crate) struct Heartbeat(Arc<Wheel>);

#[derive(Debug)]
struct Wheel {
    slots: [Mutex<Vec<Arc<Entry>>>; PERIOD],
    /// The slot that was told last.
    now: AtomicUsize,
}

#[derive(Debug)]
struct Entry {
    slot: usize,
    /// Where it stands in its slot; read and written only under the slot's lock.
    place: AtomicUsize,
    is_due: AtomicBool,
    waker: AtomicWaker,
}

/// One stream's place on the wheel, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Beat {
    wheel: Arc<Wheel>,
    entry: Arc<Entry>,
}

impl Heartbeat {
    /// Starts the wheel; it turns until the server stops.
    pub(crate) fn start(mut drain: Drain) -> Heartbeat {
        let heartbeat = Heartbeat::stopped();
        let wheel = Arc::clone(&heartbeat.0);
        tokio::spawn(async move {
            let mut seconds = tokio::time::interval(Duration::from_secs(1));
            seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = seconds.tick() => wheel.turn(),
                    () = drain.begun() => return,
                }
            }
        });
        heartbeat
    }

    fn stopped() -> Heartbeat {
        let slots = std::array::from_fn(|_| Mutex::default());
        Heartbeat(Arc::new(Wheel { slots, now: AtomicUsize::new(0) }))
    }

    /// A place for a stream that begins.
    pub(crate) fn join(&self) -> Beat {
        let wheel = Arc::clone(&self.0);
        let slot = wheel.now.load(Ordering::Relaxed);
        let entry = Arc::new(Entry {
            slot,
            place: AtomicUsize::new(0),
            is_due: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        {
            let mut entries = wheel.slots[slot].lock();
            entry.place.store(entries.len(), Ordering::Relaxed);
            entries.push(Arc::clone(&entry));
        }
        Beat { wheel, entry }
    }
}

impl Wheel {
    /// Tells the streams of the next slot.
    fn turn(&self) {
        let slot = (self.now.load(Ordering::Relaxed) + 1) % PERIOD;
        self.now.store(slot, Ordering::Relaxed);
        let wakers: Vec<Waker> = {
            let entries = self.slots[slot].lock();
            let due = entries.iter().filter_map(|entry| {
                entry.is_due.store(true, Ordering::Release);
                entry.waker.take()
            });
            due.collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Beat {
    /// Resolves when it is time. Nothing is lost if the future is dropped.
    pub(crate) async fn due(&mut self) {
        poll_fn(|cx| self.poll_due(cx)).await;
    }

    /// [`Beat::due`] for streams that are polled.
    pub(crate) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.entry.waker.register(cx.waker());
        match self.entry.is_due.swap(false, Ordering::Acquire) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        let mut entries = self.wheel.slots[self.entry.slot].lock();
        let place = self.entry.place.load(Ordering::Relaxed);
        entries.swap_remove(place);
        if let Some(moved) = entries.get(place) {
            moved.place.store(place, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn each_stream_is_told_once_a_period() {
        let heartbeat = Heartbeat::stopped();
        let mut early = heartbeat.join();
        heartbeat.0.turn();
        let mut late = heartbeat.join();
        for _ in 2..PERIOD {
            heartbeat.0.turn();
            assert!(early.due().now_or_never().is_none() && late.due().now_or_never().is_none());
        }
        heartbeat.0.turn();
        assert!(early.due().now_or_never().is_some());
        assert!(early.due().now_or_never().is_none() && late.due().now_or_never().is_none());
        heartbeat.0.turn();
        assert!(late.due().now_or_never().is_some());
    }

    #[test]
    fn who_leaves_takes_nobody_elses_place() {
        let heartbeat = Heartbeat::stopped();
        let mut beats: Vec<Beat> = (0..10).map(|_| heartbeat.join()).collect();
        for place in [0, 4, 6] {
            drop(beats.swap_remove(place));
        }
        for _ in 0..PERIOD {
            heartbeat.0.turn();
        }
        for beat in &mut beats {
            assert!(beat.due().now_or_never().is_some());
        }
        drop(beats);
        assert!(heartbeat.0.slots.iter().all(|slot| slot.lock().is_empty()));
    }

    #[tokio::test]
    async fn a_waiting_stream_is_woken() {
        let heartbeat = Heartbeat::stopped();
        let mut beat = heartbeat.join();
        let waiting = tokio::spawn(async move { beat.due().await });
        tokio::task::yield_now().await;
        for _ in 0..PERIOD {
            heartbeat.0.turn();
        }
        waiting.await.unwrap();
    }
}
