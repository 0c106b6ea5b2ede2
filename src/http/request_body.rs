//! The body of a request on its way to a resource: as it comes from the connection, or as middleware
//! has handed it on.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::unfold;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use kora_resource::Error;
use kora_resource::middleware::{self, ByteStream};

/// A request's body.
pub(crate) enum RequestBody {
    Incoming(Incoming),
    Empty,
    Full(Bytes),
    /// Behind a mutex that is never locked: requests are shared by reference across awaits, and a
    /// stream alone is not `Sync`.
    Stream(Mutex<ByteStream>),
}

impl RequestBody {
    /// As middleware takes it.
    pub(super) fn into_middleware(self) -> middleware::Body {
        match self {
            RequestBody::Incoming(incoming) if incoming.is_end_stream() => middleware::Body::Empty,
            RequestBody::Incoming(incoming) => middleware::Body::Stream(chunks(incoming)),
            RequestBody::Empty => middleware::Body::Empty,
            RequestBody::Full(bytes) => middleware::Body::Full(bytes),
            RequestBody::Stream(stream) => middleware::Body::Stream(
                stream.into_inner().unwrap_or_else(PoisonError::into_inner),
            ),
        }
    }
}

impl From<middleware::Body> for RequestBody {
    fn from(body: middleware::Body) -> RequestBody {
        match body {
            middleware::Body::Empty => RequestBody::Empty,
            middleware::Body::Full(bytes) => RequestBody::Full(bytes),
            middleware::Body::Stream(stream) => RequestBody::Stream(Mutex::new(stream)),
        }
    }
}

fn chunks(incoming: Incoming) -> ByteStream {
    let chunks = unfold(incoming, |mut incoming| async move {
        loop {
            let chunk = match incoming.frame().await? {
                Ok(frame) => match frame.into_data() {
                    Ok(data) => Ok(data),
                    // Trailers: nobody here looks at them.
                    Err(_) => continue,
                },
                Err(error) => Err(broken(&error)),
            };
            return Some((chunk, incoming));
        }
    });
    chunks.boxed()
}

fn broken(error: &dyn std::fmt::Display) -> Error {
    Error::invalid(format!("The request's body did not arrive as a whole: {error}"))
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        match this {
            RequestBody::Incoming(incoming) => Pin::new(incoming)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(|error| broken(&error)))),
            RequestBody::Empty => Poll::Ready(None),
            RequestBody::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *this = RequestBody::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            RequestBody::Stream(stream) => {
                let stream = stream.get_mut().unwrap_or_else(PoisonError::into_inner);
                stream.as_mut().poll_next(cx).map(|chunk| chunk.map(|c| c.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            RequestBody::Incoming(incoming) => incoming.is_end_stream(),
            RequestBody::Empty => true,
            RequestBody::Full(bytes) => bytes.is_empty(),
            RequestBody::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RequestBody::Incoming(incoming) => incoming.size_hint(),
            RequestBody::Empty => SizeHint::with_exact(0),
            RequestBody::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            RequestBody::Stream(_) => SizeHint::default(),
        }
    }
}
