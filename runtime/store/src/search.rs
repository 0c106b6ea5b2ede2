//! Searches: chosen access path, filter, order, projection, in short batches.
//!
//! A search runs on its caller's thread and reads nothing before it is asked to. Each step is one
//! read transaction over a bounded number of entries that ends before the step does; the next begins
//! after the last key. So no search keeps a reader alive, and each batch sees what is committed by
//! then: a record that moves in the index meanwhile may be missed or seen twice, never torn.
//! A result that must be sorted in memory is bounded; past the bound it is a 400 in words.

mod access;
mod items;
mod sorted;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use kora_resource::query::{Filter, Select};
use kora_resource::{Item, Items, Query, Record, Result};

use crate::Table;
use crate::keys::Key;
use crate::table::visible_record;
use crate::write_set::Reads;
use access::{Access, Cursor, IdFilter, Source};
use sorted::Sorted;

/// How many entries one step looks at: well under a millisecond of work.
const STEP: usize = 256;

/// A transaction's own changes to the table, over what is stored.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    records: BTreeMap<Key, Option<Record>>,
    reads: Option<Reads>,
}

impl Overlay {
    /// An overlay for a transaction that wants to know what is read.
    pub(crate) fn noting(reads: Reads) -> Overlay {
        Overlay { records: BTreeMap::new(), reads: Some(reads) }
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
    primary_key: String,
    access: Access,
    cursor: Cursor,
    ids: IdFilter,
    filter: Filter,
    select: Option<Select>,
    /// Results are collected here and sorted, where the access path does not give the order.
    sorted: Option<Sorted>,
    overlay: Overlay,
    /// Found, not handed out yet.
    ready: VecDeque<Record>,
    /// How many results are still to be left out.
    skip: usize,
    /// How many results are still wanted.
    wanted: usize,
    ended: bool,
}

impl Search {
    pub(crate) fn new(table: Arc<Table>, mut query: Query, overlay: Overlay) -> Result<Search> {
        let definition = table.definition();
        query.coerce(&definition.schema)?;
        let access = Access::choose(&query, &definition, table.id())?;
        let ordered = access.gives_order(&query.sort, &definition.schema.primary_key);
        let bound = query.limit.and_then(|limit| limit.checked_add(query.offset));
        // A transaction's own records have no place in the stored order: merge by sorting.
        let sorted = (!ordered || !overlay.records.is_empty()).then(|| {
            let sort = if query.sort.is_empty() { access.order() } else { query.sort.clone() };
            Sorted::new(sort, bound)
        });
        let mut search = Search {
            table,
            primary_key: definition.schema.primary_key.clone(),
            cursor: access.begin(),
            access,
            ids: IdFilter::new(query.id_prefix.as_ref())?,
            filter: query.filter(),
            select: query.select,
            sorted,
            overlay,
            ready: VecDeque::new(),
            skip: query.offset,
            wanted: query.limit.unwrap_or(usize::MAX),
            ended: query.limit == Some(0),
        };
        search.add_overlay()?;
        Ok(search)
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

    /// Whether all that is still to come is at hand.
    pub(crate) fn ended(&self) -> bool {
        self.ended
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
        ready.into_iter().map(|record| self.project(record)).collect()
    }

    fn project(&self, record: Record) -> Result<Item> {
        Ok(match &self.select {
            None => Item::Record(record),
            Some(select) => {
                Item::Value(select.project(&record, &self.primary_key)?.unwrap_or_default())
            }
        })
    }

    /// Looks at up to [`STEP`] entries in one read transaction.
    pub(crate) fn step(&mut self) -> Result<()> {
        let mut found = Vec::new();
        let table = Arc::clone(&self.table);
        let more = table.owner().environment().read(|txn, trees| {
            self.access.visit(&mut self.cursor, STEP, txn, trees, |id, bytes, entry| {
                if !self.ids.admits(id) || self.overlay.records.contains_key(id) {
                    return Ok(());
                }
                let Some(record) = visible_record(bytes)? else { return Ok(()) };
                let first = match (&self.access.source, entry) {
                    (Source::Index(index), Some(entry)) => {
                        index.is_first_entry(entry, &record, id, &self.access)?
                    }
                    (Source::Records | Source::Index(_), _) => true,
                };
                if first && self.filter.matches(&record)? {
                    found.push((Key::from_slice(id), record));
                }
                Ok::<_, kora_resource::Error>(())
            })
        })?;
        for (id, record) in found {
            self.found(id, record)?;
        }
        if !more && !self.ended {
            self.finish();
        }
        Ok(())
    }

    fn found(&mut self, id: Key, record: Record) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        if let Some(reads) = &self.overlay.reads {
            reads.note(self.table.id(), &id, Some(record.version()));
        }
        match &mut self.sorted {
            Some(sorted) => sorted.push(id, record),
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

    fn add_overlay(&mut self) -> Result<()> {
        let own = self.overlay.records.iter();
        let own = own.filter_map(|(id, record)| Some((id.clone(), record.clone()?)));
        for (id, record) in own.collect::<Vec<_>>() {
            if let Some(sorted) = &mut self.sorted
                && self.ids.admits(&id)
                && self.filter.matches(&record)?
            {
                sorted.push(id, record)?;
            }
        }
        Ok(())
    }
}
