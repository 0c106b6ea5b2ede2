//! A subscription to a record, the records below a prefix, or a whole table: first what is there
//! (or what happened), then every change, without gap or duplicate.
//!
//! It registers with the hub before it reads anything, so that no change falls between. What it
//! reads then comes in short batches; each knows the `Seq` that its read transaction saw, so a live
//! event is left out exactly if the batch that covered its record already showed it. It runs in its
//! reader's task, as fast as that reads: the snapshot waits for it, and live events wait in the
//! hub's bounded queue. A reader that is too slow gets an error in words as its last item.

mod history;
mod replay;
mod snapshot;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use kora_hub::{Delivery, Scope, Subscriber};
use kora_resource::{
    Attributes, Error, Event, EventKind, EventValue, Frame, Id, Result, Seq, Value, Version,
};

use crate::Table;
use crate::keys::{Key, encode_id};
use history::History;
pub use replay::{Gap, Replay};
use snapshot::{Coverage, Snapshot};

/// The most history that `previous_count` gives (`spec/harper-realtime.md` section 3).
const MAX_PREVIOUS: usize = 1000;

/// What to subscribe to, and what to begin with (`spec/harper-realtime.md` section 3).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Subscribe {
    /// A record's key, or with `is_collection` a prefix of string keys; `None` for the whole table.
    pub id: Option<Id>,
    pub is_collection: bool,
    /// Do not begin with the current records.
    pub omit_current: bool,
    /// Begin with the last so many changes (at most 1,000), oldest first, instead of current records.
    pub previous_count: Option<usize>,
    /// Begin with the changes after this time (ms since the epoch) instead of current records.
    pub start_time: Option<f64>,
    /// What of each record and message the subscriber may see.
    pub attributes: Attributes,
}

/// A stream of events. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription {
    table: Arc<Table>,
    subscriber: Subscriber,
    phase: Phase,
    ready: VecDeque<Arc<Frame>>,
    /// Live events that wait for the end of the snapshot.
    held: VecDeque<Arc<Frame>>,
    held_bytes: usize,
    /// Events up to here were committed before the subscription.
    floor: Seq,
    /// What of each event is shown.
    attributes: Attributes,
}

#[derive(Debug)]
enum Phase {
    Snapshot(Snapshot),
    History(History),
    /// Live; what the snapshot covered is still left out.
    Live(Coverage),
    Ended,
}

impl Subscription {
    pub(crate) fn new(table: &Arc<Table>, options: Subscribe) -> Result<Subscription> {
        let one_record = options.id.is_some() && !options.is_collection;
        if !one_record && options.previous_count.is_some() && options.start_time.is_some() {
            return Err(Error::invalid("previousCount can not be combined with startTime"));
        }
        let covered = Covered::new(&options)?;
        let mut subscription = Subscription::register(table, &covered, options.attributes)?;
        let floor = subscription.floor;
        subscription.phase = match (options.start_time, options.previous_count) {
            (Some(time), None) => {
                Phase::History(History::since(table, covered, Version(time), floor)?)
            }
            (start, Some(count)) => {
                let count = count.min(MAX_PREVIOUS);
                let start = Version(start.unwrap_or(f64::NEG_INFINITY));
                Phase::History(History::last(table, covered, count, start, floor)?)
            }
            (None, None) if options.omit_current => Phase::Live(Coverage::default()),
            (None, None) => Phase::Snapshot(Snapshot::new(covered)),
        };
        // A small table is shown as it is now, not as it is when the reader gets to it.
        subscription.read_batch()?;
        Ok(subscription)
    }

    /// Registered with the hub; every change after its `floor` reaches it.
    fn register(
        table: &Arc<Table>,
        covered: &Covered,
        attributes: Attributes,
    ) -> Result<Subscription> {
        let limit = table.owner().queue_limit();
        let subscriber = table.owner().hub().subscribe(table.key(), covered.scope(), limit);
        let floor = table.owner().head()?;
        Ok(Subscription {
            table: Arc::clone(table),
            subscriber,
            phase: Phase::Ended,
            ready: VecDeque::new(),
            held: VecDeque::new(),
            held_bytes: 0,
            floor,
            attributes,
        })
    }

    /// How many bytes of events wait for the reader.
    pub fn queued_bytes(&self) -> usize {
        self.subscriber.queued_bytes() + self.held_bytes
    }

    /// The table whose events these are.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// Takes over the live events that have come, then reads the next batch of what comes first.
    fn advance(&mut self, cx: &mut Context<'_>) -> Result<()> {
        if let Phase::Snapshot(snapshot) = &self.phase {
            // What is queued up to now is either later than a batch that covered its record (then it
            // is news), or will be seen by a batch still to come.
            while let Poll::Ready(delivery) = self.subscriber.poll_next(cx) {
                let frame = live(delivery)?;
                if snapshot.coverage().is_news(&frame.event, self.floor)?
                    && (!is_state(&frame.event) || snapshot.has_passed(&frame.event)?)
                {
                    self.held_bytes += frame.cost();
                    self.held.push_back(frame);
                }
            }
            // News come after the snapshot, as long as there is room to keep them; then between its
            // batches: the order of each record's events is the same.
            if self.held_bytes > self.table.owner().queue_limit().0 {
                self.release();
            }
        }
        self.read_batch()
    }

    fn read_batch(&mut self) -> Result<()> {
        let (batch, next) = match &mut self.phase {
            Phase::Snapshot(snapshot) => match snapshot.next_batch(&self.table)? {
                Some(frames) => (frames, None),
                None => (Vec::new(), Some(Phase::Live(snapshot.take_coverage()))),
            },
            Phase::History(history) => match history.next_batch(&self.table)? {
                Some(frames) => (frames, None),
                None => (Vec::new(), Some(Phase::Live(Coverage::default()))),
            },
            Phase::Live(_) | Phase::Ended => return Ok(()),
        };
        self.ready.extend(batch);
        if let Some(next) = next {
            self.phase = next;
            self.release();
        }
        Ok(())
    }

    fn release(&mut self) {
        self.ready.append(&mut self.held);
        self.held_bytes = 0;
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arc<Frame>>> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Poll::Ready(Ok(frame));
            }
            match &mut self.phase {
                Phase::Snapshot(_) | Phase::History(_) => self.advance(cx)?,
                Phase::Live(coverage) => {
                    let delivery = std::task::ready!(self.subscriber.poll_next(cx));
                    let frame = live(delivery)?;
                    coverage.forget_before(&frame.event);
                    if coverage.is_news(&frame.event, self.floor)? {
                        return Poll::Ready(Ok(frame));
                    }
                }
                Phase::Ended => return Poll::Pending,
            }
        }
    }
}

impl Stream for Subscription {
    type Item = Result<Arc<Frame>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if matches!(this.phase, Phase::Ended) {
            return Poll::Ready(None);
        }
        let frame =
            std::task::ready!(this.poll_frame(cx)).and_then(|frame| shown(frame, &this.attributes));
        if frame.is_err() {
            this.phase = Phase::Ended;
        }
        Poll::Ready(Some(frame))
    }
}

fn live(delivery: Option<Delivery>) -> Result<Arc<Frame>> {
    match delivery {
        Some(Delivery::Frame(frame)) => Ok(frame),
        Some(Delivery::Overflowed) | None => Err(Error::unavailable(
            "The reader of this subscription was too slow: events were dropped, subscribe again",
        )),
    }
}

/// The frame as who may see only some attributes gets it: one of their own, encoded anew.
fn shown(frame: Arc<Frame>, attributes: &Attributes) -> Result<Arc<Frame>> {
    if *attributes == Attributes::All {
        return Ok(frame);
    }
    let mut event = frame.event.clone();
    match &mut event.value {
        EventValue::Absent => {}
        EventValue::Record(record) => *record = attributes.of_record(record)?,
        EventValue::Message(Value::Object(message)) => attributes.retain(message),
        // A message without attributes has none that could be withheld.
        EventValue::Message(_) => {}
    }
    Ok(Frame::new(event))
}

/// Whether an event tells of a record's state, which a snapshot shows too; messages it never shows.
fn is_state(event: &Event) -> bool {
    match event.kind {
        EventKind::Put | EventKind::Patch | EventKind::Delete | EventKind::Invalidate => true,
        EventKind::Message => false,
    }
}

/// Which keys a subscription is about.
#[derive(Debug, Clone)]
pub(crate) enum Covered {
    Record(Key),
    Prefix(Key, String),
    Table,
}

impl Covered {
    fn new(options: &Subscribe) -> Result<Covered> {
        match (&options.id, options.is_collection) {
            (None | Some(Id::Null), _) => Ok(Covered::Table),
            (Some(id), false) => Ok(Covered::Record(encode_id(id)?)),
            (Some(Id::String(prefix)), true) if prefix.is_empty() => Ok(Covered::Table),
            (Some(Id::String(prefix)), true) => {
                // `a` and `a/` both mean what is below `a/`, here as in the hub.
                let slash = if prefix.ends_with('/') { "" } else { "/" };
                let prefix = format!("{prefix}{slash}");
                Ok(Covered::Prefix(crate::keys::string_prefix(&prefix), prefix))
            }
            (Some(_), true) => {
                Err(Error::invalid("Only a string can be the prefix of a collection"))
            }
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Covered::Record(key) => Scope::Record(key.as_slice().into()),
            Covered::Prefix(_, prefix) => Scope::Prefix(prefix.clone()),
            Covered::Table => Scope::Table,
        }
    }

    fn contains(&self, key: &[u8]) -> bool {
        match self {
            Covered::Record(record) => key == &record[..],
            Covered::Prefix(prefix, _) => key.starts_with(prefix),
            Covered::Table => true,
        }
    }
}
