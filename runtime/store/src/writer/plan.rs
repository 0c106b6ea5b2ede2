//! Checks a write set and works out all its effects, so that applying them cannot fail halfway.

use std::borrow::Cow;
use std::sync::Arc;

use kora_resource::schema::{Assigned, AttributeType, TableSchema, ValidateMode, VectorIndex};
use kora_resource::value::blob::{blob_files, has_blobs};
use kora_resource::value::{BlobId, date};
use kora_resource::{Error, Id, Map, Record, Result, Value, Version};

use crate::catalog::{IndexKind, IndexState, Progress};
use crate::clock;
use crate::environment::{ReadTxn, Trees};
use crate::keys::{IndexEntry, Key};
use crate::layout::{read_record, record_key};
use crate::merge::{increment, merge};
use crate::table::{Definition, INVALIDATED};
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
    pub blobs: BlobChange,
}

/// What becomes of a record in an index of vectors: it is taken out, and entered if it has one.
pub(super) struct VectorChange {
    pub index: u32,
    pub options: VectorIndex,
    pub vector: Option<Vec<f32>>,
}

/// The files of blobs that a change makes the record's own, and those that it gives up.
#[derive(Default)]
pub(super) struct BlobChange {
    pub added: Vec<BlobId>,
    pub removed: Vec<BlobId>,
}

pub(super) enum Effect {
    Put(Record),
    Delete,
    /// No longer good, with what it was.
    Invalidate(Record),
    /// Gone without a word: no entry in the log, no event.
    Evict,
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
    if !set.reads.still_hold(txn, trees)? {
        return Ok(Err(Error::conflict(
            "A record that this transaction has read was changed by another one",
        )));
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
        blobs: BlobChange::default(),
    }));
    if let Err(error) = check_dimensions(&changes, txn, trees)? {
        return Ok(Err(error));
    }
    // A blob that was read from the record may have gone with another change of it meanwhile.
    for change in &changes {
        let is_new = |id: &BlobId| set.staged.iter().any(|staged| staged.is(*id));
        if !change.blobs.added.iter().all(is_new) {
            return Ok(Err(Error::conflict(
                "A blob of this record was replaced by another change",
            )));
        }
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
        Some(record) if record.has_blobs() || needs_properties(&definition, &write.op) => {
            Some(record.to_map()?)
        }
        _ => None,
    };
    let visible = current.and(before.as_ref());
    let after = match &write.op {
        Op::Create(_) if current.is_some() => {
            return Err(Error::conflict("Record already exists"));
        }
        Op::Put(content) | Op::Create(content) => {
            Some(whole(write, &definition, content, current, visible, version))
        }
        Op::Fill(content, replaced) if stored.as_ref().map(Record::version) == *replaced => {
            Some(whole(write, &definition, content, current, visible, version))
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
            let content = Content::new(map);
            let (map, record) = whole(write, &definition, &content, current, visible, version);
            Some((Cow::Owned(map.into_owned()), record))
        }
        Op::Delete if stored.is_some() => None,
        Op::Expire(expired) if stored.as_ref().map(Record::version) == Some(*expired) => None,
        Op::Evict(expired) if stored.as_ref().map(Record::version) == Some(*expired) => None,
        Op::Invalidate => return Ok(stored.map(|stored| invalidated(write, key, &stored, version))),
        Op::Fill(..) | Op::Delete | Op::Expire(_) | Op::Evict(_) => return Ok(None),
    };
    let blobs = blob_change(before.as_ref(), after.as_ref());
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
    let after_map = after.as_ref().map(|(map, _)| &**map);
    let mut added = entries(after_map);
    let mut removed = old.clone();
    removed.retain(|entry| added.binary_search(entry).is_err());
    added.retain(|entry| old.binary_search(entry).is_err());
    let vectors = vector_changes(&definition, before.as_ref(), after_map)?;
    Ok(Some(Change {
        vectors,
        table: Arc::clone(&write.table),
        id: write.id.clone(),
        key: key.clone(),
        added,
        removed,
        blobs,
        effect: match (after, &write.op) {
            (Some((_, record)), _) => Effect::Put(record),
            (None, Op::Evict(_)) => Effect::Evict,
            (None, _) => Effect::Delete,
        },
    }))
}

fn blob_change(before: Option<&Map>, after: Option<&(Cow<'_, Map>, Record)>) -> BlobChange {
    let before = before.map(blob_files).unwrap_or_default();
    let after = match after {
        Some((map, record)) if record.has_blobs() => blob_files(map),
        Some(_) | None => Vec::new(),
    };
    let without = |from: &[BlobId], other: &[BlobId]| {
        from.iter().filter(|id| !other.contains(id)).copied().collect()
    };
    BlobChange { added: without(&after, &before), removed: without(&before, &after) }
}

/// The change that marks a record as no longer good; its index entries stay with it.
fn invalidated(write: &Write, key: &Key, stored: &Record, version: Version) -> Change {
    let body = stored.body().clone();
    let record = Record::from_parts(version, stored.created(), Some(INVALIDATED), body);
    Change {
        table: Arc::clone(&write.table),
        id: write.id.clone(),
        key: key.clone(),
        effect: Effect::Invalidate(
            record.with_modified(stored.modified()).with_blobs(stored.has_blobs()),
        ),
        added: Vec::new(),
        removed: Vec::new(),
        vectors: Vec::new(),
        blobs: BlobChange::default(),
    }
}

fn needs_properties(definition: &Definition, op: &Op) -> bool {
    matches!(op, Op::Patch(_)) || !definition.indexes.is_empty() || definition.assigns_times()
}

/// The record that `content` becomes, and its properties. It ends when the write says, else when
/// its own attribute says, else when its table does.
fn whole<'c>(
    write: &Write,
    definition: &Definition,
    content: &'c Content,
    current: Option<&Record>,
    before: Option<&Map>,
    version: Version,
) -> (Cow<'c, Map>, Record) {
    let created = current.map_or(version, Record::created);
    let lifetime = || write.table.lifetime().expiration;
    let expires = write
        .expires
        .or_else(|| own_expiry(&definition.schema, &content.map))
        .or_else(|| lifetime().map(|seconds| version.0 + seconds * 1000.0));
    let mut map = Cow::Borrowed(&content.map);
    if definition.assigns_times() {
        assign_times(&definition.schema, map.to_mut(), before, created, version);
    } else if let Some(body) = &content.body {
        let record = Record::from_parts(version, created, expires, body.clone());
        let has_blobs = has_blobs(&map);
        return (map, record.with_modified(content.modified).with_blobs(has_blobs));
    }
    let record = Record::new(&map, version, created, expires);
    (map, record.with_modified(content.modified))
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

/// When the record is over by its own `@expiresAt` attribute.
fn own_expiry(schema: &TableSchema, map: &Map) -> Option<f64> {
    schema.expires_at().and_then(|attribute| match map.get(&attribute.name)? {
        Value::Date(ms) => Some(*ms),
        other => other.as_f64(),
    })
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
