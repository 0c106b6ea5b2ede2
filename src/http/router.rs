//! Where a request goes: a WebSocket, a static file, a resource over REST or SSE, or nowhere.

use std::num::NonZeroUsize;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header;
use hyper::{Method, Request, StatusCode};
use kora_resource::Protocol;

use super::Response;
use super::peer::Peer;
use super::{negotiation, openapi, problem, rest, static_files};
use crate::components::Components;
use crate::config::static_options::Order;
use crate::realtime::drain::Drain;
use crate::realtime::{sse, websocket};

/// Routes the requests of all connections.
pub(crate) struct Router {
    components: Arc<Components>,
    /// The largest request body, in bytes.
    body_limit: usize,
    /// From how many bytes on bodies are compressed; `None` for never.
    compress_from: Option<NonZeroUsize>,
    drain: Drain,
}

impl Router {
    pub(crate) fn new(
        components: Arc<Components>,
        body_limit: usize,
        compress_from: Option<NonZeroUsize>,
        drain: Drain,
    ) -> Router {
        Router { components, body_limit, compress_from, drain }
    }

    pub(crate) async fn handle(&self, request: Request<Incoming>, peer: &Peer) -> Response {
        let url = request.uri().path_and_query().map_or("/", |url| url.as_str());
        let snapshot = self.components.snapshot();
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);

        if request.headers().contains_key(header::UPGRADE)
            && fastwebsockets::upgrade::is_upgrade_request(&request)
            && snapshot.rest.is_some_and(|rest| rest.web_socket)
        {
            let found = snapshot.registry.find(url, Protocol::WebSocket);
            let found = found.map(|found| (found.registration.clone(), found.remainder.to_owned()));
            drop(snapshot);
            return websocket::accept(request, found, peer, &self.drain);
        }

        let is_event_stream = negotiation::wants_event_stream(request.headers());
        let protocol = if is_event_stream { Protocol::Sse } else { Protocol::Rest };
        let found = snapshot.rest.and_then(|rest| {
            let found = snapshot.registry.find(url, protocol)?;
            // The remainder is a suffix of the URL, or empty: keep where it begins, not a copy.
            let remainder_start = url.len() - found.remainder.len();
            Some((found.registration.clone(), remainder_start, rest.last_modified))
        });
        let goes_to_disk = is_read
            && !snapshot.statics.is_empty()
            && found.as_ref().is_none_or(|(registration, _, _)| {
                registration.path.is_empty() || snapshot.may_be_static(request.uri().path())
            });
        let is_openapi = snapshot.rest.is_some()
            && openapi::is_asked_for(&request)
            && found.as_ref().is_none_or(|(registration, _, _)| registration.path.is_empty());
        let kept = (goes_to_disk || is_openapi).then(|| arc_swap::Guard::into_inner(snapshot));
        if is_openapi && let Some(snapshot) = &kept {
            let (request, _) = request.into_parts();
            return openapi::respond(&snapshot.registry, &request, peer, self.compress_from);
        }
        if let Some(snapshot) = &kept
            && let Some(response) =
                static_files::serve(snapshot.clone(), Order::BeforeResources, &request).await
        {
            return response;
        }
        let Some((registration, remainder_start, last_modified)) = found else {
            if let Some(snapshot) = kept
                && let Some(response) =
                    static_files::serve(snapshot, Order::AfterResources, &request).await
            {
                return response;
            }
            return problem::with_text(StatusCode::NOT_FOUND, "Not found\n");
        };
        let exchange = rest::Exchange {
            registration: &registration,
            remainder_start,
            last_modified,
            body_limit: self.body_limit,
            compress_from: self.compress_from,
            peer,
        };
        if is_event_stream {
            sse::respond(&exchange, request, &self.drain).await
        } else {
            rest::respond(&exchange, request).await
        }
    }
}
