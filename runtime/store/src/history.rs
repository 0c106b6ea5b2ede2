//! The history of a table: its entries of the change log, for code that asks for them
//! (`spec/harper-resources.md` section 4: `getHistory`, `getHistoryOfRecord`, `deleteHistory`).
//!
//! Read in short transactions on the caller's thread. Deleted on the writer's, in steps so short
//! that no write waits long for one.

use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kora_resource::{Event, Id, Result, Seq, Version};

use crate::keys::{Key, encode_id};
use crate::log::{damaged, first_after, position, read};
use crate::{StoreError, Table, catalog};

/// How many log entries one read transaction looks at.
const BATCH: u64 = 512;

/// For how long one step of a deletion may hold the writer, besides its commit.
pub(crate) const STEP: Duration = Duration::from_millis(5);

/// Which part of a table's history. Times are milliseconds since the epoch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistoryRange {
    /// Only this record's.
    pub id: Option<Id>,
    /// Changes after this time, which is left out; from the oldest that is kept if `None`.
    pub after: Option<f64>,
    /// Changes before this time, which is left out; up to now if `None`.
    pub before: Option<f64>,
}

/// A reading of a table's history, oldest first. What is committed after it began is not in it.
#[derive(Debug)]
pub struct HistoryReader {
    table: Arc<Table>,
    key: Option<Key>,
    before: Option<Version>,
    next: Seq,
    end: Seq,
}

impl Table {
    /// Begins to read the history. What retention has removed is not there, without a word: who must
    /// know subscribes and resumes ([`crate::Subscribe::resume`]).
    pub fn history(self: &Arc<Self>, range: HistoryRange) -> Result<HistoryReader> {
        let key = range.id.as_ref().map(encode_id).transpose()?;
        let after = Version(range.after.unwrap_or(f64::NEG_INFINITY));
        let (next, end) = self.owner().environment().read(|txn, trees| {
            let end = catalog::last_seq(txn, trees)?;
            Ok::<_, kora_resource::Error>((first_after(txn, trees, after)?, end))
        })?;
        let before = range.before.map(Version);
        Ok(HistoryReader { table: Arc::clone(self), key, before, next, end })
    }

    /// Deletes the table's history up to `until` (milliseconds since the epoch); answers how many
    /// entries. Records stay as they are. Blocks: never called on an async thread.
    pub fn delete_history(self: &Arc<Self>, until: f64) -> Result<u64> {
        let environment = self.owner().environment();
        let (mut next, end) = environment.read(|txn, trees| {
            let first = trees.log.first(txn).map_err(StoreError::from)?;
            let first = first.map_or(Ok(Seq(1)), |(key, _)| position(key))?;
            Ok::<_, kora_resource::Error>((first, first_after(txn, trees, Version(until))?))
        })?;
        let mut deleted = 0;
        while next < end {
            let table = self.id();
            let (found, upto) = self.owner().run(
                move |txn, trees| {
                    let began = Instant::now();
                    let (mut keys, mut upto) = (Vec::new(), end);
                    let bounds = (Bound::Included(next.0), Bound::Excluded(end.0));
                    let bounds = (bytes(bounds.0), bytes(bounds.1));
                    let bounds = (as_slice(&bounds.0), as_slice(&bounds.1));
                    for entry in trees.log.range(txn, &bounds)? {
                        let (seq, entry) = read(entry).map_err(unreadable)?;
                        if entry.table == table {
                            keys.push(seq.0.to_be_bytes());
                        }
                        // Half of the step is for the deletions.
                        if began.elapsed() > STEP / 2 {
                            upto = Seq(seq.0 + 1);
                            break;
                        }
                    }
                    let last = catalog::last_seq(txn, trees)?;
                    for key in &keys {
                        trees.log.delete(txn, key)?;
                    }
                    if let Some(key) = keys.last() {
                        let trimmed = Seq(u64::from_be_bytes(*key));
                        let before = catalog::trimmed(txn, trees, Some(table))?;
                        catalog::put_trimmed(txn, trees, Some(table), trimmed.max(before))?;
                        catalog::put_seq(txn, trees, last)?;
                    }
                    Ok((keys.len() as u64, upto))
                },
                |_| {},
            )?;
            deleted += found;
            next = upto;
        }
        Ok(deleted)
    }
}

fn bytes(bound: Bound<u64>) -> Bound<[u8; 8]> {
    bound.map(u64::to_be_bytes)
}

fn as_slice(bound: &Bound<[u8; 8]>) -> Bound<&[u8]> {
    bound.as_ref().map(|bytes| &bytes[..])
}

fn unreadable(error: kora_resource::Error) -> StoreError {
    StoreError::damaged("the change log", error.message)
}

impl HistoryReader {
    /// The next changes; empty at the end. Each event's `value` is the record as the change left it.
    pub fn next_batch(&mut self) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        while events.is_empty() && self.next <= self.end {
            let upto = Seq(self.end.0.min(self.next.0 + BATCH - 1));
            let (low, high) = (self.next.0.to_be_bytes(), upto.0.to_be_bytes());
            let mut over = false;
            self.table.owner().environment().read(|txn, trees| {
                let bounds = (Bound::Included(&low[..]), Bound::Included(&high[..]));
                for entry in trees.log.range(txn, &bounds).map_err(StoreError::from)? {
                    let (seq, entry) = read(entry)?;
                    if self.before.is_some_and(|before| entry.version >= before) {
                        over = true;
                        break;
                    }
                    let wanted = self.key.as_ref().is_none_or(|key| entry.key == &key[..]);
                    if entry.table == self.table.id() && wanted {
                        events.push(entry.event(seq).ok_or_else(damaged)?);
                    }
                }
                Ok::<_, kora_resource::Error>(())
            })?;
            self.next = if over { Seq(self.end.0 + 1) } else { Seq(upto.0 + 1) };
        }
        Ok(events)
    }
}
