//! Bodies of requests and responses that middleware holds: named to JavaScript by a number, read only
//! by code that looks at them, handed on untouched otherwise.
//!
//! Used on the worker's thread only. A body that JavaScript produces itself is fed through a bounded
//! channel, so that it is made as fast as the client reads.

use std::future::poll_fn;

use bytes::Bytes;
use futures_util::StreamExt;
use kora_resource::Result;
use kora_resource::middleware::{Body, ByteStream};
use slab::Slab;
use tokio::sync::mpsc;

use crate::pull::Pull;

/// Chunks of a body under production that may wait for the client.
const CHUNKS_AHEAD: usize = 16;

/// The bodies of one worker.
#[derive(Default)]
pub(crate) struct Bodies {
    held: Slab<Held>,
    feeds: Slab<mpsc::Sender<Result<Bytes>>>,
}

enum Held {
    Full(Bytes),
    Stream(Pull<ByteStream>),
}

/// What reading the next chunk of a body needs.
pub(crate) enum Reading {
    Ready(Option<Bytes>),
    Waits(Pull<ByteStream>),
}

impl Bodies {
    /// Holds a body; -1 stands for an empty one.
    pub(crate) fn insert(&mut self, body: Body) -> i32 {
        match body {
            Body::Empty => -1,
            Body::Full(bytes) => self.held.insert(Held::Full(bytes)) as i32,
            Body::Stream(stream) => self.held.insert(Held::Stream(Pull::new(stream))) as i32,
        }
    }

    /// Takes a body out. One that is not there, or was read to its end, is empty.
    pub(crate) fn take(&mut self, number: i32) -> Body {
        match usize::try_from(number).ok().and_then(|number| self.held.try_remove(number)) {
            Some(Held::Full(bytes)) => Body::Full(bytes),
            Some(Held::Stream(pull)) => pull.take().map_or(Body::Empty, Body::Stream),
            None => Body::Empty,
        }
    }

    /// The bytes of a body that is there as a whole.
    pub(crate) fn whole(&self, number: i32) -> Option<Bytes> {
        match self.held.get(usize::try_from(number).ok()?)? {
            Held::Full(bytes) => Some(bytes.clone()),
            Held::Stream(_) => None,
        }
    }

    /// Begins to read the next chunk.
    pub(crate) fn read(&mut self, number: i32) -> Reading {
        let found = usize::try_from(number).ok().and_then(|number| self.held.get_mut(number));
        match found {
            None => Reading::Ready(None),
            Some(Held::Stream(pull)) => Reading::Waits(pull.clone()),
            Some(Held::Full(bytes)) => {
                let bytes = std::mem::take(bytes);
                Reading::Ready((!bytes.is_empty()).then_some(bytes))
            }
        }
    }

    /// A body that JavaScript feeds: its number, and that of its feed.
    pub(crate) fn open(&mut self) -> (i32, u32) {
        let (feed, receiver) = mpsc::channel(CHUNKS_AHEAD);
        let chunks = futures_util::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        });
        (self.insert(Body::Stream(chunks.boxed())), self.feeds.insert(feed) as u32)
    }

    pub(crate) fn feed(&self, number: u32) -> Option<&mpsc::Sender<Result<Bytes>>> {
        self.feeds.get(number as usize)
    }

    pub(crate) fn close_feed(&mut self, number: u32) -> Option<mpsc::Sender<Result<Bytes>>> {
        self.feeds.try_remove(number as usize)
    }
}

impl Reading {
    pub(crate) async fn next(self) -> Option<Result<Bytes>> {
        match self {
            Reading::Ready(bytes) => bytes.map(Ok),
            Reading::Waits(pull) => poll_fn(|cx| pull.poll(cx)).await,
        }
    }
}
