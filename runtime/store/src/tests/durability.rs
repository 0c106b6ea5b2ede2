use crate::{Durability, StoreError};

use super::*;

#[tokio::test]
async fn a_reopened_store_has_everything() {
    let mut fixture = Fixture::new();
    let mut last = None;
    for round in 0..3 {
        let table = fixture.table(DOG);
        let epoch = table.epoch();
        for n in 0..20 {
            let id = format!("{round}-{n}");
            let committed = fixture.put(&table, dog(&id, "x", n)).await;
            assert!(committed.version > last, "versions rise across restarts");
            last = committed.version;
            assert_eq!(committed.seq.map(|seq| seq.0), Some(round * 20 + n as u64 + 1));
        }
        drop(table);
        fixture = fixture.reopened();
        let table = fixture.table(DOG);
        assert_eq!(table.epoch(), epoch);
        assert!(table.indexes_complete());
        let query = kora_resource::query::parse("age=7").expect("a query");
        let found = table.search(query).expect("begins").next_batch(100).expect("reads");
        assert_eq!(found.len() as u64, round + 1);
    }
}

#[test]
fn one_process_a_directory() {
    let fixture = Fixture::new();
    let error = Store::open(fixture.path(), StoreOptions::default()).expect_err("locked");
    assert!(matches!(&error, StoreError::Locked { path } if path == fixture.path()), "{error}");
    let Fixture { store, directory } = fixture;
    drop(store);
    Store::open(directory.path(), StoreOptions::default()).expect("free again");
}

#[test]
fn damaged_and_foreign_files_are_told_in_words() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(directory.path().join("data")).expect("a folder");
    std::fs::write(directory.path().join("data/data.mdb"), [7; 8192]).expect("a file");
    let store = Store::open(directory.path(), StoreOptions::default()).expect("opens");
    let error = store.apply(&schemas(DOG)).expect_err("damaged");
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("data"), "{error}");
}

#[test]
fn another_format_is_refused() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    let change = |txn: &mut heed::RwTxn<'_>, trees: &crate::environment::Trees| {
        Ok(trees.meta.put(txn, b"format", &9u32.to_le_bytes())?)
    };
    table.owner().run(change, |()| {}).expect("writes");
    drop(table);
    let fixture = fixture.reopened();
    let error = fixture.store.apply(&schemas(DOG)).expect_err("another format");
    assert!(matches!(error, StoreError::Format { found: 9, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_map_grows_under_readers_and_writers() {
    let options = StoreOptions { initial_map: ByteSize(1 << 17), ..StoreOptions::default() };
    let fixture = Fixture::with(options);
    let table = fixture.table(DOG);
    let before = table.owner().environment().map_size();
    let reader = Arc::clone(&table);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let reading = std::thread::spawn(move || {
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            reader.get(&"0".into()).expect("reads");
            reader.search(Default::default()).expect("begins").next_batch(500).expect("reads");
        }
    });
    let note = "x".repeat(20_000);
    let writes = (0..200).map(|n| {
        let (id, note) = (n.to_string(), note.clone());
        let record = map([("id", (*id).into()), ("age", n.into()), ("note", note.into())]);
        let (store, table) = (Arc::clone(&fixture.store), Arc::clone(&table));
        tokio::spawn(async move {
            let mut transaction = store.transaction();
            transaction.put(&table, Id::from(&*id), record).expect("valid");
            transaction.commit().await.expect("commits");
        })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.expect("runs");
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    reading.join().expect("reads");
    let environment = table.owner().environment();
    assert!(environment.map_size() >= before * 8, "{} bytes", environment.map_size());
    assert!(environment.max_key_size() >= 1982);
    let all = table.search(Default::default()).expect("begins").next_batch(1000).expect("reads");
    assert_eq!(all.len(), 200);
}

#[tokio::test]
async fn interval_durability_acknowledges_and_keeps() {
    let durability = Durability::Interval(Duration::from_millis(5));
    let options =
        StoreOptions { durability, initial_map: ByteSize(1 << 20), ..StoreOptions::default() };
    let fixture = Fixture::with(options);
    let table = fixture.table(DOG);
    for n in 0..50 {
        fixture.put(&table, dog(&n.to_string(), "x", n)).await;
    }
    drop(table);
    let fixture = fixture.reopened();
    let table = fixture.table(DOG);
    assert!((0..50).all(|n| table.get(&Id::from(&*n.to_string())).expect("reads").is_some()));
}

#[tokio::test]
async fn expired_records_are_gone_at_once_and_swept_later() {
    let fixture = Fixture::new();
    let table =
        fixture.table("type S @table(expiration: 0.2) { id: ID @primaryKey n: Int @indexed }");
    fixture.put(&table, map([("id", "1".into()), ("n", 1.into())])).await;
    assert!(table.get(&"1".into()).expect("reads").is_some());
    eventually("expiry", || table.get(&"1".into()).expect("reads").is_none());
    assert!(
        table.search(Default::default()).expect("begins").next_batch(9).expect("reads").is_empty()
    );
    // 2 is the delete that the sweep logs, with its index entry gone too.
    eventually("the sweep", || table.owner().head().expect("reads").0 == 2);
    let indexed = kora_resource::query::parse("n=1").expect("a query");
    assert!(table.search(indexed).expect("begins").next_batch(9).expect("reads").is_empty());
    let mut transaction = fixture.store.transaction();
    transaction.create(&table, Some("1".into()), map([])).expect("free again");
    transaction.commit().await.expect("commits");
}
