//! Shared subscriptions: `$share/GROUP/FILTER` gives each message to one member of the group.
//!
//! A group is one task with one stream of the resource. It lends each message to a member in turn; a
//! member that leaves before it has acknowledged gives the loan back, and it goes to another. A member
//! whose mailbox is full holds up the group's turn no longer than it takes another to have room.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures_util::StreamExt;
use kora_resource::{Message, Outgoing};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::sessions::Command;

/// Loans that may wait in a group whose members are all gone but one or slow.
const MOST_RETURNED: usize = 4096;

/// One group.
#[derive(Debug)]
pub(super) struct Group {
    members: Mutex<Vec<Member>>,
    /// Loans that came back.
    returned: Mutex<VecDeque<Message>>,
    changed: Notify,
}

#[derive(Debug, Clone)]
struct Member {
    connection: u64,
    filter: Arc<str>,
    mailbox: mpsc::Sender<Command>,
}

/// A message that a member has until it acknowledges it.
#[derive(Debug)]
pub(super) struct Loan {
    /// The filter as the member has given it.
    pub(super) filter: Arc<str>,
    pub(super) message: Message,
    pub(super) group: Arc<Group>,
}

impl Loan {
    /// Has another member get it.
    pub(super) fn give_back(self) {
        let mut returned = self.group.returned.lock();
        if returned.len() < MOST_RETURNED {
            returned.push_back(self.message);
        } else {
            tracing::warn!("a message of {} finds nobody who takes it", self.filter);
        }
        drop(returned);
        self.group.changed.notify_one();
    }
}

/// All groups, by their whole filter.
#[derive(Debug, Default)]
pub(super) struct Groups(Mutex<HashMap<Arc<str>, Running>>);

#[derive(Debug)]
struct Running {
    group: Arc<Group>,
    task: JoinHandle<()>,
}

impl Groups {
    /// Whether a group of this filter is at work.
    pub(super) fn contains(&self, filter: &str) -> bool {
        self.0.lock().contains_key(filter)
    }

    /// Adds a member; `stream` is used if it is the first.
    pub(super) fn join(
        &self,
        filter: &Arc<str>,
        connection: u64,
        mailbox: mpsc::Sender<Command>,
        stream: Option<Outgoing>,
    ) {
        let mut groups = self.0.lock();
        let member = Member { connection, filter: Arc::clone(filter), mailbox };
        if let Some(running) = groups.get(filter) {
            let mut members = running.group.members.lock();
            members.retain(|member| member.connection != connection);
            members.push(member);
            running.group.changed.notify_one();
            return;
        }
        let Some(stream) = stream else { return };
        let group = Arc::new(Group {
            members: Mutex::new(vec![member]),
            returned: Mutex::default(),
            changed: Notify::new(),
        });
        let task = tokio::spawn(serve(Arc::clone(&group), stream));
        groups.insert(Arc::clone(filter), Running { group, task });
    }

    /// Takes a member out; the last one ends the group.
    pub(super) fn leave(&self, filter: &str, connection: u64) {
        let mut groups = self.0.lock();
        let Some(running) = groups.get(filter) else { return };
        let is_empty = {
            let mut members = running.group.members.lock();
            members.retain(|member| member.connection != connection);
            members.is_empty()
        };
        if is_empty && let Some(running) = groups.remove(filter) {
            running.task.abort();
        }
    }
}

async fn serve(group: Arc<Group>, mut stream: Outgoing) {
    let mut turn = 0;
    loop {
        let returned = group.returned.lock().pop_front();
        let message = match returned {
            Some(message) => message,
            None => tokio::select! {
                message = stream.next() => match message {
                    Some(Ok(message)) => message,
                    Some(Err(error)) => {
                        tracing::warn!("a shared subscription has ended: {error}");
                        return;
                    }
                    None => return,
                },
                () = group.changed.notified() => continue,
            },
        };
        if matches!(message, Message::Event(_) | Message::Value(_) | Message::Raw { .. }) {
            lend(&group, message, &mut turn).await;
        }
    }
}

/// Gives the message to the next member that takes it; waits while there is none.
async fn lend(group: &Arc<Group>, message: Message, turn: &mut usize) {
    loop {
        let members = group.members.lock().clone();
        for _ in 0..members.len() {
            *turn = (*turn + 1) % members.len();
            let member = &members[*turn];
            let Ok(place) = member.mailbox.try_reserve() else { continue };
            let (filter, group) = (Arc::clone(&member.filter), Arc::clone(group));
            place.send(Command::Deliver(Box::new(Loan { filter, message, group })));
            return;
        }
        // All are full, or there is nobody.
        match members.get(*turn) {
            Some(member) => tokio::select! {
                room = member.mailbox.reserve() => {
                    if room.is_err() {
                        group.members.lock().retain(|known| known.connection != member.connection);
                    }
                }
                () = group.changed.notified() => {}
            },
            None => group.changed.notified().await,
        }
    }
}
