//! A table's size and history, and records with an end of their own.

use kora_resource::EventKind;

use super::*;
use crate::{HistoryRange, clock};

#[tokio::test]
async fn records_are_counted_without_those_that_are_over() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    fixture.put(&table, dog("a", "Ann", 1)).await;
    let mut transaction = fixture.store.transaction();
    transaction.expire_at(Some(clock::now() - 1.0));
    transaction.put(&table, "over".into(), dog("over", "Over", 1)).expect("valid");
    transaction.expire_at(Some(clock::now() + 60_000.0));
    transaction.put(&table, "later".into(), dog("later", "Later", 1)).expect("valid");
    transaction.commit().await.expect("commits");
    let mut counting = table.count();
    while counting.step().expect("counts") {}
    assert_eq!(counting.records, 2);
    assert!(counting.bytes > 40 && table.most_records().expect("counts") == 3);
    let exists = |id: &str| table.exists(&id.into()).expect("reads");
    assert!(exists("a") && exists("later") && !exists("over") && !exists("none"));
    let later = table.get(&"later".into()).expect("reads").expect("is there");
    assert!(later.expires().is_some_and(|expires| expires > clock::now() + 50_000.0));
}

#[tokio::test]
async fn asking_whether_a_record_exists_is_no_read() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    let mut transaction = fixture.store.transaction();
    assert!(!transaction.exists(&table, &"a".into()).expect("reads"));
    fixture.put(&table, dog("a", "Ann", 1)).await;
    assert!(transaction.exists(&table, &"a".into()).expect("reads"));
    transaction.put(&table, "a".into(), dog("a", "Anna", 2)).expect("valid");
    transaction.delete(&table, &"b".into()).expect("valid");
    assert!(!transaction.exists(&table, &"b".into()).expect("reads"));
    transaction.commit().await.expect("nothing was read");
}

#[tokio::test]
async fn history_is_what_the_log_says_between_two_times() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    let first = fixture.put(&table, dog("a", "Ann", 1)).await.version.expect("a version").0;
    let second = fixture.put(&table, dog("b", "Bob", 1)).await.version.expect("a version").0;
    fixture.delete(&table, "a").await;
    let kinds = |id: Option<&str>, start: f64, end: f64| {
        let (after, before) = (Some(start.next_down()), Some(end));
        let range = HistoryRange { id: id.map(Id::from), after, before };
        let mut history = table.history(range).expect("reads");
        let mut found = Vec::new();
        loop {
            let batch = history.next_batch().expect("reads");
            if batch.is_empty() {
                return found;
            }
            found.extend(batch.iter().map(|event| (event.kind, event.id.to_string())));
        }
    };
    let event = |kind, id: &str| (kind, id.to_owned());
    let all =
        [event(EventKind::Put, "a"), event(EventKind::Put, "b"), event(EventKind::Delete, "a")];
    assert_eq!(kinds(None, 0.0, f64::INFINITY), all);
    assert_eq!(kinds(None, second, f64::INFINITY), all[1..]);
    assert_eq!(kinds(None, first, second), all[..1]);
    assert_eq!(kinds(Some("a"), 0.0, f64::INFINITY), [all[0].clone(), all[2].clone()]);
    assert_eq!(kinds(Some("none"), 0.0, f64::INFINITY), []);
    fixture.table(DOG);
}
