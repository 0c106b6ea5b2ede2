//! The log's history: reading, deleting and cutting it, and going on from a position.

use futures_util::StreamExt;
use kora_resource::{Epoch, Event, Frame, Message, Position, Seq};

use crate::{Durability, HistoryRange, Retention, Subscribe, Subscription};

use super::*;

fn told(event: &Event) -> String {
    format!("{} {}", event.kind.name(), event.id)
}

fn history(table: &Arc<Table>, range: HistoryRange) -> Vec<Event> {
    let mut reader = table.history(range).expect("begins");
    let mut all = Vec::new();
    loop {
        let batch = reader.next_batch().expect("reads");
        if batch.is_empty() {
            return all;
        }
        all.extend(batch);
    }
}

fn told_all(table: &Arc<Table>, range: HistoryRange) -> Vec<String> {
    history(table, range).iter().map(told).collect()
}

fn all() -> Subscribe {
    Subscribe { is_collection: true, ..Subscribe::default() }
}

fn resumed(table: &Arc<Table>, of: Subscribe, epoch: Epoch, after: u64) -> Subscription {
    let resume = Some(Position { epoch, seq: Seq(after) });
    table.subscribe(Subscribe { resume, ..of }).expect("subscribes")
}

/// Whether who goes on from there is told that changes are missing.
async fn has_gap(table: &Arc<Table>, epoch: Epoch, after: u64) -> bool {
    let first = resumed(table, all(), epoch, after).next().await;
    match first.expect("goes on").expect("a message") {
        Message::Gap => true,
        Message::Position(_) => false,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn read_by_time_and_record_and_deleted() {
    let fixture = Fixture::new();
    let table = fixture.table(&format!("{DOG} type Cat @table {{ id: ID @primaryKey }}"));
    let cat = fixture.store.table("data", "Cat").expect("a table");
    for n in 0..3 {
        fixture.put(&table, dog("1", "x", n)).await;
        fixture.put(&cat, map([("id", "c".into())])).await;
    }
    let mut transaction = fixture.store.transaction();
    transaction.invalidate(&table, &"1".into()).expect("valid");
    transaction.commit().await.expect("commits");
    fixture.put(&table, dog("2", "y", 1)).await;
    fixture.delete(&table, "2").await;
    let all = history(&table, HistoryRange::default());
    let names = ["put 1", "put 1", "put 1", "invalidate 1", "put 2", "delete 2"];
    assert_eq!(all.iter().map(told).collect::<Vec<_>>(), names);
    let of = |id: &str| HistoryRange { id: Some(id.into()), ..HistoryRange::default() };
    assert_eq!(told_all(&table, of("2")), ["put 2", "delete 2"]);
    let between = HistoryRange {
        after: Some(all[0].version.0),
        before: Some(all[3].version.0),
        ..HistoryRange::default()
    };
    assert_eq!(told_all(&table, between), ["put 1", "put 1"]);
    // Deleting one table's history leaves the other's and all positions.
    let (deleting, until) = (Arc::clone(&table), all[3].version.0);
    let delete = move |until| {
        let table = Arc::clone(&deleting);
        std::thread::spawn(move || table.delete_history(until).expect("deletes")).join()
    };
    assert_eq!(delete(until).expect("ends"), 4);
    assert_eq!(told_all(&table, HistoryRange::default()), ["put 2", "delete 2"]);
    assert_eq!(told_all(&cat, HistoryRange::default()).len(), 3);
    assert_eq!(delete(f64::INFINITY).expect("ends"), 2);
    drop(delete);
    let head = table.owner().head().expect("reads");
    let epoch = table.epoch();
    assert!(has_gap(&table, epoch, 2).await);
    assert!(has_gap(&table, epoch, head.0 - 1).await && !has_gap(&table, epoch, head.0).await);
    assert!(!has_gap(&cat, epoch, 2).await);
    drop((table, cat));
    let fixture = fixture.reopened();
    let table = fixture.table(DOG);
    let committed = fixture.put(&table, dog("3", "z", 1)).await;
    assert_eq!(committed.seq, Some(Seq(head.0 + 1)), "positions are not given out again");
    assert!(!has_gap(&table, epoch, head.0).await);
}

async fn next_event(subscription: &mut Subscription) -> Arc<Frame> {
    loop {
        match subscription.next().await.expect("goes on").expect("a message") {
            Message::Event(frame) => return frame,
            Message::Position(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn going_on_from_a_position_misses_nothing() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    let epoch = table.epoch();
    for n in 0..1500 {
        fixture.put(&table, dog(&n.to_string(), "x", n)).await;
    }
    let mut early = resumed(&table, all(), epoch, 100);
    let one = Subscribe { id: Some("1400".into()), ..Subscribe::default() };
    let mut one = resumed(&table, one, epoch, 0);
    let mut late = resumed(&table, all(), epoch, 1500);
    for n in 1500..2000 {
        fixture.put(&table, dog(&n.to_string(), "x", n)).await;
    }
    for n in 100..2000 {
        let frame = next_event(&mut early).await;
        assert_eq!(frame.event.seq, Some(Seq(n + 1)));
    }
    assert_eq!(told(&next_event(&mut one).await.event), "put 1400");
    let first = next_event(&mut late).await;
    assert_eq!(first.event.seq, Some(Seq(1501)));
    assert!(has_gap(&table, Epoch(epoch.0 ^ 1), 0).await, "another log");
    assert!(has_gap(&table, epoch, 2001).await, "the log has not come that far");
    // A table that keeps no history publishes all the same, and says that there is none.
    let silent = fixture.table("type Silent @table(audit: false) { id: ID @primaryKey }");
    let mut live = silent.subscribe(all()).expect("subscribes");
    let committed = fixture.put(&silent, map([("id", "1".into())])).await;
    assert_eq!(committed.seq, Some(Seq(2001)));
    assert_eq!(told(&next_event(&mut live).await.event), "put 1");
    assert_eq!(history(&silent, HistoryRange::default()).len(), 0);
    assert!(has_gap(&silent, epoch, 2000).await && !has_gap(&silent, epoch, 2001).await);
    assert!(!has_gap(&table, epoch, 2000).await);
    let committed = fixture.put(&table, dog("next", "x", 1)).await;
    assert_eq!(committed.seq, Some(Seq(2002)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_cut_while_writes_go_on() {
    let fixture = Fixture::with(StoreOptions {
        durability: Durability::Interval(Duration::from_millis(100)),
        initial_map: ByteSize(1 << 30),
        retention: Retention { age: Duration::from_millis(1200), ..Retention::default() },
        ..StoreOptions::default()
    });
    let table = fixture.table(DOG);
    let note = "n".repeat(200);
    for batch in 0..40 {
        let mut transaction = fixture.store.transaction();
        for n in 0..500 {
            let id = format!("{batch}/{n}");
            let record = map([("id", (*id).into()), ("note", (*note).into())]);
            transaction.put(&table, Id::from(&*id), record).expect("valid");
        }
        transaction.commit().await.expect("commits");
    }
    let written = table.owner().head().expect("reads").0;
    let first = || {
        table.owner().environment().read(|txn, trees| {
            let first = trees.log.first(txn).map_err(crate::StoreError::from)?;
            Ok::<_, kora_resource::Error>(first.map(|(key, _)| crate::log::position(key)))
        })
    };
    let mut slowest = Duration::ZERO;
    let give_up = Instant::now() + Duration::from_secs(30);
    while !matches!(first(), Ok(Some(Ok(seq))) if seq.0 > written) {
        assert!(Instant::now() < give_up, "the log is not cut");
        let began = Instant::now();
        fixture.put(&table, dog("busy", "x", 1)).await;
        slowest = slowest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // A debug build on a busy machine; what the steps cost alone is their budget.
    assert!(slowest < Duration::from_millis(500), "a write waited {slowest:?}");
    assert!(table.get(&"0/0".into()).expect("reads").is_some(), "records stay");
    let epoch = table.epoch();
    assert!(has_gap(&table, epoch, 10).await);
}

#[tokio::test]
async fn the_log_is_bounded_by_size() {
    let fixture = Fixture::with(StoreOptions {
        initial_map: ByteSize(1 << 30),
        retention: Retention { age: Duration::from_secs(1), size: ByteSize(256 << 10) },
        ..StoreOptions::default()
    });
    let table = fixture.table(DOG);
    let note = "n".repeat(3000);
    let began = Instant::now();
    for n in 0..200 {
        let id = n.to_string();
        let record = map([("id", (*id).into()), ("note", (*note).into())]);
        fixture.put(&table, record).await;
    }
    let few = || history(&table, HistoryRange::default()).len() < 100;
    eventually("the cut", few);
    // By size, then: what is left is not too old yet, unless this machine was very slow.
    let left = history(&table, HistoryRange::default()).len();
    assert!(left > 10 || began.elapsed() > Duration::from_millis(900), "{left} entries");
}
