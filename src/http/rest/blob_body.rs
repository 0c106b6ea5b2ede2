//! Request bodies that become blobs: streamed to where the resource keeps them, in constant memory
//! (`spec/harper-resources.md` section 13). What holds one is for the resource to say; what a record
//! is written in is never a blob of its own.

use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::{HeaderMap, header};
use kora_resource::body::typed;
use kora_resource::value::Format;
use kora_resource::{BlobSink, Context, Resource, Result, Target, Value, Verb};

use crate::http::request_body::RequestBody;

/// Where the body goes if it is to be a blob: the body of a PUT, PATCH or POST in a format that is
/// not a record's; for a property that is a blob, of anything but JSON.
pub(super) fn sink(
    resource: &Arc<dyn Resource>,
    verb: Verb,
    target: &Target,
    headers: &HeaderMap,
    context: &Arc<Context>,
) -> Result<Option<Box<dyn BlobSink>>> {
    let media_type = content_type(headers).split(';').next().unwrap_or_default().trim();
    let is_record = match &target.property {
        Some(_) => media_type.eq_ignore_ascii_case("application/json"),
        None => is_of_records(media_type),
    };
    match verb {
        Verb::Put | Verb::Patch | Verb::Post if !is_record && !media_type.is_empty() => {
            resource.clone().blob_sink(target, context)
        }
        Verb::Get
        | Verb::Put
        | Verb::Patch
        | Verb::Post
        | Verb::Delete
        | Verb::Query
        | Verb::Publish
        | Verb::Copy
        | Verb::Move => Ok(None),
    }
}

/// Receives the body into `sink`; the body of the call.
pub(super) async fn receive(
    mut sink: Box<dyn BlobSink>,
    target: &Target,
    headers: &HeaderMap,
    mut body: RequestBody,
) -> Result<Value> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            sink.write(data).await?;
        }
    }
    let content_type = content_type(headers);
    let blob = sink.finish(content_type.to_owned()).await?;
    Ok(match target.property {
        Some(_) => blob,
        None => typed(content_type, blob),
    })
}

/// Whether records are written in it.
fn is_of_records(media_type: &str) -> bool {
    Format::of_media_type(media_type).is_some()
        || media_type.eq_ignore_ascii_case("multipart/form-data")
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
