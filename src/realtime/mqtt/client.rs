//! Who is on the other end of a connection.
//!
//! A name and a password in CONNECT are checked as HTTP checks them, by [`kora_resource::Accounts`];
//! without them a client is who its carrier says: over WebSocket whoever the upgrade's headers name,
//! and where local clients are trusted, on loopback, the local super user. Connections last, so what
//! a user may do is asked for again at every message and every subscription.

use std::net::SocketAddr;
use std::sync::Arc;

use kora_resource::value::Format;
use kora_resource::{Error, ErrorKind, Result, User};

use super::Broker;
use crate::http::peer::{Peer, Scheme};

/// A connection's client.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) address: SocketAddr,
    /// `None` for nobody.
    pub(super) user: Option<Arc<User>>,
    /// How records and messages are written for it.
    pub(super) format: Format,
    /// What its payloads are where they do not say so themselves.
    pub(super) content_type: Option<Arc<str>>,
}

impl Client {
    /// A client of which nothing is known but its connection.
    pub(super) fn new(peer: &Peer) -> Client {
        Client {
            address: peer.socket_address(),
            user: peer.user().cloned(),
            format: Format::Json,
            content_type: None,
        }
    }
}

impl Broker {
    /// The client of a TCP connection, before it has said anything.
    pub(super) fn client(&self, address: SocketAddr) -> Client {
        Client::new(&Peer::new(address, Scheme::Http, self.admission.local_clients))
    }

    /// The client of a connection behind TLS; `certified` is the user that its certificate names.
    pub(super) fn secure_client(&self, address: SocketAddr, certified: Option<&str>) -> Client {
        let mut client = self.client(address);
        if let Some(name) = certified {
            match self.accounts.user(name) {
                Ok(Some(user)) => client.user = Some(user),
                Ok(None) => tracing::debug!("there is no user {name}, whom a certificate names"),
                Err(error) => {
                    tracing::error!("the user {name} of a certificate can't be read: {error}");
                }
            }
        }
        client
    }

    /// The user that CONNECT names; 401 if the password is not theirs.
    pub(super) async fn authenticate(&self, username: &str, password: &[u8]) -> Result<Arc<User>> {
        let refused = |_| Error::new(ErrorKind::Unauthenticated, "Login failed");
        let password = String::from_utf8(password.to_vec()).map_err(refused)?;
        Arc::clone(&self.accounts).authenticate(username.to_owned(), password).await
    }

    /// The client's user as the tables have them now; `None` once they are removed or deactivated.
    pub(super) fn present_user(&self, client: &Client) -> Result<Option<Arc<User>>> {
        match &client.user {
            Some(user) if user.created.is_some() => self.accounts.user(&user.username),
            // Who is in no table is who they are by their address.
            Some(user) => Ok(Some(Arc::clone(user))),
            None => Ok(None),
        }
    }

    /// Whoever has left a will with this name, on a connection that a former process had.
    pub(super) fn former_client(&self, username: Option<&str>) -> Result<Client> {
        let mut client = self.client(SocketAddr::from(([127, 0, 0, 1], 0)));
        let Some(username) = username else {
            client.user = None;
            return Ok(client);
        };
        if client.user.as_ref().is_none_or(|user| user.username != username) {
            client.user = self.accounts.user(username)?;
        }
        Ok(client)
    }
}
