//! Reading a request's body: bounded, then decoded by its `Content-Type` (`spec/harper-rest.md`
//! section 6.1).

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;
use hyper::{HeaderMap, header};
use kora_resource::value::json;
use kora_resource::{Error, ErrorKind, Map, Result, Value};
use percent_encoding::percent_decode;

use crate::http::negotiation::typed;
use crate::http::request_body::RequestBody;

/// Reads and decodes a body of at most `limit` bytes; `None` if it turns out to be empty.
pub(super) async fn read(
    headers: &HeaderMap,
    body: RequestBody,
    limit: usize,
) -> Result<Option<Value>> {
    let bytes = collect(body, limit).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let content_type = match headers.get(header::CONTENT_TYPE) {
        Some(value) => {
            value.to_str().map_err(|_| Error::invalid("Content-Type is not plain text"))?
        }
        None => "",
    };
    decode(content_type, bytes).map(Some)
}

async fn collect(mut body: RequestBody, limit: usize) -> Result<Bytes> {
    let too_large = || {
        let text = format!("Request body too large, maximum size is {limit} bytes");
        Error::new(ErrorKind::TooLarge, text)
    };
    let hint = body.size_hint();
    if hint.lower() > limit as u64 {
        return Err(too_large());
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if first.len() + all.len() + data.len() > limit {
            return Err(too_large());
        }
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            // The client's word about the length is worth at most a megabyte in advance.
            all.reserve((hint.lower() as usize).clamp(first.len() + data.len(), 1 << 20));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn decode(content_type: &str, bytes: Bytes) -> Result<Value> {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    match media_type.to_ascii_lowercase().as_str() {
        "application/json" => parse_json(&bytes),
        "" | "*/*" if bytes.first() == Some(&b'{') => parse_json(&bytes),
        "" | "*/*" => Ok(typed("application/octet-stream", Value::Bytes(bytes))),
        "application/x-www-form-urlencoded" => Ok(Value::Object(parse_form(&bytes))),
        "text/plain" => text(bytes),
        "application/octet-stream" => Ok(Value::Bytes(bytes)),
        other if other.starts_with("text/") => Ok(typed(content_type, text(bytes)?)),
        _ => Ok(typed(content_type, Value::Bytes(bytes))),
    }
}

fn parse_json(bytes: &[u8]) -> Result<Value> {
    json::parse(bytes).map_err(|error| Error::invalid(format!("The body is not JSON: {error}")))
}

fn text(bytes: Bytes) -> Result<Value> {
    String::from_utf8(bytes.into())
        .map(Value::String)
        .map_err(|_| Error::invalid("The body is not UTF-8 text"))
}

/// Form fields; one that comes again makes an array.
fn parse_form(bytes: &[u8]) -> Map {
    let mut fields = Map::new();
    for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let split = pair.iter().position(|byte| *byte == b'=');
        let (name, value) = match split {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        };
        let value = Value::String(decode_field(value));
        match fields.entry(decode_field(name)) {
            indexmap::map::Entry::Vacant(entry) => {
                entry.insert(value);
            }
            indexmap::map::Entry::Occupied(mut entry) => match entry.get_mut() {
                Value::Array(values) => values.push(value),
                first => *first = Value::Array(vec![std::mem::take(first), value]),
            },
        }
    }
    fields
}

fn decode_field(field: &[u8]) -> String {
    let spaced: Vec<u8> = field.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    percent_decode(&spaced).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json_of(content_type: &str, body: &'static str) -> String {
        let mut out = Vec::new();
        json::write(&decode(content_type, Bytes::from_static(body.as_bytes())).unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn bodies_are_decoded_by_type() {
        assert_eq!(json_of("application/json; charset=utf-8", "[1]"), "[1]");
        assert_eq!(json_of("", r#"{"a":1}"#), r#"{"a":1}"#);
        assert_eq!(json_of("text/plain", "x"), r#""x""#);
        assert_eq!(json_of("text/csv", "a,b"), r#"{"contentType":"text/csv","data":"a,b"}"#);
        assert_eq!(
            json_of("application/x-www-form-urlencoded", "a=1+2&b=%C3%A4&a=3"),
            r#"{"a":["1 2","3"],"b":"ä"}"#
        );
    }

    #[test]
    fn bad_json_names_its_position() {
        let error = decode("application/json", Bytes::from_static(b"{\n \"a\": }")).unwrap_err();
        assert_eq!(error.status(), 400);
        assert!(error.message.contains("line 2"), "{}", error.message);
    }
}
