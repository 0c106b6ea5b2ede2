//! Where a request goes: a WebSocket, a static file, a resource over REST or SSE, or nowhere.

use std::num::NonZeroUsize;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header;
use hyper::{Method, Request, StatusCode};
use kora_resource::Protocol;

use super::Response;
use super::authentication::{self, Authentication};
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
    authentication: Authentication,
}

impl Router {
    pub(crate) fn new(
        components: Arc<Components>,
        body_limit: usize,
        compress_from: Option<NonZeroUsize>,
        drain: Drain,
        authentication: Authentication,
    ) -> Router {
        Router { components, body_limit, compress_from, drain, authentication }
    }

    /// The client of a new connection.
    pub(crate) fn peer(&self, address: SocketAddr) -> Peer {
        Peer::new(address, self.authentication.local_clients())
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
            let found = found.map(|found| {
                (found.registration.clone(), found.remainder.to_owned(), found.params)
            });
            drop(snapshot);
            // A handshake is never refused; who is not who they say they are is nobody.
            let identified = match self.identify(peer, &request).await {
                Ok(identified) => identified,
                Err(error) => {
                    problem::log(&error, url);
                    Some(peer.as_user(None))
                }
            };
            let peer = identified.as_ref().unwrap_or(peer);
            return websocket::accept(request, found, peer, &self.drain);
        }

        let is_event_stream = negotiation::wants_event_stream(request.headers());
        let protocol = if is_event_stream { Protocol::Sse } else { Protocol::Rest };
        let found = snapshot.rest.and_then(|rest| {
            let found = snapshot.registry.find(url, protocol)?;
            // The remainder is a suffix of the URL, or empty: keep where it begins, not a copy.
            let remainder_start = url.len() - found.remainder.len();
            let registration = found.registration.clone();
            Some((registration, remainder_start, found.params, rest.last_modified))
        });
        let goes_to_disk = is_read
            && !snapshot.statics.is_empty()
            && found.as_ref().is_none_or(|(registration, ..)| {
                registration.path.is_empty() || snapshot.may_be_static(request.uri().path())
            });
        let is_openapi = snapshot.rest.is_some()
            && openapi::is_asked_for(&request)
            && found.as_ref().is_none_or(|(registration, ..)| registration.path.is_empty());
        let kept = (goes_to_disk || is_openapi).then(|| arc_swap::Guard::into_inner(snapshot));
        if is_openapi && let Some(snapshot) = &kept {
            let identified = match self.identify(peer, &request).await {
                Ok(identified) => identified,
                Err(error) => return authentication::refusal(&error, url),
            };
            let peer = identified.as_ref().unwrap_or(peer);
            let (request, _) = request.into_parts();
            return openapi::respond(&snapshot.registry, &request, peer, self.compress_from);
        }
        if let Some(snapshot) = &kept
            && let Some(response) =
                static_files::serve(snapshot.clone(), Order::BeforeResources, &request).await
        {
            return response;
        }
        let Some((registration, remainder_start, params, last_modified)) = found else {
            if let Some(snapshot) = kept
                && let Some(response) =
                    static_files::serve(snapshot, Order::AfterResources, &request).await
            {
                return response;
            }
            return problem::with_text(StatusCode::NOT_FOUND, "Not found\n");
        };
        let identified = match self.identify(peer, &request).await {
            Ok(identified) => identified,
            Err(error) => return authentication::refusal(&error, url),
        };
        let peer = identified.as_ref().unwrap_or(peer);
        let exchange = rest::Exchange {
            registration: &registration,
            remainder_start,
            params,
            last_modified,
            body_limit: self.body_limit,
            compress_from: self.compress_from,
            peer,
        };
        let response = if is_event_stream {
            sse::respond(&exchange, request, &self.drain).await
        } else {
            rest::respond(&exchange, request).await
        };
        authentication::challenge(response)
    }

    /// Who sends a request, where it is not the connection's client.
    async fn identify(
        &self,
        peer: &Peer,
        request: &Request<Incoming>,
    ) -> kora_resource::Result<Option<Peer>> {
        self.authentication.identify(peer, request.uri(), request.headers()).await
    }
}
