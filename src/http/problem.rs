//! Errors as the problem objects that clients see (`spec/harper-rest.md` section 7).

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use kora_resource::value::{Format, json};
use kora_resource::{Error, ErrorKind, Map, Value, VerbSet};

use super::body::ResponseBody;
use super::{Response, negotiation};

/// Seconds after which it is worth asking again: what is busy or being replaced is so for a moment.
const RETRY_AFTER: &str = "1";

/// The response that tells of `error`; `instance` is the URL with its query.
pub(crate) fn response(error: &Error, instance: &str) -> Response {
    log(error, instance);
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if error.kind == ErrorKind::NotAcceptable {
        // The client told us that it reads no JSON.
        return with_text(status, error.message.clone());
    }
    let mut response = Response::new(ResponseBody::Full(json_text(error, instance)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    match error.kind {
        ErrorKind::MethodNotAllowed(verbs) => {
            headers.insert(header::ALLOW, allow_of_missing_method(verbs));
        }
        ErrorKind::Unavailable => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        // A 401 gets its challenge from `authentication`, also where guest code answers it.
        ErrorKind::Unauthenticated
        | ErrorKind::Invalid
        | ErrorKind::Forbidden
        | ErrorKind::NotFound
        | ErrorKind::NotAcceptable
        | ErrorKind::Conflict
        | ErrorKind::TooLarge
        | ErrorKind::Replaced
        | ErrorKind::Internal
        | ErrorKind::Status(_) => {}
    }
    response
}

/// Puts the problem object of `response` into the format that the request asks for, where that is a
/// format of objects. What can't be negotiated stays JSON.
pub(crate) fn translate(response: &mut Response, error: &Error, request: &Parts) {
    let Ok(chosen) = negotiation::choose(&request.headers, None) else { return };
    match chosen.format {
        Format::Json | Format::Csv | Format::Text | Format::Form => return,
        Format::Cbor | Format::MessagePack | Format::Yaml | Format::Ndjson => {}
    }
    let instance = super::rest::url(request);
    let mut body = Vec::with_capacity(256);
    chosen.format.encode(&problem_object(error, instance), &mut body);
    *response.body_mut() = ResponseBody::Full(body.into());
    let content_type = HeaderValue::from_static(chosen.media_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
}

/// A plain text response.
pub(crate) fn with_text(status: StatusCode, text: impl Into<Bytes>) -> Response {
    let mut response = Response::new(ResponseBody::Full(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// The problem object as JSON text.
pub(crate) fn json_text(error: &Error, instance: &str) -> Bytes {
    let mut text = Vec::with_capacity(256);
    json::write(&problem_object(error, instance), &mut text);
    text.into()
}

fn problem_object(error: &Error, instance: &str) -> Value {
    let mut problem = Map::new();
    problem.insert("type".to_owned(), Value::String(format!("error:{}", error.code)));
    problem.insert("code".to_owned(), Value::String(error.code.clone()));
    problem.insert("title".to_owned(), Value::String(error.message.clone()));
    problem.insert("status".to_owned(), Value::Int(error.status().into()));
    let message = || Value::String(error.message.clone());
    let detail = error.detail.as_deref().cloned().unwrap_or_else(message);
    problem.insert("detail".to_owned(), detail);
    problem.insert("instance".to_owned(), Value::String(instance.to_owned()));
    Value::Object(problem)
}

/// The error in one line, as close reasons and streamed arrays have it.
pub(crate) fn one_line(error: &Error) -> String {
    format!("{}: {}", error.code, error.message)
}

/// Says in the log what the client can't be told: our own failures, with the user's stack. A slow
/// reader or a busy host is no failure, but worth knowing.
pub(crate) fn log(error: &Error, instance: &str) {
    match (&error.stack, error.kind) {
        _ if error.status() < 500 => {}
        // What a reload does to open streams.
        (_, ErrorKind::Replaced) => tracing::debug!("{instance}: {}", one_line(error)),
        (_, ErrorKind::Unavailable) => tracing::warn!("{instance}: {}", one_line(error)),
        (Some(stack), _) => tracing::error!("{instance}: {}\n{stack}", one_line(error)),
        (None, _) => tracing::error!("{instance}: {}", one_line(error)),
    }
}

fn allow_of_missing_method(verbs: VerbSet) -> HeaderValue {
    let mut methods: Vec<&str> = verbs.iter().filter_map(|verb| verb.http_method()).collect();
    methods.extend(["TRACE", "HEAD", "OPTIONS"]);
    HeaderValue::from_str(&methods.join(", ")).expect("method names are plain ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_has_the_members_of_the_specification() {
        let text = json_text(&Error::conflict("Record already exists"), "/Dog/?x=1");
        assert_eq!(
            std::str::from_utf8(&text).unwrap(),
            r#"{"type":"error:ClientError","code":"ClientError","title":"Record already exists","status":409,"detail":"Record already exists","instance":"/Dog/?x=1"}"#
        );
    }
}
