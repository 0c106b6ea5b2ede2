//! What waits for one subscriber.
//!
//! Shared by the publisher, which pushes from the thread that committed, and the one task that polls
//! the subscriber. The lock is held for a push or a pop only; the publisher gets the waker back and
//! wakes after the lock is released.
//!
//! At its bound the queue is emptied at once instead of keeping what it has: a client that fell so
//! far behind has to resume from the log anyway, and a thousand slow clients must not hold a thousand
//! full queues.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use kora_resource::Frame;
use parking_lot::Mutex;

use crate::{CeilingLimit, Delivery, QueueLimit};

/// What waits in all queues of a hub.
#[derive(Debug, Default)]
pub(crate) struct Ceiling {
    limit: CeilingLimit,
    bytes: AtomicUsize,
}

impl Ceiling {
    pub(crate) fn new(limit: CeilingLimit) -> Ceiling {
        Ceiling { limit, bytes: AtomicUsize::new(0) }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn remove(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn is_reached(&self) -> bool {
        self.bytes() > self.limit.0
    }
}

#[derive(Debug)]
pub(crate) struct Queue {
    limit: QueueLimit,
    ceiling: Arc<Ceiling>,
    waiting: Mutex<Waiting>,
    /// Where this queue stands in its topic's list; read and written only under the topics' lock.
    slot: AtomicUsize,
}

#[derive(Debug, Default)]
struct Waiting {
    frames: VecDeque<Arc<Frame>>,
    bytes: usize,
    state: State,
    waker: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Open,
    /// Passed its bound; the subscriber has not been told yet.
    Overflowed,
    /// Takes nothing more and gives nothing more.
    Closed,
}

impl Queue {
    pub(crate) fn new(limit: QueueLimit, ceiling: Arc<Ceiling>) -> Queue {
        Queue { limit, ceiling, waiting: Mutex::default(), slot: AtomicUsize::new(0) }
    }

    /// Queues a frame, or drops the queue if the frame passes its bound. The waker, if any, is the
    /// caller's to wake once it holds no lock.
    pub(crate) fn push(&self, frame: &Arc<Frame>) -> Option<Waker> {
        let dropped;
        let waker;
        {
            let mut waiting = self.waiting.lock();
            if waiting.state != State::Open {
                return None;
            }
            let bytes = waiting.bytes.saturating_add(frame.cost());
            let is_full = bytes > self.limit.0 || self.ceiling.is_reached();
            if is_full && !waiting.frames.is_empty() {
                dropped = self.clear(&mut waiting, State::Overflowed);
            } else {
                self.ceiling.add(frame.cost());
                dropped = VecDeque::new();
                waiting.frames.push_back(Arc::clone(frame));
                waiting.bytes = bytes;
            }
            waker = waiting.waker.take();
        }
        drop(dropped);
        waker
    }

    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let mut waiting = self.waiting.lock();
        if let Some(frame) = waiting.frames.pop_front() {
            waiting.bytes = waiting.bytes.saturating_sub(frame.cost());
            self.ceiling.remove(frame.cost());
            return Poll::Ready(Some(Delivery::Frame(frame)));
        }
        match waiting.state {
            State::Open => {
                if !waiting.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    waiting.waker = Some(cx.waker().clone());
                }
                Poll::Pending
            }
            State::Overflowed => {
                waiting.state = State::Closed;
                Poll::Ready(Some(Delivery::Overflowed))
            }
            State::Closed => Poll::Ready(None),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.waiting.lock().bytes
    }

    /// Frees what waits and refuses what comes.
    pub(crate) fn close(&self) {
        let dropped = self.clear(&mut self.waiting.lock(), State::Closed);
        drop(dropped);
    }

    /// Takes the frames out, so that the caller can free them without holding the lock.
    fn clear(&self, waiting: &mut Waiting, state: State) -> VecDeque<Arc<Frame>> {
        waiting.state = state;
        self.ceiling.remove(std::mem::take(&mut waiting.bytes));
        std::mem::take(&mut waiting.frames)
    }

    pub(crate) fn slot(&self) -> usize {
        self.slot.load(Ordering::Relaxed)
    }

    pub(crate) fn set_slot(&self, slot: usize) {
        self.slot.store(slot, Ordering::Relaxed);
    }
}
