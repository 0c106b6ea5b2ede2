//! The envelope of a table's event, `{id, localTime, value, version, type}`
//! (`spec/harper-realtime.md` section 3.1), in the forms that [`Wire`] names.
//!
//! Each form is made by the first connection that sends the event and shared by all others; only the
//! rare formats, for which there is no [`Wire`], are made for each connection.

use bytes::Bytes;
use kora_resource::value::{Format, json};
use kora_resource::{Epoch, Event, EventValue, Frame, Map, Position, Value, Version, Wire};

use super::asked::Positions;
use super::frame_writer::{Opcode, encode_frame};

/// The event as a WebSocket frame of a format, header included, with its position in the envelope if
/// that is wanted and there is one. All positions of a table's events are of one epoch, so that the
/// forms with positions can be shared as the others are.
pub(super) fn web_socket(
    frame: &Frame,
    format: Format,
    positions: Positions,
    epoch: Option<Epoch>,
) -> Bytes {
    let position = match positions {
        Positions::Omitted => None,
        Positions::Sent => position(frame, epoch),
    };
    let wire = match (format, position) {
        (Format::Json, None) => {
            return frame
                .encoded(Wire::WebSocketJson, |_| encode_frame(Opcode::Text, &json_text(frame)));
        }
        (Format::Json, Some(position)) => {
            return frame.encoded(Wire::WebSocketJsonPositioned, |_| {
                let text = json_text(frame);
                let open = text.strip_suffix(b"}").unwrap_or(&text);
                let position = format!(",\"position\":\"{position}\"}}");
                encode_frame(Opcode::Text, &[open, position.as_bytes()].concat())
            });
        }
        (Format::Cbor, None) => Some(Wire::WebSocketCbor),
        (Format::Cbor, Some(_)) => Some(Wire::WebSocketCborPositioned),
        (Format::MessagePack, None) => Some(Wire::WebSocketMessagePack),
        (Format::MessagePack, Some(_)) => Some(Wire::WebSocketMessagePackPositioned),
        (Format::Yaml | Format::Ndjson | Format::Csv | Format::Text | Format::Form, _) => None,
    };
    let encode = |event: &Event| encode_value(&to_value(event, position), format);
    match wire {
        Some(wire) => frame.encoded(wire, encode),
        None => encode(&frame.event),
    }
}

fn encode_value(value: &Value, format: Format) -> Bytes {
    let mut payload = Vec::with_capacity(128);
    format.encode(value, &mut payload);
    encode_frame(opcode(format), &payload)
}

/// Whether a format's messages are text or binary.
pub(super) fn opcode(format: Format) -> Opcode {
    if format.is_text() { Opcode::Text } else { Opcode::Binary }
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

/// What a client is told where changes are missing, and a position that comes without an event: an
/// envelope without a record.
pub(super) fn notice(kind: &str, position: Option<Position>) -> Value {
    let mut envelope = Map::from_iter([
        ("id".to_owned(), Value::Null),
        ("value".to_owned(), Value::Null),
        ("type".to_owned(), Value::from(kind)),
    ]);
    if let Some(position) = position {
        envelope.insert("position".to_owned(), Value::from(position.to_string()));
    }
    Value::Object(envelope)
}

/// Where an event stands, if it stands in a log.
pub(super) fn position(frame: &Frame, epoch: Option<Epoch>) -> Option<Position> {
    Some(Position { epoch: epoch?, seq: frame.event.seq? })
}

/// The envelope as a value, for the formats that are written from one.
fn to_value(event: &Event, position: Option<Position>) -> Value {
    let value = match &event.value {
        EventValue::Absent => Value::Null,
        EventValue::Message(value) => value.clone(),
        EventValue::Record(record) => match record.to_map() {
            Ok(map) => Value::Object(map),
            Err(error) => {
                tracing::error!("an event of {}: {error}", event.id);
                Value::Null
            }
        },
    };
    let mut envelope = Map::from_iter([
        ("id".to_owned(), event.id.to_value()),
        ("localTime".to_owned(), Value::number(event.local_time.0)),
        ("value".to_owned(), value),
        ("version".to_owned(), Value::number(event.version.0)),
        ("type".to_owned(), Value::from(event.kind.name())),
    ]);
    if let Some(position) = position {
        envelope.insert("position".to_owned(), Value::from(position.to_string()));
    }
    Value::Object(envelope)
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
fn write_content(event: &Event, out: &mut Vec<u8>) {
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
            properties: None,
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
        let frame_of = |format| web_socket(&put, format, Positions::Omitted, None);
        assert_eq!(frame_of(Format::Json)[..2], [0x81, text.len() as u8]);
        let expected = json::parse(text.as_bytes()).unwrap();
        for format in [Format::Cbor, Format::MessagePack] {
            let bytes = frame_of(format);
            assert_eq!(bytes[..2], [0x82, (bytes.len() - 2) as u8]);
            assert_eq!(format.decode(&bytes[2..]).unwrap(), expected, "{format}");
        }
        let delete = frame(EventValue::Absent, EventKind::Delete);
        assert!(
            json_text(&delete)
                .ends_with(br#","value":null,"version":1761843000000.5,"type":"delete"}"#)
        );
    }
}
