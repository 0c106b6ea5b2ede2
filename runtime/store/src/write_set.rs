//! What one transaction asks of one database: the versions it read and the changes it wants.
//!
//! A write set is made on the caller's thread, already validated, and handed to the writer. A record
//! has at most one write in a set: later ones are folded into earlier ones here, so that the writer
//! plans each record once.

use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use kora_resource::value::blob::has_blobs;
use kora_resource::value::msgpack;
use kora_resource::{Id, Map, MessageProperties, Value, Version};

use crate::Table;
use crate::blobs::Staged;
use crate::keys::Key;
use crate::layout::TableId;
use crate::merge::{fold, merge};
use crate::reads::Reads;

/// Which record: its table and the key of its id.
pub(crate) type Place = (TableId, Key);

/// The checks and changes of one transaction in one database.
#[derive(Debug, Default)]
pub(crate) struct WriteSet {
    pub reads: Reads,
    /// In the order of each record's first change.
    pub writes: IndexMap<Place, Write>,
    pub messages: Vec<(Arc<Table>, Id, Key, Value)>,
    /// The new files of blobs, in their places; removed again if the set is not committed.
    pub staged: Vec<Arc<Staged>>,
    /// What is said about all of it.
    pub properties: Option<Arc<MessageProperties>>,
}

/// The change of one record.
#[derive(Debug)]
pub(crate) struct Write {
    pub table: Arc<Table>,
    pub id: Id,
    pub op: Op,
    /// When the record ends, in milliseconds since the epoch; `None`: as its table says.
    pub expires: Option<f64>,
}

/// What becomes of a record.
#[derive(Debug)]
pub(crate) enum Op {
    /// The whole record.
    Put(Content),
    /// The whole record, which must not exist.
    Create(Content),
    /// Properties to merge into the record, or into a new one.
    Patch(Map),
    Delete,
    /// The end of an expired record: nothing if it has changed since.
    Expire(Version),
    /// The same without a word to anyone: a cache gives up its copy.
    Evict(Version),
    /// What a source gave in place of what had this version; nothing if that has changed since.
    Fill(Content, Option<Version>),
    /// Is no longer good: the next read of a caching table asks the source.
    Invalidate,
}

/// A whole record.
#[derive(Debug)]
pub(crate) struct Content {
    pub map: Map,
    /// The encoded map, if the writer has nothing to assign in it: spares its thread the work.
    pub body: Option<Bytes>,
    /// When it last changed, as its source says.
    pub modified: Option<f64>,
}

impl Content {
    pub(crate) fn new(map: Map) -> Content {
        Content { map, body: None, modified: None }
    }
}

impl WriteSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.messages.is_empty()
    }

    /// Whether what it writes has blobs.
    pub(crate) fn has_blobs(&self) -> bool {
        self.writes.values().any(|write| match &write.op {
            Op::Put(content) | Op::Create(content) | Op::Fill(content, _) => {
                has_blobs(&content.map)
            }
            Op::Patch(changes) => has_blobs(changes),
            Op::Delete | Op::Invalidate | Op::Expire(_) | Op::Evict(_) => false,
        })
    }

    /// Adds a change, folded into what the set already does to that record.
    pub(crate) fn add(&mut self, key: Key, write: Write) {
        let place = (write.table.id(), key);
        match self.writes.entry(place) {
            indexmap::map::Entry::Vacant(entry) => drop(entry.insert(write)),
            indexmap::map::Entry::Occupied(mut entry) => {
                let held = entry.get_mut();
                let before = std::mem::replace(&mut held.op, Op::Delete);
                held.op = before.then(write.op);
                held.expires = write.expires.or(held.expires);
            }
        }
    }

    /// Does what can be done before the writer's thread has to: encodes whole records.
    pub(crate) fn prepare(&mut self) {
        for write in self.writes.values_mut() {
            match &mut write.op {
                Op::Put(content) | Op::Create(content) | Op::Fill(content, _)
                    if !write.table.definition().assigns_times() =>
                {
                    content.body = Some(msgpack::encode_map(&content.map).into());
                }
                Op::Put(_)
                | Op::Create(_)
                | Op::Fill(..)
                | Op::Patch(_)
                | Op::Delete
                | Op::Invalidate
                | Op::Expire(_)
                | Op::Evict(_) => {}
            }
        }
    }

    /// About how many bytes the set holds, for the bounds of the writer's queue.
    pub(crate) fn cost(&self) -> usize {
        const FIXED: usize = 128;
        let content = |content: &Content| match &content.body {
            Some(body) => body.len(),
            None => map_size(&content.map),
        };
        let writes = self.writes.values().map(|write| {
            FIXED
                + match &write.op {
                    Op::Put(whole) | Op::Create(whole) | Op::Fill(whole, _) => content(whole),
                    Op::Patch(changes) => map_size(changes),
                    Op::Delete | Op::Invalidate | Op::Expire(_) | Op::Evict(_) => 0,
                }
        });
        let messages = self.messages.iter().map(|(.., value)| FIXED + value.approximate_size());
        writes.chain(messages).sum::<usize>() + self.reads.len() * FIXED
    }
}

fn map_size(map: &Map) -> usize {
    map.iter().map(|(name, value)| name.len() + value.approximate_size()).sum()
}

impl Op {
    /// This change and then another, as one. What is gone is never patched: `Transaction::patch` puts
    /// a whole record then.
    fn then(self, next: Op) -> Op {
        match (self, next) {
            // A record that this set creates is still refused if it exists.
            (Op::Create(_), Op::Put(content)) => Op::Create(content),
            (Op::Create(content), Op::Patch(changes)) => Op::Create(patched(content, changes)),
            (Op::Put(content), Op::Patch(changes)) => Op::Put(patched(content, changes)),
            (Op::Patch(mut before), Op::Patch(changes)) => {
                fold(&mut before, changes);
                Op::Patch(before)
            }
            (Op::Delete | Op::Invalidate | Op::Expire(_), Op::Create(content)) => Op::Put(content),
            (_, next) => next,
        }
    }
}

fn patched(mut content: Content, changes: Map) -> Content {
    merge(&mut content.map, changes);
    content
}
