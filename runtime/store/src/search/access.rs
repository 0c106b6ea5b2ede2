//! The way to a query's records: the primary key, an index, or all records of the table.
//!
//! The ranges of an access path hold at least every match; the filter decides. Conditions that a path
//! can use are compared by class and order exactly as keys are encoded.

use kora_resource::query::{Comparator, Compare, Condition, Direction, Operator, Sort};
use kora_resource::schema::{AttributeType, TableSchema};
use kora_resource::value::{Class, msgpack};
use kora_resource::{Error, Id, Query, Record, Result, Value};

use crate::StoreError;
use crate::catalog::Progress;
use crate::environment::{ReadTxn, Trees};
use crate::keys::{Key, encode_id, entry_id, string_prefix};
use crate::layout::{TableId, id_of, record_key};
use crate::table::Definition;
use crate::writer::index_entries;

mod ranges;

pub(super) use ranges::Cursor;
use ranges::Ranges;

/// Where to look and in which direction.
#[derive(Debug)]
pub(super) struct Access {
    pub source: Source,
    table: TableId,
    ranges: Ranges,
    direction: Direction,
}

/// What is looked through.
#[derive(Debug)]
pub(super) enum Source {
    Records,
    Index(UsedIndex),
}

/// An index as a search uses it.
#[derive(Debug)]
pub(super) struct UsedIndex {
    id: u32,
    attribute: String,
    values: Values,
}

/// Whether a record may have several entries in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Values {
    Single,
    Several,
}

/// How much a condition narrows the search; the least is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    OneKey,
    SomeKeys,
    OneValue,
    SomeValues,
    Range,
    HalfRange,
}

impl Access {
    /// The best path for a coerced query. 503 if it needs an index that is not complete, 404 if it is
    /// only sorted, by what is not indexed.
    pub(super) fn choose(query: &Query, definition: &Definition, table: TableId) -> Result<Access> {
        let schema = &definition.schema;
        refuse_incomplete(query, definition)?;
        let compares: Vec<&Compare> = match query.operator {
            Operator::And => query.conditions.iter().filter_map(top_level).collect(),
            Operator::Or if query.conditions.len() == 1 => {
                query.conditions.iter().filter_map(top_level).collect()
            }
            Operator::Or => Vec::new(),
        };
        let sort = query.sort.first();
        let direction_for = |attribute: &str| match sort {
            Some(sort) if sort.attribute == [attribute] => sort.direction,
            Some(_) | None => Direction::Ascending,
        };
        let usable = |compare: &&Compare| {
            let [attribute] = compare.attribute.as_slice() else { return None };
            let indexed = *attribute == schema.primary_key || definition.index(attribute).is_some();
            indexed.then(|| rank(compare, *attribute == schema.primary_key)).flatten()
        };
        let best = compares.iter().filter_map(|compare| Some((usable(compare)?, *compare)));
        if let Some((_, best)) = best.min_by_key(|(rank, _)| *rank) {
            let attribute = &best.attribute[0];
            // The other end of the same range, if there is one.
            let same: Vec<&Compare> = compares
                .iter()
                .copied()
                .filter(|other| other.attribute == best.attribute)
                .collect();
            let source = source(definition, attribute);
            let ranges = match &source {
                Source::Records => Ranges::of_keys(table, &same),
                Source::Index(index) if index.values == Values::Several => {
                    // Each end may hold for another element.
                    Ranges::of_values(index.id, &[best])
                }
                Source::Index(index) => Ranges::of_values(index.id, &same),
            };
            return Ok(Access { source, table, ranges, direction: direction_for(attribute) });
        }
        if let Some(sort) = sort
            && let [attribute] = sort.attribute.as_slice()
            && *attribute != schema.primary_key
        {
            let source = source(definition, attribute);
            match &source {
                Source::Index(index) if index.values == Values::Single => {
                    let ranges = Ranges::whole_index(index.id);
                    let direction = sort.direction;
                    return Ok(Access { source, table, ranges, direction });
                }
                Source::Index(_) => {}
                Source::Records if query.conditions.is_empty() && query.id_prefix.is_none() => {
                    return Err(Error::not_found(format!(
                        "{attribute} is not indexed and not combined with any other conditions"
                    )));
                }
                Source::Records => {}
            }
        }
        let ranges = match &query.id_prefix {
            None => Ranges::whole_table(table),
            Some(prefix) => Ranges::starting_with(table, &id_prefix(prefix)?),
        };
        let direction = direction_for(&schema.primary_key);
        Ok(Access { source: Source::Records, table, ranges, direction })
    }

    /// Whether results come in the order that `sort` asks for.
    pub(super) fn gives_order(&self, sort: &[Sort], primary_key: &str) -> bool {
        let Some((first, rest)) = sort.split_first() else { return true };
        let by = |sort: &Sort, attribute: &str| {
            sort.attribute == [attribute] && sort.direction == self.direction
        };
        match &self.source {
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
        match &self.source {
            Source::Records => Vec::new(),
            Source::Index(index) => {
                vec![Sort { attribute: vec![index.attribute.clone()], direction: self.direction }]
            }
        }
    }

    pub(super) fn begin(&self) -> Cursor {
        Cursor::default()
    }

    /// Visits up to `limit` entries after the cursor, as (id's key, stored record, index entry), and
    /// moves it on. Answers whether there may be more.
    pub(super) fn visit(
        &self,
        cursor: &mut Cursor,
        limit: usize,
        txn: &ReadTxn<'_>,
        trees: &Trees,
        mut each: impl FnMut(&[u8], &[u8], Option<&[u8]>) -> Result<()>,
    ) -> Result<bool> {
        match &self.source {
            Source::Records => self.ranges.visit(
                cursor,
                self.direction,
                limit,
                txn,
                trees.records,
                |key, value| each(id_of(key), value, None),
            ),
            Source::Index(_) => self.ranges.visit(
                cursor,
                self.direction,
                limit,
                txn,
                trees.indexes,
                |key, value| {
                    let id = entry_id(key, value)
                        .ok_or_else(|| Error::internal("damaged index entry"))?;
                    let stored = trees.records.get(txn, &record_key(self.table, id));
                    match stored.map_err(StoreError::from)? {
                        Some(record) => each(id, record, Some(key)),
                        None => Err(Error::internal("an index entry leads to no record")),
                    }
                },
            ),
        }
    }
}

impl UsedIndex {
    /// Whether `entry` is the first of the record's entries that this search comes by, so that a
    /// record with several matching elements is found once.
    pub(super) fn is_first_entry(
        &self,
        entry: &[u8],
        record: &Record,
        id: &[u8],
        access: &Access,
    ) -> Result<bool> {
        if self.values == Values::Single {
            return Ok(true);
        }
        let map = msgpack::decode_properties(record.body(), |name| name == self.attribute)
            .map_err(|error| Error::internal(format!("damaged record: {error}")))?;
        let entries = index_entries(self.id, map.get(&self.attribute), id);
        let mut visited = entries.iter().filter(|entry| access.ranges.contains(&entry.key));
        let first = match access.direction {
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

fn top_level(condition: &Condition) -> Option<&Compare> {
    match condition {
        Condition::Compare(compare) => Some(compare),
        Condition::Group { .. } => None,
    }
}

fn source(definition: &Definition, attribute: &str) -> Source {
    match definition.index(attribute) {
        Some(index) if attribute != definition.schema.primary_key => {
            let values = values_of(&definition.schema, attribute);
            Source::Index(UsedIndex { id: index.id, attribute: attribute.to_owned(), values })
        }
        Some(_) | None => Source::Records,
    }
}

fn values_of(schema: &TableSchema, attribute: &str) -> Values {
    // Old records may hold what a changed schema no longer allows, but only untyped attributes and
    // lists are ever written with arrays.
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

/// How well a path by this condition's attribute would do; `None` if the order of keys is no help.
fn rank(compare: &Compare, is_key: bool) -> Option<Rank> {
    let scalar = |value: &Value| match value.class() {
        Class::Null | Class::Boolean | Class::Number | Class::String | Class::Bytes => true,
        // Elements are indexed, not the array; objects have no order. Keys may be arrays.
        Class::Array => is_key,
        Class::Object => false,
    };
    let list = match &compare.value {
        Value::Array(items) => items.as_slice(),
        _ => &[],
    };
    match compare.comparator {
        Comparator::Equals if scalar(&compare.value) => {
            Some(if is_key { Rank::OneKey } else { Rank::OneValue })
        }
        Comparator::In if list.iter().all(scalar) => {
            Some(if is_key { Rank::SomeKeys } else { Rank::SomeValues })
        }
        Comparator::Between if list.len() == 2 && list.iter().all(scalar) => Some(Rank::Range),
        Comparator::StartsWith if compare.value.as_str().is_some() => Some(Rank::Range),
        Comparator::Less
        | Comparator::LessEqual
        | Comparator::Greater
        | Comparator::GreaterEqual
            if scalar(&compare.value) =>
        {
            Some(Rank::HalfRange)
        }
        Comparator::Equals
        | Comparator::In
        | Comparator::Between
        | Comparator::StartsWith
        | Comparator::Less
        | Comparator::LessEqual
        | Comparator::Greater
        | Comparator::GreaterEqual
        | Comparator::NotEqual
        | Comparator::Contains
        | Comparator::EndsWith
        | Comparator::NotContains
        | Comparator::NotStartsWith
        | Comparator::NotEndsWith
        | Comparator::NotIn
        | Comparator::NotBetween => None,
    }
}

/// 503 for a condition or order on an attribute whose index is being built.
fn refuse_incomplete(query: &Query, definition: &Definition) -> Result<()> {
    fn names<'q>(conditions: &'q [Condition], found: &mut Vec<&'q String>) {
        for condition in conditions {
            match condition {
                Condition::Compare(compare) => found.extend(compare.attribute.first()),
                Condition::Group { conditions, .. } => names(conditions, found),
            }
        }
    }
    let mut named = Vec::new();
    names(&query.conditions, &mut named);
    named.extend(query.sort.iter().filter_map(|sort| sort.attribute.first()));
    for name in named {
        if let Some(index) = definition.index(name)
            && index.progress != Progress::Complete
        {
            return Err(Error::unavailable(format!(
                "\"{name}\" is not indexed yet, can not search for this attribute"
            )));
        }
    }
    Ok(())
}
