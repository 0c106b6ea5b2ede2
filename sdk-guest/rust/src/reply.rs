//! What a method answers.

use std::pin::Pin;

use futures_core::Stream;
use futures_util::StreamExt;
use serde::Serialize;

use crate::encoding::encode;
use crate::{Body, Id, Result};

/// An answer in full. Most methods answer something simpler: see [`IntoReply`].
#[derive(Debug, Default)]
pub struct Reply {
    pub(crate) status: Option<u16>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: ReplyBody,
    pub(crate) created: Option<Id>,
}

#[derive(Default)]
pub(crate) enum ReplyBody {
    #[default]
    Absent,
    Value(Vec<u8>),
    Items(Encoded),
    Raw(String, Vec<u8>),
    Pieces(String, Encoded),
}

pub(crate) type Encoded = Pin<Box<dyn Stream<Item = Result<Vec<u8>>>>>;

impl Reply {
    /// No content: 404 on a read, 204 on a write.
    pub fn absent() -> Reply {
        Reply::default()
    }

    pub fn value(value: &impl Serialize) -> Result<Reply> {
        Ok(Reply { body: ReplyBody::Value(encode(value)?), ..Reply::default() })
    }

    /// A sequence, sent as it is produced.
    pub fn items<T: Serialize + 'static>(items: impl Stream<Item = Result<T>> + 'static) -> Reply {
        let encoded = items.map(|item| encode(&item?));
        Reply { body: ReplyBody::Items(Box::pin(encoded)), ..Reply::default() }
    }

    /// Bytes with their own content type.
    pub fn raw(content_type: impl Into<String>, data: impl Into<Vec<u8>>) -> Reply {
        Reply { body: ReplyBody::Raw(content_type.into(), data.into()), ..Reply::default() }
    }

    /// Bytes with their own content type, sent as they are produced.
    pub fn pieces(
        content_type: impl Into<String>,
        pieces: impl Stream<Item = Result<Vec<u8>>> + 'static,
    ) -> Reply {
        let body = ReplyBody::Pieces(content_type.into(), Box::pin(pieces));
        Reply { body, ..Reply::default() }
    }

    /// 201 with `Location`, and the key as the body.
    pub fn created(id: impl Into<Id>) -> Result<Reply> {
        let id = id.into();
        Ok(Reply { created: Some(id.clone()), ..Reply::value(&id)? })
    }

    #[must_use]
    pub fn with_status(mut self, status: u16) -> Reply {
        self.status = Some(status);
        self
    }

    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Reply {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The status that was asked for, if one was.
    pub fn status(&self) -> Option<u16> {
        self.status
    }
}

impl std::fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ReplyBody::Absent => f.write_str("Absent"),
            ReplyBody::Value(bytes) => write!(f, "Value({} bytes)", bytes.len()),
            ReplyBody::Items(_) => f.write_str("Items(..)"),
            ReplyBody::Raw(content_type, data) => {
                write!(f, "Raw({content_type}, {} bytes)", data.len())
            }
            ReplyBody::Pieces(content_type, _) => write!(f, "Pieces({content_type}, ..)"),
        }
    }
}

/// What a method may answer.
pub trait IntoReply {
    fn into_reply(self) -> Result<Reply>;
}

impl IntoReply for Reply {
    fn into_reply(self) -> Result<Reply> {
        Ok(self)
    }
}

impl IntoReply for () {
    fn into_reply(self) -> Result<Reply> {
        Ok(Reply::absent())
    }
}

impl<T: Serialize> IntoReply for Body<T> {
    fn into_reply(self) -> Result<Reply> {
        Reply::value(&self.0)
    }
}

/// `None` is 404 on a read.
impl<T: IntoReply> IntoReply for Option<T> {
    fn into_reply(self) -> Result<Reply> {
        self.map_or_else(|| Ok(Reply::absent()), IntoReply::into_reply)
    }
}

impl<T: IntoReply> IntoReply for Result<T> {
    fn into_reply(self) -> Result<Reply> {
        self?.into_reply()
    }
}

/// A sequence, sent as it is produced.
#[derive(Debug, Clone, Copy)]
pub struct Items<S>(pub S);

impl<T: Serialize + 'static, S: Stream<Item = Result<T>> + 'static> IntoReply for Items<S> {
    fn into_reply(self) -> Result<Reply> {
        Ok(Reply::items(self.0))
    }
}
