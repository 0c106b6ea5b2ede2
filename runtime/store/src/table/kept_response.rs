//! Responses that a source has answered with and that are kept as records
//! (`spec/harper-resources.md` sections 10 and 13): `{headers, status?, body | data}`. Whoever asks for
//! such a record as a whole gets the response again. Only in tables with a source: elsewhere a record
//! may have a property `headers` that means something else.

use bytes::Bytes;
use kora_resource::value::{Blob, msgpack};
use kora_resource::{Error, Map, Record, Reply, ReplyBody, Result, Value};

use super::Table;

/// The properties that make a response.
const PARTS: [&str; 4] = ["headers", "status", "body", "data"];

/// Headers that were about the way to this host, or are made anew for what is sent from here.
const OF_THE_WAY: [&str; 8] = [
    "connection",
    "content-encoding",
    "content-length",
    "date",
    "etag",
    "keep-alive",
    "server",
    "transfer-encoding",
];

impl Table {
    /// The response that a record stands for; `None` where it stands for none.
    pub(super) fn kept_response(&self, record: &Record) -> Result<Option<Reply>> {
        if !self.is_caching() {
            return Ok(None);
        }
        let parts = msgpack::decode_properties(record.body(), |name| PARTS.contains(&name));
        let mut parts =
            parts.map_err(|error| Error::internal(format!("damaged record: {error}")))?;
        let Some(Value::Object(kept)) = parts.shift_remove("headers") else { return Ok(None) };
        let mut content_type = String::new();
        let mut headers = Vec::new();
        for (name, value) in kept {
            let name = name.to_ascii_lowercase();
            match (name.as_str(), value) {
                (name, _) if OF_THE_WAY.contains(&name) => {}
                ("content-type", Value::String(value)) => content_type = value,
                (_, Value::String(value)) => headers.push((name, value)),
                (_, Value::Array(values)) => {
                    let lines = values.into_iter().filter_map(|value| match value {
                        Value::String(value) => Some((name.clone(), value)),
                        _ => None,
                    });
                    headers.extend(lines);
                }
                _ => {}
            }
        }
        let status = match parts.get("status") {
            Some(Value::Int(status)) => {
                u16::try_from(*status).ok().filter(|status| (200..600).contains(status))
            }
            _ => None,
        };
        let body = self.kept_body(parts, content_type);
        let version = Some(record.shown_version());
        Ok(Some(Reply { status, headers, body, version, ..Reply::default() }))
    }

    fn kept_body(&self, mut parts: Map, content_type: String) -> ReplyBody {
        match (parts.shift_remove("body"), parts.shift_remove("data")) {
            (Some(Value::Blob(blob)), _) => self.stream_blob(&blob, &content_type),
            (Some(Value::String(text)), _) => {
                ReplyBody::Raw { content_type, data: Bytes::from(text) }
            }
            (Some(Value::Bytes(data)), _) => ReplyBody::Raw { content_type, data },
            (Some(other), None) => ReplyBody::Value(other),
            (_, Some(data)) => ReplyBody::Value(data),
            (None, None) => ReplyBody::Raw { content_type, data: Bytes::new() },
        }
    }

    /// The content of a blob as a body, of the type that is told or else its own.
    pub(super) fn stream_blob(&self, blob: &Blob, content_type: &str) -> ReplyBody {
        let known = [content_type, &blob.content_type, "application/octet-stream"];
        let content_type = known.into_iter().find(|known| !known.is_empty()).unwrap_or_default();
        ReplyBody::Stream {
            content_type: content_type.to_owned(),
            size: Some(blob.size()),
            chunks: self.owner().blobs().stream(blob),
        }
    }
}
