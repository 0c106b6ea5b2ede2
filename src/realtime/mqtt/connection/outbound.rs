//! What a client's subscriptions bring: opening them, and turning their messages into PUBLISH packets.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::{Stream, StreamExt};
use kora_resource::value::Format;
use kora_resource::{
    Connect, Epoch, Error, EventKind, Frame, Id, Message, Opens, Pattern, Result, Value,
    Wire,
};
use mqtt_proto::QoS;
use mqtt_proto::v5::{DisconnectReasonCode, Packet, Pubrel, RetainHandling, SubscriptionOptions};
use tokio::io::AsyncWrite;

use super::super::codec::{Delivery, Refusal, Version};
use super::super::session::{Admission, Source, Stage};
use super::super::shared::Loan;
use super::super::{Counters, payload, system, topics};
use super::{Connection, End};
use crate::components::registry::Registration;

/// A subscription's stream, with the filter that it belongs to.
pub(super) type Fed =
    std::pin::Pin<Box<dyn Stream<Item = (Arc<str>, Result<Message>)> + Send>>;

/// What a connection knows of an open subscription.
pub(super) struct Feed {
    /// `None` for the broker's own topics.
    registration: Option<Arc<Registration>>,
    /// Which ids pass.
    pattern: Option<Pattern>,
    /// The topic of messages that name no id.
    topic: Arc<str>,
    topics: Topics,
    stop: AbortHandle,
    pub(super) is_shared: bool,
    /// The epoch of the positions, once it is told.
    epoch: Option<Epoch>,
    /// Changes are missing before what comes now.
    follows_gap: bool,
}

/// Which topics the messages of a subscription have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topics {
    /// The resource's path and the id.
    OfIds,
    /// The filter itself, whatever the id: the broker's own topics, and paths with parameters.
    OfFilter,
}

impl Feed {
    pub(super) fn stop(&self) {
        self.stop.abort();
    }
}

/// A message in the words of the protocol, before it has an identifier.
struct Outbound<'a> {
    topic: &'a str,
    payload: Bytes,
    is_retained: bool,
    content_type: Option<&'a str>,
}

impl<W: AsyncWrite + Unpin + Send> Connection<W> {
    /// Opens what the session is subscribed to, and sends again what was in flight.
    pub(super) async fn resume(&mut self) {
        for (filter, options) in self.subscriptions() {
            let shared = shared_filter(&filter);
            if let Err(error) = self.attach(&filter, shared.as_deref(), options, true, true).await {
                let client_id = &self.session.client_id;
                tracing::warn!("the MQTT client {client_id} can't go on with {filter}: {error}");
            }
        }
        let mut again = Vec::new();
        for (id, flight) in self.session.in_order() {
            match (&flight.source, flight.stage) {
                (_, Stage::Received) => again.push((id, None)),
                (Source::Kept { topic, payload, is_retained }, Stage::Sent) => {
                    let kept = (flight.qos, Arc::clone(topic), payload.clone(), *is_retained);
                    again.push((id, Some(kept)));
                }
                // The stream brings it again; a loan was given back.
                (Source::Log(_) | Source::Shared(_), Stage::Sent) => {}
            }
        }
        for (id, kept) in again {
            match kept {
                None => self.send(&Packet::Pubrel(Pubrel::new_success(Self::packet_id(id)))),
                Some((qos, topic, payload, is_retained)) => {
                    let outbound =
                        Outbound { topic: &topic, payload, is_retained, content_type: None };
                    let admission = Admission::Tracked { qos, id, is_repeated: true };
                    self.write(&outbound, admission, None, false);
                }
            }
        }
    }

    fn subscriptions(&self) -> Vec<(Arc<str>, SubscriptionOptions)> {
        let known = self.session.subscriptions.iter();
        known.map(|(filter, known)| (Arc::clone(filter), known.options)).collect()
    }

    /// Begins a subscription or replaces the one of the same filter.
    pub(super) async fn open(
        &mut self,
        filter: &Arc<str>,
        shared: Option<&str>,
        options: SubscriptionOptions,
        id: Option<u32>,
    ) -> Result<()> {
        if shared.is_some() && options.no_local {
            return Err(Error::invalid("A shared subscription can't leave out its own messages"));
        }
        let is_new = !self.session.subscriptions.contains_key(filter);
        let shows_current = match options.retain_handling {
            RetainHandling::SendAtSubscribe => true,
            RetainHandling::SendAtSubscribeIfNotExist => is_new,
            RetainHandling::DoNotSend => false,
        };
        let before = self.session.subscriptions.get(filter).cloned();
        self.session.subscribe(filter, options, id);
        let attached = self.attach(filter, shared, options, shows_current, false).await;
        if attached.is_err() {
            match before {
                Some(before) => drop(self.session.subscriptions.insert(filter.clone(), before)),
                None => drop(self.session.unsubscribe(filter)),
            }
        }
        attached
    }

    async fn attach(
        &mut self,
        filter: &Arc<str>,
        shared: Option<&str>,
        options: SubscriptionOptions,
        shows_current: bool,
        is_resumed: bool,
    ) -> Result<()> {
        let plain = shared.unwrap_or(filter);
        let (stop, stopped) = AbortHandle::new_pair();
        let mut feed = Feed {
            registration: None,
            pattern: None,
            topic: plain.into(),
            topics: Topics::OfFilter,
            stop,
            is_shared: shared.is_some(),
            epoch: None,
            follows_gap: false,
        };
        let stream = if plain.starts_with(system::PREFIX) {
            let none = || Error::not_found(format!("There is no topic {plain}"));
            Some(system::subscribe(&self.broker, plain).ok_or_else(none)?)
        } else {
            let filtered = topics::of_filter(&self.broker.components, plain)?;
            let registration = filtered.place.registration;
            let mut begin = filtered.options;
            let progress = self.session.subscriptions.get(filter).map(|known| &known.progress);
            let position = progress.and_then(|progress| progress.settled());
            begin.omit_current = !shows_current || shared.is_some();
            if is_resumed && options.max_qos == QoS::Level0 {
                begin.omit_current = true;
            } else if is_resumed && shared.is_none() {
                begin.resume = position;
            }
            let context = self.broker.context(&registration, &self.client, plain)?;
            feed.pattern = filtered.pattern;
            if filtered.place.target.params.is_empty() {
                feed.topics = Topics::OfIds;
            }
            feed.registration = Some(Arc::clone(&registration));
            // Members of a group but the first share its stream.
            match shared.is_some() && self.broker.groups.contains(filter) {
                true => None,
                false => {
                    let connect = Connect {
                        target: filtered.place.target,
                        context,
                        incoming: None,
                        opens: Opens::Subscribe,
                        options: begin,
                    };
                    Some(Arc::clone(&registration.resource).connect(connect).await?)
                }
            }
        };
        self.close_feed(filter);
        Counters::up(&self.broker.counters.subscriptions);
        if shared.is_some() {
            let mailbox = self.mailbox.clone();
            self.broker.groups.join(filter, self.number, mailbox, stream);
        } else if let Some(stream) = stream {
            let name = Arc::clone(filter);
            let named = stream.map(move |message| (Arc::clone(&name), message));
            let fed: Fed = Box::pin(Abortable::new(named, stopped));
            match options.max_qos {
                QoS::Level0 => self.quick.push(fed),
                QoS::Level1 | QoS::Level2 => self.tracked.push(fed),
            }
        }
        self.feeds.insert(Arc::clone(filter), feed);
        Ok(())
    }

    pub(super) fn close_feed(&mut self, filter: &str) {
        if let Some(feed) = self.feeds.remove(filter) {
            feed.stop();
            Counters::down(&self.broker.counters.subscriptions);
            if feed.is_shared {
                self.broker.groups.leave(filter, self.number);
            }
        }
    }

    /// Sends what a subscription brings. Its failure ends the connection: a client that connects
    /// again goes on where it stood.
    pub(super) fn bring(
        &mut self,
        filter: &Arc<str>,
        message: Result<Message>,
    ) -> std::result::Result<(), End> {
        let message = match message {
            Ok(message) => message,
            Err(error) => {
                let reason = match error.status() {
                    401 | 403 => DisconnectReasonCode::NotAuthorized,
                    503 => DisconnectReasonCode::ServerBusy,
                    _ => DisconnectReasonCode::UnspecifiedError,
                };
                return Err(Refusal::new(reason, format!("{filter}: {error}")).into());
            }
        };
        // What is left of a stream that was closed.
        let Some(feed) = self.feeds.get_mut(filter) else { return Ok(()) };
        match message {
            Message::Position(position) => {
                feed.epoch = Some(position.epoch);
                feed.follows_gap = false;
                if let Some(known) = self.session.subscriptions.get_mut(filter) {
                    known.progress.reach(position);
                    self.session.is_changed = true;
                }
            }
            Message::Gap => {
                feed.follows_gap = true;
                tracing::warn!(
                    "the MQTT client {} has missed changes of {filter}: history was removed",
                    self.session.client_id
                );
                self.session.forget_progress(filter);
            }
            Message::Event(frame) => self.bring_event(filter, &frame),
            Message::Value(_) | Message::Raw { .. } => self.bring_value(filter, &message, None),
        }
        Ok(())
    }

    /// Sends what this member of a group was given.
    pub(super) fn bring_shared(&mut self, loan: Loan) {
        let filter = Arc::clone(&loan.filter);
        let message = loan.message.clone();
        match &message {
            Message::Event(frame) if is_told(frame.event.kind) => {
                let Some(feed) = self.feeds.get(&filter) else { return loan.give_back() };
                let topic = event_topic(feed, &frame.event.id);
                let outbound = Outbound {
                    topic: &topic,
                    payload: payload::of_event(frame, self.client.format),
                    is_retained: false,
                    content_type: None,
                };
                self.send_kept(&filter, &outbound, Some(loan));
            }
            Message::Event(_) | Message::Position(_) | Message::Gap => {}
            Message::Value(_) | Message::Raw { .. } => {
                self.bring_value(&filter, &message, Some(loan));
            }
        }
    }

    fn bring_event(&mut self, filter: &Arc<str>, frame: &Arc<Frame>) {
        let event = &frame.event;
        let Some(known) = self.session.subscriptions.get(filter) else { return };
        let (options, subscription_id) = (known.options, known.id);
        if !is_told(event.kind) {
            return;
        }
        let Some(feed) = self.feeds.get(filter) else { return };
        if feed.pattern.as_ref().is_some_and(|pattern| !pattern.matches(&event.id)) {
            return;
        }
        let topic = event_topic(feed, &event.id);
        let Some(seq) = event.seq else {
            // A current record: it stands for what was retained.
            let payload = payload::of_event(frame, self.client.format);
            let outbound =
                Outbound { topic: &topic, payload, is_retained: true, content_type: None };
            return self.send_kept(filter, &outbound, None);
        };
        if options.no_local && self.own.remove(&seq) {
            if let Some(known) = self.session.subscriptions.get_mut(filter)
                && let Some(sent) = &mut known.progress.sent
            {
                sent.seq = sent.seq.max(seq);
            }
            return;
        }
        let is_plain = options.max_qos == QoS::Level0
            && !options.retain_as_published
            && subscription_id.is_none()
            && self.client.format == Format::Json
            && !feed.follows_gap;
        let follows_gap = feed.follows_gap;
        let admission = self.session.admit(filter, seq);
        if is_plain && admission == Admission::Untracked {
            return self.send_plain(frame, &topic);
        }
        let is_retained = options.retain_as_published
            && matches!(event.kind, EventKind::Put | EventKind::Patch | EventKind::Delete);
        let payload = payload::of_event(frame, self.client.format);
        let outbound = Outbound { topic: &topic, payload, is_retained, content_type: None };
        self.write(&outbound, admission, subscription_id, follows_gap);
    }

    /// The packet that all plain subscribers get: encoded by the first of them.
    fn send_plain(&mut self, frame: &Arc<Frame>, topic: &str) {
        let version = self.version;
        let wire = match version {
            Version::V3 => Wire::Mqtt3,
            Version::V5 => Wire::Mqtt5,
        };
        let encode = || {
            let payload = payload::of_event(frame, self.client.format);
            Delivery {
                topic,
                payload: &payload,
                tracked: None,
                is_repeated: false,
                is_retained: false,
                subscription_id: None,
                content_type: None,
                follows_gap: false,
            }
            .encode(version)
        };
        let shared = frame.encoded(wire, |_| encode());
        // A resource with two paths has two topics for one event.
        let is_ours = topic_of(&shared).is_some_and(|known| known == topic.as_bytes());
        self.push_packet(if is_ours { shared } else { encode() });
    }

    /// Sends what class code has yielded, or the broker's own topics.
    fn bring_value(&mut self, filter: &Arc<str>, message: &Message, loan: Option<Loan>) {
        let Some(feed) = self.feeds.get(filter) else {
            if let Some(loan) = loan {
                loan.give_back();
            }
            return;
        };
        let (topic, payload) = match message {
            // The broker's own.
            Message::Raw { content_type, data } if feed.registration.is_none() => {
                (Arc::from(content_type.as_str()), data.clone())
            }
            Message::Raw { data, .. } => (Arc::clone(&feed.topic), data.clone()),
            Message::Value(value) => {
                let Some(found) = event_of(feed, value, self.client.format) else { return };
                found
            }
            Message::Event(_) | Message::Position(_) | Message::Gap => return,
        };
        let content_type = match message {
            Message::Raw { content_type, .. } if feed.registration.is_some() => {
                Some(content_type.as_str())
            }
            _ => None,
        };
        let outbound = Outbound { topic: &topic, payload, is_retained: false, content_type };
        self.send_kept(filter, &outbound, loan);
    }

    /// Sends what is in no log: kept here until it is acknowledged.
    fn send_kept(&mut self, filter: &Arc<str>, outbound: &Outbound<'_>, loan: Option<Loan>) {
        let Some(known) = self.session.subscriptions.get(filter) else {
            if let Some(loan) = loan {
                loan.give_back();
            }
            return;
        };
        let (qos, subscription_id) = (known.options.max_qos, known.id);
        let follows_gap = self.feeds.get(filter).is_some_and(|feed| feed.follows_gap);
        let admission = match qos {
            QoS::Level0 => Admission::Untracked,
            QoS::Level1 | QoS::Level2 => {
                let source = match loan {
                    Some(loan) => Source::Shared(Box::new(loan)),
                    None => Source::Kept {
                        topic: outbound.topic.into(),
                        payload: outbound.payload.clone(),
                        is_retained: outbound.is_retained,
                    },
                };
                self.session.track(filter, qos, source)
            }
        };
        self.write(outbound, admission, subscription_id, follows_gap);
    }

    fn write(
        &mut self,
        outbound: &Outbound<'_>,
        admission: Admission,
        subscription_id: Option<u32>,
        follows_gap: bool,
    ) {
        let (tracked, is_repeated) = match admission {
            Admission::Known => return,
            Admission::Untracked => (None, false),
            Admission::Tracked { qos, id, is_repeated } => (Some((qos, id)), is_repeated),
        };
        let packet = Delivery {
            topic: outbound.topic,
            payload: &outbound.payload,
            tracked,
            is_repeated,
            is_retained: outbound.is_retained,
            subscription_id,
            content_type: outbound.content_type,
            follows_gap,
        }
        .encode(self.version);
        if packet.len() > self.packet_limit {
            // As the protocol wants it: the message counts as delivered.
            if let Some((_, id)) = tracked {
                drop(self.session.settle(id));
            }
            return;
        }
        self.push_packet(packet);
    }

    fn push_packet(&mut self, packet: Bytes) {
        if packet.len() <= self.packet_limit {
            Counters::up(&self.broker.counters.sent);
            self.outbox.push(packet);
        }
    }
}

/// Whether clients hear of such an event.
fn is_told(kind: EventKind) -> bool {
    match kind {
        EventKind::Put | EventKind::Patch | EventKind::Delete | EventKind::Message => true,
        EventKind::Invalidate | EventKind::Leave => false,
    }
}

fn event_topic(feed: &Feed, id: &Id) -> String {
    let is_own = *id == Id::Null && feed.pattern.is_none();
    match (&feed.registration, feed.topics) {
        (Some(registration), Topics::OfIds) if !is_own => topics::of_event(registration, id),
        (Some(_) | None, _) => feed.topic.to_string(),
    }
}

/// Topic and payload of `{id, value, type}`, which is what a class's `subscribe` should yield; of
/// anything else it is the value itself. `None` for what does not concern the subscription.
fn event_of(feed: &Feed, value: &Value, format: Format) -> Option<(Arc<str>, Bytes)> {
    let object = value.as_object();
    let event = object.filter(|object| object.contains_key("id") && object.contains_key("value"));
    let Some(event) = event else { return Some((Arc::clone(&feed.topic), payload::of_value(value, format))) };
    let id = event.get("id").and_then(Id::from_value)?;
    if let Some(kind) = event.get("type").and_then(Value::as_str)
        && !matches!(kind, "put" | "delete" | "message" | "patch")
    {
        return None;
    }
    if feed.pattern.as_ref().is_some_and(|pattern| !pattern.matches(&id)) {
        return None;
    }
    let payload = match event.get("value") {
        None | Some(Value::Null) => Bytes::new(),
        Some(value) => payload::of_value(value, format),
    };
    Some((event_topic(feed, &id).into(), payload))
}

/// The filter within `$share/GROUP/FILTER`.
fn shared_filter(filter: &str) -> Option<String> {
    let (_, filter) = filter.strip_prefix("$share/")?.split_once('/')?;
    Some(filter.to_owned())
}

/// The topic in the bytes of a PUBLISH packet.
fn topic_of(packet: &[u8]) -> Option<&[u8]> {
    let length_bytes = packet.iter().skip(1).take_while(|byte| **byte & 0x80 != 0).count() + 1;
    let rest = packet.get(1 + length_bytes..)?;
    let (length, rest) = rest.split_first_chunk()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
}
