//! A stream that JavaScript pulls from, item by item, and may close while it waits for one.
//!
//! Lives in a slab of the worker, by whose number JavaScript names it. An operation that waits holds
//! the pull itself and not the number, which may be given to another stream meanwhile. Closing drops
//! the stream at once and ends the waiting.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_util::Stream;

/// A closable stream; clones name the same one.
pub(crate) struct Pull<S: Stream>(Rc<RefCell<State<S>>>);

struct State<S: Stream> {
    /// `None` once it is closed or taken.
    stream: Option<S>,
    /// An item that comes again before those of the stream.
    returned: Option<S::Item>,
    waiting: Option<Waker>,
}

impl<S: Stream> Clone for Pull<S> {
    fn clone(&self) -> Self {
        Pull(self.0.clone())
    }
}

impl<S: Stream + Unpin> Pull<S> {
    pub(crate) fn new(stream: S) -> Pull<S> {
        let state = State { stream: Some(stream), returned: None, waiting: None };
        Pull(Rc::new(RefCell::new(state)))
    }

    /// The next item; `None` also when the stream was closed or taken.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut state = self.0.borrow_mut();
        if let Some(item) = state.returned.take() {
            return Poll::Ready(Some(item));
        }
        let Some(stream) = &mut state.stream else { return Poll::Ready(None) };
        let item = Pin::new(stream).poll_next(cx);
        if item.is_pending() {
            state.waiting = Some(cx.waker().clone());
        }
        item
    }

    /// Has `item` come again as the next one.
    pub(crate) fn put_back(&self, item: S::Item) {
        self.0.borrow_mut().returned = Some(item);
    }

    /// Takes the stream away; whoever waits for an item sees the end.
    pub(crate) fn take(&self) -> Option<S> {
        let (stream, waiting) = {
            let mut state = self.0.borrow_mut();
            (state.stream.take(), state.waiting.take())
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
        stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn closing_ends_the_waiting() {
        let pull = Pull::new(futures_util::stream::pending::<u8>());
        let mut waiting = Box::pin(poll_fn(|cx| pull.poll(cx)));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        assert!(pull.take().is_some());
        assert_eq!(waiting.await, None);
    }
}
