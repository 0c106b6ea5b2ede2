//! An MQTT broker on tables and classes: 3.1.1 and 5, over TCP and WebSocket
//! (`spec/harper-realtime.md` section 8).
//!
//! A topic is a resource's path and an id below it. What is retained is the current record; PUBLISH
//! calls `publish`, with the retain flag `put` or `delete`; SUBSCRIBE opens the resource's stream, the
//! same that WebSocket and SSE clients get, and forwards it. Nothing here stores messages: durable
//! sessions ([`session`]) remember positions in the change log and go on from there.
//!
//! A connection is one task ([`connection`]). The [`Broker`] holds what connections share: the
//! sessions by client id ([`sessions`]), shared subscriptions ([`shared`]) and the counters behind
//! `$SYS`. A failing connection, resource or store is that client's affair: it is told with a reason
//! code, and the others go on.

mod aliases;
mod client;
mod codec;
mod connection;
mod delivery;
mod kept_wills;
mod listener;
mod payload;
mod properties;
mod publishing;
mod session;
mod sessions;
mod shared;
mod stored;
mod system;
mod topics;
mod transport;
mod watching;
mod will;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kora_resource::{Accounts, Context, MessageProperties, RequestInfo, Result};

use crate::components::Components;
use crate::components::registry::{Registration, Served};
use crate::config::LocalClients;
use crate::config::mqtt::Nobodies;
use crate::realtime::drain::Drain;
use client::Client;
use kept_wills::KeptWills;
use sessions::Sessions;
use shared::Groups;

pub(crate) use listener::run;
pub(crate) use stored::{SCHEMAS, SessionTables};
pub(crate) use transport::{accept_web_socket, is_offered};

/// The largest packet that is taken, in bytes.
const PACKET_LIMIT: usize = 10 << 20;

/// How long wills that a crash has left wait for their clients.
const LEFTOVER_WILLS: Duration = Duration::from_secs(2);

/// How often sessions whose time is over are looked for.
const HOUSEKEEPING: Duration = Duration::from_secs(10);

/// Who may connect without saying who they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admission {
    pub(crate) local_clients: LocalClients,
    pub(crate) nobodies: Nobodies,
}

/// What all connections share.
pub(crate) struct Broker {
    components: Arc<Components>,
    accounts: Arc<dyn Accounts>,
    admission: Admission,
    sessions: Sessions,
    wills: KeptWills,
    groups: Groups,
    counters: Counters,
    drain: Drain,
}

/// What `$SYS` tells.
#[derive(Debug)]
struct Counters {
    started: Instant,
    connected: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    subscriptions: AtomicU64,
}

impl Broker {
    pub(crate) fn new(
        components: Arc<Components>,
        accounts: Arc<dyn Accounts>,
        admission: Admission,
        tables: Option<SessionTables>,
        drain: Drain,
    ) -> Arc<Broker> {
        Arc::new(Broker {
            components,
            accounts,
            admission,
            sessions: Sessions::new(tables.clone()),
            wills: KeptWills::new(tables),
            groups: Groups::default(),
            counters: Counters {
                started: Instant::now(),
                connected: AtomicU64::new(0),
                received: AtomicU64::new(0),
                sent: AtomicU64::new(0),
                subscriptions: AtomicU64::new(0),
            },
            drain,
        })
    }

    /// Publishes what a crash has left, then keeps house until the server stops.
    pub(crate) async fn keep_house(self: Arc<Self>) {
        let mut drain = self.drain.clone();
        tokio::select! {
            () = tokio::time::sleep(LEFTOVER_WILLS) => {}
            () = drain.begun() => return,
        }
        self.publish_leftover_wills().await;
        loop {
            tokio::select! {
                () = tokio::time::sleep(HOUSEKEEPING) => self.sessions.sweep().await,
                () = drain.begun() => return,
            }
        }
    }

    /// The surroundings of a call. Guests see a request that tells where it came from.
    fn context(
        &self,
        registration: &Registration,
        client: &Client,
        topic: &str,
        said: Option<Arc<MessageProperties>>,
    ) -> Result<Arc<Context>> {
        let request = match registration.served {
            Served::Natively => None,
            Served::ByGuest => Some(Arc::new(RequestInfo {
                method: "MQTT".to_owned(),
                url: format!("/{topic}"),
                headers: said.as_deref().map(properties::headers).unwrap_or_default(),
                protocol: "mqtt",
                host: None,
                ip: Some(client.address.ip().to_canonical()),
                http_version: "1.1",
            })),
        };
        let user = self.present_user(client)?;
        let context = Context { user, request, authorize: true, ..Context::default() };
        Ok(Arc::new(Context { properties: said, ..context }))
    }
}

impl Counters {
    fn up(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn down(counter: &AtomicU64) {
        counter.fetch_sub(1, Ordering::Relaxed);
    }
}
