//! What is shown of a found record: its selection, with what is not stored worked out.
//!
//! Related records, computed values and metadata are put among the record's properties first; the
//! selection itself then knows only properties (`spec/harper-rest.md` sections 3.7 and 4).

use std::sync::Arc;

use kora_resource::query::{Select, SelectItem};
use kora_resource::schema::{Derived, Span, TableSchema};
use kora_resource::value::msgpack;
use kora_resource::{Error, Item, Map, Record, Result, Value};

use super::nearest::Measure;
use super::predicate::Join;
use super::reader::Reader;
use super::relation::Relation;
use crate::Table;

/// How deep relationships that are shown without being asked for lead on.
pub(crate) const ENUMERABLE_DEPTH: usize = 3;

/// How one table's records are shown.
#[derive(Debug)]
pub(super) struct Shape {
    schema: Arc<TableSchema>,
    select: Option<Select>,
    added: Vec<Added>,
    names: Names,
}

/// Which stored properties are needed.
#[derive(Debug)]
enum Names {
    All,
    Some(Vec<String>),
}

#[derive(Debug)]
enum Added {
    Computed(String),
    Related {
        name: String,
        relation: Relation,
        shape: Shape,
        chosen: Chosen,
        narrow: Option<usize>,
    },
    Special(String),
}

/// Who says what of the related records is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chosen {
    /// The selection around them, which sees all that it needs.
    ByQuery,
    /// Their own table.
    ByDefault,
}

impl Shape {
    /// How `select` shows the records of `table`; `joins` narrow the related records that are shown.
    pub(super) fn new(
        table: &Arc<Table>,
        select: Option<&Select>,
        joins: &[&Join],
    ) -> Result<Shape> {
        Shape::within(table, select, joins, 0)
    }

    fn within(
        table: &Arc<Table>,
        select: Option<&Select>,
        joins: &[&Join],
        depth: usize,
    ) -> Result<Shape> {
        let schema = table.schema();
        let select = match select {
            Some(select) => Some(select.clone()),
            None if depth > ENUMERABLE_DEPTH || schema.enumerable().next().is_none() => None,
            None => {
                let item = |name: &str| SelectItem { name: name.to_owned(), nested: None };
                let shown = schema.enumerable().map(|attribute| item(&attribute.name));
                Some(Select::Properties(std::iter::once(item("*")).chain(shown).collect()))
            }
        };
        let (mut added, mut names) = (Vec::new(), Vec::new());
        let mut all = select.is_none();
        for (name, nested) in select.iter().flat_map(Select::items) {
            all |= matches!(name, "*" | "$record");
            match schema.attribute(name).and_then(|attribute| attribute.derived.as_ref()) {
                Some(Derived::Relationship(relationship)) => {
                    let relation = Relation::open(table, relationship)?;
                    let narrow = joins.iter().position(|join| join.name == name);
                    let shape = Shape::within(&relation.target, nested, &[], depth + 1)?;
                    names.push(relation.own.clone());
                    let name = name.to_owned();
                    let chosen = if nested.is_some() { Chosen::ByQuery } else { Chosen::ByDefault };
                    added.push(Added::Related { name, relation, shape, chosen, narrow });
                }
                Some(Derived::Computed(_)) => {
                    names.extend(schema.inputs(name));
                    added.push(Added::Computed(name.to_owned()));
                }
                None if name.starts_with('$') => {
                    names.push(schema.primary_key.clone());
                    added.push(Added::Special(name.to_owned()));
                }
                None => names.push(name.to_owned()),
            }
        }
        let names = if all { Names::All } else { Names::Some(names) };
        Ok(Shape { schema, select, added, names })
    }

    /// Whether records are shown as they are stored.
    pub(super) fn is_plain(&self) -> bool {
        self.select.is_none()
    }

    /// The record as it is to be shown. Null where a single property is selected that it lacks.
    pub(super) fn show(
        &self,
        record: Record,
        joins: &[&Join],
        measure: Option<&Measure>,
        reader: &Reader<'_, '_>,
    ) -> Result<Item> {
        let Some(select) = &self.select else { return Ok(Item::Record(record)) };
        let map = self.gather(&record, joins, measure, reader)?;
        Ok(Item::Value(select.project_map(&map).unwrap_or_default()))
    }

    /// The value that a selection makes of the record; `None` is `undefined`.
    pub(super) fn value(&self, record: &Record, reader: &Reader<'_, '_>) -> Result<Option<Value>> {
        let map = self.gather(record, &[], None, reader)?;
        Ok(match &self.select {
            Some(select) => select.project_map(&map),
            None => Some(Value::Object(map)),
        })
    }

    /// The properties that the selection chooses from.
    fn gather(
        &self,
        record: &Record,
        joins: &[&Join],
        measure: Option<&Measure>,
        reader: &Reader<'_, '_>,
    ) -> Result<Map> {
        let measured = measure.filter(|_| self.wants("$distance"));
        let mut map = match &self.names {
            Names::All => record.to_map()?,
            Names::Some(names) => {
                let wanted = |name: &str| {
                    names.iter().any(|wanted| wanted == name)
                        || measured.is_some_and(|measure| measure.attribute == name)
                };
                msgpack::decode_properties(record.body(), wanted)
                    .map_err(|error| Error::internal(format!("damaged record: {error}")))?
            }
        };
        let mut values = Vec::with_capacity(self.added.len());
        for added in &self.added {
            let (name, value) = match added {
                Added::Computed(name) => (name, self.schema.value_of(name, &map)),
                Added::Special(name) => (name, self.special(name, record, &map, measured)),
                Added::Related { name, relation, shape, chosen, narrow } => {
                    let narrow = narrow.and_then(|at| joins.get(at)).copied();
                    (name, related(relation, (shape, *chosen), narrow, &map, reader)?)
                }
            };
            values.extend(value.map(|value| (name, value)));
        }
        for (name, value) in values {
            map.insert(name.clone(), value);
        }
        Ok(map)
    }

    fn wants(&self, special: &str) -> bool {
        self.added.iter().any(|added| matches!(added, Added::Special(name) if name == special))
    }

    fn special(
        &self,
        name: &str,
        record: &Record,
        map: &Map,
        measure: Option<&Measure>,
    ) -> Option<Value> {
        match name {
            "$id" => map.get(&self.schema.primary_key).cloned(),
            "$updatedtime" | "$updatedTime" => Some(Value::number(record.version().0)),
            "$expiresAt" => record.expires().map(Value::number),
            "$record" => Some(Value::Object(map.clone())),
            "$distance" => measure?.distance(map).map(Value::number),
            _ => None,
        }
    }
}

/// The related records as one value; `None` where a relationship to one leads to none.
fn related(
    relation: &Relation,
    (shape, chosen): (&Shape, Chosen),
    narrow: Option<&Join>,
    map: &Map,
    reader: &Reader<'_, '_>,
) -> Result<Option<Value>> {
    let mut shown = Vec::new();
    for found in relation.load(reader, map)? {
        let Some(record) = found else {
            shown.push(Value::Null);
            continue;
        };
        if let Some(join) = narrow
            && !join.narrow(&record, reader)?
        {
            continue;
        }
        shown.push(reader.within(relation.target.owner(), |reader| {
            let map = shape.gather(&record, &[], None, reader)?;
            Ok(match (&shape.select, chosen) {
                (Some(select), Chosen::ByDefault) => select.project_map(&map).unwrap_or_default(),
                (Some(_), Chosen::ByQuery) | (None, _) => Value::Object(map),
            })
        })?);
    }
    Ok(match relation.span {
        Span::One => shown.into_iter().next(),
        Span::Many => Some(Value::Array(shown)),
    })
}

/// One record as `select` shows it, outside of any search.
pub(crate) fn show_one(
    table: &Arc<Table>,
    record: &Record,
    select: Option<&Select>,
) -> Result<Option<Value>> {
    let shape = Shape::new(table, select, &[])?;
    Reader::open(table.owner(), |reader| shape.value(record, reader))
}

/// The value of an attribute for sorting: stored, computed, or of the first related record.
pub(super) fn sort_value(
    table: &Arc<Table>,
    path: &[String],
    record: &Record,
    reader: &Reader<'_, '_>,
) -> Result<Value> {
    let Some((first, rest)) = path.split_first() else { return Ok(Value::Null) };
    let schema = table.schema();
    if let Some(relationship) = schema.relationship(first)
        && !rest.is_empty()
    {
        let relation = Relation::open(table, relationship)?;
        let own = decode(record, &[relation.own.clone()])?;
        let found = relation.load(reader, &own)?.into_iter().flatten().next();
        let Some(related) = found else { return Ok(Value::Null) };
        return reader.within(relation.target.owner(), |reader| {
            sort_value(&relation.target, rest, &related, reader)
        });
    }
    let map = decode(record, &schema.inputs(first))?;
    let value = schema.value_of(first, &map).unwrap_or_default();
    Ok(rest.iter().try_fold(&value, |value, name| value.get(name)).cloned().unwrap_or_default())
}

fn decode(record: &Record, names: &[String]) -> Result<Map> {
    msgpack::decode_properties(record.body(), |name| names.iter().any(|wanted| wanted == name))
        .map_err(|error| Error::internal(format!("damaged record: {error}")))
}
