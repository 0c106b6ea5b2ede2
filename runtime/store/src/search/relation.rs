//! From a record to those that a relationship leads to (`spec/harper-schema.md` section 6).

use std::sync::Arc;

use kora_resource::schema::{Relationship, Span};
use kora_resource::value::msgpack;
use kora_resource::{Error, Id, Map, Record, Result, Value};

use super::reader::Reader;
use crate::catalog::Progress;
use crate::keys::{Key, ValueRange, entry_id, write_value};
use crate::layout::record_key;
use crate::table::visible_record;
use crate::{StoreError, Table};

/// A relationship whose other end was found.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    /// The attribute of this table.
    pub own: String,
    pub target: Arc<Table>,
    /// The attribute of that table; `None` is its primary key.
    pub there: Option<String>,
    pub span: Span,
    filter_missing: bool,
}

impl Relation {
    pub(super) fn open(table: &Table, relationship: &Relationship) -> Result<Relation> {
        let target = table.sibling(&relationship.target)?;
        let schema = table.schema();
        let their_key = target.schema().primary_key.clone();
        Ok(Relation {
            own: relationship.own_attribute(&schema.primary_key).to_owned(),
            there: relationship.to.clone().filter(|there| *there != their_key),
            target,
            span: relationship.span,
            filter_missing: relationship.filter_missing,
        })
    }

    /// The related records of the record with these properties, in the order of a list of keys, else
    /// in that of their keys. `None` stands for a key in a list that leads to no record.
    pub(super) fn load(&self, reader: &Reader<'_, '_>, own: &Map) -> Result<Vec<Option<Record>>> {
        let keys = match own.get(&self.own) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(keys)) if self.there.is_some() || self.span == Span::Many => {
                keys.as_slice()
            }
            Some(key) => std::slice::from_ref(key),
        };
        reader.within(self.target.owner(), |reader| {
            let mut found = Vec::new();
            for key in keys {
                match &self.there {
                    None => {
                        let record = match Id::from_value(key) {
                            Some(id) => reader.record(self.target.id(), &id)?,
                            None => None,
                        };
                        if record.is_some() || self.span == Span::Many && !self.filter_missing {
                            found.push(record);
                        }
                    }
                    Some(there) => self.load_by(reader, there, key, &mut found)?,
                }
                if self.span == Span::One && !found.is_empty() {
                    break;
                }
            }
            Ok(found)
        })
    }

    /// The records whose attribute `there` is `key`, or has it among its elements.
    fn load_by(
        &self,
        reader: &Reader<'_, '_>,
        there: &str,
        key: &Value,
        found: &mut Vec<Option<Record>>,
    ) -> Result<()> {
        let holds = |record: &Record| -> Result<bool> {
            let map = msgpack::decode_properties(record.body(), |name| name == there)
                .map_err(|error| Error::internal(format!("damaged record: {error}")))?;
            Ok(match map.get(there) {
                Some(Value::Array(items)) => items.iter().any(|item| item.key_cmp(key).is_eq()),
                Some(value) => value.key_cmp(key).is_eq(),
                None => false,
            })
        };
        let definition = self.target.definition();
        let records = reader.trees.records;
        let index = definition.index(there).filter(|index| index.progress == Progress::Complete);
        let Some(index) = index else {
            // Without an index there is only the whole table to look through, as in Harper.
            let prefix = record_key(self.target.id(), &[]);
            for entry in records.prefix_iter(reader.txn, &prefix).map_err(StoreError::from)? {
                let (_, bytes) = entry.map_err(StoreError::from)?;
                if let Some(record) = visible_record(bytes)?
                    && holds(&record)?
                {
                    found.push(Some(record));
                }
            }
            return Ok(());
        };
        let range = ValueRange::new(index.id, key);
        let low = std::ops::Bound::Included(&range.start[..]);
        let high = match &range.end {
            Some(end) => std::ops::Bound::Excluded(&end[..]),
            None => std::ops::Bound::Unbounded,
        };
        let entries = reader.trees.indexes.range(reader.txn, &(low, high));
        for entry in entries.map_err(StoreError::from)? {
            let (entry_key, data) = entry.map_err(StoreError::from)?;
            let id =
                entry_id(entry_key, data).ok_or_else(|| Error::internal("damaged index entry"))?;
            let place = record_key(self.target.id(), id);
            let stored = records.get(reader.txn, &place).map_err(StoreError::from)?;
            let Some(record) = stored.map(visible_record).transpose()?.flatten() else { continue };
            if holds(&record)? {
                found.push(Some(record));
            }
        }
        Ok(())
    }
}

/// The keys of a value, or of each element of an array; none for null.
pub(super) fn encoded(value: Option<&Value>) -> Vec<Key> {
    let one = |value: &Value| {
        let mut key = Key::new();
        write_value(&mut key, value);
        key
    };
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items.iter().map(one).collect(),
        Some(value) => vec![one(value)],
    }
}
