//! The body of a response: bytes that are there, or a stream of them.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use hyper::body::{Body, Frame, SizeHint};

/// Chunks of a streamed body. It never fails: what goes wrong is said within the stream, or the
/// stream ends.
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
    /// The same of a size in bytes that is known; one that falls short breaks the connection.
    Measured(u64, Chunks),
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        match this {
            ResponseBody::Empty => Poll::Ready(None),
            ResponseBody::Full(_) => match std::mem::take(this) {
                ResponseBody::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                ResponseBody::Empty | ResponseBody::Streamed(_) | ResponseBody::Measured(..) => {
                    Poll::Ready(None)
                }
            },
            ResponseBody::Streamed(chunks) | ResponseBody::Measured(_, chunks) => {
                chunks.as_mut().poll_next(cx).map(|chunk| chunk.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, ResponseBody::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ResponseBody::Empty => SizeHint::with_exact(0),
            ResponseBody::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            ResponseBody::Streamed(_) => SizeHint::default(),
            ResponseBody::Measured(size, _) => SizeHint::with_exact(*size),
        }
    }
}
