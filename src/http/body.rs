//! The body of a response: bytes that are there, or a stream of them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use hyper::body::{Body, Frame, SizeHint};

/// Chunks of a streamed body that never fails: what goes wrong is said within the stream.
pub(crate) type Chunks = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

/// A response's body.
#[derive(Default)]
pub(crate) enum ResponseBody {
    #[default]
    Empty,
    /// Sent at once, with `Content-Length`.
    Full(Bytes),
    /// Sent as it comes, in chunks.
    Streamed(Chunks),
    /// Sent as it comes; a failure cuts the connection, so that nobody takes the part for the whole.
    Piped {
        /// In bytes, if it is known: sent as `Content-Length`.
        size: Option<u64>,
        chunks: kora_resource::Chunks,
    },
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        match this {
            ResponseBody::Empty => Poll::Ready(None),
            ResponseBody::Full(_) => match std::mem::take(this) {
                ResponseBody::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                ResponseBody::Empty | ResponseBody::Streamed(_) | ResponseBody::Piped { .. } => {
                    Poll::Ready(None)
                }
            },
            ResponseBody::Streamed(chunks) => {
                chunks.as_mut().poll_next(cx).map(|chunk| chunk.map(|bytes| Ok(Frame::data(bytes))))
            }
            ResponseBody::Piped { chunks, .. } => chunks.as_mut().poll_next(cx).map(|chunk| {
                let framed = |chunk: kora_resource::Result<Bytes>| {
                    chunk.map(Frame::data).map_err(|error| io::Error::other(error.message))
                };
                chunk.map(framed)
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, ResponseBody::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ResponseBody::Empty => SizeHint::with_exact(0),
            ResponseBody::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            ResponseBody::Piped { size: Some(size), .. } => SizeHint::with_exact(*size),
            ResponseBody::Streamed(_) | ResponseBody::Piped { size: None, .. } => {
                SizeHint::default()
            }
        }
    }
}
