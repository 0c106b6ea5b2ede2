use std::collections::HashSet;

use kora_resource::{Id, Value};

use crate::keys::Key;
use crate::reads;
use crate::write_set::{Content, Op, Write, WriteSet};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_concurrent_commits_are_all_acknowledged() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    let tasks: Vec<_> = (0..500)
        .map(|n| {
            let (store, table) = (Arc::clone(&fixture.store), Arc::clone(&table));
            tokio::spawn(async move {
                let mut transaction = store.transaction();
                let id = n.to_string();
                transaction.put(&table, Id::from(&*id), dog(&id, "x", n)).expect("valid");
                transaction.commit().await.expect("commits")
            })
        })
        .collect();
    let mut versions = HashSet::new();
    let mut seqs = HashSet::new();
    for task in tasks {
        let committed = task.await.expect("runs");
        versions.insert(committed.version.expect("a version").0.to_bits());
        seqs.insert(committed.seq.expect("a position").0);
    }
    assert_eq!(versions.len(), 500, "versions are unique");
    assert_eq!(seqs, (1..=500).collect(), "positions have no gaps");
    assert!((0..500).all(|n| table.get(&Id::from(&*n.to_string())).expect("reads").is_some()));
}

#[tokio::test]
async fn a_set_that_fails_leaves_no_trace_and_its_neighbours_alone() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    fixture.put(&table, dog("taken", "old", 1)).await;
    // All three are queued before any is awaited: they share a batch unless the writer is quick.
    let commits: Vec<_> = ["before", "taken", "after"]
        .into_iter()
        .map(|id| {
            let mut transaction = fixture.store.transaction();
            let extra = format!("{id}-extra");
            transaction.put(&table, Id::from(&*extra), dog(&extra, "x", 2)).expect("valid");
            if id == "taken" {
                // As if it had been made before the other transaction committed.
                let content = Content::new(dog("taken", "new", 2));
                transaction.force(&table, "taken".into(), Op::Create(content));
            } else {
                transaction.create(&table, Some(id.into()), dog(id, "x", 2)).expect("valid");
            }
            tokio::spawn(transaction.commit())
        })
        .collect();
    let mut statuses = Vec::new();
    for commit in commits {
        statuses.push(commit.await.expect("runs").map_err(|error| error.status()).err());
    }
    assert_eq!(statuses, [None, Some(409), None]);
    let there = |id: &str| table.get(&id.into()).expect("reads").is_some();
    assert!(there("before") && there("before-extra") && there("after") && there("after-extra"));
    assert!(!there("taken-extra"), "nothing of the failed set is written");
    let taken = table.get(&"taken".into()).expect("reads").expect("there");
    assert_eq!(taken.to_map().expect("decodes")["name"], Value::from("old"));
}

#[tokio::test]
async fn what_was_read_must_not_have_changed() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    fixture.put(&table, dog("1", "a", 1)).await;
    for read in ["get", "search", "missing"] {
        let mut transaction = fixture.store.transaction();
        match read {
            "get" => drop(transaction.get(&table, &"1".into()).expect("reads")),
            "search" => {
                let mut search = transaction.search(&table, Default::default()).expect("begins");
                assert!(!search.next_batch(10).expect("reads").is_empty());
            }
            _ => assert!(transaction.get(&table, &"2".into()).expect("reads").is_none()),
        }
        transaction.put(&table, "3".into(), dog("3", read, 1)).expect("valid");
        let changed = if read == "missing" { "2" } else { "1" };
        fixture.put(&table, dog(changed, "b", 2)).await;
        let error = transaction.commit().await.expect_err(read);
        assert_eq!(error.status(), 409, "{read}");
        assert!(table.get(&"3".into()).expect("reads").is_none());
    }
    let mut transaction = fixture.store.transaction();
    transaction.get(&table, &"1".into()).expect("reads");
    transaction.put(&table, "3".into(), dog("3", "c", 1)).expect("valid");
    transaction.commit().await.expect("nothing has changed");
}

#[tokio::test]
async fn of_many_reads_only_the_first_are_remembered_one_by_one() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    let other = fixture.table("type Cat @table { id: ID @primaryKey }");
    let count = 3 * reads::EACH;
    let id = |n: usize| format!("{n:04}");
    let mut fill = fixture.store.transaction();
    for n in 0..count {
        fill.put(&table, Id::from(&*id(n)), dog(&id(n), "a", 1)).expect("valid");
    }
    fill.commit().await.expect("commits");
    for read in ["get", "search"] {
        for (changed, status) in [("nothing", None), ("last", Some(409)), ("other", None)] {
            let mut transaction = fixture.store.transaction();
            if read == "search" {
                let mut search = transaction.search(&table, Default::default()).expect("begins");
                while !search.next_batch(7).expect("reads").is_empty() {}
            } else {
                for n in 0..count {
                    transaction.get(&table, &Id::from(&*id(n))).expect("reads");
                }
            }
            assert_eq!(transaction.remembered(), reads::EACH, "{read}");
            match changed {
                "last" => drop(fixture.put(&table, dog(&id(count - 1), "b", 2)).await),
                "other" => drop(fixture.put(&other, map([("id", "1".into())])).await),
                _ => {}
            }
            transaction.put(&other, "sum".into(), map([("id", "sum".into())])).expect("valid");
            let failed = transaction.commit().await.err().map(|error| error.status());
            assert_eq!(failed, status, "{read}, then {changed} changed");
        }
    }
}

#[tokio::test]
async fn own_writes_are_seen_and_folded() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    fixture.put(&table, dog("1", "a", 1)).await;
    fixture.put(&table, dog("2", "b", 2)).await;
    let mut transaction = fixture.store.transaction();
    transaction.patch(&table, "1".into(), map([("age", 10.into())])).expect("valid");
    transaction.patch(&table, "1".into(), map([("note", "n".into())])).expect("valid");
    assert!(transaction.delete(&table, &"2".into()).expect("deletes"));
    assert!(!transaction.delete(&table, &"2".into()).expect("deletes"));
    let id = transaction.create(&table, None, map([("name", "new".into())])).expect("creates");
    let again = transaction.create(&table, Some(id.clone()), map([]));
    assert_eq!(again.expect_err("own record").status(), 409);
    let one = transaction.get(&table, &"1".into()).expect("reads").expect("there");
    let expected =
        map([("id", "1".into()), ("name", "a".into()), ("age", 10.into()), ("note", "n".into())]);
    assert_eq!(one.to_map().expect("decodes"), expected);
    let mut search = transaction.search(&table, Default::default()).expect("begins");
    assert_eq!(search.next_records(10).expect("reads").len(), 2, "1 and the new one");
    assert!(table.get(&id).expect("reads").is_none(), "not committed yet");
    transaction.commit().await.expect("commits");
    assert_eq!(
        table.get(&"1".into()).expect("reads").expect("there").to_map().ok(),
        Some(expected)
    );
    assert!(table.get(&"2".into()).expect("reads").is_none());
    assert!(table.get(&id).expect("reads").is_some());
}

#[tokio::test]
async fn times_are_assigned_and_the_creation_is_kept() {
    let fixture = Fixture::new();
    let table = fixture.table(
        "type T @table { id: ID @primaryKey made: Date @createdTime changed: Float @updatedTime
         text: String @updatedTime n: Int }",
    );
    let record = map([("id", "1".into()), ("made", Value::Date(5.0)), ("n", 1.into())]);
    let first = fixture.put(&table, record).await.version.expect("a version").0;
    let read = || table.get(&"1".into()).expect("reads").expect("there");
    let stored = read().to_map().expect("decodes");
    assert_eq!(stored["made"], Value::Date(first));
    assert_eq!(stored["changed"], Value::number(first));
    assert!(stored["text"].as_str().is_some_and(|text| text.ends_with('Z')));
    let second = fixture.put(&table, map([("id", "1".into())])).await.version.expect("a version").0;
    let mut transaction = fixture.store.transaction();
    let sum = Value::Object(map([("__op__", "add".into()), ("value", 2.into())]));
    transaction.patch(&table, "1".into(), map([("n", sum)])).expect("valid");
    let third = transaction.commit().await.expect("commits").version.expect("a version").0;
    assert!(first < second && second < third);
    let stored = read().to_map().expect("decodes");
    assert_eq!((&stored["made"], &stored["changed"]), (&Value::Date(first), &Value::number(third)));
    assert_eq!(stored["n"], Value::Int(2));
    assert_eq!((read().version().0, read().created().0), (third, first));
}

#[tokio::test]
async fn invalid_records_are_refused_with_all_problems() {
    let fixture = Fixture::new();
    let table = fixture.table("type T @table { id: ID @primaryKey n: Int! s: String }");
    let mut transaction = fixture.store.transaction();
    let bad = map([("n", "x".into()), ("s", 5.into())]);
    let error = transaction.put(&table, "1".into(), bad).expect_err("invalid");
    assert!(error.status() == 400 && error.message.contains("n must be an integer"), "{error}");
    // A patch may leave out what is required, unless it makes the record.
    transaction.patch(&table, "1".into(), map([("s", "x".into())])).expect("fits so far");
    assert_eq!(transaction.commit().await.expect_err("n is missing").status(), 400);
    assert_eq!(
        fixture.store.transaction().put(&table, Id::Null, map([])).err().map(|e| e.status()),
        Some(400)
    );
}

#[tokio::test]
async fn generated_keys_fit_their_type() {
    let fixture = Fixture::new();
    let text = "type A @table { id: ID @primaryKey } type B @table { id: Int @primaryKey }
        type C @table { id: Any @primaryKey } type D @table { n: Int }";
    for table in fixture.store.apply(&schemas(text)).expect("applies") {
        let mut transaction = fixture.store.transaction();
        let first = transaction.create(&table, None, map([])).expect("creates");
        let second = transaction.create(&table, None, map([])).expect("creates");
        transaction.commit().await.expect("commits");
        match (table.name(), first, second) {
            ("A", Id::String(a), Id::String(b)) => assert!(a.len() == 36 && a != b),
            ("B", Id::Number(a), Id::Number(b)) => assert!(b == a + 1.0 && b < 2147483648.0),
            (_, Id::Number(a), Id::Number(b)) => assert_eq!(b, a + 1.0),
            (name, first, _) => panic!("{name}: {first:?}"),
        }
    }
}

#[tokio::test]
async fn messages_change_no_record_and_deletes_of_nothing_are_silent() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    let mut transaction = fixture.store.transaction();
    transaction.publish(&table, "1".into(), Value::from("hello")).expect("valid");
    transaction.delete(&table, &"2".into()).expect("deletes");
    let committed = transaction.commit().await.expect("commits");
    assert_eq!(committed.seq, Some(kora_resource::Seq(1)));
    assert!(table.get(&"1".into()).expect("reads").is_none());
    let nothing = fixture.store.transaction();
    assert!(nothing.is_empty());
    assert_eq!(nothing.commit().await.expect("commits"), crate::Committed::default());
    let mut transaction = fixture.store.transaction();
    transaction.delete(&table, &"2".into()).expect("deletes");
    assert_eq!(transaction.commit().await.expect("commits").seq, None);
}

#[tokio::test]
async fn a_closed_store_refuses_writes_in_words() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    fixture.put(&table, dog("1", "a", 1)).await;
    let store = Arc::clone(&fixture.store);
    tokio::task::spawn_blocking(move || store.close()).await.expect("closes");
    let mut transaction = fixture.store.transaction();
    transaction.put(&table, "2".into(), dog("2", "b", 2)).expect("valid");
    assert_eq!(transaction.commit().await.expect_err("closed").status(), 503);
    assert!(table.get(&"1".into()).expect("still reads").is_some());
    assert!(fixture.store.apply(&schemas(DOG)).is_err());
}

#[tokio::test]
async fn an_error_of_lmdb_fails_its_batch_and_the_writer_goes_on() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    let mut set = WriteSet::default();
    let op = Op::Put(Content::new(dog("x", "a", 1)));
    let write = Write { table: Arc::clone(&table), id: "x".into(), op, expires: None };
    // No transaction makes such a key; LMDB refuses it.
    set.add(Key::from_elem(b'x', 3000), write);
    let error = table.owner().commit(set).await.expect_err("too long for LMDB");
    assert!(error.status() == 500 && error.message.starts_with("LMDB: "), "{error}");
    let committed = fixture.put(&table, dog("1", "a", 1)).await;
    assert_eq!(committed.seq, Some(kora_resource::Seq(1)));
}

#[tokio::test]
async fn what_a_transaction_has_taken_away_is_made_anew() {
    let fixture = Fixture::new();
    let table = fixture.table("type Cat @table { id: ID @primaryKey name: String! n: Int }");
    let cat = |n: i64| map([("id", "a".into()), ("name", "Tom".into()), ("n", n.into())]);
    let add = map([("__op__", "add".into()), ("value", 2.into())]);
    let remade = map([("name", "Kit".into()), ("n", Value::Object(add))]);
    for taken in [Op::Delete, Op::Invalidate] {
        fixture.put(&table, cat(1)).await;
        let mut transaction = fixture.store.transaction();
        transaction.force(&table, "a".into(), taken);
        let error = transaction.patch(&table, "a".into(), map([("n", 5.into())]));
        assert_eq!(error.expect_err("a name is missing").status(), 400);
        transaction.patch(&table, "a".into(), remade.clone()).expect("is whole");
        transaction.commit().await.expect("commits");
        let found = table.get(&"a".into()).expect("reads").expect("a record");
        let expected = map([("id", "a".into()), ("name", "Kit".into()), ("n", 2.into())]);
        assert_eq!(found.to_map().expect("decodes"), expected);
        let mut transaction = fixture.store.transaction();
        transaction.invalidate(&table, &"a".into()).expect("invalidates");
        transaction.create(&table, None, cat(3)).expect("there is none any more");
        transaction.commit().await.expect("commits");
    }
}
