//! A client's subscriptions: beginning them, going on with those of its session, and ending them.

use std::sync::Arc;

use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::{Stream, StreamExt};
use kora_resource::{Connect, Epoch, Error, Id, Message, Opens, Pattern, Result};
use mqtt_proto::QoS;
use mqtt_proto::v5::{Packet, Pubrel, RetainHandling, SubscriptionOptions};
use tokio::io::AsyncWrite;

use super::super::session::{Admission, Source, Stage};
use super::super::{Counters, system, topics};
use super::Connection;
use super::outbound::Outbound;
use crate::components::registry::Registration;

/// A subscription's stream, with the filter that it belongs to.
pub(super) type Fed = std::pin::Pin<Box<dyn Stream<Item = (Arc<str>, Result<Message>)> + Send>>;

/// What a connection knows of an open subscription.
pub(super) struct Feed {
    /// `None` for the broker's own topics.
    pub(super) registration: Option<Arc<Registration>>,
    /// Which ids pass.
    pub(super) pattern: Option<Pattern>,
    /// The topic of messages that name no id.
    pub(super) topic: Arc<str>,
    topics: Topics,
    stop: AbortHandle,
    pub(super) is_shared: bool,
    /// The epoch of the positions, once it is told.
    pub(super) epoch: Option<Epoch>,
    /// Changes are missing before what comes now.
    pub(super) follows_gap: bool,
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

    /// The topic of an event of `id`.
    pub(super) fn topic_of(&self, id: &Id) -> String {
        let is_own = *id == Id::Null && self.pattern.is_none();
        match (&self.registration, self.topics) {
            (Some(registration), Topics::OfIds) if !is_own => topics::of_event(registration, id),
            (Some(_) | None, _) => self.topic.to_string(),
        }
    }
}

impl<W: AsyncWrite + Unpin + Send> Connection<W> {
    /// Opens what the session is subscribed to, and sends again what was in flight.
    pub(super) async fn resume(&mut self) {
        self.session.begin_again();
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
                (Source::Kept(kept), Stage::Sent) => {
                    again.push((id, Some((flight.qos, Arc::clone(kept)))));
                }
                // The stream brings it again; a loan was given back.
                (Source::Log(_) | Source::Shared(_), Stage::Sent) => {}
            }
        }
        for (id, kept) in again {
            match kept {
                None => self.send(&Packet::Pubrel(Pubrel::new_success(Self::packet_id(id)))),
                Some((qos, kept)) => {
                    let outbound = Outbound {
                        topic: &kept.topic,
                        payload: kept.payload.clone(),
                        is_retained: kept.is_retained,
                        content_type: kept.content_type.as_deref(),
                        properties: None,
                    };
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
        if shared.is_none() && self.goes_on(filter, options) {
            // Nothing that is on its way is lost: only what is retained comes again.
            self.session.change(filter, options, id);
            return match shows_current {
                true => self.show_again(filter, options).await,
                false => Ok(()),
            };
        }
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

    /// Whether a subscription of this filter is open that can go on with other options.
    fn goes_on(&self, filter: &str, options: SubscriptionOptions) -> bool {
        let Some(known) = self.session.subscriptions.get(filter) else { return false };
        let is_quick = |qos| qos == QoS::Level0;
        self.feeds.contains_key(filter)
            && known.progress.sent.is_some()
            && is_quick(known.options.max_qos) == is_quick(options.max_qos)
    }

    /// Sends the current records of a subscription beside what it brings.
    async fn show_again(&mut self, filter: &Arc<str>, options: SubscriptionOptions) -> Result<()> {
        let filtered = topics::of_filter(&self.broker.components, filter)?;
        let registration = filtered.place.registration;
        let context = self.broker.context(&registration, &self.client, filter, None)?;
        let connect = Connect {
            target: filtered.place.target,
            context,
            incoming: None,
            opens: Opens::Subscribe,
            options: filtered.options,
        };
        let stream = Arc::clone(&registration.resource).connect(connect).await?;
        let is_current = |message: &Result<Message>| match message {
            Ok(Message::Event(frame)) => frame.event.seq.is_none(),
            Ok(Message::Position(_) | Message::Gap | Message::Value(_) | Message::Raw { .. }) => {
                false
            }
            Err(_) => true,
        };
        let is_before_its_end = |message: &Result<Message>| {
            std::future::ready(!matches!(message, Ok(Message::Position(_))))
        };
        let current = stream
            .take_while(is_before_its_end)
            .filter(move |message| std::future::ready(is_current(message)));
        let name = Arc::clone(filter);
        self.add(
            options.max_qos,
            Box::pin(current.map(move |message| (Arc::clone(&name), message))),
        );
        Ok(())
    }

    fn add(&mut self, qos: QoS, fed: Fed) {
        match qos {
            QoS::Level0 => self.quick.push(fed),
            QoS::Level1 | QoS::Level2 => self.tracked.push(fed),
        }
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
            let context = self.broker.context(&registration, &self.client, plain, None)?;
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
            let mailbox = self.mailbox.commands.clone();
            self.broker.groups.join(filter, self.number, mailbox, stream);
        } else if let Some(stream) = stream {
            let name = Arc::clone(filter);
            let named = stream.map(move |message| (Arc::clone(&name), message));
            self.add(options.max_qos, Box::pin(Abortable::new(named, stopped)));
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
}

/// The filter within `$share/GROUP/FILTER`.
fn shared_filter(filter: &str) -> Option<String> {
    let (_, filter) = filter.strip_prefix("$share/")?.split_once('/')?;
    Some(filter.to_owned())
}
