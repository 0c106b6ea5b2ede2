//! The change log as its readers see it: positions, times, and what is no longer there.
//!
//! Positions rise without end; entries go away from the front (retention) or one by one (a table's
//! history is deleted, a table keeps none). What has gone is remembered as the last position
//! [`trimmed`] of a table, in the same transaction, so that nobody takes a hole for silence.

use kora_resource::{Error, Result, Seq, Version};

use crate::environment::{ReadTxn, Trees};
use crate::layout::{LogEntry, TableId};
use crate::{StoreError, catalog};

/// The first position whose version is after `time`. Versions rise with positions: halving finds it.
pub(crate) fn first_after(txn: &ReadTxn<'_>, trees: &Trees, time: Version) -> Result<Seq> {
    let first = trees.log.first(txn).map_err(StoreError::from)?;
    let (mut low, mut high) = match first {
        Some((first, _)) => (position(first)?.0, catalog::last_seq(txn, trees)?.0 + 1),
        None => return Ok(Seq(catalog::last_seq(txn, trees)?.0 + 1)),
    };
    while low < high {
        let middle = low + (high - low) / 2;
        let found = trees.log.get_greater_than_or_equal_to(txn, &middle.to_be_bytes());
        match found.map_err(StoreError::from)? {
            // Nothing from the middle on: what is looked for lies before it.
            None => high = middle,
            Some(found) => {
                let (at, entry) = read(Ok(found))?;
                if entry.version > time {
                    high = middle;
                } else {
                    low = at.0 + 1;
                }
            }
        }
    }
    Ok(Seq(low))
}

/// Up to where entries of `table` may be missing.
pub(crate) fn trimmed(txn: &ReadTxn<'_>, trees: &Trees, table: TableId) -> Result<Seq> {
    Ok(catalog::trimmed(txn, trees, None)?.max(catalog::trimmed(txn, trees, Some(table))?))
}

/// One entry of an iteration.
pub(crate) fn read<'t>(entry: heed::Result<(&'t [u8], &'t [u8])>) -> Result<(Seq, LogEntry<'t>)> {
    let (key, value) = entry.map_err(StoreError::from)?;
    Ok((position(key)?, LogEntry::read(value).ok_or_else(damaged)?))
}

pub(crate) fn position(key: &[u8]) -> Result<Seq> {
    key.try_into().map(|key| Seq(u64::from_be_bytes(key))).map_err(|_| damaged())
}

pub(crate) fn damaged() -> Error {
    Error::internal("damaged change log")
}
