//! Where a request goes: a WebSocket, a static file, a resource over REST or SSE, or nowhere.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header;
use hyper::{Method, Request, StatusCode};
use kora_resource::Protocol;

use super::Response;
use super::authentication::{self, Authentication};
use super::chain::{self, Asker, HandlerPath, Passed};
use super::cors::Cors;
use super::peer::{Peer, Scheme};
use super::request_body::RequestBody;
use super::{negotiation, openapi, problem, rest, static_files};
use crate::components::Components;
use crate::config::static_options::Order;
use crate::realtime::drain::Drain;
use crate::realtime::heartbeat::Heartbeat;
use crate::realtime::mqtt::{self, Broker};
use crate::realtime::{sse, websocket};

/// Routes the requests of all connections.
pub(crate) struct Router {
    pub(crate) components: Arc<Components>,
    /// The largest request body, in bytes.
    pub(crate) body_limit: usize,
    /// `None` where pages of other origins may not ask.
    pub(crate) cors: Option<Cors>,
    /// From how many bytes on bodies are compressed; `None` for never.
    pub(crate) compress_from: Option<NonZeroUsize>,
    pub(crate) drain: Drain,
    pub(crate) heartbeat: Heartbeat,
    /// `None` where MQTT is not spoken over WebSocket.
    pub(crate) mqtt: Option<Arc<Broker>>,
    pub(crate) authentication: Authentication,
}

impl Router {
    /// The client of a new connection.
    pub(crate) fn peer(&self, address: SocketAddr, scheme: Scheme) -> Peer {
        Peer::new(address, scheme, self.authentication.local_clients())
    }

    /// The client of a new connection behind TLS; `certified` is the user that its certificate names.
    pub(crate) fn secure_peer(&self, address: SocketAddr, certified: Option<&str>) -> Peer {
        let peer = self.peer(address, Scheme::Https);
        match certified {
            Some(name) => peer.certified_as(name),
            None => peer,
        }
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
            None => self.route(request, peer, Asker::Unknown).await,
            Some(chain) => chain::pass(self, &chain, 0, request, peer, Asker::Unknown).await,
        }
    }

    /// Answers one request that has passed all middleware.
    pub(super) async fn route(
        &self,
        request: Request<RequestBody>,
        peer: &Peer,
        asker: Asker,
    ) -> Response {
        let url = request.uri().path_and_query().map_or("/", |url| url.as_str());
        let snapshot = self.components.snapshot();
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);

        if request.headers().contains_key(header::UPGRADE)
            && let Some(broker) = &self.mqtt
            && mqtt::is_offered(&request)
            && fastwebsockets::upgrade::is_upgrade_request(&request)
        {
            drop(snapshot);
            let identified = self.identify_socket(peer, asker, &request).await;
            let peer = identified.as_ref().unwrap_or(peer);
            return mqtt::accept_web_socket(request, peer, broker);
        }
        if request.headers().contains_key(header::UPGRADE)
            && fastwebsockets::upgrade::is_upgrade_request(&request)
            && (snapshot.sockets.is_some() || snapshot.rest.is_some_and(|rest| rest.web_socket))
        {
            let is_served = snapshot.rest.is_some_and(|rest| rest.web_socket);
            let found = snapshot.registry.find(url, Protocol::WebSocket).filter(|_| is_served);
            let found = found.map(|found| {
                (found.registration.clone(), found.remainder.to_owned(), found.params)
            });
            let sockets = || Some((snapshot.sockets.clone()?, url.to_owned(), Vec::new()));
            let found = found.or_else(sockets);
            drop(snapshot);
            let identified = self.identify_socket(peer, asker, &request).await;
            let peer = identified.as_ref().unwrap_or(peer);
            return websocket::accept(request, found, peer, &self.drain, &self.heartbeat);
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
            let identified = match self.identify(peer, asker, &request).await {
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
        let identified = match self.identify(peer, asker, &request).await {
            Ok(identified) => identified,
            Err(error) => return authentication::refusal(&error, url),
        };
        let peer = identified.as_ref().unwrap_or(peer);
        let passed = request.extensions().get::<Passed>().is_some();
        let exchange = rest::Exchange {
            registration: &registration,
            remainder_start,
            params,
            last_modified,
            body_limit: self.body_limit,
            // Middleware wants to see the body; what it answers is compressed behind it.
            compress_from: self.compress_from.filter(|_| !passed),
            peer,
        };
        let mut response = if is_event_stream {
            sse::respond(&exchange, request, &self.drain, &self.heartbeat).await
        } else {
            rest::respond(&exchange, request).await
        };
        if passed {
            response.extensions_mut().insert(HandlerPath(registration.path.clone()));
        }
        authentication::challenge(response)
    }

    /// Who opens a socket, where it is not the connection's client. A handshake is never refused; who
    /// is not who they say they are is nobody.
    async fn identify_socket<B>(
        &self,
        peer: &Peer,
        asker: Asker,
        request: &Request<B>,
    ) -> Option<Peer> {
        self.identify(peer, asker, request).await.unwrap_or_else(|error| {
            problem::log(&error, request.uri().path());
            Some(peer.as_user(None))
        })
    }

    /// Who sends a request, where it is somebody else than `peer`.
    pub(super) async fn identify<B>(
        &self,
        peer: &Peer,
        asker: Asker,
        request: &Request<B>,
    ) -> kora_resource::Result<Option<Peer>> {
        match asker {
            Asker::Known => Ok(None),
            Asker::Unknown => {
                self.authentication.identify(peer, request.uri(), request.headers()).await
            }
        }
    }
}
