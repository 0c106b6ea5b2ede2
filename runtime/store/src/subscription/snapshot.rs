//! The current records, in key order, and which live events they make superfluous.

use std::ops::Bound;
use std::sync::Arc;

use kora_resource::{Event, EventKind, EventValue, Frame, Record, Result, Seq};

use super::Covered;
use crate::keys::{Key, after_prefix, decode_id, encode_id};
use crate::layout::{id_of, record_key};
use crate::table::visible_record;
use crate::{StoreError, Table, catalog};

/// One batch holds about this many bytes and at most this many records.
const BATCH_BYTES: usize = 64 << 10;
const BATCH_RECORDS: usize = 128;
/// A batch of a pattern that few ids match ends after this many.
const BATCH_KEYS: usize = 2048;

/// A reading of the current records in progress.
#[derive(Debug)]
pub(super) struct Snapshot {
    covered: Covered,
    coverage: Coverage,
}

/// Up to which `Seq` each part of the key space was shown.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    /// The last key of each batch, ascending, and what its transaction saw; `None`: to the end.
    batches: Vec<(Option<Key>, Seq)>,
}

impl Coverage {
    /// Whether the event tells more than was shown: it is later than the subscription itself
    /// (`floor`) and than the batch that covered its record.
    pub(super) fn is_news(&self, event: &Event, floor: Seq) -> Result<bool> {
        let Some(seq) = event.seq else { return Ok(true) };
        if !super::is_state(event) || self.batches.is_empty() {
            return Ok(seq > floor);
        }
        let key = encode_id(&event.id)?;
        let at = self.batches.partition_point(|(last, _)| last.as_ref().is_some_and(|l| *l < key));
        Ok(self.batches.get(at).is_none_or(|(_, seen)| seq > *seen))
    }

    /// Forgets what was shown once live events are later than all of it: so are all that follow.
    pub(super) fn forget_before(&mut self, event: &Event) {
        let newest = self.batches.last().map(|(_, seen)| *seen);
        if newest.is_some_and(|newest| event.seq > Some(newest)) {
            self.batches = Vec::new();
        }
    }
}

impl Snapshot {
    pub(super) fn new(covered: Covered) -> Snapshot {
        Snapshot { covered, coverage: Coverage::default() }
    }

    pub(super) fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    pub(super) fn take_coverage(&mut self) -> Coverage {
        std::mem::take(&mut self.coverage)
    }

    /// Whether the event's record was covered by a batch; else one to come will.
    pub(super) fn has_passed(&self, event: &Event) -> Result<bool> {
        Ok(match self.coverage.batches.last() {
            None => false,
            Some((None, _)) => true,
            Some((Some(last), _)) => encode_id(&event.id)? <= *last,
        })
    }

    /// The next records; `None` after the last batch.
    pub(super) fn next_batch(&mut self, table: &Table) -> Result<Option<Vec<Arc<Frame>>>> {
        let after = match self.coverage.batches.last() {
            Some((None, _)) => return Ok(None),
            Some((Some(last), _)) => Some(record_key(table.id(), last)),
            None => None,
        };
        let start = match &self.covered {
            Covered::Record(key) | Covered::Prefix(key, _) | Covered::Pattern(key, _) => {
                record_key(table.id(), key)
            }
            Covered::Table => record_key(table.id(), &[]),
        };
        let end = match &self.covered {
            Covered::Record(..) => {
                let mut end = start.clone();
                end.push(0);
                Some(end)
            }
            Covered::Prefix(..) | Covered::Pattern(..) | Covered::Table => after_prefix(&start),
        };
        let low = match &after {
            Some(after) => Bound::Excluded(&after[..]),
            None => Bound::Included(&start[..]),
        };
        let high = end.as_ref().map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..]));
        let mut frames = Vec::new();
        let (mut last, mut bytes, mut looked_at) = (None, 0, 0);
        let seen = table.owner().environment().read(|txn, trees| {
            let range = trees.records.range(txn, &(low, high)).map_err(StoreError::from)?;
            for entry in range {
                let (key, value) = entry.map_err(StoreError::from)?;
                looked_at += 1;
                if self.covered.contains(id_of(key))
                    && let Some(record) = visible_record(value)?
                {
                    bytes += value.len();
                    frames.push(frame(id_of(key), record)?);
                }
                if bytes >= BATCH_BYTES || frames.len() >= BATCH_RECORDS || looked_at >= BATCH_KEYS
                {
                    last = Some(Key::from_slice(id_of(key)));
                    break;
                }
            }
            Ok::<_, kora_resource::Error>(catalog::last_seq(txn, trees)?)
        })?;
        self.coverage.batches.push((last, seen));
        Ok(Some(frames))
    }
}

fn frame(key: &[u8], record: Record) -> Result<Arc<Frame>> {
    let id = decode_id(key).ok_or_else(|| kora_resource::Error::internal("damaged key"))?;
    let version = record.version();
    let value = EventValue::Record(record);
    let kind = EventKind::Put;
    let properties = None;
    Ok(Frame::new(Event { seq: None, kind, id, version, local_time: version, value, properties }))
}
