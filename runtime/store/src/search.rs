//! Searches: chosen access path, filter, order, projection, in short batches.
//!
//! A search runs on its caller's thread. When it begins it reads what it needs to choose its way:
//! estimates, the keys of a join, the nearest vectors. Each step is one read transaction over a
//! bounded number of entries that ends before the step does; the next begins after the last key. So
//! no search keeps a reader alive, and each batch sees what is committed by then: a record that moves
//! in the index meanwhile may be missed or seen twice, never torn. A result that must be sorted in
//! memory is bounded, and so is what one search may look at; past a bound it is a 400 in words.

mod access;
mod items;
mod join;
mod nearest;
mod planner;
mod predicate;
mod reader;
mod relation;
mod shape;
mod sorted;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use kora_resource::query::{Condition, Direction, Explain, Sort};
use kora_resource::{Error, Item, Items, Map, Query, Record, Result, Seq, Value};

use crate::Table;
use crate::keys::Key;
use crate::reads::Reads;
use crate::table::{Definition, visible_record};
use access::{Access, IdFilter, Place, Repeats};
use nearest::{Measure, Wanted};
use predicate::Predicate;
use reader::Reader;
use shape::Shape;
use sorted::Sorted;

pub(crate) use shape::{ENUMERABLE_DEPTH, show_one};

/// How many entries one step looks at: well under a millisecond of work.
const STEP: usize = 256;
/// Where other conditions leave so few records, the distances of all are worked out.
const FEW: usize = 1000;

/// A transaction's own changes to the table, over what is stored.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    records: BTreeMap<Key, Option<Record>>,
    reads: Option<Reads>,
    /// Where the log was before the search began, if that is to be noted with what it reads.
    since: Option<Seq>,
}

impl Overlay {
    /// An overlay for a transaction that wants to know what is read.
    pub(crate) fn noting(reads: Reads, since: Option<Seq>) -> Overlay {
        Overlay { records: BTreeMap::new(), reads: Some(reads), since }
    }

    /// What the transaction makes of a record: `None` if it deletes it.
    pub(crate) fn insert(&mut self, key: Key, record: Option<Record>) {
        self.records.insert(key, record);
    }
}

/// One search in progress.
#[derive(Debug)]
pub struct Search {
    table: Arc<Table>,
    access: Access,
    place: Place,
    ids: IdFilter,
    /// Whether all that is stored on the way satisfies the conditions by itself.
    leads_exactly: bool,
    predicate: Predicate,
    shape: Shape,
    /// From where `$distance` is measured.
    measure: Option<Measure>,
    /// Results are collected here and sorted, where the access path does not give the order.
    sorted: Option<Sorted>,
    /// What was found by one of several paths.
    seen: HashSet<Key>,
    overlay: Overlay,
    /// Found, not handed out yet.
    ready: VecDeque<Record>,
    /// How many results are still to be left out.
    skip: usize,
    /// How many results are still wanted.
    wanted: usize,
    /// How many entries were looked at.
    looks: usize,
    ended: bool,
    /// What it was asked and how it goes about it, if that is asked.
    explanation: Value,
}

impl Search {
    /// Begins a search as a client asked for it.
    pub(crate) fn new(table: Arc<Table>, query: Query, overlay: Overlay) -> Result<Search> {
        Search::begin(table, query, overlay)
    }

    fn begin(table: Arc<Table>, mut query: Query, overlay: Overlay) -> Result<Search> {
        let definition = table.definition();
        query.coerce(&definition.schema)?;
        let mut predicate = Predicate::compile(&table, &query)?;
        let leads = join::lead(&mut predicate)?;
        let plan = planner::plan(&query, &leads, &definition, &table)?;
        let shape = Shape::new(&table, query.select.as_ref(), &predicate.joins())?;
        let measure = measure(&query, &definition, &predicate)?;
        let explanation = match query.explain {
            Explain::Plan => explain(&query, &plan, &shape, &definition),
            Explain::Results => Value::Null,
        };
        let leads_exactly = leads_exactly(&query, &plan.access);
        let mut search = Search {
            place: Place::default(),
            ids: IdFilter::new(query.id_prefix.as_ref())?,
            access: plan.access,
            leads_exactly,
            predicate,
            shape,
            measure,
            sorted: None,
            seen: HashSet::new(),
            overlay,
            ready: VecDeque::new(),
            skip: query.offset,
            wanted: query.limit.unwrap_or(usize::MAX),
            looks: 0,
            ended: query.limit == Some(0),
            explanation,
            table,
        };
        if !search.ended && !search.find_nearest(&query, &definition, plan.estimate)? {
            search.prepare_order(&query, &definition)?;
        }
        Ok(search)
    }

    /// Whether an index of vectors has answered the whole search.
    fn find_nearest(
        &mut self,
        query: &Query,
        definition: &Definition,
        estimate: Option<usize>,
    ) -> Result<bool> {
        let Some(measure) = &self.measure else { return Ok(false) };
        let own_changes = !self.overlay.records.is_empty();
        // A key, or few records: their distances are soon worked out.
        let few = match estimate {
            Some(count) => count < FEW,
            None => !self.access.is_full_scan() && !query.conditions.is_empty(),
        };
        if own_changes || few || self.ids.narrows() {
            return Ok(false);
        }
        let by_distance = query.sort.first().is_some_and(|sort| sort.nearest.is_some());
        let within = self.predicate.within().map(|(_, compare)| compare);
        let wanted = match (by_distance, query.limit, within) {
            (true, Some(limit), _) if query.sort.len() == 1 => {
                Wanted::Count(limit.saturating_add(query.offset))
            }
            (true, None, None) if query.sort.len() == 1 => Wanted::Natural,
            (_, _, Some(compare))
                if query.sort.is_empty() || by_distance && query.sort.len() == 1 =>
            {
                Wanted::Within(compare)
            }
            _ => return Ok(false),
        };
        if by_distance
            && query.sort.first().is_some_and(|sort| sort.direction == Direction::Descending)
        {
            return Ok(false);
        }
        let found = nearest::find(&self.table, definition, measure, &self.predicate, wanted)?;
        let Some(found) = found else { return Ok(false) };
        for (id, record) in found {
            self.found(id, record, Vec::new())?;
        }
        self.ended = true;
        Ok(true)
    }

    /// Sets up what sorts the results, if the way to them does not.
    fn prepare_order(&mut self, query: &Query, definition: &Definition) -> Result<()> {
        let bound = query.limit.and_then(|limit| limit.checked_add(query.offset));
        let ordered = self.access.gives_order(&query.sort, &definition.schema.primary_key);
        // A transaction's own records have no place in the stored order: merge by sorting.
        if ordered && self.overlay.records.is_empty() {
            return Ok(());
        }
        let sort = if query.sort.is_empty() { self.access.order() } else { query.sort.clone() };
        self.sorted = Some(Sorted::new(sort, bound));
        let own = self.overlay.records.iter();
        let own = own.filter_map(|(id, record)| Some((id.clone(), record.clone()?)));
        let own: Vec<_> = own.filter(|(id, _)| self.ids.admits(id)).collect();
        let table = Arc::clone(&self.table);
        let found = Reader::open(table.owner(), |reader| {
            let mut found = Vec::new();
            for (id, record) in own {
                if self.predicate.matches(&record, reader)? {
                    let keys = self.sort_keys(&record, reader)?;
                    found.push((id, record, keys));
                }
            }
            Ok(found)
        })?;
        if let Some(sorted) = &mut self.sorted {
            for (id, record, keys) in found {
                sorted.push(id, record, keys)?;
            }
        }
        Ok(())
    }

    /// The next results, at most `rows`, fewer only at the end; empty when there are no more. Does
    /// not return before it has them: for threads that may work for a while.
    pub fn next_batch(&mut self, rows: usize) -> Result<Vec<Item>> {
        while self.ready.len() < rows && !self.ended {
            self.step()?;
        }
        self.take(rows)
    }

    /// The results as a stream that does bounded work each time it is polled.
    pub fn into_items(self) -> Items {
        Box::pin(items::SearchItems::new(self))
    }

    /// How the search goes about it: `{conditions, operator, postOrdering, selectApplied, access}`
    /// (`spec/harper-resources.md` section 6, `explain`); null for a query that did not ask for it.
    pub fn explain(&self) -> &Value {
        &self.explanation
    }

    /// Whether all that is still to come is at hand.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    fn is_drained(&self) -> bool {
        self.ready.is_empty()
    }

    fn drain(&mut self) -> Vec<Record> {
        self.ready.drain(..).collect()
    }

    fn looks(&self) -> usize {
        self.looks
    }

    /// The next results, undecoded and unselected; as [`Search::next_batch`].
    pub(crate) fn next_records(&mut self, rows: usize) -> Result<Vec<Record>> {
        while self.ready.len() < rows && !self.ended {
            self.step()?;
        }
        let rows = rows.min(self.ready.len());
        Ok(self.ready.drain(..rows).collect())
    }

    /// Takes results that are ready.
    pub(crate) fn take(&mut self, rows: usize) -> Result<Vec<Item>> {
        let rows = rows.min(self.ready.len());
        let ready: Vec<Record> = self.ready.drain(..rows).collect();
        if self.shape.is_plain() {
            return Ok(ready.into_iter().map(Item::Record).collect());
        }
        if ready.is_empty() {
            return Ok(Vec::new());
        }
        let joins = self.predicate.joins();
        Reader::open(self.table.owner(), |reader| {
            let show = |record| self.shape.show(record, &joins, self.measure.as_ref(), reader);
            ready.into_iter().map(show).collect()
        })
    }

    /// Looks at up to [`STEP`] entries in one read transaction.
    pub(crate) fn step(&mut self) -> Result<()> {
        let table = Arc::clone(&self.table);
        let limit = table.owner().scan_limit();
        if self.looks >= limit {
            return Err(Error::invalid(format!(
                "The query has looked at {limit} records, the most that one may: add a condition on \
                 an indexed attribute, or a limit"
            )));
        }
        let mut place = self.place.clone();
        let mut looks = 0;
        let (more, found) = Reader::open(table.owner(), |reader| {
            let mut found = Vec::new();
            let more =
                self.access.visit(&mut place, STEP, reader.txn, reader.trees, |id, bytes| {
                    looks += 1;
                    if !self.ids.admits(id) || self.overlay.records.contains_key(id) {
                        return Ok(());
                    }
                    let Some(record) = visible_record(bytes)? else { return Ok(()) };
                    if self.leads_exactly || self.predicate.matches(&record, reader)? {
                        let keys = self.sort_keys(&record, reader)?;
                        found.push((Key::from_slice(id), record, keys));
                    }
                    Ok(())
                })?;
            Ok((more, found))
        })?;
        self.place = place;
        // Entries that lead to records found before count, too.
        self.looks += looks.max(1);
        for (id, record, keys) in found {
            if self.access.repeats() == Repeats::Possible && !self.seen.insert(id.clone()) {
                continue;
            }
            self.found(id, record, keys)?;
        }
        if !more && !self.ended {
            self.finish();
        }
        Ok(())
    }

    /// The values that a result is sorted by; none if it need not be.
    fn sort_keys(&self, record: &Record, reader: &Reader<'_, '_>) -> Result<Vec<Value>> {
        let Some(sorted) = &self.sorted else { return Ok(Vec::new()) };
        let key = |sort: &Sort| match (&sort.nearest, &self.measure) {
            (Some(_), Some(measure)) => {
                let wanted = |name: &str| name == measure.attribute;
                let map = kora_resource::value::msgpack::decode_properties(record.body(), wanted)
                    .map_err(|error| Error::internal(format!("damaged record: {error}")))?;
                // What has no distance is farther than all that has one.
                Ok(Value::Float(measure.distance(&map).unwrap_or(f64::INFINITY)))
            }
            _ => shape::sort_value(&self.table, &sort.attribute, record, reader),
        };
        sorted.by().iter().map(key).collect()
    }

    fn found(&mut self, id: Key, record: Record, keys: Vec<Value>) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        if let Some(reads) = &self.overlay.reads {
            reads.note(&self.table, &id, Some(record.version()), self.overlay.since);
        }
        match &mut self.sorted {
            Some(sorted) => sorted.push(id, record, keys),
            None => {
                self.emit(record);
                Ok(())
            }
        }
    }

    fn emit(&mut self, record: Record) {
        if self.skip > 0 {
            self.skip -= 1;
        } else if self.wanted > 0 {
            self.wanted -= 1;
            self.ready.push_back(record);
        }
        self.ended |= self.wanted == 0;
    }

    fn finish(&mut self) {
        if let Some(sorted) = self.sorted.take() {
            for record in sorted.into_records() {
                self.emit(record);
            }
        }
        self.ended = true;
    }
}

/// Whether the way leads to exactly the records that the query's only condition wants.
fn leads_exactly(query: &Query, access: &Access) -> bool {
    match query.conditions.as_slice() {
        [Condition::Compare(compare)] => access.is_exact(compare),
        _ => false,
    }
}

/// From where the query measures distances: for its order, else for a condition.
fn measure(
    query: &Query,
    definition: &Definition,
    predicate: &Predicate,
) -> Result<Option<Measure>> {
    let sort = query.sort.iter().find_map(|sort| Some((sort, sort.nearest.as_ref()?)));
    match sort {
        Some((sort, nearest)) => {
            Measure::of_sort(&definition.schema, &sort.attribute, nearest).map(Some)
        }
        None => Ok(predicate.within().map(|(measure, _)| measure.clone())),
    }
}

/// The answer to `explain`.
fn explain(query: &Query, plan: &planner::Plan, shape: &Shape, definition: &Definition) -> Value {
    use kora_resource::query::Operator;
    fn conditions(list: &[Condition]) -> Value {
        let each = list.iter().map(|condition| match condition {
            Condition::Compare(compare) => Value::Object(Map::from_iter([
                ("attribute".to_owned(), Value::from(compare.attribute.join("."))),
                ("comparator".to_owned(), Value::from(compare.comparator.name())),
                ("value".to_owned(), compare.value.clone()),
            ])),
            Condition::Group { operator, conditions: inner } => Value::Object(Map::from_iter([
                ("operator".to_owned(), name_of(*operator)),
                ("conditions".to_owned(), conditions(inner)),
            ])),
        });
        Value::Array(each.collect())
    }
    fn name_of(operator: Operator) -> Value {
        Value::from(match operator {
            Operator::And => "and",
            Operator::Or => "or",
        })
    }
    let ordered = plan.access.gives_order(&query.sort, &definition.schema.primary_key);
    let sort_key = |sort: &Sort| {
        Value::Object(Map::from_iter([
            ("attribute".to_owned(), Value::from(sort.attribute.join("."))),
            ("descending".to_owned(), Value::Bool(sort.direction == Direction::Descending)),
        ]))
    };
    let post_ordering =
        if ordered { Value::Null } else { Value::Array(query.sort.iter().map(sort_key).collect()) };
    let estimate = plan.estimate.map_or(Value::Null, |count| Value::from(count as i64));
    Value::Object(Map::from_iter([
        ("conditions".to_owned(), conditions(&query.conditions)),
        ("operator".to_owned(), name_of(query.operator)),
        ("postOrdering".to_owned(), post_ordering),
        ("selectApplied".to_owned(), Value::Bool(!shape.is_plain())),
        ("access".to_owned(), Value::from(plan.access.describe())),
        ("estimatedCount".to_owned(), estimate),
    ]))
}
