//! Where a request goes: a WebSocket, a static file, a resource over REST or SSE, or nowhere.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header;
use hyper::{Method, Request, StatusCode};
use kora_resource::Protocol;

use super::Response;
use super::chain::{self, HandlerPath, Passed};
use super::cors::Cors;
use super::peer::Peer;
use super::request_body::RequestBody;
use super::{negotiation, problem, rest, static_files};
use crate::components::Components;
use crate::realtime::drain::Drain;
use crate::realtime::{sse, websocket};

/// Routes the requests of all connections.
pub(crate) struct Router {
    components: Arc<Components>,
    /// The largest request body, in bytes.
    body_limit: usize,
    /// `None` where pages of other origins may not ask.
    cors: Option<Cors>,
    drain: Drain,
}

impl Router {
    pub(crate) fn new(
        components: Arc<Components>,
        body_limit: usize,
        cors: Option<Cors>,
        drain: Drain,
    ) -> Router {
        Router { components, body_limit, cors, drain }
    }

    /// Answers one request: through the components' middleware, if they have any.
    pub(crate) async fn handle(&self, request: Request<Incoming>, peer: &Peer) -> Response {
        let Some(cors) = &self.cors else { return self.enter(request, peer).await };
        let origin = request.headers().get(header::ORIGIN).cloned();
        if let Some(response) = cors.preflight(&request) {
            return response;
        }
        let mut response = self.enter(request, peer).await;
        cors.allow(origin.as_ref(), response.headers_mut());
        response
    }

    async fn enter(&self, request: Request<Incoming>, peer: &Peer) -> Response {
        let request = request.map(RequestBody::Incoming);
        let chain = self.components.snapshot().chain.clone();
        match chain {
            None => self.route(request, peer).await,
            Some(chain) => chain::pass(self, &chain, 0, request, peer).await,
        }
    }

    /// Answers one request that has passed all middleware.
    pub(super) async fn route(&self, request: Request<RequestBody>, peer: &Peer) -> Response {
        let url = request.uri().path_and_query().map_or("/", |url| url.as_str());
        let snapshot = self.components.snapshot();
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);

        if request.headers().contains_key(header::UPGRADE)
            && fastwebsockets::upgrade::is_upgrade_request(&request)
            && (snapshot.sockets.is_some() || snapshot.rest.is_some_and(|rest| rest.web_socket))
        {
            let is_served = snapshot.rest.is_some_and(|rest| rest.web_socket);
            let found = snapshot.registry.find(url, Protocol::WebSocket).filter(|_| is_served);
            let found = found.map(|found| (found.registration.clone(), found.remainder.to_owned()));
            let found = found.or_else(|| Some((snapshot.sockets.clone()?, url.to_owned())));
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
        let on_disk = goes_to_disk.then(|| arc_swap::Guard::into_inner(snapshot));
        if let Some(snapshot) = on_disk
            && let Some(response) = static_files::serve(&snapshot.statics, &request).await
        {
            return response;
        }
        let Some((registration, remainder_start, last_modified)) = found else {
            return problem::with_text(StatusCode::NOT_FOUND, "Not found\n");
        };
        let passed = request.extensions().get::<Passed>().is_some();
        let exchange = rest::Exchange {
            registration: &registration,
            remainder_start,
            last_modified,
            body_limit: self.body_limit,
            peer,
        };
        let mut response = if is_event_stream {
            sse::respond(&exchange, request, &self.drain).await
        } else {
            rest::respond(&exchange, request).await
        };
        if passed {
            response.extensions_mut().insert(HandlerPath(registration.path.clone()));
        }
        response
    }
}
