//! Searches by distance from a vector (`spec/harper-schema.md` section 12).
//!
//! Where an index of vectors can answer, it is asked for candidates in the order of their distance,
//! more and more of them until enough satisfy the other conditions. Where those leave few records
//! anyway, or the index has been asked in vain, the distances of all that match are worked out.

use kora_resource::query::{Comparator, Compare, Nearest};
use kora_resource::schema::{Distance, TableSchema, VectorIndex};
use kora_resource::{Error, Map, Record, Result};

use super::predicate::Predicate;
use super::reader::Reader;
use crate::catalog::Progress;
use crate::keys::Key;
use crate::layout::record_key;
use crate::table::{Definition, visible_record};
use crate::vector::{Graph, between, vector_of};
use crate::{StoreError, Table};

/// Past so many candidates, working out every distance costs less.
const MAX_CANDIDATES: usize = 20_000;

/// From where distances are measured, and how.
#[derive(Debug, Clone)]
pub(super) struct Measure {
    pub attribute: String,
    target: Vec<f32>,
    distance: Distance,
    ef: Option<usize>,
}

impl Measure {
    pub(super) fn of_condition(schema: &TableSchema, compare: &Compare) -> Result<Measure> {
        let target = compare.target.clone().unwrap_or_default();
        Measure::new(schema, &compare.attribute, target, None, None)
    }

    pub(super) fn of_sort(
        schema: &TableSchema,
        attribute: &[String],
        nearest: &Nearest,
    ) -> Result<Measure> {
        Measure::new(schema, attribute, nearest.target.clone(), nearest.distance, nearest.ef)
    }

    fn new(
        schema: &TableSchema,
        path: &[String],
        target: Vec<f32>,
        distance: Option<Distance>,
        ef: Option<usize>,
    ) -> Result<Measure> {
        let [attribute] = path else {
            let name = path.join(".");
            return Err(Error::invalid(format!("The distance of {name} can not be measured")));
        };
        let index = schema.attribute(attribute).and_then(|attribute| attribute.vector.as_ref());
        let distance = distance.or(index.map(|index| index.distance)).unwrap_or_default();
        Ok(Measure { attribute: attribute.clone(), target, distance, ef })
    }

    /// How far the record's vector is; `None` if it has none of as many numbers.
    pub(super) fn distance(&self, record: &Map) -> Option<f64> {
        let vector = vector_of(record.get(&self.attribute)?)?;
        (vector.len() == self.target.len())
            .then(|| between(self.distance, &vector, &self.target).into())
    }

    pub(super) fn admits(&self, record: &Map, compare: &Compare) -> bool {
        self.distance(record).is_some_and(|distance| admits(distance, compare))
    }
}

fn admits(distance: f64, compare: &Compare) -> bool {
    let Some(bound) = compare.value.as_f64() else { return false };
    if compare.comparator == Comparator::Less { distance < bound } else { distance <= bound }
}

/// How many of the nearest are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'w> {
    /// So many.
    Count(usize),
    /// As many as the index weighs.
    Natural,
    /// All within a distance.
    Within(&'w Compare),
}

/// The records of `table` nearest to the measure's target that satisfy `predicate`, the nearest
/// first. `None` where the index can't tell: another way is needed.
pub(super) fn find(
    table: &Table,
    definition: &Definition,
    measure: &Measure,
    predicate: &Predicate,
    wanted: Wanted<'_>,
) -> Result<Option<Vec<(Key, Record)>>> {
    let Some((index, options)) = usable(definition, measure)? else { return Ok(None) };
    Reader::open(table.owner(), |reader| {
        let graph =
            Graph::new(reader.trees.indexes, index, options, table.owner().vectors().of(index));
        let Some(meta) = graph.meta(reader.txn)? else { return Ok(Some(Vec::new())) };
        if measure.target.len() != meta.dimensions as usize {
            return Err(Error::invalid(format!(
                "The target has {} numbers, the vectors of {} have {}",
                measure.target.len(),
                measure.attribute,
                meta.dimensions
            )));
        }
        let count = meta.count as usize;
        let mut ef = measure.ef.unwrap_or_else(|| graph.default_ef(&meta)).max(1);
        if let Wanted::Count(wanted) = wanted {
            ef = ef.max(wanted);
        }
        loop {
            if ef > MAX_CANDIDATES && !matches!(wanted, Wanted::Natural) {
                return Ok(None);
            }
            let candidates = graph.search(reader.txn, &measure.target, ef)?;
            let exhausted = candidates.len() < ef || ef >= count;
            let beyond = match (wanted, candidates.last()) {
                (Wanted::Within(compare), Some((last, _))) => !admits((*last).into(), compare),
                _ => false,
            };
            let mut found = Vec::new();
            for (_, id) in candidates {
                // The closest come first: what follows is not wanted.
                if matches!(wanted, Wanted::Count(wanted) if found.len() >= wanted) {
                    break;
                }
                let place = record_key(table.id(), &id);
                let stored = reader.trees.records.get(reader.txn, &place);
                let Some(bytes) = stored.map_err(StoreError::from)? else { continue };
                let Some(record) = visible_record(bytes)? else { continue };
                if predicate.matches(&record, reader)? {
                    found.push((id, record));
                }
            }
            let enough = match wanted {
                Wanted::Count(wanted) => found.len() >= wanted,
                Wanted::Natural => !found.is_empty(),
                Wanted::Within(_) => beyond,
            };
            if enough || exhausted {
                return Ok(Some(found));
            }
            ef *= 4;
        }
    })
}

/// The number and the options of the index that measures as is asked. 503 while it is built.
fn usable<'d>(
    definition: &'d Definition,
    measure: &Measure,
) -> Result<Option<(u32, &'d VectorIndex)>> {
    let Some(index) = definition.vector_index(&measure.attribute) else { return Ok(None) };
    let attribute = definition.schema.attribute(&measure.attribute);
    let Some(options) = attribute.and_then(|attribute| attribute.vector.as_ref()) else {
        return Ok(None);
    };
    if options.distance != measure.distance {
        return Ok(None);
    }
    if index.progress != Progress::Complete {
        return Err(Error::unavailable(format!(
            "\"{}\" is not indexed yet, can not search for this attribute",
            measure.attribute
        )));
    }
    Ok(Some((index.id, options)))
}
