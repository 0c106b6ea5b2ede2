//! Reading a request's body: bounded, then decoded by its `Content-Type` (`spec/harper-rest.md`
//! section 6.1), see [`kora_resource::body`].

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;
use hyper::{HeaderMap, header};
use kora_resource::{Error, ErrorKind, Result, Value, body as contents};

use crate::components::registry::{Registration, Served};
use crate::http::request_body::RequestBody;

/// Reads and decodes a body of at most `limit` bytes for `registration`; `None` if it turns out to be
/// empty.
pub(super) async fn read(
    headers: &HeaderMap,
    body: RequestBody,
    limit: usize,
    registration: &Registration,
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
    let table = match registration.served {
        Served::Natively => registration.resource.schema(),
        Served::ByGuest => None,
    };
    contents::decode(content_type, bytes, table.as_deref()).map(Some)
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
