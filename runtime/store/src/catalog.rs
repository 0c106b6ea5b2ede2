//! What a database knows of itself: format, epoch, last version, its tables and their indexes.
//!
//! It lives in the `meta` tree and is written by the writer thread only, in the same transaction as
//! the change that it tells of. So a reopened store knows which indexes are complete, and where the
//! building of the others had come to.

use heed::RwTxn;
use kora_resource::value::{BlobId, msgpack};
use kora_resource::{Epoch, Map, Seq, Value, Version};

use crate::StoreError;
use crate::environment::{ReadTxn, Trees};
use crate::layout::TableId;

/// The format of everything in the files; raised by whoever changes it.
pub(crate) const FORMAT: u32 = 1;

const FORMAT_KEY: &[u8] = b"format";
const EPOCH_KEY: &[u8] = b"epoch";
const VERSION_KEY: &[u8] = b"version";
/// The last position given out, where the log's last entry does not tell it.
const SEQ_KEY: &[u8] = b"seq";
const TRIMMED_KEY: &[u8] = b"trimmed";
const NEXT_KEY: &[u8] = b"next";
const TABLE_PREFIX: &[u8] = b"table:";
const BLOB_PREFIX: &[u8] = b"blob:";
const GARBAGE_PREFIX: &[u8] = b"garbage:";

/// What is stored of one table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TableEntry {
    pub id: TableId,
    pub primary_key: String,
    /// The types of the stored attributes, as the schema wrote them when it was last applied.
    pub types: Vec<(String, String)>,
    pub indexes: Vec<IndexState>,
}

/// One index of a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IndexState {
    /// Never used again once the index is dropped.
    pub id: u32,
    pub attribute: String,
    pub kind: IndexKind,
    /// What its entries are made by besides the attribute's name: an index whose recipe changes is
    /// built anew. Empty for stored values.
    pub recipe: String,
    pub progress: Progress,
}

/// What an index answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IndexKind {
    /// Values in their order.
    Ordered,
    /// The nearest vectors.
    Vectors,
}

/// How far an index has been built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    Complete,
    /// Records up to this key (empty: none) are in it, and all that were written since it began.
    Building {
        after: Vec<u8>,
    },
}

/// What `meta` says when an environment is opened.
#[derive(Debug)]
pub(crate) struct Head {
    pub epoch: Epoch,
    pub version: Version,
    pub seq: Seq,
}

fn damaged(what: &str) -> StoreError {
    StoreError::damaged("the catalogue", what)
}

/// Checks the format of the files, or makes them ready if they are new.
pub(crate) fn open(
    txn: &mut RwTxn<'_>,
    trees: &Trees,
    path: &std::path::Path,
) -> Result<Head, StoreError> {
    match trees.meta.get(txn, FORMAT_KEY)? {
        None if trees.meta.is_empty(txn)? => {
            trees.meta.put(txn, FORMAT_KEY, &FORMAT.to_le_bytes())?;
            let (epoch, _) = uuid::Uuid::new_v4().as_u64_pair();
            trees.meta.put(txn, EPOCH_KEY, &epoch.to_le_bytes())?;
        }
        None => return Err(StoreError::damaged(path, "it does not name its format")),
        Some(bytes) => {
            let found = bytes.try_into().map_or(0, u32::from_le_bytes);
            if found != FORMAT {
                let path = path.to_owned();
                return Err(StoreError::Format { path, found, expected: FORMAT });
            }
        }
    }
    let number = |key| -> Result<Option<u64>, StoreError> {
        let bytes = trees.meta.get(txn, key)?;
        bytes.map(|bytes| bytes.try_into().map(u64::from_le_bytes)).transpose().map_err(|_| {
            StoreError::damaged(path, format!("{} is no number", String::from_utf8_lossy(key)))
        })
    };
    let epoch = number(EPOCH_KEY)?.ok_or_else(|| StoreError::damaged(path, "it has no epoch"))?;
    let version = number(VERSION_KEY)?.map_or(0.0, f64::from_bits);
    Ok(Head { epoch: Epoch(epoch), version: Version(version), seq: last_seq(txn, trees)? })
}

/// The last position of the log as this transaction sees it.
pub(crate) fn last_seq(txn: &ReadTxn<'_>, trees: &Trees) -> Result<Seq, StoreError> {
    let told = read_seq(trees.meta.get(txn, SEQ_KEY)?)?;
    let last = trees.log.last(txn)?.map(|(key, _)| key);
    Ok(read_seq(last)?.max(told))
}

/// Remembers the last position for when no entry of the log tells it.
pub(crate) fn put_seq(txn: &mut RwTxn<'_>, trees: &Trees, seq: Seq) -> Result<(), StoreError> {
    Ok(trees.meta.put(txn, SEQ_KEY, &seq.0.to_be_bytes())?)
}

/// Up to where entries of the log were removed: of one table, or (`None`) of all.
pub(crate) fn trimmed(
    txn: &ReadTxn<'_>,
    trees: &Trees,
    table: Option<TableId>,
) -> Result<Seq, StoreError> {
    read_seq(trees.meta.get(txn, &trimmed_key(table))?)
}

pub(crate) fn put_trimmed(
    txn: &mut RwTxn<'_>,
    trees: &Trees,
    table: Option<TableId>,
    seq: Seq,
) -> Result<(), StoreError> {
    Ok(trees.meta.put(txn, &trimmed_key(table), &seq.0.to_be_bytes())?)
}

fn trimmed_key(table: Option<TableId>) -> Vec<u8> {
    match table {
        None => TRIMMED_KEY.to_vec(),
        Some(table) => [TRIMMED_KEY, b":", &table.0.to_be_bytes()].concat(),
    }
}

fn read_seq(bytes: Option<&[u8]>) -> Result<Seq, StoreError> {
    let Some(bytes) = bytes else { return Ok(Seq(0)) };
    let bytes = bytes.try_into().map_err(|_| damaged("a position of the log has no 8 bytes"))?;
    Ok(Seq(u64::from_be_bytes(bytes)))
}

pub(crate) fn put_version(
    txn: &mut RwTxn<'_>,
    trees: &Trees,
    version: Version,
) -> Result<(), StoreError> {
    Ok(trees.meta.put(txn, VERSION_KEY, &version.0.to_bits().to_le_bytes())?)
}

/// The key of the record that a blob's file belongs to.
pub(crate) fn blob<'t>(
    txn: &'t ReadTxn<'_>,
    trees: &Trees,
    id: BlobId,
) -> Result<Option<&'t [u8]>, StoreError> {
    Ok(trees.meta.get(txn, &blob_key(id))?)
}

pub(crate) fn put_blob(
    txn: &mut RwTxn<'_>,
    trees: &Trees,
    id: BlobId,
    record: &[u8],
) -> Result<(), StoreError> {
    Ok(trees.meta.put(txn, &blob_key(id), record)?)
}

pub(crate) fn remove_blob(
    txn: &mut RwTxn<'_>,
    trees: &Trees,
    id: BlobId,
) -> Result<(), StoreError> {
    trees.meta.delete(txn, &blob_key(id))?;
    Ok(())
}

fn blob_key(id: BlobId) -> Vec<u8> {
    [BLOB_PREFIX, &id.0.to_be_bytes()].concat()
}

/// A number for a new table or index.
pub(crate) fn allocate(txn: &mut RwTxn<'_>, trees: &Trees) -> Result<u32, StoreError> {
    let next = match trees.meta.get(txn, NEXT_KEY)? {
        None => 1,
        Some(bytes) => {
            u32::from_le_bytes(bytes.try_into().map_err(|_| damaged("`next` is no number"))?)
        }
    };
    trees.meta.put(txn, NEXT_KEY, &(next + 1).to_le_bytes())?;
    Ok(next)
}

pub(crate) fn table(
    txn: &ReadTxn<'_>,
    trees: &Trees,
    name: &str,
) -> Result<Option<TableEntry>, StoreError> {
    let bytes = trees.meta.get(txn, &[TABLE_PREFIX, name.as_bytes()].concat())?;
    bytes.map(|bytes| TableEntry::read(bytes).ok_or_else(|| damaged(name))).transpose()
}

pub(crate) fn put_table(
    txn: &mut RwTxn<'_>,
    trees: &Trees,
    name: &str,
    entry: &TableEntry,
) -> Result<(), StoreError> {
    Ok(trees.meta.put(txn, &[TABLE_PREFIX, name.as_bytes()].concat(), &entry.write())?)
}

/// Remembers that the entries of a dropped index are still to be deleted.
pub(crate) fn put_garbage(
    txn: &mut RwTxn<'_>,
    trees: &Trees,
    index: u32,
) -> Result<(), StoreError> {
    Ok(trees.meta.put(txn, &[GARBAGE_PREFIX, &index.to_be_bytes()].concat(), &[])?)
}

pub(crate) fn remove_garbage(
    txn: &mut RwTxn<'_>,
    trees: &Trees,
    index: u32,
) -> Result<(), StoreError> {
    trees.meta.delete(txn, &[GARBAGE_PREFIX, &index.to_be_bytes()].concat())?;
    Ok(())
}

/// A dropped index whose entries are not all deleted yet.
pub(crate) fn garbage(txn: &ReadTxn<'_>, trees: &Trees) -> Result<Option<u32>, StoreError> {
    let Some(found) = trees.meta.prefix_iter(txn, GARBAGE_PREFIX)?.next() else { return Ok(None) };
    let index = found?.0[GARBAGE_PREFIX.len()..].try_into().map_err(|_| damaged("garbage"))?;
    Ok(Some(u32::from_be_bytes(index)))
}

impl TableEntry {
    fn write(&self) -> Vec<u8> {
        let index = |index: &IndexState| {
            let after = match &index.progress {
                Progress::Complete => Value::Null,
                Progress::Building { after } => Value::Bytes(after.clone().into()),
            };
            Value::Object(Map::from_iter([
                ("id".to_owned(), Value::Int(index.id.into())),
                ("attribute".to_owned(), Value::String(index.attribute.clone())),
                ("vectors".to_owned(), Value::Bool(index.kind == IndexKind::Vectors)),
                ("recipe".to_owned(), Value::String(index.recipe.clone())),
                ("after".to_owned(), after),
            ]))
        };
        let indexes = self.indexes.iter().map(index).collect();
        let types = self.types.iter().map(|(name, ty)| (name.clone(), Value::String(ty.clone())));
        msgpack::encode_map(&Map::from_iter([
            ("id".to_owned(), Value::Int(self.id.0.into())),
            ("primaryKey".to_owned(), Value::String(self.primary_key.clone())),
            ("indexes".to_owned(), Value::Array(indexes)),
            ("types".to_owned(), Value::Object(types.collect())),
        ]))
    }

    fn read(bytes: &[u8]) -> Option<TableEntry> {
        let map = msgpack::decode_map(bytes).ok()?;
        let Value::Array(indexes) = map.get("indexes")? else { return None };
        let index = |index: &Value| {
            let progress = match index.get("after")? {
                Value::Null => Progress::Complete,
                Value::Bytes(after) => Progress::Building { after: after.to_vec() },
                _ => return None,
            };
            let attribute = index.get("attribute")?.as_str()?.to_owned();
            // Files of before vectors and computed attributes name neither.
            let kind = match index.get("vectors") {
                Some(Value::Bool(true)) => IndexKind::Vectors,
                Some(_) | None => IndexKind::Ordered,
            };
            let recipe = index.get("recipe").and_then(Value::as_str).unwrap_or_default().to_owned();
            let id = number(index.get("id")?)?;
            Some(IndexState { id, attribute, kind, recipe, progress })
        };
        let types = map.get("types").and_then(Value::as_object).into_iter().flatten();
        let types = types.filter_map(|(name, ty)| Some((name.clone(), ty.as_str()?.to_owned())));
        Some(TableEntry {
            types: types.collect(),
            id: TableId(number(map.get("id")?)?),
            primary_key: map.get("primaryKey")?.as_str()?.to_owned(),
            indexes: indexes.iter().map(index).collect::<Option<_>>()?,
        })
    }
}

fn number(value: &Value) -> Option<u32> {
    match value {
        Value::Int(n) => u32::try_from(*n).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_entries_come_back_whole() {
        let index = |id, progress| IndexState {
            id,
            attribute: format!("a{id}"),
            kind: if id == 4 { IndexKind::Ordered } else { IndexKind::Vectors },
            recipe: "r".into(),
            progress,
        };
        let entry = TableEntry {
            id: TableId(3),
            primary_key: "id".into(),
            types: vec![("a4".into(), "Int".into())],
            indexes: vec![
                index(4, Progress::Complete),
                index(5, Progress::Building { after: vec![0, 255] }),
            ],
        };
        assert_eq!(TableEntry::read(&entry.write()), Some(entry));
    }
}
