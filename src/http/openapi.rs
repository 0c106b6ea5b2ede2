//! `GET /openapi`: the exported resources as an OpenAPI 3.0.3 document (`spec/harper-rest.md` section
//! 11.1), for super users.
//!
//! Made anew for each request from the registry: it is asked for by people and tools, not by clients.

mod document;

use std::num::NonZeroUsize;

use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request};
use kora_resource::value::json;
use kora_resource::{Error, ErrorKind};

use super::Response;
use super::body::ResponseBody;
use super::peer::Peer;
use super::{compression, problem};
use crate::components::registry::{Registry, Served};

/// Whether the request is for the document.
pub(super) fn is_asked_for<B>(request: &Request<B>) -> bool {
    request.uri().path() == "/openapi" && matches!(*request.method(), Method::GET | Method::HEAD)
}

/// The document, or 403 for who is no super user.
pub(super) fn respond(
    registry: &Registry,
    request: &Parts,
    peer: &Peer,
    compress_from: Option<NonZeroUsize>,
) -> Response {
    let context = peer.context(Served::Natively, request);
    if !context.user.as_ref().is_some_and(|user| user.is_super_user()) {
        let error = Error::new(ErrorKind::Forbidden, "Forbidden");
        return problem::response(&error, "/openapi");
    }
    let host = request
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| request.uri.authority().map(|authority| authority.as_str()));
    let document = document::describe(registry, &format!("http://{}", host.unwrap_or("localhost")));
    let mut text = Vec::with_capacity(16 * 1024);
    json::write(&document, &mut text);
    let mut response = Response::new(ResponseBody::Full(text.into()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    compression::apply(&mut response, &request.headers, compress_from);
    if request.method == Method::HEAD {
        *response.body_mut() = ResponseBody::Empty;
    }
    response
}
