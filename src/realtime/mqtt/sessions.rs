//! The sessions of all clients, by client id: who is connected, who is away, and since when.
//!
//! A session is owned by its connection while there is one, by this map (and the store) after. A
//! second connection of the same client takes the session from the first one's hands.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::AbortHandle;

use super::codec::NEVER_EXPIRES;
use super::session::Session;
use super::shared::Loan;
use super::stored::SessionTables;

/// How long the connection that is taken over may take to let go: it may be storing what a publisher
/// waits for. Clients wait about this long for a CONNACK.
const LETTING_GO: Duration = Duration::from_secs(20);

/// What a connection is told by others.
#[derive(Debug)]
pub(super) enum Command {
    /// Another connection of the same client wants the session.
    TakeOver(oneshot::Sender<Session>),
    /// A message of a shared subscription.
    Deliver(Box<Loan>),
}

#[derive(Debug)]
/// How others reach a connection.
#[derive(Clone)]
pub(super) struct Mailbox {
    pub(super) commands: mpsc::Sender<Command>,
    /// Told when the session is wanted elsewhere: a client with no room for shared messages, whose
    /// commands wait, lets go all the same.
    pub(super) wanted: Arc<Notify>,
}

impl Mailbox {
    async fn take_over(
        &self,
        reply: oneshot::Sender<Session>,
    ) -> Result<(), mpsc::error::SendError<Command>> {
        self.wanted.notify_one();
        self.commands.send(Command::TakeOver(reply)).await
    }
}

enum Slot {
    Connected { connection: u64, mailbox: Mailbox },
    Away { session: Box<Session>, until: Option<Instant>, will: Option<AbortHandle> },
}

#[derive(Default)]
struct State {
    slots: HashMap<Arc<str>, Slot>,
    connections: u64,
}

/// All sessions.
pub(super) struct Sessions {
    state: Mutex<State>,
    tables: Option<SessionTables>,
}

/// A session in the hands of a connection.
pub(super) struct Opened {
    pub(super) session: Session,
    pub(super) connection: u64,
    /// Whether it is older than the connection.
    pub(super) is_present: bool,
}

impl Sessions {
    pub(super) fn new(tables: Option<SessionTables>) -> Sessions {
        Sessions { state: Mutex::default(), tables }
    }

    /// Gives a connection its client's session: the one that is there, or with a clean start a new
    /// one.
    pub(super) async fn open(
        &self,
        client_id: &Arc<str>,
        is_clean: bool,
        expiry: u32,
        mailbox: Mailbox,
    ) -> Opened {
        let (connection, before) = {
            let mut state = self.state.lock();
            state.connections += 1;
            let connection = state.connections;
            let slot = Slot::Connected { connection, mailbox };
            (connection, state.slots.insert(Arc::clone(client_id), slot))
        };
        let old = match before {
            None if is_clean => None,
            None => self.load(client_id).await,
            Some(Slot::Away { session, until, will }) => {
                if let Some(will) = will {
                    will.abort();
                }
                let is_over = until.is_some_and(|until| until <= Instant::now());
                (!is_over).then_some(*session)
            }
            Some(Slot::Connected { mailbox, .. }) => {
                let (reply, session) = oneshot::channel();
                // One that is just ending finds the request in its mailbox.
                let asked = mailbox.take_over(reply);
                match tokio::time::timeout(LETTING_GO, async {
                    asked.await.ok()?;
                    session.await.ok()
                })
                .await
                {
                    Ok(session) => session,
                    Err(_) => {
                        tracing::warn!(
                            "a connection of the MQTT client {client_id} does not let go"
                        );
                        // What it has stored of a durable session is older, never wrong: some
                        // messages may come again.
                        self.load(client_id).await
                    }
                }
            }
        };
        let kept = old.filter(|session| !is_clean && session.is_durable());
        let is_present = kept.is_some();
        if is_clean && let Some(tables) = &self.tables {
            report(client_id, tables.forget(client_id).await);
        }
        let mut session = kept.unwrap_or_else(|| Session::new(Arc::clone(client_id), expiry));
        session.expiry = expiry;
        Opened { session, connection, is_present }
    }

    async fn load(&self, client_id: &str) -> Option<Session> {
        let tables = self.tables.as_ref()?;
        tables.load(client_id).await.unwrap_or_else(|error| {
            tracing::error!("the session of the MQTT client {client_id} can't be read: {error}");
            None
        })
    }

    /// Takes the session back from a connection that ends. `mailbox` is the connection's: whoever
    /// waits there for the session gets it. Whether the connection was the client's last one.
    pub(super) async fn close(
        &self,
        connection: u64,
        session: Session,
        mailbox: &mut mpsc::Receiver<Command>,
    ) -> bool {
        if session.is_durable() {
            self.save(&session).await;
        }
        let client_id = Arc::clone(&session.client_id);
        {
            let mut state = self.state.lock();
            let is_ours = matches!(
                state.slots.get(&client_id),
                Some(Slot::Connected { connection: current, .. }) if *current == connection
            );
            if is_ours {
                if session.is_durable() {
                    let until = (session.expiry != NEVER_EXPIRES)
                        .then(|| Instant::now() + Duration::from_secs(session.expiry.into()));
                    let slot = Slot::Away { session: Box::new(session), until, will: None };
                    state.slots.insert(client_id, slot);
                } else {
                    state.slots.remove(&client_id);
                }
                return true;
            }
        }
        mailbox.close();
        while let Some(command) = mailbox.recv().await {
            match command {
                Command::TakeOver(reply) => {
                    drop(reply.send(session));
                    return false;
                }
                Command::Deliver(loan) => loan.give_back(),
            }
        }
        false
    }

    /// Remembers who publishes the will of a client that is away, so that its return prevents it.
    pub(super) fn await_will(&self, client_id: &str, task: AbortHandle) {
        match self.state.lock().slots.get_mut(client_id) {
            Some(Slot::Away { will, .. }) => *will = Some(task),
            Some(Slot::Connected { .. }) => task.abort(),
            None => {}
        }
    }

    pub(super) fn is_connected(&self, client_id: &str) -> bool {
        matches!(self.state.lock().slots.get(client_id), Some(Slot::Connected { .. }))
    }

    pub(super) async fn save(&self, session: &Session) {
        if let Some(tables) = &self.tables
            && session.is_changed
        {
            report(&session.client_id, tables.save(session).await);
        }
    }

    /// Forgets the sessions whose time is over.
    pub(super) async fn sweep(&self) {
        let now = Instant::now();
        let over: Vec<Arc<str>> = {
            let mut state = self.state.lock();
            let is_over = |slot: &Slot| matches!(slot, Slot::Away { until: Some(until), .. } if *until <= now);
            let over = state.slots.iter().filter(|(_, slot)| is_over(slot));
            let over: Vec<_> = over.map(|(client_id, _)| Arc::clone(client_id)).collect();
            for client_id in &over {
                state.slots.remove(client_id);
            }
            over
        };
        if let Some(tables) = &self.tables {
            for client_id in over {
                report(&client_id, tables.forget(&client_id).await);
            }
        }
    }
}

pub(super) fn report(client_id: &str, result: kora_resource::Result<()>) {
    if let Err(error) = result {
        tracing::error!("the session of the MQTT client {client_id} can't be stored: {error}");
    }
}
