//! Results that no access path gives in order: collected, sorted, bounded. Equal ones come in the order
//! of their keys, in the direction of the last sort key: exactly as an index would give them.

use std::cmp::Ordering;

use kora_resource::query::{Direction, Sort};
use kora_resource::{Error, Record, Result, Value};

use crate::keys::Key;

/// How many records may be sorted in memory.
const MAX_RECORDS: usize = 100_000;

/// Collected results and their order: the sort keys, then the id.
#[derive(Debug)]
pub(super) struct Sorted {
    sort: Vec<Sort>,
    /// How many of the first results are wanted.
    bound: Option<usize>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    keys: Vec<Value>,
    id: Key,
    record: Record,
}

impl Sorted {
    pub(super) fn new(sort: Vec<Sort>, bound: Option<usize>) -> Sorted {
        Sorted { sort, bound, rows: Vec::new() }
    }

    /// Adds a result with the values of its sort keys.
    pub(super) fn push(&mut self, id: Key, record: Record, keys: Vec<Value>) -> Result<()> {
        self.rows.push(Row { keys, id, record });
        if let Some(bound) = self.bound
            && self.rows.len() >= bound.saturating_mul(2).saturating_add(1024)
        {
            self.sort();
            self.rows.truncate(bound);
        }
        if self.rows.len() > MAX_RECORDS {
            return Err(Error::invalid(format!(
                "More than {MAX_RECORDS} records can not be sorted: index the attribute that they \
                 are sorted by, add conditions or a limit"
            )));
        }
        Ok(())
    }

    pub(super) fn into_records(mut self) -> impl Iterator<Item = Record> {
        self.sort();
        self.rows.into_iter().map(|row| row.record)
    }

    /// By what is sorted.
    pub(super) fn by(&self) -> &[Sort] {
        &self.sort
    }

    fn sort(&mut self) {
        let Sorted { sort, rows, .. } = self;
        let ties = sort.last().map_or(Direction::Ascending, |sort| sort.direction);
        rows.sort_unstable_by(|a, b| {
            let keys = sort.iter().zip(a.keys.iter().zip(&b.keys));
            let unequal = keys
                .map(|(sort, (a, b))| match sort.direction {
                    Direction::Ascending => a.key_cmp(b),
                    Direction::Descending => b.key_cmp(a),
                })
                .find(|order| *order != Ordering::Equal);
            unequal.unwrap_or_else(|| match ties {
                Direction::Ascending => a.id.cmp(&b.id),
                Direction::Descending => b.id.cmp(&a.id),
            })
        });
    }
}
