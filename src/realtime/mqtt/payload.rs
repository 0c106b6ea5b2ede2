//! What a payload's bytes mean to a resource, and what a resource's value is as a payload
//! (`spec/harper-realtime.md` section 8, "Payload decode").

use bytes::Bytes;
use kora_resource::value::{json, msgpack};
use kora_resource::{Error, EventValue, Frame, Map, Result, Value, Wire};

use crate::http::negotiation::typed;
use crate::realtime::envelope;

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
            .unwrap_or_else(|| typed("application/octet-stream", Value::Bytes(payload)))),
        (Some("application/json"), _) => json::parse(&payload)
            .map_err(|error| Error::invalid(format!("The payload is not JSON: {error}"))),
        (Some("text/plain"), _) => text(&payload),
        (Some(essence), Some(whole)) if essence.starts_with("text/") => {
            Ok(typed(whole, text(&payload)?))
        }
        (Some(_), Some(whole)) => Ok(typed(whole, Value::Bytes(payload))),
    }
}

/// The payload of an event, made once for all its subscribers: the value alone, as JSON; bytes that
/// came with a type of their own as they are; nothing for a delete.
pub(super) fn of_event(frame: &Frame) -> Bytes {
    frame.encoded(Wire::JsonValue, |event| match &event.value {
        EventValue::Absent => Bytes::new(),
        EventValue::Message(value) => of_value(value),
        EventValue::Record(record) => {
            let wanted = |name: &str| matches!(name, "contentType" | "data");
            let own = msgpack::decode_properties(record.body(), wanted).ok();
            own.as_ref().and_then(raw).unwrap_or_else(|| {
                let mut out = Vec::with_capacity(record.body().len() * 5 / 4);
                envelope::write_content(event, &mut out);
                out.into()
            })
        }
    })
}

/// The payload of a value that code has yielded.
pub(super) fn of_value(value: &Value) -> Bytes {
    if let Some(raw) = value.as_object().and_then(raw) {
        return raw;
    }
    let mut out = Vec::with_capacity(64);
    json::write(value, &mut out);
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
            assert_eq!(of_value(&value), bytes);
        }
        let object = decode(None, Bytes::from_static(br#"{"a":1}"#)).unwrap();
        assert_eq!(of_value(&object), &br#"{"a":1}"#[..]);
        let csv = decode(Some("text/csv"), Bytes::from_static(b"a,b")).unwrap();
        assert_eq!(of_value(&csv), &b"a,b"[..]);
        let list = decode(Some("application/json; charset=utf-8"), Bytes::from_static(b"[1]"));
        assert_eq!(of_value(&list.unwrap()), &b"[1]"[..]);
        assert!(decode(Some("application/json"), Bytes::from_static(b"{")).is_err());
        assert!(decode(Some("text/plain"), Bytes::from_static(b"\xff")).is_err());
    }
}
