//! The contract between everything in Kora that *has* data and everything that *serves* it.
//!
//! A transport (HTTP, WebSocket, SSE, later MQTT) turns what a client sent into a [`Call`] or a
//! [`Connect`] with a [`Target`], hands it to a [`Resource`], and turns the [`Reply`] or the stream
//! of [`Outgoing`] messages back into bytes. A resource is a table, a JavaScript class or, later, a
//! WASM guest; no transport can tell which.
//!
//! *Invariant:* this crate does no I/O, starts no thread and knows no engine. It holds the data model
//! ([`Value`], [`Id`], [`Record`]), the query language ([`Query`]), the schema language
//! ([`schema::TableSchema`]) and the words that travel between the crates.

pub mod body;
mod cache_control;
mod call;
mod context;
mod error;
mod event;
mod id;
mod limits;
mod message_properties;
pub mod middleware;
mod pattern;
mod position;
pub mod query;
mod record;
mod resource;
mod row_errors;
pub mod schema;
mod target;
mod user;
pub mod value;

pub use cache_control::CacheControl;
pub use call::{Call, Chunks, Item, Items, Reply, ReplyBody, Verb, VerbSet};
pub use context::{Context, RequestInfo};
pub use error::{Error, ErrorKind, Result};
pub use event::{Epoch, Event, EventKind, EventValue, Frame, Seq, Version, Wire};
pub use id::Id;
pub use limits::{Exceeded, Limits};
pub use message_properties::{MessageProperties, PayloadKind};
pub use pattern::{Depth, Level, Pattern};
pub use position::Position;
pub use query::Query;
pub use record::Record;
pub use resource::{
    BlobSink, Connect, Documentation, Incoming, IncomingStream, Message, Opens, Outgoing, Protocol,
    Resource, ResourceFuture, StreamOptions,
};
pub use row_errors::RowErrors;
pub use target::{Params, Target};
pub use user::{
    Access, AccessSet, Accounts, AttributePermission, Attributes, Operator, Permission,
    PermissionError, Role, SUPER_USER_ROLE, StructureUser, TablePermission, TableRights, User,
    session_cookie,
};
pub use value::{Map, Value};
