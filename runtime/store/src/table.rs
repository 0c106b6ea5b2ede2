//! One table: where its records are, what its schema says now, and how it is read.
//!
//! A table is shared (`Arc`) by everyone who serves it and outlives changes of its schema: those swap
//! its [`Definition`]. Only the writer's thread does that, between two batches, so that every write
//! is planned with exactly the indexes that exist.

mod bulk;
mod cache;
mod generated_id;
mod kept_response;
mod related_rights;
mod resource;
mod rights;
mod size;

pub use size::Counting;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::{ArcSwap, ArcSwapOption};
use kora_hub::TableKey;
use kora_resource::query::Select;
use kora_resource::schema::{TableName, TableSchema};
use kora_resource::{Error, Id, Map, Query, Record, Result, Seq, Value};
use parking_lot::Mutex;

use crate::Store;
use crate::catalog::{IndexKind, IndexState, TableEntry};
use crate::clock;
use crate::database::Database;
use crate::keys::encode_id;
use crate::layout::{Header, TableId, read_record, record_key};
use crate::search::{Overlay, Search};
use crate::subscription::{Subscribe, Subscription};

pub(crate) use cache::INVALIDATED;
pub use cache::{Cached, Origin};
use cache::{Caching, Flights};

/// A table of one database.
pub struct Table {
    database: Arc<Database>,
    /// Where the tables are that relationships lead to.
    store: Weak<Store>,
    name: String,
    id: TableId,
    key: TableKey,
    definition: ArcSwap<Definition>,
    /// The position of the last change that was applied, committed or about to be; 0 since the start.
    last_change: AtomicU64,
    /// The last generated numeric key.
    generated: Mutex<Option<i64>>,
    /// The indexes that a thread is building.
    builds: Mutex<Vec<u32>>,
    /// Where missing records come from.
    caching: ArcSwapOption<Caching>,
    flights: Flights,
}

/// What a table is at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    pub schema: Arc<TableSchema>,
    pub indexes: Vec<IndexState>,
}

impl Definition {
    /// Whether the host writes attributes of this table by itself.
    pub(crate) fn assigns_times(&self) -> bool {
        self.schema.attributes.iter().any(|attribute| attribute.assigned.is_some())
    }

    /// The index of an attribute's values in order.
    pub(crate) fn index(&self, attribute: &str) -> Option<&IndexState> {
        self.indexes
            .iter()
            .find(|index| index.attribute == attribute && index.kind == IndexKind::Ordered)
    }

    /// The index for the nearest vectors of an attribute.
    pub(crate) fn vector_index(&self, attribute: &str) -> Option<&IndexState> {
        self.indexes
            .iter()
            .find(|index| index.attribute == attribute && index.kind == IndexKind::Vectors)
    }

    /// Puts the key where it belongs: the id that is written to wins over what the record says.
    pub(crate) fn key_first(&self, record: &mut Map, id: &Id) {
        let name = &self.schema.primary_key;
        match record.get_mut(name) {
            Some(key) => *key = id.to_value(),
            None => drop(record.shift_insert(0, name.clone(), id.to_value())),
        }
    }
}

impl Table {
    pub(crate) fn new(
        database: Arc<Database>,
        store: Weak<Store>,
        key: TableKey,
        schema: Arc<TableSchema>,
        entry: &TableEntry,
    ) -> Arc<Table> {
        Arc::new(Table {
            database,
            store,
            name: schema.table.clone(),
            id: entry.id,
            key,
            definition: ArcSwap::from_pointee(Definition {
                schema,
                indexes: entry.indexes.clone(),
            }),
            last_change: AtomicU64::new(0),
            generated: Mutex::new(None),
            builds: Mutex::default(),
            caching: ArcSwapOption::empty(),
            flights: Flights::default(),
        })
    }

    /// The schema as it is now.
    pub fn schema(&self) -> Arc<TableSchema> {
        Arc::clone(&self.definition.load().schema)
    }

    /// The name of the table's database.
    pub fn database(&self) -> &str {
        self.database.name()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The record with this key; `None` if there is none or its time is over. Synchronous: one
    /// lookup in the map and one copy of the record.
    pub fn get(&self, id: &Id) -> Result<Option<Record>> {
        let key = encode_id(id)?;
        self.database.environment().read(|txn, trees| {
            let stored = trees.records.get(txn, &record_key(self.id, &key));
            match stored.map_err(crate::StoreError::from)? {
                None => Ok(None),
                Some(bytes) => visible_record(bytes),
            }
        })
    }

    /// Whether there is a record with this key whose time is not over.
    pub fn exists(&self, id: &Id) -> Result<bool> {
        let key = encode_id(id)?;
        self.database.environment().read(|txn, trees| {
            let stored = trees.records.get(txn, &record_key(self.id, &key));
            let stored = stored.map_err(crate::StoreError::from)?.and_then(Header::read);
            Ok(stored.is_some_and(|header| !header.is_expired(clock::now)))
        })
    }

    /// Begins a search; nothing is read yet. 404 for an unknown attribute, 503 for an index that is
    /// not complete (`spec/harper-rest.md` section 4).
    pub fn search(self: &Arc<Self>, query: Query) -> Result<Search> {
        Search::new(Arc::clone(self), query, Overlay::default())
    }

    /// Subscribes: the current records (unless omitted), then every change, without gap or
    /// duplicate (`spec/harper-realtime.md` section 3).
    pub fn subscribe(self: &Arc<Self>, options: Subscribe) -> Result<Subscription> {
        Subscription::new(self, options)
    }

    /// The key that a text from a URL stands for; 400 if it does not fit the key's type.
    pub fn coerce_id(&self, text: &str) -> Result<Id> {
        self.schema().coerce_id(text)
    }

    /// The epoch of the change log that this table's events stand in.
    pub fn epoch(&self) -> kora_resource::Epoch {
        self.database.epoch()
    }

    /// Whether every index of the table is complete.
    pub fn indexes_complete(&self) -> bool {
        let complete = |index: &IndexState| index.progress == crate::catalog::Progress::Complete;
        self.definition.load().indexes.iter().all(complete)
    }

    /// The table that a relationship leads to. 500 if no schema has declared it.
    pub(crate) fn sibling(&self, name: &TableName) -> Result<Arc<Table>> {
        let store = self.store.upgrade().ok_or(crate::StoreError::Closed)?;
        store.table(&name.database, &name.table).ok_or_else(|| {
            Error::internal(format!(
                "A relationship of {} leads to table {} in database {}, which no schema declares",
                self.name, name.table, name.database
            ))
        })
    }

    /// The record as a selection shows it, or with what its schema shows without being asked;
    /// `None` is `undefined`.
    pub fn show(
        self: &Arc<Self>,
        record: &Record,
        select: Option<&Select>,
    ) -> Result<Option<Value>> {
        crate::search::show_one(self, record, select)
    }

    /// Whether records are shown with derived attributes that nobody has selected.
    pub fn shows_derived(&self) -> bool {
        self.definition.load().schema.enumerable().next().is_some()
    }

    pub(crate) fn id(&self) -> TableId {
        self.id
    }

    /// Called by the writer: a change at this position is applied.
    pub(crate) fn changed(&self, at: Seq) {
        self.last_change.fetch_max(at.0, Ordering::Relaxed);
    }

    /// The position of the last change that the writer has applied since the start. For the writer: others may see it
    /// before they see the change.
    pub(crate) fn last_change(&self) -> Seq {
        Seq(self.last_change.load(Ordering::Relaxed))
    }

    pub(crate) fn key(&self) -> TableKey {
        self.key
    }

    pub(crate) fn owner(&self) -> &Arc<Database> {
        &self.database
    }

    pub(crate) fn definition(&self) -> Arc<Definition> {
        self.definition.load_full()
    }

    /// Whether the caller is the one to build this index.
    pub(crate) fn claim_build(&self, index: u32) -> bool {
        let mut builds = self.builds.lock();
        let free = !builds.contains(&index);
        if free {
            builds.push(index);
        }
        free
    }

    pub(crate) fn release_build(&self, index: u32) {
        self.builds.lock().retain(|building| *building != index);
    }

    /// Only the writer's thread, after the commit of the change.
    pub(crate) fn redefine(&self, definition: Definition) {
        self.definition.store(Arc::new(definition));
    }
}

/// A stored record, unless its time is over.
pub(crate) fn visible_record(bytes: &[u8]) -> Result<Option<Record>> {
    let damaged = || Error::internal("damaged record");
    let header = Header::read(bytes).ok_or_else(damaged)?;
    if header.is_expired(clock::now) {
        return Ok(None);
    }
    read_record(bytes).map(Some).ok_or_else(damaged)
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table")
            .field("database", &self.database())
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
