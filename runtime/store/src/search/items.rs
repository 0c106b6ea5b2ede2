//! A search as a stream for async callers.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use kora_resource::{Item, Result};

use super::Search;

const BATCH: usize = 64;

/// Each poll does one bounded step at most, then lets other tasks run.
pub(super) struct SearchItems {
    search: Search,
    ready: VecDeque<Item>,
    failed: bool,
}

impl SearchItems {
    pub(super) fn new(search: Search) -> SearchItems {
        SearchItems { search, ready: VecDeque::new(), failed: false }
    }
}

impl Stream for SearchItems {
    type Item = Result<Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Item>>> {
        let this = self.get_mut();
        if let Some(item) = this.ready.pop_front() {
            return Poll::Ready(Some(Ok(item)));
        }
        if this.failed {
            return Poll::Ready(None);
        }
        let stepped = if this.search.ended() { Ok(()) } else { this.search.step() };
        match stepped.and_then(|()| this.search.take(BATCH)) {
            Ok(items) => this.ready.extend(items),
            Err(error) => {
                this.failed = true;
                return Poll::Ready(Some(Err(error)));
            }
        }
        match this.ready.pop_front() {
            Some(item) => Poll::Ready(Some(Ok(item))),
            None if this.search.ended() => Poll::Ready(None),
            None => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}
