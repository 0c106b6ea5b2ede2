//! What a transaction has read, for the check at its commit.
//!
//! The first [`EACH`] records are remembered one by one, with the version that must still be there. Of those that a
//! transaction reads beyond them, as one does that walks a table, it remembers their table and where the log was before:
//! no change of that table may have come since. So what a transaction takes of memory does not grow with what it reads;
//! the price is a conflict with a change of a record that it has not read.

use std::collections::HashMap;
use std::sync::Arc;

use kora_resource::{Seq, Version};
use parking_lot::Mutex;

use crate::environment::{ReadTxn, Trees};
use crate::keys::Key;
use crate::layout::{Header, TableId, record_key};
use crate::write_set::Place;
use crate::{StoreError, Table, clock};

/// How many records are remembered one by one; few in the tests of the store, so that they come by both ways.
pub(crate) const EACH: usize = if cfg!(test) { 50 } else { 32_768 };

/// Shared with the searches that the transaction has begun, which add to it as they are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reads(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    /// The versions that were read, `None` where there was no record.
    each: HashMap<Place, Option<Version>>,
    /// The tables of which more was read, and where the log was before.
    whole: HashMap<TableId, (Arc<Table>, Seq)>,
}

impl Reads {
    /// Whether what is read from now on is to be noted with the log's position from before.
    pub(crate) fn is_full(&self) -> bool {
        self.0.lock().each.len() >= EACH
    }

    /// The first version read of a record is the one that must still be there at commit. `since` is where the log was
    /// before the record was read, if whoever reads has looked.
    pub(crate) fn note(
        &self,
        table: &Arc<Table>,
        key: &Key,
        version: Option<Version>,
        since: Option<Seq>,
    ) {
        let mut noted = self.0.lock();
        let Noted { each, whole } = &mut *noted;
        match since {
            // The first position stands: it is the earliest.
            Some(since) if each.len() >= EACH => {
                whole.entry(table.id()).or_insert_with(|| (Arc::clone(table), since));
            }
            Some(_) | None => {
                each.entry((table.id(), key.clone())).or_insert(version);
            }
        }
    }

    /// Whether all that was read is still so in `txn`.
    pub(crate) fn still_hold(&self, txn: &ReadTxn<'_>, trees: &Trees) -> Result<bool, StoreError> {
        let noted = self.0.lock();
        if noted.whole.values().any(|(table, since)| table.last_change() > *since) {
            return Ok(false);
        }
        for ((table, key), read) in &noted.each {
            let stored = trees.records.get(txn, &record_key(*table, key))?;
            let stored = stored.and_then(Header::read);
            let stored = stored.filter(|header| !header.is_expired(clock::now));
            if stored.map(|header| header.version) != *read {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How many records are remembered.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().each.len()
    }
}
