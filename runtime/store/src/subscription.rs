//! A subscription to a record, the records below a prefix or of a pattern, or a whole table: first
//! what is there (or what happened), then every change, without gap or duplicate.
//!
//! It registers with the hub before it reads anything, so that no change falls between. What it
//! reads then comes in short batches; each knows the `Seq` that its read transaction saw, so a live
//! event is left out exactly if the batch that covered its record already showed it. It runs in its
//! reader's task, as fast as that reads: the snapshot waits for it, and live events wait in the
//! hub's bounded queue.
//!
//! A reader that is too slow for that queue loses nothing: the subscription registers anew and reads
//! what it missed from the log, as fast as its reader takes it, which costs no memory. Only where the
//! log no longer tells what it missed does it say [`Message::Gap`] and show the current records, the
//! last state of each, again.

mod filter;
mod history;
mod snapshot;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use kora_hub::{Delivery, Scope, Subscriber};
use kora_resource::{
    Attributes, Depth, Error, Event, EventKind, EventValue, Frame, Id, Level, Message, Pattern,
    Position, Query, Result, Seq, StreamOptions, Target, Value, Version,
};

use crate::Table;
use crate::keys::{Key, decode_id, encode_id};
use filter::EventFilter;
use history::{Batch, History};
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
    /// Begin with the changes after this position; it wins over the other beginnings. Where the log
    /// does not tell them all any more, or is another one, the subscription says so with a
    /// [`Message::Gap`] and begins with the current records.
    pub resume: Option<Position>,
    /// Of a collection only the ids with one more level.
    pub only_children: bool,
    /// Only the ids of this pattern, of the whole table.
    pub pattern: Option<Pattern>,
    /// Only the events of records that satisfy the conditions, and a `leave` event when one no
    /// longer does.
    pub filter: Option<Query>,
    /// What of each record and message the subscriber may see.
    pub attributes: Attributes,
}

impl Subscribe {
    /// What a transport asks for.
    pub fn new(target: Target, options: StreamOptions) -> Subscribe {
        Subscribe {
            id: target.id,
            is_collection: target.is_collection,
            omit_current: options.omit_current,
            previous_count: options.previous_count,
            start_time: options.start_time,
            resume: options.resume,
            only_children: options.only_children,
            pattern: options.pattern,
            filter: options.filter,
            attributes: Attributes::default(),
        }
    }
}

/// A stream of [`Message::Event`]s, with [`Message::Position`]s and [`Message::Gap`]s between.
/// Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription {
    table: Arc<Table>,
    covered: Covered,
    filter: Option<EventFilter>,
    subscriber: Subscriber,
    phase: Phase,
    ready: VecDeque<Message>,
    /// Live events that wait for the end of the snapshot.
    held: VecDeque<Arc<Frame>>,
    held_bytes: usize,
    /// Events up to here were committed before the registration with the hub.
    floor: Seq,
    /// What the snapshot has shown, and the floor that it began with.
    coverage: Coverage,
    shown_from: Seq,
    /// Everything up to here was taken over from the hub or the log, or is covered by a snapshot.
    taken: Seq,
    /// The hub has dropped events that came after `taken`, while something else was being read.
    is_behind: bool,
    /// What of each event is shown.
    attributes: Attributes,
}

#[derive(Debug)]
enum Phase {
    Snapshot(Snapshot),
    History(History),
    Live,
    Ended,
}

impl Subscription {
    pub(crate) fn new(table: &Arc<Table>, options: Subscribe) -> Result<Subscription> {
        let one_record = options.id.is_some() && !options.is_collection;
        if !one_record && options.previous_count.is_some() && options.start_time.is_some() {
            return Err(Error::invalid("previousCount can not be combined with startTime"));
        }
        let covered = Covered::new(&options)?;
        let filter = match options.filter {
            Some(mut query) => {
                // What may not be seen must not decide what is sent either.
                options.attributes.restrict(&mut query, &table.schema().primary_key)?;
                EventFilter::new(table, query)?
            }
            None => None,
        };
        let (subscriber, floor) = register(table, &covered)?;
        let mut subscription = Subscription {
            table: Arc::clone(table),
            covered: covered.clone(),
            filter,
            subscriber,
            phase: Phase::Live,
            ready: VecDeque::new(),
            held: VecDeque::new(),
            held_bytes: 0,
            floor,
            coverage: Coverage::default(),
            shown_from: Seq(0),
            taken: floor,
            is_behind: false,
            attributes: options.attributes,
        };
        match (options.resume, options.start_time, options.previous_count) {
            (Some(position), _, _) if position.epoch == table.epoch() => {
                subscription.go_on_after(position.seq)?;
            }
            (Some(_), _, _) => subscription.begin_anew(),
            (None, Some(time), None) => {
                let history = History::since(table, covered, Version(time), floor)?;
                subscription.read_history(history);
            }
            (None, start, Some(count)) => {
                let count = count.min(MAX_PREVIOUS);
                let start = Version(start.unwrap_or(f64::NEG_INFINITY));
                let history = History::last(table, covered, count, start, floor)?;
                subscription.read_history(history);
            }
            (None, None, None) if options.omit_current => subscription.tell_position(floor),
            (None, None, None) => subscription.show_current(),
        }
        // A small table is shown as it is now, not as it is when the reader gets to it.
        subscription.read_batch()?;
        Ok(subscription)
    }

    /// How many bytes of events wait for the reader.
    pub fn queued_bytes(&self) -> usize {
        self.subscriber.queued_bytes() + self.held_bytes
    }

    /// The table whose events these are.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    fn tell_position(&mut self, seq: Seq) {
        self.ready.push_back(Message::Position(Position { epoch: self.table.epoch(), seq }));
    }

    fn show_current(&mut self) {
        self.coverage = Coverage::default();
        self.shown_from = self.floor;
        self.taken = self.floor;
        self.phase = Phase::Snapshot(Snapshot::new(self.covered.clone()));
    }

    fn read_history(&mut self, history: History) {
        self.tell_position(history.begins_after());
        self.phase = Phase::History(history);
    }

    /// Reads the log after `after` if it tells everything since, else begins anew.
    fn go_on_after(&mut self, after: Seq) -> Result<()> {
        // Past the head: the log was restored from an older copy.
        let is_whole = after <= self.floor && after >= trimmed(&self.table)?;
        if is_whole {
            let history = History::after(self.covered.clone(), after, self.floor);
            self.read_history(history);
        } else {
            self.begin_anew();
        }
        Ok(())
    }

    fn begin_anew(&mut self) {
        self.ready.push_back(Message::Gap);
        if let Some(filter) = &mut self.filter {
            filter.forget();
        }
        self.show_current();
    }

    /// Goes on from the log: the hub has dropped what waited.
    fn catch_up(&mut self) -> Result<()> {
        (self.subscriber, self.floor) = register(&self.table, &self.covered)?;
        self.is_behind = false;
        self.go_on_after(self.taken)
    }

    /// Takes over the live events that have come, then reads the next batch of what comes first.
    fn advance(&mut self, cx: &mut Context<'_>) -> Result<()> {
        if let Phase::Snapshot(snapshot) = &self.phase
            && !self.is_behind
        {
            // What is queued up to now is either later than a batch that covered its record (then it
            // is news), or will be seen by a batch still to come.
            while let Poll::Ready(delivery) = self.subscriber.poll_next(cx) {
                let Some(Delivery::Frame(frame)) = delivery else {
                    self.is_behind = true;
                    break;
                };
                let event = &frame.event;
                self.taken = self.taken.max(event.seq.unwrap_or_default());
                if snapshot.coverage().is_news(event, self.shown_from)?
                    && (!is_state(event) || snapshot.has_passed(event)?)
                {
                    self.held_bytes += frame.cost();
                    self.held.push_back(frame);
                }
            }
            // News come after the snapshot, as long as there is room to keep them; then between its
            // batches: the order of each record's events is the same.
            if self.held_bytes > self.table.owner().queue_limit().0 {
                self.release()?;
            }
        }
        self.read_batch()
    }

    fn read_batch(&mut self) -> Result<()> {
        let batch = match &mut self.phase {
            Phase::Snapshot(snapshot) => match snapshot.next_batch(&self.table)? {
                Some(frames) => Batch::Frames(frames),
                None => {
                    self.coverage = snapshot.take_coverage();
                    Batch::End
                }
            },
            Phase::History(history) => history.next_batch(&self.table)?,
            Phase::Live | Phase::Ended => return Ok(()),
        };
        match batch {
            Batch::Frames(frames) => {
                for frame in frames {
                    // After a snapshot the log tells some that it has shown.
                    if frame.event.seq.is_none()
                        || self.coverage.is_news(&frame.event, self.shown_from)?
                    {
                        self.make_ready(frame)?;
                    }
                }
            }
            Batch::Gone => self.begin_anew(),
            Batch::End => {
                if matches!(self.phase, Phase::History(_)) {
                    self.taken = self.floor;
                }
                self.release()?;
                if self.is_behind {
                    self.catch_up()?;
                } else {
                    self.phase = Phase::Live;
                    self.tell_position(self.taken);
                }
            }
        }
        Ok(())
    }

    fn release(&mut self) -> Result<()> {
        self.held_bytes = 0;
        for frame in std::mem::take(&mut self.held) {
            self.make_ready(frame)?;
        }
        Ok(())
    }

    fn make_ready(&mut self, frame: Arc<Frame>) -> Result<()> {
        let frame = match &mut self.filter {
            Some(filter) => filter.pass(frame)?,
            None => Some(frame),
        };
        self.ready.extend(frame.map(Message::Event));
        Ok(())
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message>> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Poll::Ready(Ok(message));
            }
            match &self.phase {
                Phase::Snapshot(_) | Phase::History(_) => self.advance(cx)?,
                Phase::Live => match std::task::ready!(self.subscriber.poll_next(cx)) {
                    Some(Delivery::Frame(frame)) => {
                        let event = &frame.event;
                        self.taken = self.taken.max(event.seq.unwrap_or_default());
                        self.coverage.forget_before(event);
                        if event.seq > Some(self.floor)
                            && self.coverage.is_news(event, self.shown_from)?
                        {
                            self.make_ready(frame)?;
                        }
                    }
                    Some(Delivery::Overflowed) | None => self.catch_up()?,
                },
                Phase::Ended => return Poll::Pending,
            }
        }
    }
}

impl Stream for Subscription {
    type Item = Result<Message>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if matches!(this.phase, Phase::Ended) {
            return Poll::Ready(None);
        }
        let message = std::task::ready!(this.poll_message(cx)).and_then(|message| match message {
            Message::Event(frame) => shown(frame, &this.attributes).map(Message::Event),
            other => Ok(other),
        });
        if message.is_err() {
            this.phase = Phase::Ended;
        }
        Poll::Ready(Some(message))
    }
}

/// The last position that the table's entries may be missing at.
fn trimmed(table: &Table) -> Result<Seq> {
    table.owner().environment().read(|txn, trees| crate::log::trimmed(txn, trees, table.id()))
}

/// A place in the hub, and the position that was committed once it was taken: every change after it
/// comes through the hub.
fn register(table: &Arc<Table>, covered: &Covered) -> Result<(Subscriber, Seq)> {
    let database = table.owner();
    let subscriber = database.hub().subscribe(table.key(), covered.scope(), database.queue_limit());
    Ok((subscriber, database.head()?))
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
        EventKind::Put
        | EventKind::Patch
        | EventKind::Delete
        | EventKind::Invalidate
        | EventKind::Leave => true,
        EventKind::Message => false,
    }
}

/// Which keys a subscription is about.
#[derive(Debug, Clone)]
pub(crate) enum Covered {
    Record(Key),
    Prefix(Key, String),
    /// The ids of a pattern, and what their keys begin with.
    Pattern(Key, Pattern),
    Table,
}

impl Covered {
    fn new(options: &Subscribe) -> Result<Covered> {
        if let Some(pattern) = &options.pattern {
            return match (pattern.levels.is_empty(), pattern.depth) {
                // The table's own topic.
                (true, Depth::Exact) => Ok(Covered::Record(encode_id(&Id::Null)?)),
                (true, Depth::Below) | (false, _) => Ok(Covered::of_pattern(pattern.clone())),
            };
        }
        let is_children = options.only_children && (options.is_collection || options.id.is_none());
        match (&options.id, options.is_collection) {
            (None | Some(Id::Null), _) if is_children => {
                Ok(Covered::of_pattern(Pattern::children("")))
            }
            (Some(Id::String(prefix)), true) if is_children => {
                Ok(Covered::of_pattern(Pattern::children(prefix)))
            }
            (None | Some(Id::Null), _) => Ok(Covered::Table),
            (Some(id), false) => Ok(Covered::Record(encode_id(id)?)),
            (Some(Id::String(prefix)), true) if prefix.is_empty() => Ok(Covered::Table),
            (Some(Id::String(prefix)), true) => Ok(Covered::below(prefix)),
            (Some(_), true) => {
                Err(Error::invalid("Only a string can be the prefix of a collection"))
            }
        }
    }

    /// `a` and `a/` both mean what is below `a/`, here as in the hub.
    fn below(prefix: &str) -> Covered {
        let slash = if prefix.ends_with('/') { "" } else { "/" };
        let prefix = format!("{prefix}{slash}");
        Covered::Prefix(crate::keys::string_prefix(&prefix), prefix)
    }

    fn of_pattern(pattern: Pattern) -> Covered {
        let is_plain = pattern.levels.iter().all(|level| *level != Level::Any);
        let prefix = pattern.prefix();
        match pattern.depth {
            Depth::Below if pattern.levels.is_empty() => Covered::Table,
            Depth::Below if is_plain => Covered::below(&prefix),
            Depth::Below | Depth::Exact if prefix.is_empty() || is_plain => {
                Covered::Pattern(Key::default(), pattern)
            }
            Depth::Below | Depth::Exact => {
                Covered::Pattern(crate::keys::string_prefix(&prefix), pattern)
            }
        }
    }

    fn scope(&self) -> Scope {
        match self {
            Covered::Record(key) => Scope::Record(key.as_slice().into()),
            Covered::Prefix(_, prefix) => Scope::Prefix(prefix.clone()),
            Covered::Pattern(_, pattern) => Scope::Pattern(pattern.clone()),
            Covered::Table => Scope::Table,
        }
    }

    fn contains(&self, key: &[u8]) -> bool {
        match self {
            Covered::Record(record) => key == &record[..],
            Covered::Prefix(prefix, _) => key.starts_with(prefix),
            Covered::Pattern(prefix, pattern) => {
                key.starts_with(prefix) && decode_id(key).is_some_and(|id| pattern.matches(&id))
            }
            Covered::Table => true,
        }
    }
}
