//! What the broker knows of a client between its packets, and between its connections.
//!
//! A session holds no messages that the change log has: for each subscription it knows up to which
//! position the client has everything, and which later ones it still has not acknowledged. When the
//! client comes back the subscription goes on from there, and what it had not acknowledged comes
//! again with its old packet identifier. Only what is in no log (current records on their way, what a
//! class has yielded) is kept as a message, and only while it is in flight.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use kora_resource::{Position, Seq};
use mqtt_proto::QoS;
use mqtt_proto::v5::SubscriptionOptions;

/// How many messages of quality of service 1 and 2 may be in flight to one client, whatever it allows.
const MOST_IN_FLIGHT: usize = 1024;

/// One client's session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client_id: Arc<str>,
    /// How long it outlives its connection, in seconds.
    pub(super) expiry: u32,
    /// By filter, in the order of the client's packets.
    pub(super) subscriptions: IndexMap<Arc<str>, Subscribed>,
    /// What the client has not acknowledged, by packet identifier.
    pub(super) in_flight: HashMap<u16, InFlight>,
    /// Those of them that the change log is to bring again: on this connection they were not sent.
    coming_again: HashSet<u16>,
    /// How many messages were ever given an identifier.
    tracked: u64,
    /// Identifiers of the client's own messages of quality of service 2 that it has not released.
    pub(super) received: HashSet<u16>,
    last_id: u16,
    /// Whether the stored session is older than this one.
    pub(super) is_changed: bool,
}

/// One subscription of a session.
#[derive(Debug, Clone)]
pub(super) struct Subscribed {
    pub(super) options: SubscriptionOptions,
    pub(super) id: Option<u32>,
    pub(super) progress: Progress,
}

/// Up to where a client has the events of one subscription.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Progress {
    /// Everything up to here was sent; `None` until the current records have been.
    pub(super) sent: Option<Position>,
    /// What of it is not acknowledged.
    pub(super) pending: BTreeSet<Seq>,
}

impl Progress {
    /// The position to go on from: before the first event that is not acknowledged.
    pub(super) fn settled(&self) -> Option<Position> {
        let sent = self.sent?;
        let first = self.pending.first().map(|seq| Seq(seq.0.saturating_sub(1)));
        Some(Position { seq: first.unwrap_or(sent.seq), ..sent })
    }

    /// The stream stands at `position`: all before it came.
    pub(super) fn reach(&mut self, position: Position) {
        match &mut self.sent {
            Some(sent) if sent.epoch == position.epoch => sent.seq = sent.seq.max(position.seq),
            _ => *self = Progress { sent: Some(position), pending: BTreeSet::new() },
        }
    }

    /// What to do with an event of the stream that goes on from [`Progress::settled`].
    fn meet(&mut self, seq: Seq) -> Met {
        match &mut self.sent {
            Some(sent) if seq <= sent.seq => match self.pending.contains(&seq) {
                true => Met::Unacknowledged,
                false => Met::Acknowledged,
            },
            Some(sent) => {
                sent.seq = seq;
                Met::New
            }
            None => Met::New,
        }
    }
}

/// What is known of an event that a stream brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Met {
    New,
    Unacknowledged,
    Acknowledged,
}

/// A message that the client has not acknowledged.
#[derive(Debug)]
pub(super) struct InFlight {
    /// Its place in the order of sending.
    number: u64,
    pub(super) filter: Arc<str>,
    pub(super) qos: QoS,
    pub(super) stage: Stage,
    pub(super) source: Source,
}

/// How far the handshake of quality of service 2 has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// PUBLISH was sent.
    Sent,
    /// PUBREC has come, PUBREL was sent: the message must not be sent again.
    Received,
}

/// Where the message is, should it be sent again.
#[derive(Debug)]
pub(super) enum Source {
    /// In the change log.
    Log(Seq),
    /// In no log: here.
    Kept(Arc<Kept>),
    /// With a shared subscription, which gives it to another member if this one leaves.
    Shared(Box<super::shared::Loan>),
}

/// A message that stands in no log: a current record, or what a class has yielded.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) topic: Arc<str>,
    pub(super) payload: Bytes,
    pub(super) is_retained: bool,
    pub(super) content_type: Option<Arc<str>>,
}

/// How an event is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// With quality of service 0.
    Untracked,
    /// With this identifier.
    Tracked { qos: QoS, id: u16, is_repeated: bool },
    /// Not at all: the client has it.
    Known,
}

impl Session {
    pub(super) fn new(client_id: Arc<str>, expiry: u32) -> Session {
        Session {
            client_id,
            expiry,
            subscriptions: IndexMap::new(),
            in_flight: HashMap::new(),
            coming_again: HashSet::new(),
            tracked: 0,
            received: HashSet::new(),
            last_id: 0,
            is_changed: true,
        }
    }

    /// Whether another message of quality of service 1 or 2 may be sent.
    pub(super) fn has_room(&self, receive_maximum: usize) -> bool {
        self.in_flight.len() - self.coming_again.len() < receive_maximum.min(MOST_IN_FLIGHT)
    }

    /// Adds a subscription or replaces the one of the same filter; whether it is new.
    pub(super) fn subscribe(
        &mut self,
        filter: &Arc<str>,
        options: SubscriptionOptions,
        id: Option<u32>,
    ) -> bool {
        self.is_changed = true;
        let subscribed = Subscribed { options, id, progress: Progress::default() };
        self.subscriptions.insert(Arc::clone(filter), subscribed).is_none()
    }

    /// Gives a subscription other options; it goes on where it is.
    pub(super) fn change(&mut self, filter: &str, options: SubscriptionOptions, id: Option<u32>) {
        if let Some(subscribed) = self.subscriptions.get_mut(filter) {
            self.is_changed = true;
            (subscribed.options, subscribed.id) = (options, id);
        }
    }

    pub(super) fn unsubscribe(&mut self, filter: &str) -> bool {
        self.is_changed = true;
        self.subscriptions.shift_remove(filter).is_some()
    }

    /// Decides how an event of the log is sent, and remembers that it was.
    pub(super) fn admit(&mut self, filter: &Arc<str>, seq: Seq) -> Admission {
        let Some(subscribed) = self.subscriptions.get_mut(filter) else { return Admission::Known };
        let qos = subscribed.options.max_qos;
        self.is_changed = true;
        let met = subscribed.progress.meet(seq);
        if qos == QoS::Level0 {
            return if met == Met::New { Admission::Untracked } else { Admission::Known };
        }
        match met {
            Met::Acknowledged => Admission::Known,
            Met::New => {
                subscribed.progress.pending.insert(seq);
                self.track(filter, qos, Source::Log(seq))
            }
            Met::Unacknowledged => {
                let is_it = |flight: &InFlight| {
                    matches!(flight.source, Source::Log(at) if at == seq)
                        && flight.filter == *filter
                };
                match self.in_flight.iter().find(|(_, flight)| is_it(flight)) {
                    Some((_, InFlight { stage: Stage::Received, .. })) => Admission::Known,
                    Some((id, flight)) => {
                        self.coming_again.remove(id);
                        Admission::Tracked { qos: flight.qos, id: *id, is_repeated: true }
                    }
                    None => self.track(filter, qos, Source::Log(seq)),
                }
            }
        }
    }

    /// Leaves out an event of the log that the client is not to have: its own, or one whose time is over.
    pub(super) fn pass_over(&mut self, filter: &str, seq: Seq) {
        let Some(subscribed) = self.subscriptions.get_mut(filter) else { return };
        self.is_changed = true;
        if subscribed.progress.meet(seq) != Met::Unacknowledged {
            return;
        }
        let flights = self.in_flight.iter();
        let of_event = flights.filter(|(_, flight)| {
            matches!(flight.source, Source::Log(at) if at == seq)
                && *flight.filter == *filter
                && flight.stage == Stage::Sent
        });
        if let Some(id) = of_event.map(|(id, _)| *id).next() {
            self.settle(id);
        }
    }

    /// Gives a message an identifier and remembers it until it is acknowledged.
    pub(super) fn track(&mut self, filter: &Arc<str>, qos: QoS, source: Source) -> Admission {
        if qos == QoS::Level0 {
            return Admission::Untracked;
        }
        // There are fewer messages in flight than identifiers.
        let id = loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.in_flight.contains_key(&self.last_id) {
                break self.last_id;
            }
        };
        self.restore_in_flight(id, Arc::clone(filter), qos, Stage::Sent, source);
        Admission::Tracked { qos, id, is_repeated: false }
    }

    /// The client has the message for good.
    pub(super) fn settle(&mut self, id: u16) -> Option<InFlight> {
        let flight = self.in_flight.remove(&id)?;
        self.coming_again.remove(&id);
        self.is_changed = true;
        if let Source::Log(seq) = flight.source
            && let Some(subscribed) = self.subscriptions.get_mut(&flight.filter)
        {
            subscribed.progress.pending.remove(&seq);
        }
        Some(flight)
    }

    /// PUBREC has come; whether there is such a message.
    pub(super) fn receive(&mut self, id: u16) -> bool {
        let flight = self.in_flight.get_mut(&id).filter(|flight| flight.qos == QoS::Level2);
        let Some(flight) = flight else { return false };
        flight.stage = Stage::Received;
        self.coming_again.remove(&id);
        self.is_changed = true;
        true
    }

    /// What a subscription without history is set back to: it begins with the current records.
    pub(super) fn forget_progress(&mut self, filter: &str) {
        if let Some(subscribed) = self.subscriptions.get_mut(filter) {
            subscribed.progress = Progress::default();
        }
        self.in_flight.retain(|_, flight| {
            !matches!(flight.source, Source::Log(_))
                || &*flight.filter != filter
                || flight.stage == Stage::Received
        });
        self.coming_again.retain(|id| self.in_flight.contains_key(id));
    }

    /// A connection begins: what the client has not acknowledged of the change log comes again by its
    /// streams, and takes room only then. Else a full session would wait for itself.
    pub(super) fn begin_again(&mut self) {
        let of_log = self.in_flight.iter().filter(|(_, flight)| {
            flight.stage == Stage::Sent && matches!(flight.source, Source::Log(_))
        });
        self.coming_again = of_log.map(|(id, _)| *id).collect();
    }

    /// Remembers a message under an identifier, after all that are in flight.
    pub(super) fn restore_in_flight(
        &mut self,
        id: u16,
        filter: Arc<str>,
        qos: QoS,
        stage: Stage,
        source: Source,
    ) {
        self.last_id = id;
        self.tracked += 1;
        let number = self.tracked;
        self.in_flight.insert(id, InFlight { number, filter, qos, stage, source });
    }

    /// What the client has not acknowledged, in the order of sending.
    pub(super) fn in_order(&self) -> Vec<(u16, &InFlight)> {
        let mut flights: Vec<_> = self.in_flight.iter().map(|(id, flight)| (*id, flight)).collect();
        flights.sort_unstable_by_key(|(_, flight)| flight.number);
        flights
    }

    pub(super) fn is_durable(&self) -> bool {
        self.expiry > 0
    }
}

/// A subscription of which nothing special is said.
#[cfg(test)]
pub(super) fn default_options(max_qos: QoS) -> SubscriptionOptions {
    SubscriptionOptions {
        max_qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: mqtt_proto::v5::RetainHandling::SendAtSubscribe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kora_resource::Epoch;

    fn position(seq: u64) -> Position {
        Position { epoch: Epoch(7), seq: Seq(seq) }
    }

    fn session(qos: QoS) -> (Session, Arc<str>) {
        let mut session = Session::new("c".into(), 60);
        let filter: Arc<str> = "T/#".into();
        assert!(session.subscribe(&filter, default_options(qos), None));
        session.subscriptions[&filter].progress.reach(position(10));
        (session, filter)
    }

    fn id_of(admission: Admission) -> u16 {
        match admission {
            Admission::Tracked { id, .. } => id,
            other => panic!("{other:?}"),
        }
    }

    /// What is to come again must not stand in its own way.
    #[test]
    fn a_full_session_has_room_for_what_comes_again() {
        let (mut session, filter) = session(QoS::Level1);
        let ids: Vec<u16> = (11..=12).map(|seq| id_of(session.admit(&filter, Seq(seq)))).collect();
        assert!(!session.has_room(2));
        session.begin_again();
        assert!(session.has_room(2));
        assert_eq!(id_of(session.admit(&filter, Seq(11))), ids[0]);
        assert!(session.has_room(2));
        assert_eq!(id_of(session.admit(&filter, Seq(12))), ids[1]);
        assert!(!session.has_room(2));
    }

    #[test]
    fn what_is_not_acknowledged_comes_again_with_its_identifier() {
        let (mut session, filter) = session(QoS::Level1);
        let ids: Vec<u16> = (11..=14).map(|seq| id_of(session.admit(&filter, Seq(seq)))).collect();
        session.settle(ids[0]);
        session.settle(ids[2]);
        assert_eq!(session.subscriptions[&filter].progress.settled(), Some(position(11)));
        // The connection breaks; the stream goes on after 11.
        let qos = QoS::Level1;
        let again = |id| Admission::Tracked { qos, id, is_repeated: true };
        assert_eq!(session.admit(&filter, Seq(12)), again(ids[1]));
        assert_eq!(session.admit(&filter, Seq(13)), Admission::Known);
        assert_eq!(session.admit(&filter, Seq(14)), again(ids[3]));
        assert!(!ids.contains(&id_of(session.admit(&filter, Seq(15)))));
        for id in session.in_flight.keys().copied().collect::<Vec<_>>() {
            session.settle(id);
        }
        assert_eq!(session.subscriptions[&filter].progress.settled(), Some(position(15)));
    }

    #[test]
    fn what_the_client_has_received_is_not_sent_again() {
        let (mut session, filter) = session(QoS::Level2);
        let id = id_of(session.admit(&filter, Seq(11)));
        assert!(session.receive(id) && !session.receive(id + 1));
        assert_eq!(session.admit(&filter, Seq(11)), Admission::Known);
        assert!(session.settle(id).is_some());
        assert_eq!(session.subscriptions[&filter].progress.settled(), Some(position(11)));
    }

    #[test]
    fn identifiers_in_use_are_passed_over() {
        let (mut session, filter) = session(QoS::Level1);
        let first = id_of(session.admit(&filter, Seq(11)));
        session.last_id = u16::MAX;
        assert_eq!((first, id_of(session.admit(&filter, Seq(12)))), (1, 2));
        assert!(session.has_room(3) && !session.has_room(2));
    }
}
