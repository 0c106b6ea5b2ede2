//! The sending half of a `connect`: JavaScript on the worker's thread puts messages in, the transport
//! on its own thread takes them out.
//!
//! The queue between them holds [`QUEUE`] messages: a generator that yields faster than the client
//! reads waits for room, so back-pressure reaches it. `outgoing.send`, which can't wait, may go past
//! that up to [`PUSHED`] messages; past it the socket is closed with an error, nothing is dropped
//! silently. When the transport drops its half the client is gone: JavaScript learns it at once.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::Stream;
use kora_resource::{Error, Message, Result};
use kora_store::Subscription;
use tokio::sync::Notify;

/// Messages of a generator that wait for the client.
const QUEUE: usize = 16;
/// Messages of `send` calls that wait for the client.
const PUSHED: usize = 4_096;

/// Whether a message was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The client is gone.
    Closed = 0,
    Taken = 1,
    /// Taken, and the queue is full: wait before sending more.
    Full = 2,
}

/// JavaScript's half.
pub(crate) struct Socket(Arc<Shared>);

/// The transport's half.
pub(crate) struct SocketStream {
    shared: Arc<Shared>,
    /// A table's subscription that the class returned untouched: its events go to the client without
    /// entering the isolate.
    subscription: Option<Subscription>,
    open_sockets: Arc<AtomicUsize>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Told when there is room again, and when the client goes away.
    changed: Notify,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Result<Message>>,
    finished: bool,
    gone: bool,
    reader: Option<Waker>,
}

/// The two halves of a new socket; `open_sockets` counts it for as long as the transport keeps it.
pub(crate) fn socket(
    subscription: Option<Subscription>,
    open_sockets: &Arc<AtomicUsize>,
) -> (Socket, SocketStream) {
    let shared = Arc::new(Shared { queue: Mutex::default(), changed: Notify::new() });
    open_sockets.fetch_add(1, Ordering::AcqRel);
    let stream = SocketStream {
        shared: shared.clone(),
        subscription,
        open_sockets: open_sockets.clone(),
    };
    (Socket(shared), stream)
}

impl Shared {
    /// The queue is whole after each statement, so one that a panic left behind is still right.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, change: impl FnOnce(&mut Queue)) {
        let reader = {
            let mut queue = self.lock();
            change(&mut queue);
            queue.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Socket {
    pub(crate) fn send(&self, message: Message) -> Sent {
        let mut sent = Sent::Taken;
        self.0.put(|queue| {
            if queue.gone || queue.finished {
                sent = Sent::Closed;
                return;
            }
            if queue.messages.len() >= PUSHED {
                queue.messages.clear();
                queue.messages.push_back(Err(Error::unavailable(
                    "the client reads too slowly: more messages were sent than it may have waiting",
                )));
                queue.finished = true;
                sent = Sent::Closed;
                return;
            }
            queue.messages.push_back(Ok(message));
            if queue.messages.len() >= QUEUE {
                sent = Sent::Full;
            }
        });
        sent
    }

    /// Ends the stream after what is queued; with an error, if there is one.
    pub(crate) fn finish(&self, error: Option<Error>) {
        self.0.put(|queue| {
            queue.messages.extend(error.map(Err));
            queue.finished = true;
        });
    }

    /// Resolves when the queue has room; `false` if the client went away first.
    pub(crate) fn writable(&self) -> impl Future<Output = bool> + use<> {
        let shared = self.0.clone();
        async move {
            loop {
                let changed = shared.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                {
                    let queue = shared.lock();
                    if queue.gone || queue.finished {
                        return false;
                    }
                    if queue.messages.len() < QUEUE {
                        return true;
                    }
                }
                changed.await;
            }
        }
    }

    /// Resolves when the client is gone.
    pub(crate) fn closed(&self) -> impl Future<Output = ()> + use<> {
        let shared = self.0.clone();
        async move {
            loop {
                let changed = shared.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if shared.lock().gone {
                    return;
                }
                changed.await;
            }
        }
    }
}

/// A worker that ends takes its sockets with it: their clients see the end of the stream.
impl Drop for Socket {
    fn drop(&mut self) {
        self.finish(None);
    }
}

impl Stream for SocketStream {
    type Item = Result<Message>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Message>>> {
        let this = &mut *self;
        {
            let mut queue = this.shared.lock();
            if let Some(message) = queue.messages.pop_front() {
                let room = queue.messages.len() < QUEUE;
                drop(queue);
                if room {
                    this.shared.changed.notify_waiters();
                }
                return Poll::Ready(Some(message));
            }
            if queue.finished {
                return Poll::Ready(None);
            }
            queue.reader = Some(cx.waker().clone());
        }
        let Some(subscription) = &mut this.subscription else { return Poll::Pending };
        Pin::new(subscription).poll_next(cx).map(|event| event.map(|event| event.map(Message::Event)))
    }
}

impl Drop for SocketStream {
    fn drop(&mut self) {
        self.shared.lock().gone = true;
        self.shared.changed.notify_waiters();
        self.open_sockets.fetch_sub(1, Ordering::AcqRel);
    }
}
