//! The sending half of a `connect`: JavaScript on the worker's thread puts messages in, the transport
//! on its own thread takes them out.
//!
//! Both halves are made before JavaScript hears of the client. When the transport drops its half the
//! client is gone, also while `connect` is still at work, and JavaScript learns it at once.
//!
//! A generator that yields faster than the client reads waits for room: [`QUEUE`] messages or
//! [`QUEUE_BYTES`]. `outgoing.send`, which can't wait, may go past that up to [`PUSHED_BYTES`]; past it
//! the socket is closed with an error, nothing is dropped silently.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::Stream;
use kora_resource::{Error, ErrorKind, Message, Result};
use kora_store::Subscription;
use tokio::sync::{Notify, oneshot};

/// Messages of a generator that wait for the client.
const QUEUE: usize = 16;
/// Their bytes, so that a few large ones are enough.
const QUEUE_BYTES: usize = 256 * 1024;
/// Bytes of messages of `send` calls that wait for the client.
const PUSHED_BYTES: usize = 4 << 20;
/// What one message costs besides its bytes.
const MESSAGE_COST: usize = 64;

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
    /// What the class handed over, once it was taken from the queue.
    subscription: Option<Subscription>,
    open_sockets: Arc<AtomicUsize>,
}

/// A client that a class is asked to connect: its socket, and where the class's consent goes.
pub(crate) struct Opening {
    pub(crate) socket: Socket,
    pub(crate) answer: oneshot::Sender<Result<Consent>>,
}

/// What a class says to a client that wants a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    Stream,
    /// It has nothing for this client, as Server-Sent Events answer with 204.
    Nothing,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Told when there is room again, and when the client goes away.
    changed: Notify,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<(Result<Message>, usize)>,
    bytes: usize,
    /// A table's subscription that the class returned untouched: its events go to the client, after
    /// the messages, without entering the isolate.
    subscription: Option<Subscription>,
    finished: bool,
    gone: bool,
    reader: Option<Waker>,
}

impl Queue {
    fn has_room(&self) -> bool {
        self.messages.len() < QUEUE && self.bytes < QUEUE_BYTES
    }
}

/// The two halves of a new socket; `open_sockets` counts it for as long as the transport keeps it.
pub(crate) fn socket(open_sockets: &Arc<AtomicUsize>) -> (Socket, SocketStream) {
    let shared = Arc::new(Shared { queue: Mutex::default(), changed: Notify::new() });
    open_sockets.fetch_add(1, Ordering::AcqRel);
    let stream = SocketStream {
        shared: shared.clone(),
        subscription: None,
        open_sockets: open_sockets.clone(),
    };
    (Socket(shared), stream)
}

impl Shared {
    /// The queue is whole after each statement, so one that a panic left behind is still right.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put<T>(&self, change: impl FnOnce(&mut Queue) -> T) -> T {
        let (result, reader) = {
            let mut queue = self.lock();
            (change(&mut queue), queue.reader.take())
        };
        if let Some(reader) = reader {
            reader.wake();
        }
        result
    }

    /// Resolves with the first answer that `look` gives.
    async fn wait<T>(self: Arc<Self>, look: impl Fn(&Queue) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(answer) = look(&self.lock()) {
                return answer;
            }
            changed.await;
        }
    }
}

impl Socket {
    pub(crate) fn send(&self, message: Message) -> Sent {
        let cost = MESSAGE_COST
            + match &message {
                Message::Value(value) => value.approximate_size(),
                Message::Raw { data, .. } => data.len(),
                // Shared with the table's other subscribers.
                Message::Event(_) | Message::Position(_) | Message::Gap => 0,
            };
        self.0.put(|queue| {
            if queue.gone || queue.finished {
                return Sent::Closed;
            }
            // One message alone may be as large as it likes.
            if !queue.messages.is_empty() && queue.bytes + cost > PUSHED_BYTES {
                queue.messages.clear();
                queue.bytes = 0;
                let slow = "the client reads too slowly: more was sent than may wait for it";
                queue.messages.push_back((Err(Error::unavailable(slow)), 0));
                queue.finished = true;
                return Sent::Closed;
            }
            queue.bytes += cost;
            queue.messages.push_back((Ok(message), cost));
            if queue.has_room() { Sent::Taken } else { Sent::Full }
        })
    }

    /// Has the events of `subscription` sent, after what is queued; the stream ends with it.
    pub(crate) fn forward(&self, subscription: Subscription) {
        self.0.put(|queue| {
            if !queue.gone {
                queue.subscription = Some(subscription);
            }
        });
    }

    /// Ends the stream after what is queued; with an error, if there is one.
    pub(crate) fn finish(&self, error: Option<Error>) {
        self.0.put(|queue| {
            if !queue.finished {
                queue.messages.extend(error.map(|error| (Err(error), 0)));
                queue.finished = true;
            }
        });
    }

    /// Has JavaScript see the client go, and the client that the component has given way to a newer
    /// version: the worker ends.
    pub(crate) fn leave(&self) {
        self.0.put(|queue| {
            if !queue.finished {
                let replaced = Error::new(ErrorKind::Replaced, "the component was replaced");
                queue.messages.push_back((Err(replaced), 0));
            }
            queue.finished = true;
            queue.gone = true;
        });
        self.0.changed.notify_waiters();
    }

    /// Resolves when the queue has room; `false` if the client went away first.
    pub(crate) fn writable(&self) -> impl Future<Output = bool> + use<> {
        self.0.clone().wait(|queue| match queue.gone || queue.finished {
            true => Some(false),
            false => queue.has_room().then_some(true),
        })
    }

    /// Resolves when the client is gone.
    pub(crate) fn closed(&self) -> impl Future<Output = ()> + use<> {
        self.0.clone().wait(|queue| queue.gone.then_some(()))
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
            if let Some((message, cost)) = queue.messages.pop_front() {
                queue.bytes -= cost;
                let room = queue.has_room();
                drop(queue);
                if room {
                    this.shared.changed.notify_waiters();
                }
                return Poll::Ready(Some(message));
            }
            if queue.finished {
                return Poll::Ready(None);
            }
            if let Some(subscription) = queue.subscription.take() {
                this.subscription = Some(subscription);
            }
            queue.reader = Some(cx.waker().clone());
        }
        let Some(subscription) = &mut this.subscription else { return Poll::Pending };
        Pin::new(subscription).poll_next(cx)
    }
}

impl Drop for SocketStream {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.gone = true;
        // JavaScript's half may live on in code that never looks at it again.
        let unread = (std::mem::take(&mut queue.messages), queue.subscription.take());
        drop(queue);
        drop(unread);
        self.shared.changed.notify_waiters();
        self.open_sockets.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, StreamExt};
    use kora_resource::Value;

    fn message(bytes: usize) -> Message {
        Message::Value(Value::String("x".repeat(bytes)))
    }

    #[tokio::test]
    async fn a_full_queue_is_writable_again_when_the_client_has_read() {
        let (socket, mut stream) = socket(&Arc::default());
        for _ in 1..QUEUE {
            assert_eq!(socket.send(message(1)), Sent::Taken);
        }
        assert_eq!(socket.send(message(1)), Sent::Full);
        assert!(socket.writable().now_or_never().is_none());
        stream.next().await.unwrap().unwrap();
        assert_eq!(socket.writable().now_or_never(), Some(true));
        assert_eq!(socket.send(message(QUEUE_BYTES)), Sent::Full);
    }

    #[tokio::test]
    async fn sending_past_the_bound_closes_the_socket_with_an_error() {
        let (socket, mut stream) = socket(&Arc::default());
        assert_eq!(socket.send(message(PUSHED_BYTES * 2)), Sent::Full, "one alone may be large");
        assert_eq!(socket.send(message(1)), Sent::Closed);
        assert!(stream.next().await.unwrap().is_err());
        assert!(stream.next().await.is_none());
        assert!(!socket.writable().await);
    }

    #[tokio::test]
    async fn the_transport_that_goes_away_is_noticed_and_no_longer_counted() {
        let open = Arc::default();
        let (socket, stream) = socket(&open);
        assert_eq!(open.load(Ordering::Relaxed), 1);
        assert!(socket.closed().now_or_never().is_none());
        drop(stream);
        socket.closed().await;
        assert_eq!(socket.send(message(1)), Sent::Closed);
        assert_eq!(open.load(Ordering::Relaxed), 0);
    }
}
