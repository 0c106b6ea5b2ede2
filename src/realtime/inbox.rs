//! The client's messages on their way to a resource: a queue bounded by bytes.
//!
//! While it is full the socket is not read, which is how a slow resource slows its client down. The
//! bound counts bytes rather than messages so that many small messages of a client that also sends
//! a close do not hide the close.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use kora_resource::Value;

/// How many bytes of messages may wait.
pub(super) const CAPACITY: usize = 1 << 20;

/// What one message costs besides its bytes.
const MESSAGE_COST: usize = 64;

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<(Value, usize)>,
    bytes: usize,
    sender: Side,
    receiver: Side,
}

/// One end of the queue.
#[derive(Debug, Default)]
struct Side {
    gone: bool,
    waiting: Option<Waker>,
}

impl Side {
    fn wake(&mut self) {
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }
}

/// Puts messages in. Dropping it ends the stream.
#[derive(Debug)]
pub(super) struct Sender(Arc<Mutex<State>>);

/// Takes messages out.
#[derive(Debug)]
pub(super) struct Inbox(Arc<Mutex<State>>);

pub(super) fn new() -> (Sender, Inbox) {
    let state = Arc::new(Mutex::new(State::default()));
    (Sender(state.clone()), Inbox(state))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Nothing panics while it is held, and the state would be whole if something did.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sender {
    /// Queues a message whose text had `size` bytes, after there is room. Messages for a resource
    /// that does not listen (any more) are dropped.
    pub(super) async fn send(&self, message: Value, size: usize) {
        let mut message = Some(message);
        std::future::poll_fn(|cx| {
            let mut state = lock(&self.0);
            if state.receiver.gone {
                return Poll::Ready(());
            }
            if state.bytes >= CAPACITY {
                state.sender.waiting = Some(cx.waker().clone());
                return Poll::Pending;
            }
            if let Some(message) = message.take() {
                let cost = size + MESSAGE_COST;
                state.bytes += cost;
                state.messages.push_back((message, cost));
                state.receiver.wake();
            }
            Poll::Ready(())
        })
        .await;
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let mut state = lock(&self.0);
        state.sender.gone = true;
        state.receiver.wake();
    }
}

impl Stream for Inbox {
    type Item = Value;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Value>> {
        let mut state = lock(&self.0);
        if let Some((message, cost)) = state.messages.pop_front() {
            state.bytes -= cost;
            if state.bytes < CAPACITY {
                state.sender.wake();
            }
            return Poll::Ready(Some(message));
        }
        if state.sender.gone {
            return Poll::Ready(None);
        }
        state.receiver.waiting = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let mut state = lock(&self.0);
        state.receiver.gone = true;
        state.messages.clear();
        state.sender.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, StreamExt};

    #[tokio::test]
    async fn a_full_inbox_holds_the_sender_back() {
        let (sender, mut inbox) = new();
        sender.send(1.into(), CAPACITY).await;
        assert!(sender.send(2.into(), 1).now_or_never().is_none());
        assert_eq!(inbox.next().await, Some(1.into()));
        sender.send(2.into(), 1).await;
        drop(sender);
        assert_eq!(inbox.collect::<Vec<_>>().await, [2.into()]);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_resource_that_does_not_listen() {
        let (sender, inbox) = new();
        sender.send(1.into(), CAPACITY).await;
        let waiting = tokio::spawn(async move { sender.send(2.into(), 1).await });
        tokio::task::yield_now().await;
        drop(inbox);
        waiting.await.unwrap();
    }
}
