//! Who is on the other end of a connection, and the [`Context`] of what it asks.
//!
//! A connection's client is trusted or nobody by its address; a request may say more
//! ([`super::authentication`]) and is then that of another [`Peer`].

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};

use hyper::http::request::Parts;
use hyper::{Version, header};
use kora_resource::{Context, RequestInfo, User};

use super::chain::Passed;
use crate::components::registry::Served;
use crate::config::LocalClients;

static LOCAL_SUPER_USER: LazyLock<Arc<User>> =
    LazyLock::new(|| Arc::new(User::unstored_super_user("local")));

/// What the connection is carried by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// One connection's client, or who one of its requests says that it is.
#[derive(Debug)]
pub(crate) struct Peer {
    /// As the system tells it.
    socket_address: SocketAddr,
    address: IpAddr,
    user: Option<Arc<User>>,
    scheme: Scheme,
    /// The user that the client's certificate names, looked up for each request.
    certified: Option<Arc<str>>,
    /// Shared by all requests to resources that never look at the request itself.
    plain_context: Arc<Context>,
}

impl Peer {
    pub(crate) fn new(
        socket_address: SocketAddr,
        scheme: Scheme,
        local_clients: LocalClients,
    ) -> Peer {
        let is_loopback = socket_address.ip().to_canonical().is_loopback();
        let is_trusted = local_clients == LocalClients::SuperUsers && is_loopback;
        let user = is_trusted.then(|| LOCAL_SUPER_USER.clone());
        Peer::with_user(socket_address, scheme, user)
    }

    fn with_user(socket_address: SocketAddr, scheme: Scheme, user: Option<Arc<User>>) -> Peer {
        let address = socket_address.ip().to_canonical();
        let plain_context =
            Arc::new(Context { user: user.clone(), authorize: true, ..Context::default() });
        Peer { socket_address, address, user, scheme, certified: None, plain_context }
    }

    /// The same client with a certificate that names a user.
    pub(crate) fn certified_as(self, name: &str) -> Peer {
        Peer { certified: Some(name.into()), ..self }
    }

    /// The name in the client's certificate.
    pub(crate) fn certified(&self) -> Option<&str> {
        self.certified.as_deref()
    }

    pub(crate) fn socket_address(&self) -> SocketAddr {
        self.socket_address
    }

    /// Who the client is.
    pub(crate) fn user(&self) -> Option<&Arc<User>> {
        self.user.as_ref()
    }

    /// The same client as somebody else, or as nobody.
    pub(crate) fn as_user(&self, user: Option<Arc<User>>) -> Peer {
        Peer::with_user(self.socket_address, self.scheme, user)
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether the client is somebody by its address alone.
    pub(crate) fn is_trusted(&self) -> bool {
        self.user.is_some()
    }

    /// The context of one request. The copy of the request is made only for guests.
    pub(crate) fn context(&self, served: Served, request: &Parts) -> Arc<Context> {
        match served {
            Served::Natively => self.plain_context.clone(),
            Served::ByGuest => Arc::new(Context {
                user: self.user.clone(),
                request: Some(Arc::new(self.request_info(request))),
                authorize: true,
                origins: request
                    .extensions
                    .get::<Passed>()
                    .map(|passed| passed.origins.clone())
                    .unwrap_or_default(),
                ..Context::default()
            }),
        }
    }

    pub(crate) fn request_info(&self, request: &Parts) -> RequestInfo {
        let host = request
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .or_else(|| request.uri.authority().map(|authority| authority.as_str()));
        RequestInfo {
            method: request.method.as_str().to_owned(),
            url: request.uri.path_and_query().map_or("/", |url| url.as_str()).to_owned(),
            headers: request
                .headers
                .iter()
                .map(|(name, value)| {
                    (
                        name.as_str().to_owned(),
                        String::from_utf8_lossy(value.as_bytes()).into_owned(),
                    )
                })
                .collect(),
            protocol: match self.scheme {
                Scheme::Http => "http",
                Scheme::Https => "https",
            },
            host: host.map(str::to_owned),
            ip: Some(self.address),
            http_version: match request.version {
                Version::HTTP_2 => "2.0",
                Version::HTTP_10 => "1.0",
                _ => "1.1",
            },
        }
    }
}
