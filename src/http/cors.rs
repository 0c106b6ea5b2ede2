//! Cross-origin requests (`spec/harper-rest.md` section 8): off unless the root configuration turns
//! them on by `http.cors` with `http.corsAccessList`.

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};

use super::Response;
use super::body::ResponseBody;
use crate::config::root::CorsSettings;

const METHODS: HeaderValue = HeaderValue::from_static("POST, GET, PUT, DELETE, PATCH, OPTIONS");

/// Whose pages may ask.
#[derive(Debug)]
pub(crate) struct Cors {
    settings: CorsSettings,
}

impl Cors {
    pub(crate) fn new(settings: CorsSettings) -> Cors {
        Cors { settings }
    }

    /// The answer to a browser that asks whether it may ask.
    pub(crate) fn preflight<B>(&self, request: &Request<B>) -> Option<Response> {
        if *request.method() != Method::OPTIONS {
            return None;
        }
        let origin = request.headers().get(header::ORIGIN)?;
        if !self.allows(origin) {
            return None;
        }
        let mut response = Response::new(ResponseBody::Empty);
        *response.status_mut() = StatusCode::OK;
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        if let Ok(allowed) = HeaderValue::try_from(&self.settings.allowed_headers) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        }
        self.allow(Some(origin), headers);
        Some(response)
    }

    /// Lets the page of `origin` read a response.
    pub(crate) fn allow(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin.filter(|origin| self.allows(origin)) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers
                .insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        let list = &self.settings.access_list;
        list.iter().any(|allowed| allowed == "*" || allowed.as_bytes() == origin.as_bytes())
    }
}
