//! The JSON envelope of a table's event, `{id, localTime, value, version, type}`
//! (`spec/harper-realtime.md` section 3.1), in the forms that [`Wire`] names.
//!
//! Each form is made by the first connection that sends the event and shared by all others.

use bytes::Bytes;
use kora_resource::value::json;
use kora_resource::{Epoch, Event, EventValue, Frame, Position, Value, Version, Wire};

use super::frame_writer::{Opcode, encode_frame};

/// The event as a WebSocket text frame, header included.
pub(super) fn web_socket(frame: &Frame) -> Bytes {
    frame.encoded(Wire::WebSocketJson, |_| encode_frame(Opcode::Text, &json_text(frame)))
}

/// The same with its position in the envelope. All positions of a table's events are of one epoch,
/// so that this form can be shared as the others are.
pub(super) fn web_socket_positioned(frame: &Frame, epoch: Option<Epoch>) -> Bytes {
    let Some(position) = position(frame, epoch) else { return web_socket(frame) };
    frame.encoded(Wire::WebSocketPositioned, |_| {
        let text = json_text(frame);
        let open = text.strip_suffix(b"}").unwrap_or(&text);
        let position = format!(",\"position\":\"{position}\"}}");
        encode_frame(Opcode::Text, &[open, position.as_bytes()].concat())
    })
}

/// The event as an SSE block, with its position as the `id` that browsers give back.
pub(super) fn sse(frame: &Frame, epoch: Option<Epoch>) -> Bytes {
    // JSON text has no line breaks, so one `data` line holds it.
    let Some(position) = position(frame, epoch) else {
        return [b"data: ".as_slice(), &json_text(frame), b"\n\n"].concat().into();
    };
    frame.encoded(Wire::SseJson, |_| {
        let id = format!("\nid: {position}\n\n");
        [b"data: ".as_slice(), &json_text(frame), id.as_bytes()].concat().into()
    })
}

/// What a client is told where changes are missing: an envelope without a record.
pub(super) const GAP: &str = r#"{"id":null,"value":null,"type":"gap"}"#;

/// A position that comes without an event, as a WebSocket's text.
pub(super) fn position_text(position: Position) -> String {
    format!(r#"{{"id":null,"value":null,"type":"position","position":"{position}"}}"#)
}

/// Where an event stands, if it stands in a log.
pub(super) fn position(frame: &Frame, epoch: Option<Epoch>) -> Option<Position> {
    Some(Position { epoch: epoch?, seq: frame.event.seq? })
}

fn json_text(frame: &Frame) -> Bytes {
    frame.encoded(Wire::Json, |event| write(event).into())
}

fn write(event: &Event) -> Vec<u8> {
    let mut out = Vec::with_capacity(frame_size(event));
    out.extend_from_slice(b"{\"id\":");
    json::write(&event.id.to_value(), &mut out);
    out.extend_from_slice(b",\"localTime\":");
    write_time(event.local_time, &mut out);
    out.extend_from_slice(b",\"value\":");
    write_content(event, &mut out);
    out.extend_from_slice(b",\"version\":");
    write_time(event.version, &mut out);
    out.extend_from_slice(b",\"type\":\"");
    out.extend_from_slice(event.kind.name().as_bytes());
    out.extend_from_slice(b"\"}");
    out
}

/// What the event carries alone, as JSON.
pub(super) fn write_content(event: &Event, out: &mut Vec<u8>) {
    match &event.value {
        EventValue::Absent => out.extend_from_slice(b"null"),
        EventValue::Message(value) => json::write(value, out),
        EventValue::Record(record) => {
            if let Err(error) = record.write_json(out) {
                tracing::error!("an event of {}: {error}", event.id);
                out.extend_from_slice(b"null");
            }
        }
    }
}

fn write_time(time: Version, out: &mut Vec<u8>) {
    json::write(&Value::number(time.0), out);
}

fn frame_size(event: &Event) -> usize {
    const ENVELOPE: usize = 128;
    ENVELOPE
        + match &event.value {
            EventValue::Record(record) => record.body().len() * 5 / 4,
            EventValue::Absent | EventValue::Message(_) => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kora_resource::{EventKind, Id, Map, Record};

    fn frame(value: EventValue, kind: EventKind) -> std::sync::Arc<Frame> {
        Frame::new(Event {
            seq: None,
            kind,
            id: Id::from("5"),
            version: Version(1761843000000.5),
            local_time: Version(1761843000000.0),
            value,
        })
    }

    #[test]
    fn the_envelope_has_the_keys_in_order() {
        let map = Map::from_iter([("name".to_owned(), Value::from("Rex"))]);
        let record = Record::new(&map, Version(1.0), Version(1.0), None);
        let put = frame(EventValue::Record(record), EventKind::Put);
        let text = r#"{"id":"5","localTime":1761843000000,"value":{"name":"Rex"},"version":1761843000000.5,"type":"put"}"#;
        assert_eq!(json_text(&put), text);
        assert_eq!(sse(&put, None), format!("data: {text}\n\n"));
        assert_eq!(web_socket(&put)[..2], [0x81, text.len() as u8]);
        let delete = frame(EventValue::Absent, EventKind::Delete);
        assert!(
            json_text(&delete)
                .ends_with(br#","value":null,"version":1761843000000.5,"type":"delete"}"#)
        );
    }
}
