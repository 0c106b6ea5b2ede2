//! What a payload's bytes mean to a resource, and what a resource's value is as a payload
//! (`spec/harper-realtime.md` section 8, "Payload decode").

use std::borrow::Cow;

use bytes::Bytes;
use kora_resource::body::typed;
use kora_resource::value::{Format, json, msgpack};
use kora_resource::{Error, Event, EventValue, Frame, Map, Result, Value, Wire};

/// The type of payloads of which nothing is said and that are no JSON objects.
const OCTETS: &str = "application/octet-stream";

/// The value of a PUBLISH packet. Without a content type JSON objects are decoded and all else stays
/// bytes, which come back as they were. 400 for a payload that is not of its type.
pub(super) fn decode(content_type: Option<&str>, payload: Bytes) -> Result<Value> {
    let essence = content_type.and_then(|text| text.split(';').next()).map(str::trim);
    let text = |payload: &Bytes| {
        let text = std::str::from_utf8(payload);
        text.map(Value::from).map_err(|_| Error::invalid("The payload is not UTF-8 text"))
    };
    match (essence, content_type) {
        (None | Some(""), _) | (_, None) => Ok((payload.first() == Some(&b'{'))
            .then(|| json::parse(&payload).ok())
            .flatten()
            .unwrap_or_else(|| typed(OCTETS, Value::Bytes(payload)))),
        (Some(essence), _) if is_decoded(essence) => {
            let format = Format::of_media_type(essence).unwrap_or(Format::Json);
            let failed = |error| Error::invalid(format!("The payload is {error}"));
            format.decode(&payload).map_err(failed)
        }
        (Some("text/plain"), _) => text(&payload),
        (Some(essence), Some(whole)) if essence.starts_with("text/") => {
            Ok(typed(whole, text(&payload)?))
        }
        (Some(_), Some(whole)) => Ok(typed(whole, Value::Bytes(payload))),
    }
}

/// Whether payloads of this type are decoded to values; others stay what they are.
fn is_decoded(essence: &str) -> bool {
    match Format::of_media_type(essence) {
        Some(Format::Json | Format::Cbor | Format::MessagePack) => true,
        Some(Format::Yaml | Format::Ndjson | Format::Csv | Format::Text | Format::Form) | None => {
            false
        }
    }
}

/// The payload of an event: the value alone; bytes that came with a type of their own as they are;
/// nothing for a delete. JSON, which all clients over TCP get, is made once for all of them.
pub(super) fn of_event(frame: &Frame, format: Format) -> Bytes {
    match format {
        Format::Json => frame.encoded(Wire::JsonValue, |event| encode_event(event, format)),
        Format::Cbor
        | Format::MessagePack
        | Format::Yaml
        | Format::Ndjson
        | Format::Csv
        | Format::Text
        | Format::Form => encode_event(&frame.event, format),
    }
}

fn encode_event(event: &Event, format: Format) -> Bytes {
    match &event.value {
        EventValue::Absent => Bytes::new(),
        EventValue::Message(Value::String(text)) if is_said_to_be_text(event) => {
            Bytes::copy_from_slice(text.as_bytes())
        }
        EventValue::Message(value) => of_value(value, format),
        EventValue::Record(record) => {
            let wanted = |name: &str| matches!(name, "contentType" | "data");
            let own = msgpack::decode_properties(record.body(), wanted).ok();
            own.as_ref().and_then(raw).unwrap_or_else(|| {
                let mut out = Vec::with_capacity(record.body().len() * 5 / 4);
                if let Err(error) = format.encode_record(record, &mut out) {
                    tracing::error!("an event of {}: {error}", event.id);
                    out.clear();
                }
                out.into()
            })
        }
    }
}

/// The media type that the payload of an event is sent with: where its publisher has named one, and
/// where the value has its own. `None` leaves it to what client and server have agreed on.
pub(super) fn content_type(event: &Event, format: Format) -> Option<Cow<'static, str>> {
    let told = event.properties.as_ref().is_some_and(|said| said.content_type.is_some());
    let own = |object: &Map| {
        raw(object)?;
        let own = object.get("contentType")?.as_str()?.to_owned();
        (told || own != OCTETS).then_some(Cow::Owned(own))
    };
    let of_format = || told.then_some(Cow::Borrowed(format.media_type()));
    match &event.value {
        EventValue::Absent => None,
        EventValue::Message(Value::String(_)) if is_said_to_be_text(event) => {
            Some(Cow::Borrowed("text/plain"))
        }
        EventValue::Message(Value::Object(object)) => own(object).or_else(of_format),
        EventValue::Message(_) => of_format(),
        // Only what was published with a type is worth the look into the record.
        EventValue::Record(record) if told => {
            let wanted = |name: &str| matches!(name, "contentType" | "data");
            let properties = msgpack::decode_properties(record.body(), wanted).ok();
            properties.as_ref().and_then(own).or_else(of_format)
        }
        EventValue::Record(_) => None,
    }
}

/// Whether the publisher has sent plain text, which goes out as it came and not as JSON.
fn is_said_to_be_text(event: &Event) -> bool {
    let said = event.properties.as_ref().and_then(|said| said.content_type.as_deref());
    said.is_some_and(|said| Format::of_media_type(said) == Some(Format::Text))
}

/// The payload of a value that code has yielded.
pub(super) fn of_value(value: &Value, format: Format) -> Bytes {
    if let Some(raw) = value.as_object().and_then(raw) {
        return raw;
    }
    let mut out = Vec::with_capacity(64);
    format.encode(value, &mut out);
    out.into()
}

/// The data of `{contentType, data}`.
fn raw(object: &Map) -> Option<Bytes> {
    object.get("contentType").filter(|content_type| !content_type.is_null())?;
    match object.get("data")? {
        Value::Bytes(bytes) => Some(bytes.clone()),
        Value::String(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_comes_back_byte_for_byte() {
        for bytes in [&b"text"[..], b"[1]", b"{broken", b"\xff\x00", b""] {
            let value = decode(None, Bytes::from_static(bytes)).unwrap();
            assert_eq!(of_value(&value, Format::Json), bytes);
        }
        let object = decode(None, Bytes::from_static(br#"{"a":1}"#)).unwrap();
        assert_eq!(of_value(&object, Format::Json), &br#"{"a":1}"#[..]);
        let csv = decode(Some("text/csv"), Bytes::from_static(b"a,b")).unwrap();
        assert_eq!(of_value(&csv, Format::Json), &b"a,b"[..]);
        let list = decode(Some("application/json; charset=utf-8"), Bytes::from_static(b"[1]"));
        assert_eq!(of_value(&list.unwrap(), Format::Json), &b"[1]"[..]);
        let cbor = decode(Some("application/cbor"), Bytes::from_static(b"\xa1aa\x01")).unwrap();
        assert_eq!(of_value(&cbor, Format::Json), &br#"{"a":1}"#[..]);
        assert_eq!(of_value(&cbor, Format::Cbor), &b"\xa1aa\x01"[..]);
        assert!(decode(Some("application/json"), Bytes::from_static(b"{")).is_err());
        assert!(decode(Some("text/plain"), Bytes::from_static(b"\xff")).is_err());
    }
}
