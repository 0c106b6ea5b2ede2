//! The way to a query's records: the primary key, an index, or all records of the table.
//!
//! The ranges of an access path hold at least every match; the filter decides. Conditions that a path
//! can use are compared by class and order exactly as keys are encoded.

use std::sync::Arc;

use kora_resource::query::{Comparator, Compare, Direction, Sort};
use kora_resource::schema::{AttributeType, TableSchema};
use kora_resource::value::{Class, msgpack};
use kora_resource::{Error, Id, Result};

use crate::StoreError;
use crate::environment::{ReadTxn, Trees};
use crate::keys::{Key, encode_id, entry_id, string_prefix};
use crate::layout::{Header, TableId, id_of, record_key};
use crate::table::Definition;
use crate::writer::index_entries;

mod ranges;

use ranges::{Cursor, Ranges};

/// Where to look and in which direction.
#[derive(Debug)]
pub(super) struct Access {
    /// Several where each of an `or`'s conditions has its own; a record may be on more than one.
    paths: Vec<Path>,
    table: TableId,
    direction: Direction,
}

/// One way to records.
#[derive(Debug)]
pub(super) struct Path {
    source: Source,
    ranges: Ranges,
}

/// What is looked through.
#[derive(Debug)]
enum Source {
    Records,
    Index(UsedIndex),
}

/// How far a visit has come: on which path, and how far there.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    path: usize,
    cursor: Cursor,
}

/// Whether a record was come by before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeats {
    Never,
    /// Only who remembers what was found can tell.
    Possible,
}

/// An index as a search uses it.
#[derive(Debug)]
struct UsedIndex {
    id: u32,
    schema: Arc<TableSchema>,
    attribute: String,
    values: Values,
}

/// Whether a record may have several entries in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Values {
    Single,
    Several,
}

/// Told the id and the stored bytes of each record on the way.
type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<()>;

impl Access {
    /// The ways to the records of one condition or group of a coerced query.
    pub(super) fn new(table: TableId, paths: Vec<Path>, direction: Direction) -> Access {
        Access { paths, table, direction }
    }

    /// Whether all records of the table are looked at.
    pub(super) fn is_full_scan(&self) -> bool {
        self.paths.iter().any(|path| match path.source {
            Source::Records => path.ranges.is_whole_table(self.table),
            Source::Index(_) => false,
        })
    }

    pub(super) fn repeats(&self) -> Repeats {
        if self.paths.len() > 1 { Repeats::Possible } else { Repeats::Never }
    }

    /// Whether it leads to exactly the records that satisfy `compare`: what is found need not be
    /// tested again, which costs as much as reading it does.
    pub(super) fn is_exact(&self, compare: &Compare) -> bool {
        let [Path { source: Source::Index(index), ranges }] = self.paths.as_slice() else {
            return false;
        };
        // Entries of null are those of empty lists, too; objects have no order.
        let is_plain = match compare.value.class() {
            Class::Boolean | Class::String | Class::Bytes => true,
            Class::Number => compare.value.as_f64().is_none_or(f64::is_finite),
            Class::Null | Class::Array | Class::Object => false,
        };
        is_plain
            && index.values == Values::Single
            && compare.comparator == Comparator::Equals
            && compare.attribute == [&*index.attribute]
            && ranges.is_value(index.id, &compare.value)
    }

    /// What is looked through, in words for `explain`.
    pub(super) fn describe(&self) -> String {
        let each = self.paths.iter().map(|path| match &path.source {
            Source::Records if path.ranges.is_whole_table(self.table) => "all records".to_owned(),
            Source::Records => "the primary key".to_owned(),
            Source::Index(index) => format!("the index of {}", index.attribute),
        });
        each.collect::<Vec<_>>().join(", then ")
    }

    /// Whether results come in the order that `sort` asks for.
    pub(super) fn gives_order(&self, sort: &[Sort], primary_key: &str) -> bool {
        let Some((first, rest)) = sort.split_first() else { return true };
        let [path] = self.paths.as_slice() else { return false };
        let by = |sort: &Sort, attribute: &str| {
            sort.attribute == [attribute]
                && sort.direction == self.direction
                && sort.nearest.is_none()
        };
        match &path.source {
            // Keys are unique: what comes after does not matter.
            Source::Records => by(first, primary_key),
            Source::Index(index) => {
                index.values == Values::Single
                    && by(first, &index.attribute)
                    && match rest {
                        // Equal values come in the order of their keys, downwards too.
                        [] => true,
                        [second, ..] => by(second, primary_key),
                    }
            }
        }
    }

    /// The order in which results come, as sort keys.
    pub(super) fn order(&self) -> Vec<Sort> {
        match self.paths.as_slice() {
            [Path { source: Source::Index(index), .. }] => {
                vec![Sort::new(vec![index.attribute.clone()], self.direction)]
            }
            _ => Vec::new(),
        }
    }

    /// Visits up to `limit` entries after the place, as (id's key, stored record), and moves it on;
    /// what a path comes by again is left out. Answers whether there may be more.
    pub(super) fn visit(
        &self,
        place: &mut Place,
        limit: usize,
        txn: &ReadTxn<'_>,
        trees: &Trees,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<bool> {
        let Some(path) = self.paths.get(place.path) else { return Ok(false) };
        let more = self.visit_path(path, &mut place.cursor, limit, txn, trees, &mut each)?;
        if !more {
            place.path += 1;
            place.cursor = Cursor::default();
        }
        Ok(more || place.path < self.paths.len())
    }

    fn visit_path(
        &self,
        path: &Path,
        cursor: &mut Cursor,
        limit: usize,
        txn: &ReadTxn<'_>,
        trees: &Trees,
        each: Visit<'_>,
    ) -> Result<bool> {
        let (ranges, direction) = (&path.ranges, self.direction);
        match &path.source {
            Source::Records => {
                ranges.visit(cursor, direction, limit, txn, trees.records, |key, value| {
                    each(id_of(key), value)
                })
            }
            Source::Index(index) => {
                ranges.visit(cursor, direction, limit, txn, trees.indexes, |key, value| {
                    let id = entry_id(key, value)
                        .ok_or_else(|| Error::internal("damaged index entry"))?;
                    let stored = trees.records.get(txn, &record_key(self.table, id));
                    let Some(bytes) = stored.map_err(StoreError::from)? else {
                        return Err(Error::internal("an index entry leads to no record"));
                    };
                    if index.is_first_entry(key, bytes, id, ranges, direction)? {
                        each(id, bytes)?;
                    }
                    Ok(())
                })
            }
        }
    }
}

impl Path {
    /// All records, or those below a prefix of their ids.
    pub(super) fn records(table: TableId, prefix: Option<&Id>) -> Result<Path> {
        let ranges = match prefix {
            None => Ranges::whole_table(table),
            Some(prefix) => Ranges::starting_with(table, &id_prefix(prefix)?),
        };
        Ok(Path { source: Source::Records, ranges })
    }

    /// All records in the order of an attribute's index; `None` if that does not hold each once.
    pub(super) fn in_order(definition: &Definition, attribute: &str) -> Option<Path> {
        match source(definition, attribute) {
            Source::Index(index) if index.values == Values::Single => {
                let ranges = Ranges::whole_index(index.id);
                Some(Path { source: Source::Index(index), ranges })
            }
            Source::Index(_) | Source::Records => None,
        }
    }

    /// The way by the index that `best` can use, or by the primary key; `same` are all comparisons
    /// of that attribute, `best` among them.
    pub(super) fn by(
        table: TableId,
        definition: &Definition,
        best: &Compare,
        same: &[&Compare],
    ) -> Path {
        let source = source(definition, &best.attribute[0]);
        let ranges = match &source {
            Source::Records => Ranges::of_keys(table, same),
            // Each end may hold for another element.
            Source::Index(index) if index.values == Values::Several => {
                Ranges::of_values(index.id, &[best])
            }
            Source::Index(index) => Ranges::of_values(index.id, same),
        };
        Path { source, ranges }
    }

    /// How many entries it has, counted up to `most`.
    pub(super) fn count(&self, txn: &ReadTxn<'_>, trees: &Trees, most: usize) -> Result<usize> {
        let tree = match self.source {
            Source::Records => trees.records,
            Source::Index(_) => trees.indexes,
        };
        let mut count = 0;
        let mut cursor = Cursor::default();
        self.ranges.visit(&mut cursor, Direction::Ascending, most, txn, tree, |_, _| {
            count += 1;
            Ok(())
        })?;
        Ok(count)
    }
}

impl UsedIndex {
    /// Whether `entry` is the first of the record's entries that this search comes by, so that a
    /// record with several matching elements is found once.
    fn is_first_entry(
        &self,
        entry: &[u8],
        record: &[u8],
        id: &[u8],
        ranges: &Ranges,
        direction: Direction,
    ) -> Result<bool> {
        if self.values == Values::Single {
            return Ok(true);
        }
        let damaged =
            |error: &dyn std::fmt::Display| Error::internal(format!("damaged record: {error}"));
        let header = Header::read(record).ok_or_else(|| damaged(&"no header"))?;
        let inputs = self.schema.inputs(&self.attribute);
        let wanted = |name: &str| inputs.iter().any(|input| input == name);
        let map =
            msgpack::decode_properties(header.body, wanted).map_err(|error| damaged(&error))?;
        let value = self.schema.value_of(&self.attribute, &map);
        let entries = index_entries(self.id, value.as_ref(), id);
        let mut visited = entries.iter().filter(|entry| ranges.contains(&entry.key));
        let first = match direction {
            Direction::Ascending => visited.next(),
            Direction::Descending => visited.next_back(),
        };
        Ok(first.is_some_and(|first| first.key[..] == *entry))
    }
}

/// Which ids a query admits besides its conditions.
#[derive(Debug)]
pub(super) struct IdFilter(Option<Key>);

impl IdFilter {
    pub(super) fn new(prefix: Option<&Id>) -> Result<IdFilter> {
        Ok(IdFilter(prefix.map(id_prefix).transpose()?))
    }

    pub(super) fn narrows(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn admits(&self, id: &[u8]) -> bool {
        self.0.as_ref().is_none_or(|prefix| id.starts_with(prefix))
    }
}

/// What the keys of the ids below `prefix` begin with: strings by their text, arrays by their parts.
fn id_prefix(prefix: &Id) -> Result<Key> {
    match prefix {
        Id::String(text) => Ok(string_prefix(text)),
        Id::Array(_) => {
            let mut key = encode_id(prefix)?;
            key.pop();
            Ok(key)
        }
        Id::Null | Id::Bool(_) | Id::Number(_) | Id::BigInt(_) => encode_id(prefix),
    }
}

fn source(definition: &Definition, attribute: &str) -> Source {
    match definition.index(attribute) {
        Some(index) if attribute != definition.schema.primary_key => {
            let values = values_of(&definition.schema, attribute);
            let (schema, attribute) = (Arc::clone(&definition.schema), attribute.to_owned());
            Source::Index(UsedIndex { id: index.id, schema, attribute, values })
        }
        Some(_) | None => Source::Records,
    }
}

fn values_of(schema: &TableSchema, attribute: &str) -> Values {
    // Old records may hold what a changed schema no longer allows, but only untyped attributes and
    // lists are ever written with arrays. An expression may give one whatever type it is declared as.
    if schema.computed(attribute).is_some() {
        return Values::Several;
    }
    match schema.attribute(attribute).map(|attribute| &attribute.ty) {
        Some(
            AttributeType::String
            | AttributeType::Int
            | AttributeType::Long
            | AttributeType::BigInt
            | AttributeType::Float
            | AttributeType::Boolean
            | AttributeType::Date
            | AttributeType::Bytes,
        ) => Values::Single,
        Some(
            AttributeType::Id
            | AttributeType::Blob
            | AttributeType::Any
            | AttributeType::Array(..)
            | AttributeType::Object(_)
            | AttributeType::Unknown(_),
        )
        | None => Values::Several,
    }
}
