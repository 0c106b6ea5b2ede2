//! A call of one verb of a resource, and what it answers.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;

use crate::{Context, Id, Record, Result, Seq, Target, Value, Version};

/// What is asked of a resource: the method names of `spec/harper-resources.md` section 3.3.
/// `connect` is not among them: see [`crate::Resource::connect`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    Get,
    Put,
    Patch,
    Post,
    Delete,
    Query,
    Publish,
    /// To the id that is the call's body.
    Copy,
    /// To the id that is the call's body.
    Move,
}

impl Verb {
    /// In the order of `Allow`.
    pub const ALL: [Verb; 9] = [
        Verb::Get,
        Verb::Put,
        Verb::Post,
        Verb::Delete,
        Verb::Patch,
        Verb::Query,
        Verb::Move,
        Verb::Copy,
        Verb::Publish,
    ];

    /// The name of the method in a class.
    pub fn method(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::Put => "put",
            Verb::Patch => "patch",
            Verb::Post => "post",
            Verb::Delete => "delete",
            Verb::Query => "query",
            Verb::Publish => "publish",
            Verb::Copy => "copy",
            Verb::Move => "move",
        }
    }

    /// The HTTP method that leads here; `None` where none does.
    pub fn http_method(self) -> Option<&'static str> {
        match self {
            Verb::Get => Some("GET"),
            Verb::Put => Some("PUT"),
            Verb::Patch => Some("PATCH"),
            Verb::Post => Some("POST"),
            Verb::Delete => Some("DELETE"),
            Verb::Query => Some("QUERY"),
            Verb::Copy => Some("COPY"),
            Verb::Move => Some("MOVE"),
            Verb::Publish => None,
        }
    }
}

/// A set of verbs: what a resource implements.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct VerbSet(u16);

impl VerbSet {
    pub const fn with(self, verb: Verb) -> VerbSet {
        VerbSet(self.0 | 1 << verb as u8)
    }

    pub const fn contains(self, verb: Verb) -> bool {
        self.0 & (1 << verb as u8) != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Verb> {
        Verb::ALL.into_iter().filter(move |verb| self.contains(*verb))
    }
}

impl FromIterator<Verb> for VerbSet {
    fn from_iter<I: IntoIterator<Item = Verb>>(verbs: I) -> VerbSet {
        verbs.into_iter().fold(VerbSet::default(), VerbSet::with)
    }
}

impl fmt::Debug for VerbSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// One call.
#[derive(Debug, Clone)]
pub struct Call {
    pub verb: Verb,
    pub target: Target,
    /// The decoded body; `None` where the request had none.
    pub body: Option<Value>,
    pub context: Arc<Context>,
}

/// What a call answers. `status` and `headers` are what the resource insists on; the transport
/// chooses the rest (`spec/harper-rest.md` section 2.1).
#[derive(Debug, Default)]
pub struct Reply {
    pub status: Option<u16>,
    /// In order; several of one name are several lines (`Set-Cookie`).
    pub headers: Vec<(String, String)>,
    pub body: ReplyBody,
    /// The version of the one record that was answered: becomes the `ETag`.
    pub version: Option<Version>,
    /// The id of a record that this call created: 201 and `Location`.
    pub created: Option<Id>,
    /// Where in the change log the one change of this call stands, if the resource tells.
    pub seq: Option<Seq>,
}

/// The body of a reply.
#[derive(Default)]
pub enum ReplyBody {
    /// `undefined`: 404 on a read, 204 on a write.
    #[default]
    Absent,
    Value(Value),
    Record(Record),
    /// A sequence, streamed as an array.
    Items(Items),
    /// Bytes with their own content type, not negotiated.
    Raw {
        content_type: String,
        data: Bytes,
    },
    /// Bytes as they come, with a content type of their own (empty for none).
    Stream {
        content_type: String,
        /// In bytes, if it is known.
        size: Option<u64>,
        chunks: Chunks,
    },
}

/// A body in pieces. Dropping it ends the work behind it; an error cuts the body off.
pub type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// A lazily produced sequence. Dropping it ends the work behind it.
pub type Items = Pin<Box<dyn Stream<Item = Result<Item>> + Send>>;

/// One element of a sequence.
#[derive(Debug, Clone)]
pub enum Item {
    Record(Record),
    Value(Value),
}

impl Reply {
    pub fn value(value: Value) -> Reply {
        Reply { body: ReplyBody::Value(value), ..Reply::default() }
    }

    pub fn record(record: Record) -> Reply {
        Reply {
            version: Some(record.shown_version()),
            body: ReplyBody::Record(record),
            ..Reply::default()
        }
    }

    pub fn items(items: Items) -> Reply {
        Reply { body: ReplyBody::Items(items), ..Reply::default() }
    }
}

impl fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplyBody::Absent => f.write_str("Absent"),
            ReplyBody::Value(value) => f.debug_tuple("Value").field(value).finish(),
            ReplyBody::Record(record) => f.debug_tuple("Record").field(record).finish(),
            ReplyBody::Items(_) => f.write_str("Items(..)"),
            ReplyBody::Raw { content_type, data } => {
                write!(f, "Raw({content_type}, {} bytes)", data.len())
            }
            ReplyBody::Stream { content_type, size, .. } => {
                write!(f, "Stream({content_type}, {size:?} bytes)")
            }
        }
    }
}
