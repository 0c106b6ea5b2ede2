//! REST: one HTTP request becomes one [`Call`], its [`kora_resource::Reply`] one response
//! (`spec/harper-rest.md` sections 1, 2, 5 and 7).
//!
//! The way of a table GET is the one that must stay lean: no copy of the request, no task, one
//! boxed future (the resource's), one buffer for the body.

mod blob_body;
mod chunks;
pub(crate) mod etag;
mod items;
mod method;
mod reply;
mod request_body;
mod sequence;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use hyper::body::Body;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, StatusCode};
use kora_resource::value::Format;
use kora_resource::{CacheControl, Call, Context, Error, Params, Result, Target, Value, Verb};

use super::Response;
use super::body::ResponseBody;
use super::peer::Peer;
use super::request_body::RequestBody;
use super::{compression, negotiation, problem};
use crate::PRODUCT;
use crate::components::registry::Registration;
use method::Asked;

/// What the router found out about a request.
pub(crate) struct Exchange<'a> {
    pub(crate) registration: &'a Registration,
    /// Where in the URL the part begins that follows the resource's path.
    pub(crate) remainder_start: usize,
    /// What the parameters of the resource's path stand for.
    pub(crate) params: Params,
    /// Send `Last-Modified`.
    pub(crate) last_modified: bool,
    /// The largest request body, in bytes.
    pub(crate) body_limit: usize,
    /// From how many bytes on bodies are compressed; `None` for never.
    pub(crate) compress_from: Option<NonZeroUsize>,
    pub(crate) peer: &'a Peer,
}

impl Exchange<'_> {
    /// The target that the URL names below the resource's path.
    pub(crate) fn target(&self, request: &Parts) -> Result<Target> {
        let schema = self.registration.resource.schema();
        let target = Target::parse(&url(request)[self.remainder_start..], schema.as_deref())?;
        Ok(Target { params: self.params.clone(), ..target })
    }
}

/// The path and query of a request, with the leading `/`.
pub(crate) fn url(request: &Parts) -> &str {
    request.uri.path_and_query().map_or("/", |url| url.as_str())
}

/// Answers one request.
pub(crate) async fn respond(exchange: &Exchange<'_>, request: Request<RequestBody>) -> Response {
    let began = Instant::now();
    let (request, body) = request.into_parts();
    let mut response = match answer(exchange, &request, body).await {
        Ok(response) => response,
        Err(error) => {
            let mut response = problem::response(&error, url(&request));
            problem::translate(&mut response, &error, &request);
            response
        }
    };
    compression::apply(&mut response, &request.headers, exchange.compress_from);
    add_server_timing(&mut response, began);
    if request.method == hyper::Method::HEAD {
        drop_body(&mut response);
    }
    response
}

async fn answer(exchange: &Exchange<'_>, request: &Parts, body: RequestBody) -> Result<Response> {
    let resource = &exchange.registration.resource;
    let verb = match method::read(&request.method) {
        Asked::Verb(verb) => verb,
        Asked::Options => return Ok(options(exchange)),
        Asked::Trace => {
            let text = format!("{PRODUCT} is the terminating server");
            return Ok(problem::with_text(StatusCode::OK, text));
        }
        Asked::Brew => return Ok(problem::with_text(StatusCode::IM_A_TEAPOT, "I'm a teapot")),
        Asked::Unknown => {
            let text = format!("Method {} is not recognized", request.method);
            return Err(Error::new(kora_resource::ErrorKind::Status(501), text));
        }
    };
    if !resource.verbs().contains(verb) {
        return Err(method::missing(&**resource, verb.method(), request.method.as_str()));
    }
    let target = exchange.target(request)?;
    let representation = negotiation::choose(&request.headers, target.extension.as_deref())?;
    let context = exchange.peer.context(exchange.registration.served, request);
    let context = with_cache_control(context, request);
    let body = match body.is_end_stream() {
        _ if matches!(verb, Verb::Copy | Verb::Move) => Some(destination(request)?),
        true => None,
        false => match blob_body::sink(resource, verb, &target, &request.headers, &context)? {
            Some(sink) => Some(blob_body::receive(sink, &target, &request.headers, body).await?),
            None => {
                let limit = exchange.body_limit;
                request_body::read(&request.headers, body, limit, exchange.registration).await?
            }
        },
    };
    let table = match representation.format {
        Format::Csv => resource.schema(),
        _ => None,
    };
    let reply = resource.clone().call(Call { verb, target, body, context }).await;
    let reply = reply
        .map_err(|error| method::refused(error, &**resource, verb, request.method.as_str()))?;
    let form = reply::Form {
        verb,
        representation,
        request: &request.headers,
        table,
        last_modified: exchange.last_modified,
    };
    reply::build(reply, &form).await
}

/// What the request asks of a caching table; no copy for the many that ask nothing.
fn with_cache_control(context: Arc<Context>, request: &Parts) -> Arc<Context> {
    match request.headers.get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok()) {
        None => context,
        Some(text) => Arc::new(Context { cache: CacheControl::parse(text), ..(*context).clone() }),
    }
}

/// Where COPY and MOVE go to.
fn destination(request: &Parts) -> Result<Value> {
    let text = request.headers.get("destination").and_then(|value| value.to_str().ok());
    text.map(Value::from)
        .ok_or_else(|| Error::invalid(format!("A {} needs a Destination header", request.method)))
}

/// `OPTIONS`: the methods that the resource has, in the order of section 2.
fn options(exchange: &Exchange<'_>) -> Response {
    let mut response = Response::new(ResponseBody::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    let allow = method::allowed(exchange.registration.resource.verbs());
    response.headers_mut().insert(header::ALLOW, allow);
    response
}

fn add_server_timing(response: &mut Response, began: Instant) {
    const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
    let mut text = format!("hdb;dur={:.2}", began.elapsed().as_secs_f64() * 1000.0);
    // What the resource says of itself comes after, in the same line.
    for own in response.headers().get_all(SERVER_TIMING) {
        if let Ok(own) = own.to_str() {
            text.push_str(", ");
            text.push_str(own);
        }
    }
    if let Ok(value) = HeaderValue::try_from(text) {
        response.headers_mut().insert(SERVER_TIMING, value);
    }
}

/// Keeps the headers of a response, its length among them, and nothing else.
fn drop_body(response: &mut Response) {
    let length = match response.body() {
        ResponseBody::Piped { size, .. } => *size,
        ResponseBody::Empty | ResponseBody::Streamed(_) => None,
        ResponseBody::Full(bytes) => Some(bytes.len() as u64),
    };
    if let Some(length) = length {
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    *response.body_mut() = ResponseBody::Empty;
}
