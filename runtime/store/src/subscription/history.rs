//! What happened before a subscription, from the change log.

use std::ops::Bound;
use std::sync::Arc;

use kora_resource::{Error, Event, Frame, Result, Seq, Version};

use super::Covered;
use crate::log::{damaged, first_after, read, trimmed};
use crate::{StoreError, Table};

/// How many log entries one read transaction looks at.
const BATCH: u64 = 512;

/// What a reading gives next.
pub(super) enum Batch {
    Frames(Vec<Arc<Frame>>),
    /// Entries that the reader counts on were removed.
    Gone,
    End,
}

/// A reading of the log in progress: from `next` up to and including `end`.
#[derive(Debug)]
pub(super) struct History {
    covered: Covered,
    next: Seq,
    end: Seq,
    /// Whether a missing entry is an error: the reader counts on every change.
    is_exact: bool,
}

impl History {
    /// The changes after `time`, which is left out, up to `end`.
    pub(super) fn since(
        table: &Table,
        covered: Covered,
        time: Version,
        end: Seq,
    ) -> Result<History> {
        let next = table.owner().environment().read(|txn, trees| first_after(txn, trees, time))?;
        Ok(History { covered, next, end, is_exact: false })
    }

    /// The changes after position `after` up to `end`.
    pub(super) fn after(covered: Covered, after: Seq, end: Seq) -> History {
        History { covered, next: Seq(after.0 + 1), end, is_exact: true }
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
        Ok(History { covered, next, end, is_exact: false })
    }

    /// The position that the reading begins after.
    pub(super) fn begins_after(&self) -> Seq {
        Seq(self.next.0.saturating_sub(1))
    }

    pub(super) fn next_batch(&mut self, table: &Table) -> Result<Batch> {
        if self.next > self.end {
            return Ok(Batch::End);
        }
        let upto = Seq(self.end.0.min(self.next.0 + BATCH - 1));
        let low = self.next.0.to_be_bytes();
        let high = upto.0.to_be_bytes();
        let frames = table.owner().environment().read(|txn, trees| {
            if trimmed(txn, trees, table.id())? >= self.next && self.is_exact {
                return Ok(None);
            }
            let bounds = (Bound::Included(&low[..]), Bound::Included(&high[..]));
            let mut frames = Vec::new();
            for entry in trees.log.range(txn, &bounds).map_err(StoreError::from)? {
                let (seq, entry) = read(entry)?;
                if entry.table == table.id() && self.covered.contains(entry.key) {
                    let event: Event = entry.event(seq).ok_or_else(damaged)?;
                    frames.push(Frame::new(event));
                }
            }
            Ok::<_, Error>(Some(frames))
        })?;
        self.next = Seq(upto.0 + 1);
        Ok(frames.map_or(Batch::Gone, Batch::Frames))
    }
}
