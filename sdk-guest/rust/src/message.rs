//! Messages of a `connect`.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Result;
use crate::encoding::{decode, encode};

/// One message to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A value, encoded for each client as it wants it.
    #[doc(hidden)]
    Value(Vec<u8>),
    /// Bytes as they are.
    Raw { content_type: String, data: Vec<u8> },
}

impl Message {
    pub fn value(value: &impl Serialize) -> Result<Message> {
        encode(value).map(Message::Value)
    }
}

/// What the client sends, until it leaves. Empty for clients that can't send (Server-Sent Events).
#[derive(Default)]
pub struct Messages(Option<Pin<Box<dyn Stream<Item = Vec<u8>>>>>);

impl Messages {
    pub(crate) fn new(stream: impl Stream<Item = Vec<u8>> + 'static) -> Messages {
        Messages(Some(Box::pin(stream)))
    }

    /// The messages as values of one type.
    pub fn typed<T: DeserializeOwned>(self) -> impl Stream<Item = Result<T>> {
        use futures_util::StreamExt;
        self.map(|message| decode(&message, "the message", 400))
    }
}

/// Encoded values; see [`Messages::typed`].
impl Stream for Messages {
    type Item = Vec<u8>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        match &mut self.0 {
            Some(stream) => stream.as_mut().poll_next(cx),
            None => Poll::Ready(None),
        }
    }
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Messages")
    }
}
