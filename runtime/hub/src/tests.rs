//! The hub's promises: order, scopes, bounds and the end of a subscription.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use kora_resource::{Event, EventKind, EventValue, Frame, Id, Seq, Value, Version};
use proptest::prelude::*;

use super::*;

const TABLE: TableKey = TableKey(1);

fn frame(seq: u64, text: &str) -> Arc<Frame> {
    Frame::new(Event {
        seq: Some(Seq(seq)),
        kind: EventKind::Message,
        id: Id::from("x"),
        version: Version(0.0),
        local_time: Version(0.0),
        value: EventValue::Message(Value::from(text)),
        properties: None,
    })
}

fn publish(hub: &Hub, id: &str, seq: u64) {
    hub.publish(TABLE, id.as_bytes(), &Id::from(id), &frame(seq, ""));
}

fn record(id: &str) -> Scope {
    Scope::Record(id.as_bytes().into())
}

/// The sequence numbers that are there without waiting; `None` stands for `Overflowed`.
fn drain(subscriber: &mut Subscriber) -> Vec<Option<u64>> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut seen = Vec::new();
    while let Poll::Ready(Some(delivery)) = subscriber.poll_next(&mut cx) {
        seen.push(match delivery {
            Delivery::Frame(frame) => frame.event.seq.map(|seq| seq.0),
            Delivery::Overflowed => None,
        });
    }
    seen
}

#[test]
fn delivers_in_order_of_publication() {
    let hub = Hub::new();
    let mut subscriber = hub.subscribe(TABLE, Scope::Table, QueueLimit::default());
    (1..=100).for_each(|seq| publish(&hub, "a", seq));
    assert_eq!(drain(&mut subscriber), (1..=100).map(Some).collect::<Vec<_>>());
}

#[test]
fn scopes_select_records() {
    let hub = Hub::new();
    let subscribe = |scope| hub.subscribe(TABLE, scope, QueueLimit::default());
    let mut one = subscribe(record("a/b"));
    let mut below = subscribe(Scope::Prefix("a/".into()));
    let mut below_bare = subscribe(Scope::Prefix("a".into()));
    let mut deep = subscribe(Scope::Prefix("a/b/".into()));
    let mut everything = subscribe(Scope::Prefix(String::new()));
    let mut table = subscribe(Scope::Table);
    let mut other = hub.subscribe(TableKey(2), Scope::Table, QueueLimit::default());
    for (seq, id) in [(1, "a"), (2, "a/b"), (3, "a/b/c"), (4, "ab/c"), (5, "b")] {
        publish(&hub, id, seq);
    }
    hub.publish(TABLE, b"\x07", &Id::Number(7.0), &frame(6, ""));
    let all: Vec<_> = (1..=6).map(Some).collect();
    assert_eq!(drain(&mut one), [Some(2)]);
    assert_eq!(drain(&mut below), [Some(2), Some(3)]);
    assert_eq!(drain(&mut below_bare), [Some(2), Some(3)]);
    assert_eq!(drain(&mut deep), [Some(3)]);
    assert_eq!(drain(&mut everything), all);
    assert_eq!(drain(&mut table), all);
    assert_eq!(drain(&mut other), []);
}

#[test]
fn patterns_select_records_by_their_levels() {
    let hub = Hub::new();
    let subscribe = |text: &str| {
        let pattern = Pattern::parse(text).expect(text);
        hub.subscribe(TABLE, Scope::Pattern(pattern), QueueLimit::default())
    };
    let mut children = subscribe("+");
    let mut below = subscribe("a/+");
    let mut ends = subscribe("+/b/c");
    let mut deep = subscribe("+/b/#");
    let ids = ["a", "a/b", "a/b/c", "x/b/c", "x/y", "a/c"];
    for (seq, id) in (1..).zip(ids) {
        publish(&hub, id, seq);
    }
    hub.publish(TABLE, b"\x07", &Id::Number(7.0), &frame(7, ""));
    hub.publish(TABLE, b"\x00", &Id::Null, &frame(8, ""));
    assert_eq!(drain(&mut children), [Some(1), Some(7)]);
    assert_eq!(drain(&mut below), [Some(2), Some(6)]);
    assert_eq!(drain(&mut ends), [Some(3), Some(4)]);
    assert_eq!(drain(&mut deep), [Some(3), Some(4)]);
    assert_eq!(hub.subscribers(TABLE), 4);
    drop((children, below, ends, deep));
    assert_eq!(hub.subscribers(TABLE), 0);
    assert!(hub.tables.read()[&TABLE].lock().audience(b"a/b", &Id::from("a/b")).is_empty());
}

#[test]
fn past_the_ceiling_whoever_waits_overflows() {
    let cost = frame(0, "").cost();
    let hub = Hub::with_ceiling(CeilingLimit(cost * 2));
    let mut slow = hub.subscribe(TABLE, record("slow"), QueueLimit::default());
    let mut quick = hub.subscribe(TABLE, record("quick"), QueueLimit::default());
    (1..=3).for_each(|seq| publish(&hub, "slow", seq));
    assert_eq!(hub.queued_bytes(), cost * 3);
    publish(&hub, "quick", 4);
    publish(&hub, "slow", 5);
    assert_eq!(hub.queued_bytes(), cost, "what waited is dropped");
    assert_eq!(drain(&mut slow), [None]);
    assert_eq!(drain(&mut quick), [Some(4)]);
    assert_eq!(hub.queued_bytes(), 0);
}

#[test]
fn a_record_concerns_only_its_own_subscribers() {
    let hub = Hub::new();
    let _others: Vec<_> = (0..1000)
        .map(|n| hub.subscribe(TABLE, record(&n.to_string()), QueueLimit::default()))
        .collect();
    let _below: Vec<_> = (0..1000)
        .map(|n| hub.subscribe(TABLE, Scope::Prefix(format!("p{n}/")), QueueLimit::default()))
        .collect();
    let topics = hub.tables.read()[&TABLE].clone();
    let reached = |id: &str| topics.lock().audience(id.as_bytes(), &Id::from(id)).len();
    assert_eq!(reached("7"), 1);
    assert_eq!(reached("p7/x"), 1);
    assert_eq!(reached("nobody"), 0);
}

#[test]
fn overflow_frees_the_queue_and_is_the_last_delivery() {
    let hub = Hub::new();
    let cost = frame(0, "").cost();
    let mut subscriber = hub.subscribe(TABLE, Scope::Table, QueueLimit(cost * 3));
    (1..=3).for_each(|seq| publish(&hub, "a", seq));
    assert_eq!(subscriber.queued_bytes(), cost * 3);
    publish(&hub, "a", 4);
    assert_eq!(subscriber.queued_bytes(), 0);
    publish(&hub, "a", 5);
    assert_eq!(drain(&mut subscriber), [None]);
    publish(&hub, "a", 6);
    assert_eq!(drain(&mut subscriber), []);
}

#[test]
fn one_frame_past_the_bound_is_still_delivered() {
    let hub = Hub::new();
    let mut subscriber = hub.subscribe(TABLE, Scope::Table, QueueLimit(1));
    publish(&hub, "a", 1);
    assert_eq!(drain(&mut subscriber), [Some(1)]);
    publish(&hub, "a", 2);
    publish(&hub, "a", 3);
    assert_eq!(drain(&mut subscriber), [None]);
}

#[test]
fn reading_makes_room() {
    let hub = Hub::new();
    let cost = frame(0, "").cost();
    let mut subscriber = hub.subscribe(TABLE, Scope::Table, QueueLimit(cost * 2));
    for seq in 1..=10 {
        publish(&hub, "a", seq);
        assert_eq!(drain(&mut subscriber), [Some(seq)]);
        assert_eq!(subscriber.queued_bytes(), 0);
    }
}

#[test]
fn dropping_unsubscribes() {
    let hub = Hub::new();
    let mut kept = hub.subscribe(TABLE, record("a"), QueueLimit::default());
    let dropped = hub.subscribe(TABLE, record("a"), QueueLimit::default());
    let below = hub.subscribe(TABLE, Scope::Prefix("a".into()), QueueLimit::default());
    assert_eq!(hub.subscribers(TABLE), 3);
    drop(dropped);
    drop(below);
    publish(&hub, "a", 1);
    assert_eq!(drain(&mut kept), [Some(1)]);
    drop(kept);
    assert_eq!(hub.subscribers(TABLE), 0);
    let topics = hub.tables.read()[&TABLE].clone();
    assert_eq!(topics.lock().audience(b"a", &Id::from("a")).len(), 0);
}

/// Subscribes from inside the wake: deadlocks if the hub holds a lock then.
struct Reentrant {
    hub: Arc<Hub>,
    wakes: AtomicUsize,
}

impl Wake for Reentrant {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
        drop(self.hub.subscribe(TABLE, Scope::Table, QueueLimit::default()));
        publish(&self.hub, "other", 9);
    }
}

#[test]
fn no_lock_is_held_while_waking() {
    let hub = Hub::new();
    let reentrant = Arc::new(Reentrant { hub: hub.clone(), wakes: AtomicUsize::new(0) });
    let waker = Waker::from(reentrant.clone());
    let mut subscriber = hub.subscribe(TABLE, record("a"), QueueLimit::default());
    assert!(subscriber.poll_next(&mut Context::from_waker(&waker)).is_pending());
    publish(&hub, "a", 1);
    publish(&hub, "a", 2);
    assert_eq!(reentrant.wakes.load(Ordering::SeqCst), 1, "one wake until it is polled again");
    assert_eq!(drain(&mut subscriber), [Some(1), Some(2)]);
}

#[tokio::test]
async fn wakes_a_waiting_task() {
    let hub = Hub::new();
    let mut subscriber = hub.subscribe(TABLE, Scope::Table, QueueLimit::default());
    let reader =
        tokio::spawn(
            async move { std::future::poll_fn(|cx| subscriber.poll_next(cx)).await.is_some() },
        );
    tokio::task::yield_now().await;
    publish(&hub, "a", 1);
    assert!(reader.await.expect("the reader does not panic"));
}

proptest! {
    /// However subscribers come and go, each that stays gets each event exactly once.
    #[test]
    fn slots_survive_any_order_of_leaving(leaving in prop::collection::vec(0usize..20, 0..20)) {
        let hub = Hub::new();
        let mut subscribers: Vec<_> =
            (0..20).map(|_| hub.subscribe(TABLE, record("a"), QueueLimit::default())).collect();
        for index in leaving {
            let index = index % subscribers.len();
            subscribers.swap_remove(index);
            if subscribers.is_empty() {
                break;
            }
        }
        publish(&hub, "a", 1);
        prop_assert_eq!(hub.subscribers(TABLE), subscribers.len());
        for subscriber in &mut subscribers {
            prop_assert_eq!(drain(subscriber), [Some(1)]);
        }
    }
}
