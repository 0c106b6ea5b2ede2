//! Tests of the whole store against a real directory.

mod caching;
mod commits;
mod durability;
mod history;
mod model;
mod queries;
mod resource;
mod rights;
mod schema_changes;
mod subscriptions;
mod whole_tables;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kora_resource::schema::TableSchema;
use kora_resource::{Id, Map, Value};

use crate::{ByteSize, Store, StoreOptions, Table};

/// The tables of one schema text.
fn schemas(text: &str) -> Vec<TableSchema> {
    kora_resource::schema::parse(text, Path::new("schema.graphql")).expect("a schema").tables
}

const DOG: &str = "type Dog @table @export {
    id: ID @primaryKey  name: String @indexed  age: Int @indexed  tags: [String] @indexed
    any: Any @indexed  note: String }";

pub(crate) struct Fixture {
    pub(crate) store: Arc<Store>,
    directory: tempfile::TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Fixture {
        Fixture::with(StoreOptions { initial_map: ByteSize(1 << 30), ..StoreOptions::default() })
    }

    pub(crate) fn with(options: StoreOptions) -> Fixture {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path(), options).expect("opens");
        Fixture { store, directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn table(&self, schema: &str) -> Arc<Table> {
        let tables = self.store.apply(&schemas(schema)).expect("applies");
        Arc::clone(&tables[0])
    }

    /// Closes the store and opens the directory again.
    pub(crate) fn reopened(self) -> Fixture {
        let Fixture { store, directory } = self;
        store.close();
        assert_eq!(Arc::strong_count(&store), 1, "somebody still holds the store");
        drop(store);
        let options = StoreOptions { initial_map: ByteSize(1 << 30), ..StoreOptions::default() };
        let store = Store::open(directory.path(), options).expect("opens");
        Fixture { store, directory }
    }

    pub(crate) async fn put(&self, table: &Arc<Table>, record: Map) -> crate::Committed {
        let id = Id::from_value(&record["id"]).expect("an id");
        let mut transaction = self.store.transaction();
        transaction.put(table, id, record).expect("valid");
        transaction.commit().await.expect("commits")
    }

    pub(crate) async fn delete(&self, table: &Arc<Table>, id: &str) {
        let mut transaction = self.store.transaction();
        transaction.delete(table, &id.into()).expect("deletes");
        transaction.commit().await.expect("commits");
    }
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Map {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn dog(id: &str, name: &str, age: i64) -> Map {
    map([("id", id.into()), ("name", name.into()), ("age", age.into())])
}

/// Waits for a condition that another thread brings about.
fn eventually(what: &str, condition: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < give_up, "{what} did not happen");
        std::thread::yield_now();
    }
}
