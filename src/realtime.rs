//! The streaming transports: WebSocket and Server-Sent Events over [`kora_resource::Resource::connect`].
//!
//! Both pull a resource's messages only as fast as the client reads, so back-pressure reaches
//! whoever produces them; both end when the client is gone by dropping the stream. A table's event
//! is encoded once ([`envelope`]) and shared by all its subscribers.

pub(crate) mod drain;
mod envelope;
mod frame_writer;
mod inbox;
pub(crate) mod sse;
pub(crate) mod websocket;
