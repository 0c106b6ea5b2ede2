//! Applies a planned change: the record, its index entries and its log entry. Only LMDB can fail.

use std::sync::Arc;

use heed::{PutFlags, RwTxn};
use kora_resource::schema::Audit;
use kora_resource::{Event, EventKind, EventValue, Frame, MessageProperties};

use super::plan::{Change, Effect};
use super::publisher::Published;
use crate::database::Position;
use crate::environment::Trees;
use crate::layout::{record_key, write_log_entry, write_record};
use crate::vector::Edits;
use crate::{StoreError, catalog};

pub(super) fn apply(
    change: Change,
    txn: &mut RwTxn<'_>,
    trees: &Trees,
    graphs: &mut Edits,
    at: Position,
    properties: Option<&Arc<MessageProperties>>,
) -> Result<Option<Published>, StoreError> {
    let Change { table, id, key, effect, added, removed, vectors, blobs } = change;
    for blob in blobs.removed {
        catalog::remove_blob(txn, trees, blob)?;
    }
    for blob in blobs.added {
        catalog::put_blob(txn, trees, blob, &record_key(table.id(), &key))?;
    }
    for entry in removed {
        trees.indexes.delete(txn, &entry.key)?;
    }
    for entry in added {
        trees.indexes.put(txn, &entry.key, &entry.data)?;
    }
    for change in vectors {
        let graph = graphs.graph(txn, change.index, &change.options)?;
        graph.remove(txn, &key)?;
        if let Some(vector) = change.vector {
            graph.insert(txn, &key, vector)?;
        }
    }
    let (kind, value) = match effect {
        Effect::Put(record) => {
            trees.records.put(txn, &record_key(table.id(), &key), &write_record(&record))?;
            (EventKind::Put, EventValue::Record(record))
        }
        Effect::Delete => {
            trees.records.delete(txn, &record_key(table.id(), &key))?;
            (EventKind::Delete, EventValue::Absent)
        }
        Effect::Invalidate(record) => {
            trees.records.put(txn, &record_key(table.id(), &key), &write_record(&record))?;
            (EventKind::Invalidate, EventValue::Absent)
        }
        Effect::Evict => {
            trees.records.delete(txn, &record_key(table.id(), &key))?;
            return Ok(None);
        }
        Effect::Message(message) => (EventKind::Message, EventValue::Message(message)),
    };
    if kind != EventKind::Message {
        table.changed(at.seq);
    }
    let version = at.version;
    let properties = properties.cloned();
    let event =
        Event { seq: Some(at.seq), kind, id, version, local_time: version, value, properties };
    match table.schema().audit {
        Audit::On => {
            let entry = write_log_entry(table.id(), &key, &event);
            trees.log.put_with_flags(txn, PutFlags::APPEND, &at.seq.0.to_be_bytes(), &entry)?;
        }
        // The position is used up all the same, and whoever resumes learns what it missed.
        Audit::Off => {
            catalog::put_trimmed(txn, trees, Some(table.id()), at.seq)?;
            catalog::put_seq(txn, trees, at.seq)?;
        }
    }
    Ok(Some(Published { table: table.key(), key, frame: Frame::new(event) }))
}
