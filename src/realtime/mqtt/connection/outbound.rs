//! What a client's subscriptions bring, as PUBLISH packets.

use std::sync::Arc;

use bytes::Bytes;
use kora_resource::value::Format;
use kora_resource::{EventKind, Frame, Id, Message, MessageProperties, Result, Value, Wire};
use mqtt_proto::QoS;
use mqtt_proto::v5::DisconnectReasonCode;
use tokio::io::AsyncWrite;

use super::super::aliases::Naming;
use super::super::codec::{Refusal, Version};
use super::super::delivery::Delivery;
use super::super::properties::now;
use super::super::session::{Admission, Kept, Source};
use super::super::shared::Loan;
use super::super::{Counters, payload};
use super::feeds::Feed;
use super::{Connection, End};

/// A message in the words of the protocol, before it has an identifier.
pub(super) struct Outbound<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: Bytes,
    pub(super) is_retained: bool,
    pub(super) content_type: Option<&'a str>,
    /// What its publisher has said about it.
    pub(super) properties: Option<&'a MessageProperties>,
}

impl<W: AsyncWrite + Unpin + Send> Connection<W> {
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
            Message::Event(frame) if is_told(frame.event.kind) && !is_over(frame) => {
                let Some(feed) = self.feeds.get(&filter) else { return loan.give_back() };
                let topic = feed.topic_of(&frame.event.id);
                let content_type = payload::content_type(&frame.event, self.client.format);
                let outbound = Outbound {
                    topic: &topic,
                    payload: payload::of_event(frame, self.client.format),
                    is_retained: false,
                    content_type: content_type.as_deref(),
                    properties: frame.event.properties.as_deref(),
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
        let topic = feed.topic_of(&event.id);
        let Some(seq) = event.seq else {
            // A current record: it stands for what was retained.
            let content_type = payload::content_type(event, self.client.format);
            let outbound = Outbound {
                topic: &topic,
                payload: payload::of_event(frame, self.client.format),
                is_retained: true,
                content_type: content_type.as_deref(),
                properties: None,
            };
            return self.send_kept(filter, &outbound, None);
        };
        if is_over(frame) || options.no_local && self.own.remove(&seq) {
            return self.session.pass_over(filter, seq);
        }
        let content_type = payload::content_type(event, self.client.format);
        let is_plain = options.max_qos == QoS::Level0
            && !options.retain_as_published
            && subscription_id.is_none()
            && self.client.format == Format::Json
            && !feed.follows_gap
            && event.properties.is_none()
            && content_type.is_none()
            && self.outgoing.is_off();
        let follows_gap = feed.follows_gap;
        let admission = self.session.admit(filter, seq);
        if is_plain && admission == Admission::Untracked {
            return self.send_plain(frame, &topic);
        }
        let is_retained = options.retain_as_published
            && matches!(event.kind, EventKind::Put | EventKind::Patch | EventKind::Delete);
        let payload = payload::of_event(frame, self.client.format);
        let content_type = content_type.as_deref();
        let properties = event.properties.as_deref();
        let outbound = Outbound { topic: &topic, payload, is_retained, content_type, properties };
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
                properties: None,
                expires_in: None,
                alias: None,
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
        let (is_retained, properties) = (false, None);
        let outbound = Outbound { topic: &topic, payload, is_retained, content_type, properties };
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
                    None => Source::Kept(Arc::new(Kept {
                        topic: outbound.topic.into(),
                        payload: outbound.payload.clone(),
                        is_retained: outbound.is_retained,
                        content_type: outbound.content_type.map(Into::into),
                    })),
                };
                self.session.track(filter, qos, source)
            }
        };
        self.write(outbound, admission, subscription_id, follows_gap);
    }

    pub(super) fn write(
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
        let naming = match self.version {
            Version::V3 => Naming::Whole,
            Version::V5 => self.outgoing.name(outbound.topic),
        };
        let (topic, alias) = match naming {
            Naming::Whole => (outbound.topic, None),
            Naming::Defined(alias) => (outbound.topic, Some(alias)),
            Naming::Alias(alias) => ("", Some(alias)),
        };
        let packet = Delivery {
            topic,
            payload: &outbound.payload,
            tracked,
            is_repeated,
            is_retained: outbound.is_retained,
            subscription_id,
            content_type: outbound.content_type,
            properties: outbound.properties,
            expires_in: outbound.properties.and_then(|said| said.remaining_seconds(now())),
            alias,
            follows_gap,
        }
        .encode(self.version);
        if packet.len() > self.packet_limit {
            if let Naming::Defined(_) = naming {
                self.outgoing.take_back(outbound.topic);
            }
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

/// Whether the message is no longer worth delivering.
fn is_over(frame: &Frame) -> bool {
    frame.event.properties.as_ref().is_some_and(|said| said.is_over(now()))
}

/// Whether clients hear of such an event.
fn is_told(kind: EventKind) -> bool {
    match kind {
        EventKind::Put | EventKind::Patch | EventKind::Delete | EventKind::Message => true,
        EventKind::Invalidate | EventKind::Leave => false,
    }
}

/// Topic and payload of `{id, value, type}`, which is what a class's `subscribe` should yield; of
/// anything else it is the value itself. `None` for what does not concern the subscription.
fn event_of(feed: &Feed, value: &Value, format: Format) -> Option<(Arc<str>, Bytes)> {
    let object = value.as_object();
    let event = object.filter(|object| object.contains_key("id") && object.contains_key("value"));
    let Some(event) = event else {
        return Some((Arc::clone(&feed.topic), payload::of_value(value, format)));
    };
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
    Some((feed.topic_of(&id).into(), payload))
}

/// The topic in the bytes of a PUBLISH packet.
fn topic_of(packet: &[u8]) -> Option<&[u8]> {
    let length_bytes = packet.iter().skip(1).take_while(|byte| **byte & 0x80 != 0).count() + 1;
    let rest = packet.get(1 + length_bytes..)?;
    let (length, rest) = rest.split_first_chunk()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
}
