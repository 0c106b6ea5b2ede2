use std::collections::BTreeMap;

use futures_util::StreamExt;
use kora_resource::{EventKind, EventValue, Frame, Message, Pattern, Position, query};

use crate::{QueueLimit, Subscribe, Subscription};

use super::*;

async fn next_message(subscription: &mut Subscription) -> Message {
    let next = tokio::time::timeout(Duration::from_secs(10), subscription.next());
    next.await.expect("in time").expect("goes on").expect("a message")
}

async fn next(subscription: &mut Subscription) -> Arc<Frame> {
    loop {
        match next_message(subscription).await {
            Message::Event(frame) => return frame,
            Message::Position(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The text of an event: `put 1`, `delete 1`, `message 1`.
fn told(frame: &Frame) -> String {
    format!("{} {}", frame.event.kind.name(), frame.event.id)
}

async fn told_next(subscription: &mut Subscription, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(told(&*next(subscription).await));
    }
    all
}

fn collection(id: Option<&str>) -> Subscribe {
    Subscribe { id: id.map(Id::from), is_collection: true, ..Subscribe::default() }
}

fn record(id: &str) -> Subscribe {
    Subscribe { id: Some(id.into()), ..Subscribe::default() }
}

async fn publish(fixture: &Fixture, table: &Arc<Table>, id: &str) {
    let mut transaction = fixture.store.transaction();
    transaction.publish(table, id.into(), Value::from("hi")).expect("valid");
    transaction.commit().await.expect("commits");
}

#[tokio::test]
async fn first_what_is_there_then_what_changes() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    for id in ["a/1", "a/2", "b"] {
        fixture.put(&table, dog(id, "x", 1)).await;
    }
    let mut all = table.subscribe(collection(None)).expect("subscribes");
    let mut below = table.subscribe(collection(Some("a/"))).expect("subscribes");
    let mut one = table.subscribe(record("b")).expect("subscribes");
    let mut absent = table.subscribe(record("c")).expect("subscribes");
    let omitting = Subscribe { omit_current: true, ..collection(None) };
    let mut live = table.subscribe(omitting).expect("subscribes");
    assert_eq!(told_next(&mut all, 3).await, ["put a/1", "put a/2", "put b"]);
    assert_eq!(told_next(&mut below, 2).await, ["put a/1", "put a/2"]);
    assert_eq!(told_next(&mut one, 1).await, ["put b"]);
    fixture.put(&table, dog("c", "y", 2)).await;
    publish(&fixture, &table, "b").await;
    fixture.delete(&table, "b").await;
    fixture.delete(&table, "a/1").await;
    let changes = ["put c", "message b", "delete b", "delete a/1"];
    assert_eq!(told_next(&mut all, 4).await, changes);
    assert_eq!(told_next(&mut live, 4).await, changes);
    assert_eq!(told_next(&mut one, 2).await, ["message b", "delete b"]);
    assert_eq!(told_next(&mut below, 1).await, ["delete a/1"]);
    let frame = next(&mut absent).await;
    assert_eq!(told(&frame), "put c");
    assert!(frame.event.seq.is_some() && frame.event.version == frame.event.local_time);
    match &frame.event.value {
        EventValue::Record(record) => assert_eq!(record.to_map().ok(), Some(dog("c", "y", 2))),
        value => panic!("{value:?}"),
    }
}

#[tokio::test]
async fn history_by_count_and_by_time() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    let other = fixture.table("type Cat @table { id: ID @primaryKey }");
    let mut versions = Vec::new();
    for n in 0..700 {
        let id = (n % 3).to_string();
        versions.push(fixture.put(&table, dog(&id, "x", n)).await.version.expect("a version"));
        if n % 100 == 0 {
            fixture.put(&other, map([("id", (*id).into())])).await;
        }
    }
    let ages = async |options: Subscribe, count: usize| {
        let mut subscription = table.subscribe(options).expect("subscribes");
        let mut ages = Vec::new();
        for _ in 0..count {
            match &next(&mut subscription).await.event.value {
                EventValue::Record(record) => match record.to_map().expect("decodes")["age"] {
                    Value::Int(age) => ages.push(age),
                    ref other => panic!("{other:?}"),
                },
                value => panic!("{value:?}"),
            }
        }
        (ages, subscription)
    };
    let last = Subscribe { previous_count: Some(3), ..collection(None) };
    let (found, mut subscription) = ages(last, 3).await;
    assert_eq!(found, [697, 698, 699]);
    let one = Subscribe { previous_count: Some(2), ..record("0") };
    assert_eq!(ages(one, 2).await.0, [696, 699]);
    let since = Subscribe { start_time: Some(versions[10].0), ..collection(None) };
    assert_eq!(ages(since, 689).await.0, (11..700).collect::<Vec<_>>());
    let nothing = Subscribe { start_time: Some(versions[699].0), ..collection(None) };
    let mut nothing = table.subscribe(nothing).expect("subscribes");
    fixture.put(&table, dog("new", "x", 1)).await;
    assert_eq!(told_next(&mut nothing, 1).await, ["put new"]);
    assert_eq!(told_next(&mut subscription, 1).await, ["put new"]);
    let both = Subscribe { start_time: Some(0.0), previous_count: Some(1), ..collection(None) };
    assert_eq!(table.subscribe(both).expect_err("not both").status(), 400);
}

/// What does not fit its queue a slow reader gets from the log: everything, once, in order.
#[tokio::test]
async fn a_reader_that_is_too_slow_reads_the_log() {
    let fixture =
        Fixture::with(StoreOptions { queue_limit: QueueLimit(4096), ..StoreOptions::default() });
    let table = fixture.table(DOG);
    let mut slow = table.subscribe(Subscribe::default()).expect("subscribes");
    for round in 0..3 {
        for n in 0..100 {
            fixture.put(&table, dog(&n.to_string(), "x", round * 100 + n)).await;
        }
        assert!(slow.queued_bytes() <= 4096);
        for n in 0..100 {
            assert_eq!(told(&*next(&mut slow).await), format!("put {n}"));
        }
    }
}

#[tokio::test]
async fn a_position_is_gone_on_from() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    for n in 0..700 {
        fixture.put(&table, dog(&n.to_string(), "x", n)).await;
    }
    let mut first = table.subscribe(collection(None)).expect("subscribes");
    told_next(&mut first, 700).await;
    let Message::Position(position) = next_message(&mut first).await else { panic!("a position") };
    assert_eq!(position.epoch, table.epoch());
    let from = |seq: u64| Subscribe {
        resume: Some(Position { seq: kora_resource::Seq(seq), ..position }),
        ..collection(None)
    };
    let mut again = table.subscribe(from(position.seq.0 - 2)).expect("subscribes");
    assert_eq!(told_next(&mut again, 2).await, ["put 698", "put 699"]);
    fixture.put(&table, dog("new", "x", 1)).await;
    assert_eq!(told_next(&mut again, 1).await, ["put new"]);
    let ahead = from(position.seq.0 + 100);
    let epoch = kora_resource::Epoch(!position.epoch.0);
    let other = Subscribe { resume: Some(Position { epoch, ..position }), ..collection(None) };
    for lost in [ahead, other] {
        let mut lost = table.subscribe(lost).expect("subscribes");
        assert!(matches!(next_message(&mut lost).await, Message::Gap));
        assert_eq!(told_next(&mut lost, 701).await.len(), 701);
    }
}

#[tokio::test]
async fn patterns_choose_current_records_and_changes() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    let ids = ["a", "a/x", "a/x/y", "b/x", "c/y"];
    for id in ids {
        fixture.put(&table, dog(id, "x", 1)).await;
    }
    for (pattern, expected) in [
        ("+", &["a"][..]),
        ("a/+", &["a/x"]),
        ("+/x", &["a/x", "b/x"]),
        ("+/x/#", &["a/x/y"]),
        ("a/#", &["a/x", "a/x/y"]),
        ("#", &ids),
    ] {
        let pattern = Some(Pattern::parse(pattern).expect(pattern));
        let subscribe = Subscribe { pattern, is_collection: true, ..Subscribe::default() };
        let mut subscription = table.subscribe(subscribe).expect("subscribes");
        let expected: Vec<_> = expected.iter().map(|id| format!("put {id}")).collect();
        assert_eq!(told_next(&mut subscription, expected.len()).await, expected);
        for id in ids {
            fixture.put(&table, dog(id, "y", 2)).await;
        }
        assert_eq!(told_next(&mut subscription, expected.len()).await, expected);
    }
    let children = Subscribe { only_children: true, ..collection(Some("a/")) };
    let mut children = table.subscribe(children).expect("subscribes");
    assert_eq!(told_next(&mut children, 1).await, ["put a/x"]);
}

#[tokio::test]
async fn a_record_that_no_longer_matches_leaves() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    fixture.put(&table, dog("young", "x", 1)).await;
    fixture.put(&table, dog("old", "x", 9)).await;
    let filter = Some(query::parse("age=gt=5").expect("well formed"));
    let mut olds = table.subscribe(Subscribe { filter, ..collection(None) }).expect("subscribes");
    assert_eq!(told_next(&mut olds, 1).await, ["put old"]);
    fixture.put(&table, dog("young", "x", 2)).await;
    fixture.put(&table, dog("young", "x", 7)).await;
    fixture.put(&table, dog("old", "x", 3)).await;
    fixture.delete(&table, "old").await;
    fixture.delete(&table, "young").await;
    assert_eq!(told_next(&mut olds, 3).await, ["put young", "leave old", "delete young"]);
}

/// Subscribers that begin at random moments under concurrent writes: each event of the log after
/// what the snapshot showed arrives exactly once, so that what they have put together is what is
/// stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn snapshot_then_live_is_exact_under_concurrent_writes() {
    let fixture = Fixture::with(StoreOptions {
        durability: crate::Durability::Interval(Duration::from_secs(60)),
        initial_map: ByteSize(1 << 24),
        queue_limit: QueueLimit(64 << 20),
        ..StoreOptions::default()
    });
    let table = fixture.table(DOG);
    let mut transaction = fixture.store.transaction();
    for n in (0..600).step_by(2) {
        let id = format!("{n:03}");
        transaction.put(&table, Id::from(&*id), dog(&id, "start", -1)).expect("valid");
    }
    transaction.commit().await.expect("commits");
    let writers = (0..4i64).map(|writer| {
        let (store, table) = (Arc::clone(&fixture.store), Arc::clone(&table));
        tokio::spawn(async move {
            for n in 0..400 {
                let id = format!("{:03}", (n * 37 + writer * 151) % 600);
                let mut transaction = store.transaction();
                if n % 5 == 4 {
                    transaction.delete(&table, &Id::from(&*id)).expect("deletes");
                } else {
                    let record = dog(&id, "x", writer * 1000 + n);
                    transaction.put(&table, Id::from(&*id), record).expect("valid");
                }
                transaction.commit().await.expect("commits");
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let readers = (0..6).map(|reader| {
        let table = Arc::clone(&table);
        tokio::spawn(async move {
            for _ in 0..reader * 40 {
                tokio::task::yield_now().await;
            }
            let mut subscription = table.subscribe(collection(None)).expect("subscribes");
            let mut state: BTreeMap<String, (f64, Map)> = BTreeMap::new();
            let mut last_seq = None;
            loop {
                let frame = next(&mut subscription).await;
                let event = &frame.event;
                let id = event.id.to_string();
                if event.seq.is_some() {
                    assert!(event.seq > last_seq, "live events come in order, once");
                    last_seq = event.seq;
                }
                if let Some((version, _)) = state.get(&id) {
                    assert!(event.version.0 > *version, "{id}: nothing is told twice");
                }
                match (&event.kind, &event.value) {
                    (EventKind::Put, EventValue::Record(record)) => {
                        let map = record.to_map().expect("decodes");
                        state.insert(id, (event.version.0, map));
                    }
                    (EventKind::Delete, _) => assert!(state.remove(&id).is_some(), "{id}: unknown"),
                    (EventKind::Message, _) => break,
                    other => panic!("{other:?}"),
                }
            }
            state
        })
    });
    let readers: Vec<_> = readers.collect();
    for writer in writers {
        writer.await.expect("writes");
    }
    publish(&fixture, &table, "end").await;
    let all = table.search(Default::default()).expect("begins").next_records(1000).expect("reads");
    let stored: BTreeMap<String, (f64, Map)> = all
        .iter()
        .map(|record| (record.version().0, record.to_map().expect("decodes")))
        .map(|(version, map)| (map["id"].as_str().expect("text").to_owned(), (version, map)))
        .collect();
    for reader in readers {
        assert_eq!(reader.await.expect("reads"), stored);
    }
}
