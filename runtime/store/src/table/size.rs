//! How many records a table has, and how many bytes.

use std::ops::Bound;
use std::sync::Arc;

use kora_resource::{Error, Result};

use super::Table;
use crate::keys::{Key, after_prefix};
use crate::layout::{Header, record_key};
use crate::{StoreError, clock};

/// How many records one read transaction looks at.
const BATCH: usize = 4096;

/// A count in progress; each [`Counting::step`] is short.
#[derive(Debug)]
pub struct Counting {
    table: Arc<Table>,
    after: Option<Key>,
    /// Records whose time is not over.
    pub records: u64,
    /// The bytes of their keys and values.
    pub bytes: u64,
}

impl Table {
    /// Begins to count the table's records; nothing is read yet.
    pub fn count(self: &Arc<Self>) -> Counting {
        Counting { table: Arc::clone(self), after: None, records: 0, bytes: 0 }
    }

    /// How many records the table can have at most: all that its database has.
    pub fn most_records(&self) -> Result<u64> {
        self.owner().environment().read(|txn, trees| {
            trees.records.len(txn).map_err(|error| StoreError::from(error).into())
        })
    }
}

impl Counting {
    /// Counts some more; whether there are more still.
    pub fn step(&mut self) -> Result<bool> {
        let start = record_key(self.table.id(), &[]);
        let end = after_prefix(&start);
        let low = match &self.after {
            Some(after) => Bound::Excluded(&after[..]),
            None => Bound::Included(&start[..]),
        };
        let high = end.as_ref().map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..]));
        let now = clock::now();
        let (mut records, mut bytes) = (0, 0);
        let last = self.table.owner().environment().read(|txn, trees| {
            let range = trees.records.range(txn, &(low, high)).map_err(StoreError::from)?;
            for (count, stored) in range.enumerate() {
                let (key, value) = stored.map_err(StoreError::from)?;
                let header =
                    Header::read(value).ok_or_else(|| Error::internal("damaged record"))?;
                if !header.is_expired(|| now) {
                    records += 1;
                    bytes += (key.len() + value.len()) as u64;
                }
                if count + 1 == BATCH {
                    return Ok(Some(Key::from_slice(key)));
                }
            }
            Ok::<_, Error>(None)
        })?;
        self.records += records;
        self.bytes += bytes;
        self.after = last;
        Ok(self.after.is_some())
    }
}
