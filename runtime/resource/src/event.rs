//! What happened: one entry of the change log as subscribers see it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::{Id, MessageProperties, Record, Value};

/// A position in the change log of one database: 1 for its first entry, then without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

/// Names one life of a change log. It changes when the log is made anew, and only then, so that a
/// client that resumes with an old [`Seq`] can be told that its position means nothing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(pub u64);

/// When a record was written: milliseconds since the Unix epoch as a double, strictly rising within
/// a database. Clients see it as `version` and `localTime`, and as the `ETag`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Version(pub f64);

/// What kind of change an event tells of; its name is the `type` that clients see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    Put,
    Patch,
    Delete,
    Message,
    Invalidate,
    /// The record no longer satisfies the conditions of the subscription. Never in the log.
    Leave,
}

impl EventKind {
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Put => "put",
            EventKind::Patch => "patch",
            EventKind::Delete => "delete",
            EventKind::Message => "message",
            EventKind::Invalidate => "invalidate",
            EventKind::Leave => "leave",
        }
    }
}

/// One change, as `spec/harper-realtime.md` section 3.1 shows it.
#[derive(Debug, Clone)]
pub struct Event {
    /// The position in the log; `None` for a current record sent as a snapshot.
    pub seq: Option<Seq>,
    pub kind: EventKind,
    pub id: Id,
    pub version: Version,
    pub local_time: Version,
    pub value: EventValue,
    /// What its publisher has said about it, if it said anything.
    pub properties: Option<Arc<MessageProperties>>,
}

/// What an event carries.
#[derive(Debug, Clone)]
pub enum EventValue {
    /// Nothing: a delete.
    Absent,
    /// The whole record after the change.
    Record(Record),
    /// A published message.
    Message(Value),
}

/// The forms in which an event can go over the wire. One slot each in [`Frame`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// The JSON text of the event envelope.
    Json,
    /// A whole WebSocket text frame (header and JSON envelope), unmasked as servers send it.
    WebSocketJson,
    /// A whole SSE block with the JSON envelope as its data.
    SseJson,
    /// [`Wire::WebSocketJson`] with the event's position in the envelope.
    WebSocketJsonPositioned,
    /// A whole WebSocket binary frame with the envelope as CBOR.
    WebSocketCbor,
    WebSocketCborPositioned,
    /// A whole WebSocket binary frame with the envelope as MessagePack.
    WebSocketMessagePack,
    WebSocketMessagePackPositioned,
    /// The JSON text of the value alone: an MQTT payload.
    JsonValue,
    /// A whole MQTT 3.1.1 PUBLISH packet of quality of service 0.
    Mqtt3,
    /// The same for MQTT 5.
    Mqtt5,
}

const WIRES: usize = 11;

/// An [`Event`] shared by all its subscribers, with each wire form made at most once.
#[derive(Debug)]
pub struct Frame {
    pub event: Event,
    encoded: [OnceLock<Bytes>; WIRES],
}

impl Frame {
    pub fn new(event: Event) -> Arc<Frame> {
        Arc::new(Frame { event, encoded: Default::default() })
    }

    /// The event in the form `wire`, made by `encode` for the first that asks and shared after.
    pub fn encoded(&self, wire: Wire, encode: impl FnOnce(&Event) -> Bytes) -> Bytes {
        self.encoded[wire as usize].get_or_init(|| encode(&self.event)).clone()
    }

    /// About how many bytes this frame keeps alive in a queue; what byte bounds count.
    pub fn cost(&self) -> usize {
        const ENVELOPE: usize = 128;
        ENVELOPE
            + match &self.event.value {
                EventValue::Absent => 0,
                EventValue::Record(record) => record.body().len(),
                EventValue::Message(value) => value.approximate_size(),
            }
            + self.event.properties.as_ref().map_or(0, |properties| properties.approximate_size())
    }
}
