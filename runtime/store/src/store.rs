//! All databases below one data directory, and the lock on it.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kora_hub::Hub;
use kora_resource::schema::TableSchema;
use parking_lot::{Mutex, RwLock};

use crate::blobs::{Blobs, Sync};
use crate::database::Database;
use crate::expiration::Sweeper;
use crate::retention::Compactor;
use crate::schema_change;
use crate::source::{Lifetime, Source};
use crate::vector::Room;
use crate::{Durability, StoreError, StoreOptions, Table, Transaction};

/// The file whose lock says that a process uses the directory. It stays when the process ends; the
/// lock does not.
const LOCK_FILE: &str = "kora.lock";

/// The databases of one data directory; no other process can open them meanwhile.
pub struct Store {
    directory: PathBuf,
    options: StoreOptions,
    blobs: Arc<Blobs>,
    vector_room: Room,
    hub: Arc<Hub>,
    /// Schema changes come one at a time.
    changing: Mutex<()>,
    state: RwLock<State>,
    closing: Arc<AtomicBool>,
    sweeper: Sweeper,
    compactor: Compactor,
    /// Holds the directory's lock; last, so that it is given up after everything else.
    _lock: File,
}

#[derive(Default)]
struct State {
    databases: HashMap<String, Arc<Database>>,
    /// In the order of their first appearance: a table's place is its number in the hub.
    tables: Vec<Arc<Table>>,
}

impl Store {
    /// Opens the directory, making it if need be, and takes its lock. Databases in it are opened
    /// when a schema names them.
    pub fn open(directory: &Path, options: StoreOptions) -> Result<Arc<Store>, StoreError> {
        let unusable =
            |error| StoreError::Directory { path: directory.to_owned(), source: Arc::new(error) };
        std::fs::create_dir_all(directory).map_err(unusable)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(directory.join(LOCK_FILE))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { path: directory.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let sweeper = Sweeper::start(options.cache_size).map_err(unusable)?;
        let sync = match options.durability {
            Durability::Full => Sync::Always,
            Durability::Interval(_) => Sync::Never,
        };
        let blobs = Blobs::open(directory, sync).map_err(unusable)?;
        let compactor = Compactor::start(options.retention).map_err(unusable)?;
        Ok(Arc::new(Store {
            directory: directory.to_owned(),
            vector_room: Room::new(options.vector_memory),
            options,
            blobs,
            hub: Hub::new(),
            changing: Mutex::new(()),
            state: RwLock::default(),
            closing: Arc::default(),
            sweeper,
            compactor,
            _lock: lock,
        }))
    }

    /// Makes the tables that `schemas` describe, or changes those that are there; answers them in
    /// the same order. New indexes are built in the background. The same `Arc<Table>` lives on when
    /// its schema changes. Nothing is applied if one of them can't be. Blocks: never call it on an
    /// async thread.
    pub fn apply(self: &Arc<Self>, schemas: &[TableSchema]) -> Result<Vec<Arc<Table>>, StoreError> {
        let _one_at_a_time = self.changing.lock();
        if self.closing.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        let mut databases = Vec::with_capacity(schemas.len());
        for schema in schemas {
            schema_change::check_names(schema)?;
            let database = self.open_database(&schema.database)?;
            schema_change::check(&database, schema)?;
            databases.push(database);
        }
        let mut tables = Vec::with_capacity(schemas.len());
        for (schema, database) in schemas.iter().zip(databases) {
            tables.push(self.apply_one(schema, &database)?);
        }
        Ok(tables)
    }

    /// The table, if a schema has named it since the store was opened.
    pub fn table(&self, database: &str, table: &str) -> Option<Arc<Table>> {
        let state = self.state.read();
        let found = |known: &&Arc<Table>| known.database() == database && known.name() == table;
        state.tables.iter().find(found).cloned()
    }

    /// All tables that a schema has named since the store was opened.
    pub fn tables(&self) -> Vec<Arc<Table>> {
        self.state.read().tables.clone()
    }

    /// The files of blobs.
    pub fn blobs(&self) -> &Arc<Blobs> {
        &self.blobs
    }

    /// Where committed events are published.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    pub fn transaction(self: &Arc<Self>) -> Transaction {
        Transaction::default()
    }

    /// Commits what is queued, makes it durable, publishes it, ends all threads. Later writes are
    /// refused as unavailable; reads still work. Blocks for as long as the disk needs.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
        let _no_schema_change = self.changing.lock();
        self.sweeper.stop();
        self.compactor.stop();
        for database in self.state.read().databases.values() {
            database.close();
        }
    }

    /// Has `table` ask `source` for what it lacks, or nobody any more. A read sees either the old or
    /// the new one, and loads under way end with the one that they began with.
    pub fn set_source(&self, table: &Arc<Table>, source: Option<(Arc<dyn Source>, Lifetime)>) {
        table.set_source(source);
        self.sweeper.watch(table);
    }

    fn open_database(&self, name: &str) -> Result<Arc<Database>, StoreError> {
        if let Some(database) = self.state.read().databases.get(name) {
            return Ok(Arc::clone(database));
        }
        let path = self.directory.join(name);
        let database =
            Database::open(name, &path, &self.options, &self.hub, &self.blobs, &self.vector_room)?;
        schema_change::clear_garbage(&database, &self.closing);
        self.compactor.watch(&database);
        self.state.write().databases.insert(name.to_owned(), Arc::clone(&database));
        Ok(database)
    }

    fn apply_one(
        self: &Arc<Self>,
        schema: &TableSchema,
        database: &Arc<Database>,
    ) -> Result<Arc<Table>, StoreError> {
        let schema = Arc::new(schema.clone());
        let table = match self.table(&schema.database, &schema.table) {
            Some(table) => {
                schema_change::alter(&table, schema)?;
                table
            }
            None => {
                let entry = schema_change::define(database, &schema, None)?;
                let mut state = self.state.write();
                let key = kora_hub::TableKey(state.tables.len() as u32);
                let table =
                    Table::new(Arc::clone(database), Arc::downgrade(self), key, schema, &entry);
                state.tables.push(Arc::clone(&table));
                table
            }
        };
        schema_change::build_indexes(&table, &self.closing);
        schema_change::clear_garbage(database, &self.closing);
        self.sweeper.watch(&table);
        Ok(table)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("directory", &self.directory).finish_non_exhaustive()
    }
}
