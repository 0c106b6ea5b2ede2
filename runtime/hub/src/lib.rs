//! Who hears of a change: topics, subscribers and their bounded queues.
//!
//! A store publishes every committed event here, from the thread that committed it and in the order
//! of its log; transports and guest code hold a [`Subscriber`] each. The hub owns the table of
//! topics ([`topics`], those with wildcards in [`patterns`]) and one queue a subscriber ([`queue`]); it starts no thread and does no I/O.
//!
//! *Invariants:* one publisher's events reach each subscriber in the order of publication. The cost
//! of a publication depends on who subscribed to that record, to a prefix of its id or to the whole
//! table, never on the subscribers of other records. No lock is held while a task is woken. A
//! subscriber that does not read costs at most its [`QueueLimit`], and all together at most the
//! [`CeilingLimit`]: past it the queue is dropped and [`Delivery::Overflowed`] is all that the
//! subscriber still gets.

mod patterns;
mod queue;
mod topics;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use kora_resource::{Frame, Id, Pattern};
use parking_lot::{Mutex, RwLock};

use crate::queue::{Ceiling, Queue};
use crate::topics::{Topic, Topics};

/// Which table of the process an event or a subscription belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TableKey(pub u32);

/// Which records of a table a subscriber wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// One record, by its encoded key.
    Record(Box<[u8]>),
    /// The records whose key is a string below this path: `a` and `a/` both mean keys that begin
    /// with `a/`. The empty path means the whole table.
    Prefix(String),
    /// The records whose key has these levels.
    Pattern(Pattern),
    /// Every record.
    Table,
}

/// How many bytes ([`Frame::cost`]) may wait for one subscriber. One frame alone always fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimit(pub usize);

impl Default for QueueLimit {
    /// 1 MiB.
    fn default() -> QueueLimit {
        QueueLimit(1 << 20)
    }
}

/// How many bytes may wait for all subscribers together. Past it whoever has anything waiting
/// overflows with the next frame, as if at his own limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CeilingLimit(pub usize);

impl Default for CeilingLimit {
    /// 256 MiB.
    fn default() -> CeilingLimit {
        CeilingLimit(256 << 20)
    }
}

/// What a subscriber gets.
#[derive(Debug, Clone)]
pub enum Delivery {
    Frame(Arc<Frame>),
    /// The subscriber was too slow: what waited for it was dropped. Always the last delivery; who
    /// wants to go on subscribes again and reads the log from the last `Seq` that arrived.
    Overflowed,
}

/// The subscriptions of one store.
#[derive(Debug, Default)]
pub struct Hub {
    /// Tables are few and long-lived: this lock is written only for a table's first subscriber.
    tables: RwLock<HashMap<TableKey, Arc<Mutex<Topics>>>>,
    ceiling: Arc<Ceiling>,
}

impl Hub {
    pub fn new() -> Arc<Hub> {
        Arc::default()
    }

    pub fn with_ceiling(limit: CeilingLimit) -> Arc<Hub> {
        Arc::new(Hub { tables: RwLock::default(), ceiling: Arc::new(Ceiling::new(limit)) })
    }

    /// How many bytes wait for all subscribers together. Frames are shared: this counts each once a
    /// subscriber, so it is more than the memory that they take.
    pub fn queued_bytes(&self) -> usize {
        self.ceiling.bytes()
    }

    /// Begins a subscription; it ends when the [`Subscriber`] is dropped.
    pub fn subscribe(
        self: &Arc<Self>,
        table: TableKey,
        scope: Scope,
        limit: QueueLimit,
    ) -> Subscriber {
        let topic = Topic::of(scope);
        let queue = Arc::new(Queue::new(limit, Arc::clone(&self.ceiling)));
        let topics = Arc::clone(self.tables.write().entry(table).or_default());
        topics.lock().add(&topic, Arc::clone(&queue));
        Subscriber { queue, topics, topic }
    }

    /// Hands `frame` to the subscribers of the record `key`, of the prefixes of a string `id` and of
    /// the whole table. Never waits for a subscriber. Events of one table must be published one
    /// after the other, or their order is not defined.
    pub fn publish(&self, table: TableKey, key: &[u8], id: &Id, frame: &Arc<Frame>) {
        let Some(topics) = self.tables.read().get(&table).cloned() else { return };
        let audience = topics.lock().audience(key, id);
        for queue in audience.iter().flat_map(|subscribers| subscribers.iter()) {
            if let Some(waker) = queue.push(frame) {
                waker.wake();
            }
        }
    }

    /// How many subscriptions a table has.
    pub fn subscribers(&self, table: TableKey) -> usize {
        self.tables.read().get(&table).cloned().map_or(0, |topics| topics.lock().len())
    }
}

/// One subscription: a stream of [`Delivery`]. Dropping it unsubscribes and frees its queue.
#[derive(Debug)]
pub struct Subscriber {
    queue: Arc<Queue>,
    topics: Arc<Mutex<Topics>>,
    topic: Topic,
}

impl Subscriber {
    /// The next delivery. Ends (`None`) after [`Delivery::Overflowed`].
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.queue.poll_pop(cx)
    }

    /// How many bytes wait in the queue.
    pub fn queued_bytes(&self) -> usize {
        self.queue.bytes()
    }
}

impl Stream for Subscriber {
    type Item = Delivery;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        Subscriber::poll_next(self.get_mut(), cx)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.topics.lock().remove(&self.topic, &self.queue);
        // A publication in flight may hold the queue a little longer: it must not keep frames.
        self.queue.close();
    }
}

#[cfg(test)]
mod tests;
