//! Ranges of keys, and the cursor that goes through them in short transactions.

use std::ops::Bound;

use kora_resource::query::{Comparator, Compare, Direction};
use kora_resource::value::Class;
use kora_resource::{Id, Result, Value};

use crate::StoreError;
use crate::environment::{ReadTxn, Tree};
use crate::keys::{Cut, Key, ValueRange, after_prefix, encode_id, string_prefix};
use crate::layout::{TableId, record_key};

/// Disjoint ranges in ascending order; each from its start up to its end, which is left out.
#[derive(Debug)]
pub(super) struct Ranges(Vec<(Key, Option<Key>)>);

/// How far a visit has come: which range (in the direction of the visit), after which key.
#[derive(Debug, Clone, Default)]
pub(super) struct Cursor {
    range: usize,
    after: Option<Key>,
}

impl Ranges {
    pub(super) fn whole_table(table: TableId) -> Ranges {
        Ranges::starting_with(table, &[])
    }

    pub(super) fn is_whole_table(&self, table: TableId) -> bool {
        matches!(self.0.as_slice(), [(start, _)] if *start == record_key(table, &[]))
    }

    pub(super) fn starting_with(table: TableId, prefix: &[u8]) -> Ranges {
        let start = record_key(table, prefix);
        Ranges(vec![(start.clone(), after_prefix(&start))])
    }

    pub(super) fn whole_index(index: u32) -> Ranges {
        let start = Key::from_slice(&index.to_be_bytes());
        Ranges(vec![(start.clone(), after_prefix(&start))])
    }

    /// Where the records are whose key satisfies all of `compares`, as far as they narrow it.
    pub(super) fn of_keys(table: TableId, compares: &[&Compare]) -> Ranges {
        let key_range = |value: &Value| {
            // What can't be a key is no record's key.
            let id = Id::from_value(value).and_then(|id| encode_id(&id).ok())?;
            let start = record_key(table, &id);
            let mut end = start.clone();
            end.push(0);
            Some(ValueRange { start, end: Some(end), cut: Cut::Whole })
        };
        let text_range = |text: &str| record_key(table, &string_prefix(text));
        let whole = Ranges::whole_table(table);
        whole.narrowed(compares, key_range, text_range)
    }

    /// The same for the entries of an index.
    pub(super) fn of_values(index: u32, compares: &[&Compare]) -> Ranges {
        let value_range = |value: &Value| Some(ValueRange::new(index, value));
        let text_range = |text: &str| {
            let mut key = Key::from_slice(&index.to_be_bytes());
            key.extend_from_slice(&string_prefix(text));
            // Values are cut: a longer beginning would find none of them.
            key.truncate(ValueRange::new(index, &Value::from(text)).start.len() - 1);
            key
        };
        Ranges::whole_index(index).narrowed(compares, value_range, text_range)
    }

    /// Whether these are the entries of one value alone, which shares them with no other.
    pub(super) fn is_value(&self, index: u32, value: &Value) -> bool {
        let range = ValueRange::new(index, value);
        range.cut == Cut::Whole
            && matches!(self.0.as_slice(), [(start, end)] if *start == range.start && *end == range.end)
    }

    fn narrowed(
        mut self,
        compares: &[&Compare],
        range_of: impl Fn(&Value) -> Option<ValueRange>,
        text_range: impl Fn(&str) -> Key,
    ) -> Ranges {
        for compare in compares {
            let range = || range_of(&compare.value);
            let list = match &compare.value {
                Value::Array(items) => items.as_slice(),
                _ => &[],
            };
            let ranges = match compare.comparator {
                Comparator::Equals if compare.value.class() == Class::Object => continue,
                Comparator::Equals => Ranges::from_values(range()),
                Comparator::In => Ranges::from_values(list.iter().filter_map(&range_of)),
                Comparator::Between => match list {
                    [low, high] => match (range_of(low), range_of(high)) {
                        (Some(low), Some(high)) => Ranges(vec![(low.start, high.end)]),
                        _ => Ranges(Vec::new()),
                    },
                    _ => continue,
                },
                Comparator::StartsWith => match compare.value.as_str() {
                    Some(text) => {
                        let start = text_range(text);
                        Ranges(vec![(start.clone(), after_prefix(&start))])
                    }
                    None => continue,
                },
                Comparator::Less => match range() {
                    Some(ValueRange { start, cut: Cut::Whole, .. }) => self.upto(Some(start)),
                    Some(ValueRange { end, cut: Cut::Shared, .. }) => self.upto(end),
                    None => continue,
                },
                Comparator::LessEqual => match range() {
                    Some(range) => self.upto(range.end),
                    None => continue,
                },
                Comparator::Greater => match range() {
                    Some(ValueRange { end: Some(end), cut: Cut::Whole, .. }) => self.from(end),
                    Some(range) => self.from(range.start),
                    None => continue,
                },
                Comparator::GreaterEqual => match range() {
                    Some(range) => self.from(range.start),
                    None => continue,
                },
                Comparator::NotEqual
                | Comparator::Contains
                | Comparator::EndsWith
                | Comparator::NotContains
                | Comparator::NotStartsWith
                | Comparator::NotEndsWith
                | Comparator::NotIn
                | Comparator::NotBetween => continue,
            };
            self = self.intersection(&ranges);
        }
        self
    }

    fn from_values(ranges: impl IntoIterator<Item = ValueRange>) -> Ranges {
        let mut ranges: Vec<_> = ranges.into_iter().map(|range| (range.start, range.end)).collect();
        ranges.sort_unstable();
        ranges.dedup();
        Ranges(ranges)
    }

    fn upto(&self, end: Option<Key>) -> Ranges {
        Ranges(vec![(Key::new(), end)])
    }

    fn from(&self, start: Key) -> Ranges {
        Ranges(vec![(start, None)])
    }

    fn intersection(&self, other: &Ranges) -> Ranges {
        let lower = |a: &Option<Key>, b: &Option<Key>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b).clone()),
            (a, b) => a.clone().or_else(|| b.clone()),
        };
        let pairs = self.0.iter().flat_map(|a| other.0.iter().map(move |b| (a, b)));
        let both = pairs.map(|(a, b)| ((&a.0).max(&b.0).clone(), lower(&a.1, &b.1)));
        Ranges(both.filter(|(start, end)| end.as_ref().is_none_or(|end| start < end)).collect())
    }

    pub(super) fn contains(&self, key: &[u8]) -> bool {
        self.0
            .iter()
            .any(|(start, end)| key >= &start[..] && end.as_ref().is_none_or(|end| key < &end[..]))
    }

    /// Visits up to `limit` entries after the cursor and moves it on. Answers whether there may be
    /// more.
    pub(super) fn visit(
        &self,
        cursor: &mut Cursor,
        direction: Direction,
        limit: usize,
        txn: &ReadTxn<'_>,
        tree: Tree,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<bool> {
        let mut left = limit;
        loop {
            let at = match direction {
                Direction::Ascending => self.0.get(cursor.range),
                Direction::Descending => self.0.iter().rev().nth(cursor.range),
            };
            let Some((start, end)) = at else { return Ok(false) };
            let after = cursor.after.take();
            let (mut low, mut high) = (Bound::Included(&start[..]), Bound::Unbounded);
            if let Some(end) = end {
                high = Bound::Excluded(&end[..]);
            }
            match (&after, direction) {
                (Some(after), Direction::Ascending) => low = Bound::Excluded(&after[..]),
                (Some(after), Direction::Descending) => high = Bound::Excluded(&after[..]),
                (None, _) => {}
            }
            let bounds = (low, high);
            let mut last = None;
            let mut visit = |entry: heed::Result<(&[u8], &[u8])>| -> Result<bool> {
                let (key, value) = entry.map_err(StoreError::from)?;
                each(key, value)?;
                left -= 1;
                if left == 0 {
                    last = Some(Key::from_slice(key));
                }
                Ok(left > 0)
            };
            let mut go_on = true;
            match direction {
                Direction::Ascending => {
                    let mut entries = tree.range(txn, &bounds).map_err(StoreError::from)?;
                    while go_on && let Some(entry) = entries.next() {
                        go_on = visit(entry)?;
                    }
                }
                Direction::Descending => {
                    let mut entries = tree.rev_range(txn, &bounds).map_err(StoreError::from)?;
                    while go_on && let Some(entry) = entries.next() {
                        go_on = visit(entry)?;
                    }
                }
            }
            if !go_on {
                cursor.after = last;
                return Ok(true);
            }
            cursor.range += 1;
        }
    }
}
