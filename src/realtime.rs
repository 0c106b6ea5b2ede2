//! The streaming transports: WebSocket, Server-Sent Events and MQTT over [`kora_resource::Resource::connect`].
//!
//! All pull a resource's messages only as fast as the client reads, so back-pressure reaches
//! whoever produces them; all end when the client is gone by dropping the stream. A table's event
//! is encoded once ([`envelope`]) and shared by all its subscribers. Each tells its clients where
//! they stand ([`kora_resource::Position`]) and takes them up there again.

mod asked;
pub(crate) mod drain;
mod envelope;
mod frame_reader;
mod frame_writer;
pub(crate) mod heartbeat;
mod inbox;
pub(crate) mod mqtt;
mod resumed;
pub(crate) mod sse;
pub(crate) mod websocket;
