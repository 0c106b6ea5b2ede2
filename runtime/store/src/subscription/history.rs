//! What happened before a subscription, from the change log.

use std::ops::Bound;
use std::sync::Arc;

use kora_resource::{Error, Event, Frame, Result, Seq, Version};

use super::Covered;
use crate::environment::{ReadTxn, Trees};
use crate::layout::LogEntry;
use crate::{StoreError, Table};

/// How many log entries one read transaction looks at.
const BATCH: u64 = 512;

/// A reading of the log in progress: from `next` up to and including `end`.
#[derive(Debug)]
pub(crate) struct History {
    covered: Covered,
    next: Seq,
    end: Seq,
}

impl History {
    /// The changes after `time`, which is left out, up to `end`.
    pub(crate) fn since(
        table: &Table,
        covered: Covered,
        time: Version,
        end: Seq,
    ) -> Result<History> {
        let next = table.owner().environment().read(|txn, trees| first_after(txn, trees, time))?;
        Ok(History { covered, next, end })
    }

    /// The last `count` changes after `time` up to `end`. Looks back through the log in short
    /// transactions until it has found them.
    pub(super) fn last(
        table: &Table,
        covered: Covered,
        count: usize,
        time: Version,
        end: Seq,
    ) -> Result<History> {
        let environment = table.owner().environment();
        let oldest = environment.read(|txn, trees| first_after(txn, trees, time))?;
        let (mut next, mut found) = (Seq(end.0 + 1), 0);
        while next > oldest && found < count {
            let from = Seq(next.0.saturating_sub(BATCH).max(oldest.0));
            next = environment.read(|txn, trees| {
                let mut first = from;
                let low = from.0.to_be_bytes();
                let high = next.0.to_be_bytes();
                let bounds = (Bound::Included(&low[..]), Bound::Excluded(&high[..]));
                for entry in trees.log.rev_range(txn, &bounds).map_err(StoreError::from)? {
                    let (seq, entry) = read(entry)?;
                    if entry.table == table.id() && covered.contains(entry.key) {
                        found += 1;
                        if found == count {
                            first = seq;
                            break;
                        }
                    }
                }
                Ok::<_, Error>(first)
            })?;
        }
        let next = if count == 0 { Seq(end.0 + 1) } else { next };
        Ok(History { covered, next, end })
    }

    /// Reads no further.
    pub(crate) fn end(&mut self) {
        self.next = Seq(self.end.0 + 1);
    }

    /// The next events; `None` at the end.
    pub(crate) fn next_batch(&mut self, table: &Table) -> Result<Option<Vec<Arc<Frame>>>> {
        if self.next > self.end {
            return Ok(None);
        }
        let upto = Seq(self.end.0.min(self.next.0 + BATCH - 1));
        let low = self.next.0.to_be_bytes();
        let high = upto.0.to_be_bytes();
        let frames = table.owner().environment().read(|txn, trees| {
            let bounds = (Bound::Included(&low[..]), Bound::Included(&high[..]));
            let mut frames = Vec::new();
            for entry in trees.log.range(txn, &bounds).map_err(StoreError::from)? {
                let (seq, entry) = read(entry)?;
                if entry.table == table.id() && self.covered.contains(entry.key) {
                    let event: Event = entry.event(seq).ok_or_else(damaged)?;
                    frames.push(Frame::new(event));
                }
            }
            Ok::<_, Error>(frames)
        })?;
        self.next = Seq(upto.0 + 1);
        Ok(Some(frames))
    }
}

/// The first position whose version is after `time`. Versions rise with positions: halving finds it.
fn first_after(txn: &ReadTxn<'_>, trees: &Trees, time: Version) -> Result<Seq> {
    let ends = (
        trees.log.first(txn).map_err(StoreError::from)?,
        trees.log.last(txn).map_err(StoreError::from)?,
    );
    let (Some((first, _)), Some((last, _))) = ends else { return Ok(Seq(1)) };
    let (mut low, mut high) = (position(first)?, position(last)? + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let entry = trees.log.get(txn, &middle.to_be_bytes()).map_err(StoreError::from)?;
        let entry = entry.and_then(LogEntry::read).ok_or_else(damaged)?;
        if entry.version > time {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(Seq(low))
}

fn read<'t>(entry: heed::Result<(&'t [u8], &'t [u8])>) -> Result<(Seq, LogEntry<'t>)> {
    let (key, value) = entry.map_err(StoreError::from)?;
    Ok((Seq(position(key)?), LogEntry::read(value).ok_or_else(damaged)?))
}

fn position(key: &[u8]) -> Result<u64> {
    key.try_into().map(u64::from_be_bytes).map_err(|_| damaged())
}

fn damaged() -> Error {
    Error::internal("damaged change log")
}
