//! The change log of the items, read again and as subscriptions tell it, against the model's changes.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;
use kora_resource::{Event, EventKind, EventValue, Message, Position, Seq};

use super::tables::Entry;
use super::*;
use crate::{HistoryRange, Subscribe, Subscription};

/// The id of what marks the end of what is to be read.
const END: &str = "the end";

/// A subscription that hears of all changes from here on.
pub(super) struct Follower {
    subscription: Subscription,
    /// How many entries of the model's log it has not heard.
    begins: usize,
    hidden: BTreeSet<String>,
}

impl Follower {
    pub(super) fn begin(items: &Arc<Table>, model: &Model) -> Follower {
        let of = Subscribe { omit_current: true, ..all() };
        let subscription = items.subscribe(of).expect("subscribes");
        Follower { subscription, begins: model.log.len(), hidden: model.hidden.clone() }
    }

    /// Compares all that it was told.
    pub(super) async fn end(
        &mut self,
        fixture: &Fixture,
        items: &Arc<Table>,
        model: &mut Model,
        seed: u64,
    ) {
        let mut transaction = fixture.store.transaction();
        transaction.publish(items, END.into(), Value::Null).expect("publishes");
        transaction.commit().await.expect("commits");
        model.log.push(("message", END.to_owned(), None));
        let told = told(&mut self.subscription).await;
        compare(&told, &model.log[self.begins..], &mut self.hidden, seed);
    }
}

fn all() -> Subscribe {
    Subscribe { is_collection: true, ..Subscribe::default() }
}

async fn next(subscription: &mut Subscription) -> Message {
    let next = tokio::time::timeout(Duration::from_secs(20), subscription.next()).await;
    next.expect("in time").expect("goes on").expect("a message")
}

/// The events up to the mark at the end.
async fn told(subscription: &mut Subscription) -> Vec<Event> {
    let mut told = Vec::new();
    loop {
        match next(subscription).await {
            Message::Event(frame) => {
                told.push(frame.event.clone());
                if frame.event.id == END.into() {
                    return told;
                }
            }
            Message::Position(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The whole log is what the model has done; a subscription goes on from any position of it; the
/// current records are those of the model.
pub(super) async fn check_log(dice: &mut Dice, items: &Arc<Table>, model: &Model, seed: u64) {
    let mut reader = items.history(HistoryRange::default()).expect("begins");
    let mut entries: Vec<Event> = Vec::new();
    loop {
        let batch = reader.next_batch().expect("reads");
        if batch.is_empty() {
            break;
        }
        entries.extend(batch);
    }
    compare(&entries, &model.log, &mut BTreeSet::new(), seed);
    let after = dice.roll(entries.len() as u64) as usize;
    let seq = entries[after].seq.expect("of the log");
    let resume = Some(Position { epoch: items.epoch(), seq });
    let mut resumed = items.subscribe(Subscribe { resume, ..all() }).expect("subscribes");
    for entry in &entries[after + 1..] {
        loop {
            match next(&mut resumed).await {
                Message::Event(frame) => {
                    assert_eq!(frame.event.seq, entry.seq, "seed {seed}");
                    assert_eq!(record(&frame.event), record(entry), "seed {seed}");
                    break;
                }
                Message::Position(_) => {}
                other => panic!("{other:?} seed {seed}"),
            }
        }
    }
    let mut current = items.subscribe(all()).expect("subscribes");
    let mut found = BTreeMap::new();
    while let Message::Event(frame) = next(&mut current).await {
        found.insert(frame.event.id.to_string(), record(&frame.event).expect("a record"));
    }
    assert_eq!(found, model.items, "seed {seed}");
}

fn record(event: &Event) -> Option<Map> {
    match &event.value {
        EventValue::Record(record) => Some(record.to_map().expect("decodes")),
        EventValue::Absent | EventValue::Message(_) => None,
    }
}

/// `hidden` are the items that the store may delete by itself at any time, once.
fn compare(told: &[Event], expected: &[Entry], hidden: &mut BTreeSet<String>, seed: u64) {
    let mut expected = expected.iter();
    let mut last = Seq(0);
    for event in told {
        let seq = event.seq.expect("a position");
        assert!(seq > last, "{seq:?} after {last:?}, seed {seed}");
        last = seq;
        let id = event.id.to_string();
        if event.kind == EventKind::Delete && hidden.remove(&id) {
            continue;
        }
        let entry = (event.kind.name(), id.clone(), record(event));
        let wanted = expected.next();
        assert_eq!(Some(&entry), wanted, "{seq:?}, seed {seed}");
        match event.kind {
            EventKind::Invalidate => drop(hidden.insert(id)),
            // Only an item whose time is over is ever deleted in silence: it may be any.
            EventKind::Put | EventKind::Patch if is_over(event) => drop(hidden.insert(id)),
            EventKind::Put | EventKind::Patch => drop(hidden.remove(&id)),
            EventKind::Delete | EventKind::Message | EventKind::Leave => {}
        }
    }
    assert_eq!(expected.next(), None, "seed {seed}");
}

fn is_over(event: &Event) -> bool {
    match &event.value {
        EventValue::Record(record) => record.expires().is_some_and(|at| at <= crate::clock::now()),
        EventValue::Absent | EventValue::Message(_) => false,
    }
}
