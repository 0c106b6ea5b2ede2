//! From a [`Reply`] to a response: the status matrix of `spec/harper-rest.md` section 2.1 and the
//! headers of section 5.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use hyper::StatusCode;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use kora_resource::schema::TableSchema;
use kora_resource::value::Format;
use kora_resource::{Error, Reply, ReplyBody, Result, Value, Verb, Version};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::sequence::SequenceWriter;
use super::{chunks, etag, items};
use crate::http::Response;
use crate::http::body::ResponseBody;
use crate::http::negotiation::Representation;

/// What of an id must be encoded in `Location`: what a header can't hold.
const NOT_IN_HEADERS: &AsciiSet = &CONTROLS.add(b' ');

/// What of the request decides how a reply looks.
pub(super) struct Form<'a> {
    pub(super) verb: Verb,
    pub(super) representation: Representation,
    pub(super) request: &'a HeaderMap,
    /// The table behind the resource: names the columns of CSV.
    pub(super) table: Option<Arc<TableSchema>>,
    pub(super) last_modified: bool,
}

/// Builds the response.
pub(super) async fn build(reply: Reply, form: &Form<'_>) -> Result<Response> {
    let mut response = Response::new(ResponseBody::Empty);
    let is_read = form.verb == Verb::Get;
    if is_read
        && let Some(version) = reply.version
        && add_validators(response.headers_mut(), version, form)
    {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let is_null = matches!(reply.body, ReplyBody::Value(Value::Null));
    let absent = is_null || matches!(reply.body, ReplyBody::Absent);
    let (body, content_type) = if is_null && !is_read {
        // A null is nothing to a write; a read is told so in the format that it asked for.
        (ResponseBody::Empty, ContentType::None)
    } else {
        write_body(reply.body, form).await?
    };
    *response.status_mut() = match (reply.status, &reply.created) {
        (Some(status), _) => StatusCode::from_u16(status).map_err(|_| {
            Error::internal(format!("the resource answered with the status {status}"))
        })?,
        (None, Some(_)) => StatusCode::CREATED,
        (None, None) if absent && is_read => StatusCode::NOT_FOUND,
        (None, None) if absent => StatusCode::NO_CONTENT,
        (None, None) => StatusCode::OK,
    };
    let headers = response.headers_mut();
    if let Some(id) = &reply.created {
        let id = utf8_percent_encode(&id.to_string(), NOT_IN_HEADERS).to_string();
        headers.insert(header::LOCATION, HeaderValue::try_from(id).map_err(unsendable)?);
    }
    match content_type {
        ContentType::None => {}
        ContentType::Negotiated(media_type) => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
            headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
            if form.representation.format == Format::Csv {
                let disposition = HeaderValue::from_static("attachment; filename=\"data.csv\"");
                headers.insert(header::CONTENT_DISPOSITION, disposition);
            }
        }
        ContentType::OfTheResource(media_type) => {
            let value = HeaderValue::try_from(media_type).map_err(unsendable)?;
            headers.insert(header::CONTENT_TYPE, value);
            headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        }
    }
    add_headers_of_the_resource(headers, reply.headers)?;
    *response.body_mut() = body;
    Ok(response)
}

enum ContentType {
    None,
    Negotiated(&'static str),
    OfTheResource(String),
}

async fn write_body(body: ReplyBody, form: &Form<'_>) -> Result<(ResponseBody, ContentType)> {
    let Representation { format, media_type } = form.representation;
    let negotiated = ContentType::Negotiated(media_type);
    Ok(match body {
        ReplyBody::Absent => (ResponseBody::Empty, ContentType::None),
        ReplyBody::Value(value) => {
            let mut text = Vec::with_capacity(128);
            format.encode(&value, &mut text);
            (ResponseBody::Full(text.into()), negotiated)
        }
        ReplyBody::Record(record) => {
            let mut text = Vec::with_capacity(record.body().len() * 5 / 4 + 32);
            format.encode_record(&record, &mut text)?;
            (ResponseBody::Full(text.into()), negotiated)
        }
        ReplyBody::Items(sequence) => {
            let attributes = match (format, &form.table) {
                (Format::Csv, Some(table)) => {
                    table.attributes.iter().map(|a| a.name.clone()).collect()
                }
                _ => Vec::new(),
            };
            let writer = SequenceWriter::new(format, attributes);
            (items::body(sequence, writer).await?, negotiated)
        }
        ReplyBody::Raw { content_type, data } => {
            (ResponseBody::Full(data), ContentType::OfTheResource(content_type))
        }
        ReplyBody::Stream { content_type, size, chunks } => {
            let body = match size {
                Some(_) => ResponseBody::Piped { size, chunks },
                None => chunks::body(chunks).await?,
            };
            (body, ContentType::OfTheResource(content_type))
        }
    })
}

/// Adds `ETag` and `Last-Modified`; true if the client has this version already.
fn add_validators(headers: &mut HeaderMap, version: Version, form: &Form<'_>) -> bool {
    let tag = etag::encode(version);
    headers.insert(header::ETAG, etag::header(&tag));
    if form.last_modified && version.0 >= 0.0 {
        let time = UNIX_EPOCH + Duration::from_millis(version.0 as u64);
        if let Ok(value) = HeaderValue::try_from(httpdate::fmt_http_date(time)) {
            headers.insert(header::LAST_MODIFIED, value);
        }
    }
    form.request.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag)
}

/// The resource's own headers win over ours; several of one name stay several lines.
fn add_headers_of_the_resource(
    headers: &mut HeaderMap,
    given: Vec<(String, String)>,
) -> Result<()> {
    let mut seen: Vec<HeaderName> = Vec::new();
    for (name, value) in given {
        let name = HeaderName::try_from(name).map_err(unsendable)?;
        let value = HeaderValue::try_from(value).map_err(unsendable)?;
        if name == header::CONTENT_LENGTH || name == header::TRANSFER_ENCODING {
            // Framing is the connection's affair.
            continue;
        }
        if seen.contains(&name) {
            headers.append(name, value);
        } else {
            headers.insert(name.clone(), value);
            seen.push(name);
        }
    }
    Ok(())
}

fn unsendable(error: impl std::fmt::Display) -> Error {
    Error::internal(format!("the resource answered with a header that can't be sent: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kora_resource::Id;

    async fn built(verb: Verb, reply: Reply, request: &[(HeaderName, &str)]) -> Response {
        let mut headers = HeaderMap::new();
        for (name, value) in request {
            headers.insert(name, value.parse().unwrap());
        }
        let form = Form {
            verb,
            representation: Representation::JSON,
            request: &headers,
            table: None,
            last_modified: false,
        };
        build(reply, &form).await.unwrap()
    }

    #[tokio::test]
    async fn statuses_follow_the_matrix() {
        let null = || Reply::value(Value::Null);
        let created = || Reply { created: Some(Id::from("a b")), ..Reply::value("a b".into()) };
        let teapot = || Reply { status: Some(418), ..Reply::default() };
        for (verb, reply, status) in [
            (Verb::Get, Reply::default(), 404),
            (Verb::Get, null(), 404),
            (Verb::Put, Reply::default(), 204),
            (Verb::Post, null(), 204),
            (Verb::Get, Reply::value(false.into()), 200),
            (Verb::Post, created(), 201),
            (Verb::Get, teapot(), 418),
        ] {
            assert_eq!(built(verb, reply, &[]).await.status(), status, "{verb:?}");
        }
        let response = built(Verb::Post, created(), &[]).await;
        assert_eq!(response.headers()[header::LOCATION], "a%20b");
    }

    #[tokio::test]
    async fn a_known_version_is_not_sent_again() {
        let reply = || Reply { version: Some(Version(1.5e12)), ..Reply::value(1.into()) };
        let response = built(Verb::Get, reply(), &[]).await;
        let tag = response.headers()[header::ETAG].to_str().unwrap().to_owned();
        let again = built(Verb::Get, reply(), &[(header::IF_NONE_MATCH, &tag)]).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        let put = built(Verb::Put, reply(), &[(header::IF_NONE_MATCH, &tag)]).await;
        assert_eq!((put.status(), put.headers().get(header::ETAG)), (StatusCode::OK, None));
    }

    #[tokio::test]
    async fn headers_of_the_resource_win_and_repeat() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let reply = Reply {
            headers: vec![
                header("Content-Type", "text/x"),
                header("Set-Cookie", "a=1"),
                header("set-cookie", "b=2"),
            ],
            ..Reply::value(1.into())
        };
        let response = built(Verb::Get, reply, &[]).await;
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/x");
        assert_eq!(response.headers().get_all(header::SET_COOKIE).iter().count(), 2);
    }
}
