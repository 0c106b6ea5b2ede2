//! The trait that transports see.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;

use crate::schema::TableSchema;
use crate::{
    Call, Context, Frame, Map, Pattern, Position, Query, Reply, Result, Target, Value, VerbSet,
};

/// A future that a resource returns. It owns what it needs, so that a transport may hold it past the
/// life of a registry entry.
pub type ResourceFuture<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// The protocols that `@export` can switch off one by one (`spec/harper-resources.md` section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    Rest,
    WebSocket,
    Sse,
    Mqtt,
}

/// Something with a path: a table, a JavaScript class or a WASM guest.
pub trait Resource: Send + Sync + 'static {
    /// The name for messages: the table's or the class's.
    fn name(&self) -> &str;

    /// The verbs that it implements: for `Allow` and 405.
    fn verbs(&self) -> VerbSet;

    /// The table behind it, if there is one: decides how ids in URLs are read.
    fn schema(&self) -> Option<Arc<TableSchema>>;

    /// What a class says about itself for OpenAPI; `None` where it says nothing.
    fn documentation(&self) -> Option<Arc<Documentation>> {
        None
    }

    /// Runs one verb. Dropping the future abandons the answer, not work that is already committed.
    fn call(self: Arc<Self>, call: Call) -> ResourceFuture<Reply>;

    /// Opens a stream of messages to one client, with the client's own messages if the protocol has
    /// them. Dropping the stream is the client's going away.
    fn connect(self: Arc<Self>, connect: Connect) -> ResourceFuture<Outgoing>;

    /// Where to put the bytes of a body that is not a record, to become a blob of the target: the
    /// value that comes out is then the body of the call. `None` where the target has no place for
    /// one. Fails as the call would for want of permission.
    fn blob_sink(
        self: Arc<Self>,
        _target: &Target,
        _context: &Arc<Context>,
    ) -> Result<Option<Box<dyn BlobSink>>> {
        Ok(None)
    }
}

/// Takes the bytes of one blob, in constant memory. Dropping it throws them away.
pub trait BlobSink: Send {
    /// Takes the next bytes; waits for the disk.
    fn write(&mut self, bytes: Bytes) -> Pin<Box<dyn Future<Output = Result<()>> + Send + '_>>;

    /// Ends the blob.
    fn finish(self: Box<Self>, content_type: String) -> ResourceFuture<Value>;
}

/// The static properties of a class that only describe it (`spec/harper-resources.md` section 4.2).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Documentation {
    /// `static description`.
    pub description: Option<String>,
    /// `static properties`: JSON schemas by property name.
    pub properties: Option<Map>,
    /// `static outputSchemas`: JSON schemas by method name.
    pub output_schemas: Option<Map>,
    /// `static hidden = true`: left out of OpenAPI.
    pub hidden: bool,
}

/// A client that wants a stream.
#[derive(Debug)]
pub struct Connect {
    pub target: Target,
    pub context: Arc<Context>,
    /// The client's messages; `None` where the protocol has none (SSE).
    pub incoming: Option<Incoming>,
    pub opens: Opens,
    pub options: StreamOptions,
}

/// Which method of a class opens the stream (`spec/harper-resources.md` section 3.3). To a table
/// both are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Opens {
    /// WebSocket and SSE.
    #[default]
    Connect,
    /// MQTT.
    Subscribe,
}

/// What a client wants of a subscription besides its target (`spec/harper-realtime.md` section 3).
/// A class is handed them as properties of its target.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamOptions {
    /// Do not begin with the current records.
    pub omit_current: bool,
    /// Begin with the last so many changes instead of the current records.
    pub previous_count: Option<usize>,
    /// Begin with the changes after this time (ms since the epoch) instead of the current records.
    pub start_time: Option<f64>,
    /// Begin with the changes after this position. Where the log does not reach back to it the
    /// stream begins with [`Message::Gap`] and the current records.
    pub resume: Option<Position>,
    /// Of a collection only ids with one more level.
    pub only_children: bool,
    /// Of a collection only the ids of this pattern.
    pub pattern: Option<Pattern>,
    /// Only events of records that satisfy the conditions, and a `leave` event when one no longer
    /// does.
    pub filter: Option<Query>,
}

/// The client's messages, bounded by the transport: it stops reading the socket while this is full,
/// so that back-pressure from a resource reaches the client.
pub type Incoming = Pin<Box<dyn IncomingStream>>;

/// A stream of decoded client messages; ends when the client is gone.
pub trait IncomingStream: Stream<Item = Value> + Send + std::fmt::Debug {}

impl<T: Stream<Item = Value> + Send + std::fmt::Debug> IncomingStream for T {}

/// What a resource sends. The transport pulls it as fast as the client reads, no faster.
pub type Outgoing = Pin<Box<dyn Stream<Item = Result<Message>> + Send>>;

/// One message to a client.
#[derive(Debug, Clone)]
pub enum Message {
    /// A table's event, encoded once for all its subscribers.
    Event(Arc<Frame>),
    /// What came before is the state at this position. Comes before the first event that has a
    /// `Seq`, so that the epoch of those that follow is known.
    Position(Position),
    /// Changes are missing here: history no longer reaches back to where the client stood. Current
    /// records follow.
    Gap,
    /// A value that class code sent; encoded for this client.
    Value(Value),
    /// `{contentType, data}`: bytes as they are.
    Raw { content_type: String, data: Bytes },
}
