//! Checks a write set and works out all its effects, so that applying them cannot fail halfway.

use std::sync::Arc;

use kora_resource::schema::{Assigned, AttributeType, TableSchema, ValidateMode, VectorIndex};
use kora_resource::value::date;
use kora_resource::{Error, Id, Map, Record, Result, Value, Version};

use crate::catalog::{IndexKind, IndexState, Progress};
use crate::clock;
use crate::environment::{ReadTxn, Trees};
use crate::keys::{IndexEntry, Key};
use crate::layout::{Header, read_record, record_key};
use crate::merge::{increment, merge};
use crate::table::Definition;
use crate::vector::{Nodes, vector_of};
use crate::write_set::{Content, Op, Write, WriteSet};
use crate::{StoreError, Table};

/// One change, with everything that belongs to it.
pub(super) struct Change {
    pub table: Arc<Table>,
    pub id: Id,
    pub key: Key,
    pub effect: Effect,
    pub added: Vec<IndexEntry>,
    pub removed: Vec<IndexEntry>,
    pub vectors: Vec<VectorChange>,
}

/// What becomes of a record in an index of vectors: it is taken out, and entered if it has one.
pub(super) struct VectorChange {
    pub index: u32,
    pub options: VectorIndex,
    pub vector: Option<Vec<f32>>,
}

pub(super) enum Effect {
    Put(Record),
    Delete,
    Message(Value),
}

/// What the set does to the database as `txn` sees it. The inner error is the caller's: a conflict,
/// a record that exists or does not fit its schema; the outer one is the database's.
pub(super) fn plan(
    set: &WriteSet,
    txn: &ReadTxn<'_>,
    trees: &Trees,
    version: Version,
) -> Result<Result<Vec<Change>>, StoreError> {
    for ((table, key), read) in set.reads.lock().iter() {
        let stored = trees.records.get(txn, &record_key(*table, key))?;
        let stored = stored.and_then(Header::read).filter(|header| !header.is_expired(clock::now));
        if stored.map(|header| header.version) != *read {
            return Ok(Err(Error::conflict(
                "A record that this transaction has read was changed by another one",
            )));
        }
    }
    let mut changes = Vec::with_capacity(set.writes.len() + set.messages.len());
    for ((table, key), write) in &set.writes {
        let stored = trees.records.get(txn, &record_key(*table, key))?;
        match plan_write(write, key, stored, version) {
            Ok(change) => changes.extend(change),
            Err(error) => return Ok(Err(error)),
        }
    }
    changes.extend(set.messages.iter().map(|(table, id, key, message)| Change {
        table: Arc::clone(table),
        id: id.clone(),
        key: key.clone(),
        effect: Effect::Message(message.clone()),
        added: Vec::new(),
        removed: Vec::new(),
        vectors: Vec::new(),
    }));
    if let Err(error) = check_dimensions(&changes, txn, trees)? {
        return Ok(Err(error));
    }
    Ok(Ok(changes))
}

fn plan_write(
    write: &Write,
    key: &Key,
    stored: Option<&[u8]>,
    version: Version,
) -> Result<Option<Change>> {
    let definition = write.table.definition();
    let stored = stored
        .map(|bytes| read_record(bytes).ok_or_else(|| Error::internal("damaged record")))
        .transpose()?;
    // An expired record is gone for all but its index entries, which are removed with it.
    let current =
        stored.as_ref().filter(|record| record.expires().is_none_or(|at| at > clock::now()));
    let before = match &stored {
        // Its properties are needed for its index entries, its creation time or a merge.
        Some(record) if needs_properties(&definition, &write.op) => Some(record.to_map()?),
        _ => None,
    };
    let visible = current.and(before.as_ref());
    let after = match &write.op {
        Op::Create(_) if current.is_some() => {
            return Err(Error::conflict("Record already exists"));
        }
        Op::Put(content) | Op::Create(content) => {
            Some(whole(&definition, content, current, visible, version, write.expires))
        }
        Op::Patch(changes) => {
            let mut map = visible.cloned().unwrap_or_default();
            merge(&mut map, changes.clone());
            definition.key_first(&mut map, &write.id);
            match current {
                None => definition.schema.validate(&mut map, ValidateMode::Full)?,
                // The changes themselves were checked when they were made; sums are known only now.
                Some(_) => check_sums(&definition.schema, &map, changes)?,
            }
            Some(whole(&definition, &Content::new(map), current, visible, version, write.expires))
        }
        Op::Delete if stored.is_some() => None,
        Op::Expire(expired) if stored.as_ref().map(Record::version) == Some(*expired) => None,
        Op::Delete | Op::Expire(_) => return Ok(None),
    };
    let entries = |map: Option<&Map>| {
        let mut entries: Vec<IndexEntry> = map
            .into_iter()
            .flat_map(|map| definition.indexes.iter().map(move |index| (index, map)))
            .filter(|(index, _)| index.kind == IndexKind::Ordered)
            .flat_map(|(index, map)| entries_of(&definition.schema, index, map, key))
            .collect();
        entries.sort_unstable();
        entries
    };
    let old = entries(before.as_ref());
    let new = entries(after.as_ref().map(|(map, _)| map));
    let without = |from: &[IndexEntry], other: &[IndexEntry]| {
        let missing = from.iter().filter(|entry| other.binary_search(entry).is_err());
        missing.cloned().collect()
    };
    let vectors = vector_changes(&definition, before.as_ref(), after.as_ref().map(|(map, _)| map))?;
    Ok(Some(Change {
        vectors,
        table: Arc::clone(&write.table),
        id: write.id.clone(),
        key: key.clone(),
        added: without(&new, &old),
        removed: without(&old, &new),
        effect: after.map_or(Effect::Delete, |(_, record)| Effect::Put(record)),
    }))
}

fn needs_properties(definition: &Definition, op: &Op) -> bool {
    matches!(op, Op::Patch(_)) || !definition.indexes.is_empty() || definition.assigns_times()
}

/// The record that `content` becomes, and its properties. It ends at `expires`, or when its table
/// says.
fn whole(
    definition: &Definition,
    content: &Content,
    current: Option<&Record>,
    before: Option<&Map>,
    version: Version,
    expires: Option<f64>,
) -> (Map, Record) {
    let created = current.map_or(version, Record::created);
    let expires = expires.or_else(|| expiry(&definition.schema, &content.map, version));
    let mut map = content.map.clone();
    if definition.assigns_times() {
        assign_times(&definition.schema, &mut map, before, created, version);
    } else if let Some(body) = &content.body {
        return (map, Record::from_parts(version, created, expires, body.clone()));
    }
    let record = Record::new(&map, version, created, expires);
    (map, record)
}

/// Checks the attributes that the increments among `changes` have made.
fn check_sums(schema: &TableSchema, merged: &Map, changes: &Map) -> Result<()> {
    let incremented = changes.iter().filter(|(_, change)| increment(change).is_some());
    let mut sums: Map = incremented
        .filter_map(|(name, _)| Some((name.clone(), merged.get(name)?.clone())))
        .collect();
    if sums.is_empty() { Ok(()) } else { schema.validate(&mut sums, ValidateMode::Partial) }
}

/// Writes what the host keeps in the record by itself (`spec/harper-schema.md` section 5): clients'
/// values are overwritten.
fn assign_times(
    schema: &TableSchema,
    map: &mut Map,
    before: Option<&Map>,
    created: Version,
    version: Version,
) {
    for attribute in &schema.attributes {
        let value = match attribute.assigned {
            None => continue,
            Some(Assigned::UpdatedTime) => time(&attribute.ty, version),
            Some(Assigned::CreatedTime) => match before.and_then(|map| map.get(&attribute.name)) {
                Some(kept) if !kept.is_null() => kept.clone(),
                Some(_) | None => time(&attribute.ty, created),
            },
        };
        map.insert(attribute.name.clone(), value);
    }
}

fn time(ty: &AttributeType, at: Version) -> Value {
    match ty {
        AttributeType::Date => Value::Date(at.0),
        AttributeType::String => date::to_iso(at.0).map_or(Value::Null, Value::String),
        AttributeType::Id
        | AttributeType::Int
        | AttributeType::Long
        | AttributeType::BigInt
        | AttributeType::Float
        | AttributeType::Boolean
        | AttributeType::Bytes
        | AttributeType::Blob
        | AttributeType::Any
        | AttributeType::Array(..)
        | AttributeType::Object(_)
        | AttributeType::Unknown(_) => Value::number(at.0),
    }
}

/// When the record is over: what its `@expiresAt` attribute says, else by its table's expiration.
fn expiry(schema: &TableSchema, map: &Map, version: Version) -> Option<f64> {
    let own = schema.expires_at().and_then(|attribute| match map.get(&attribute.name)? {
        Value::Date(ms) => Some(*ms),
        other => other.as_f64(),
    });
    own.or_else(|| schema.expiration.map(|seconds| version.0 + seconds * 1000.0))
}

/// What the change of a record asks of its table's indexes of vectors.
fn vector_changes(
    definition: &Definition,
    before: Option<&Map>,
    after: Option<&Map>,
) -> Result<Vec<VectorChange>> {
    let mut changes = Vec::new();
    for index in definition.indexes.iter().filter(|index| index.kind == IndexKind::Vectors) {
        let (old, new) = (vector(&index.attribute, before)?, vector(&index.attribute, after)?);
        // An index that is being built may not have what was stored before.
        if old == new && index.progress == Progress::Complete {
            continue;
        }
        let attribute = definition.schema.attribute(&index.attribute);
        let Some(options) = attribute.and_then(|attribute| attribute.vector.clone()) else {
            continue;
        };
        changes.push(VectorChange { index: index.id, options, vector: new });
    }
    Ok(changes)
}

fn vector(attribute: &str, map: Option<&Map>) -> Result<Option<Vec<f32>>> {
    match map.and_then(|map| map.get(attribute)) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) if items.is_empty() => Ok(None),
        Some(value) => match vector_of(value) {
            Some(vector) => Ok(Some(vector)),
            None => Err(Error::invalid(format!(
                "Value in property {attribute} must be an array of numbers: it has an index of \
                 vectors"
            ))),
        },
    }
}

/// All vectors of an index have as many numbers as its first one.
fn check_dimensions(
    changes: &[Change],
    txn: &ReadTxn<'_>,
    trees: &Trees,
) -> Result<Result<()>, StoreError> {
    let mut known: Vec<(u32, usize)> = Vec::new();
    for change in changes.iter().flat_map(|change| &change.vectors) {
        let Some(vector) = &change.vector else { continue };
        let stored = match known.iter().find(|(index, _)| *index == change.index) {
            Some((_, dimensions)) => *dimensions,
            None => {
                let nodes = Nodes { tree: trees.indexes, index: change.index };
                let meta = nodes.meta(txn)?;
                let dimensions = meta.map_or(vector.len(), |meta| meta.dimensions as usize);
                known.push((change.index, dimensions));
                dimensions
            }
        };
        if stored != vector.len() {
            return Ok(Err(Error::invalid(format!(
                "A vector has {} numbers, those of its index have {stored}: to use others, remove \
                 @indexed, reload, and declare it again",
                vector.len()
            ))));
        }
    }
    Ok(Ok(()))
}

/// The entries of a record in an index of its table.
pub(crate) fn entries_of(
    schema: &TableSchema,
    index: &IndexState,
    map: &Map,
    key: &[u8],
) -> Vec<IndexEntry> {
    match schema.computed(&index.attribute) {
        None => index_entries(index.id, map.get(&index.attribute), key),
        Some(_) => index_entries(index.id, schema.value_of(&index.attribute, map).as_ref(), key),
    }
}

/// The entries of one record in one index: one for a scalar (null where there is none), one for each
/// different element of an array.
pub(crate) fn index_entries(index: u32, value: Option<&Value>, key: &[u8]) -> Vec<IndexEntry> {
    match value {
        Some(Value::Array(items)) if !items.is_empty() => {
            let mut entries: Vec<_> =
                items.iter().map(|item| IndexEntry::new(index, item, key)).collect();
            entries.sort_unstable();
            entries.dedup();
            entries
        }
        Some(Value::Array(_)) | None => vec![IndexEntry::new(index, &Value::Null, key)],
        Some(value) => vec![IndexEntry::new(index, value, key)],
    }
}
