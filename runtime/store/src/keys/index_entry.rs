//! The key of an index entry: the number of the index, the value, the id.
//!
//! A value past [`MAX_VALUE`] bytes is cut there: its entries are found by their beginning, ordered
//! among each other by id, and every hit is compared with the record itself anyway. An id past
//! [`MAX_ENTRY_ID`] bytes is cut too, made unique by a hash; the entry's data then holds the whole id.

use kora_resource::Value;

use super::{Key, skip_value, write_value};

const INDEX: usize = 4;
const MAX_VALUE: usize = 512;
const MAX_ENTRY_ID: usize = 1400;

/// One entry of an index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct IndexEntry {
    pub key: Key,
    /// The record's whole key, if `key` has only part of it; else empty.
    pub data: Key,
}

impl IndexEntry {
    pub(crate) fn new(index: u32, value: &Value, id: &[u8]) -> IndexEntry {
        let mut key = IndexEntry::value_start(index, value);
        if id.len() <= MAX_ENTRY_ID {
            key.extend_from_slice(id);
            return IndexEntry { key, data: Key::new() };
        }
        key.extend_from_slice(&id[..MAX_ENTRY_ID]);
        key.extend_from_slice(&fnv1a(id).to_be_bytes());
        IndexEntry { key, data: Key::from_slice(id) }
    }

    /// What the keys of all entries of `value` begin with.
    pub(crate) fn value_start(index: u32, value: &Value) -> Key {
        let mut key = Key::from_slice(&index.to_be_bytes());
        write_value(&mut key, value);
        key.truncate(INDEX + MAX_VALUE);
        key
    }
}

/// The record's key within an entry.
pub(crate) fn entry_id<'a>(key: &'a [u8], data: &'a [u8]) -> Option<&'a [u8]> {
    if !data.is_empty() {
        return Some(data);
    }
    let value = key.get(INDEX..)?;
    let mut rest = &value[..value.len().min(MAX_VALUE)];
    let whole = rest.len();
    let consumed = match skip_value(&mut rest) {
        Some(()) => whole - rest.len(),
        None => MAX_VALUE,
    };
    value.get(consumed..)
}

/// Where the entries of one value are: from `start` up to `end`, which is left out.
#[derive(Debug, Clone)]
pub(crate) struct ValueRange {
    pub start: Key,
    pub end: Option<Key>,
    pub cut: Cut,
}

/// Whether other values share the range, because all of them are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Whole,
    Shared,
}

impl ValueRange {
    pub(crate) fn new(index: u32, value: &Value) -> ValueRange {
        let start = IndexEntry::value_start(index, value);
        if start.len() == INDEX + MAX_VALUE {
            return ValueRange { end: super::after_prefix(&start), start, cut: Cut::Shared };
        }
        // Above the tags that ids begin with, below the escape of a longer string.
        let mut end = start.clone();
        end.push(super::ABOVE_TAGS);
        ValueRange { start, end: Some(end), cut: Cut::Whole }
    }
}

/// 128-bit FNV-1a: stable on disk, needs no key; only tells apart ids with 1,400 equal bytes.
fn fnv1a(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash: u128, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}
