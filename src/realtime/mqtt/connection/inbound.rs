//! The client's packets.

use std::sync::Arc;

use kora_resource::{Error, ErrorKind};
use mqtt_proto::v5::{
    Disconnect, DisconnectReasonCode, Packet, Puback, PubackReasonCode, Pubcomp, PubcompReasonCode,
    Publish, Pubrec, PubrecReasonCode, Pubrel, PubrelReasonCode, Suback, Subscribe,
    SubscribeReasonCode, Unsuback, Unsubscribe, UnsubscribeReasonCode,
};
use mqtt_proto::{Pid, QoS, QosPid};
use tokio::io::AsyncWrite;

use super::super::codec::{Refusal, Version, reason_string};
use super::super::publishing::Inbound;
use super::super::transport::Arrived;
use super::super::{Counters, properties};
use super::{Connection, End, MOST_PUBLISHING, Published};
use crate::components::registry::Served;

impl<W: AsyncWrite + Unpin + Send> Connection<W> {
    /// Does what a packet asks for.
    pub(super) async fn take(&mut self, arrived: Arrived) -> Result<(), End> {
        let packet = match arrived {
            Arrived::Packet(packet) => *packet,
            Arrived::Ping(payload) => {
                self.outbox.answer_ping(&payload);
                return Ok(());
            }
        };
        match packet {
            Packet::Publish(publish) => self.publish(publish).await?,
            Packet::Puback(ack) => drop(self.session.settle(ack.pid.value())),
            Packet::Pubrec(ack) => self.received(&ack),
            Packet::Pubrel(ack) => {
                let reason = match self.session.received.remove(&ack.pid.value()) {
                    true => PubcompReasonCode::Success,
                    false => PubcompReasonCode::PacketIdentifierNotFound,
                };
                self.session.is_changed = true;
                self.send(&Packet::Pubcomp(Pubcomp::new(ack.pid, reason)));
            }
            Packet::Pubcomp(ack) => drop(self.session.settle(ack.pid.value())),
            Packet::Subscribe(subscribe) => self.subscribe(subscribe).await,
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(&unsubscribe).await,
            Packet::Pingreq => self.send(&Packet::Pingresp),
            Packet::Disconnect(disconnect) => return Err(self.disconnect(&disconnect).await),
            Packet::Connect(_)
            | Packet::Connack(_)
            | Packet::Suback(_)
            | Packet::Unsuback(_)
            | Packet::Pingresp
            | Packet::Auth(_) => {
                let text = "A client that is connected can't send this packet";
                return Err(Refusal::new(DisconnectReasonCode::ProtocolError, text).into());
            }
        }
        Ok(())
    }

    async fn publish(&mut self, publish: Publish) -> Result<(), End> {
        Counters::up(&self.broker.counters.received);
        let topic = self.aliases.topic(&publish)?;
        let tracked = match publish.qos_pid {
            QosPid::Level0 => None,
            QosPid::Level1(id) => Some((QoS::Level1, id)),
            QosPid::Level2(id) => Some((QoS::Level2, id)),
        };
        if let QosPid::Level2(id) = publish.qos_pid {
            if self.session.received.contains(&id.value()) {
                // Sent again because our PUBREC was lost: it is published already, or just being.
                self.send(&Packet::Pubrec(Pubrec::new_success(id)));
                return Ok(());
            }
            if self.session.received.len() >= MOST_PUBLISHING {
                let text = format!("More than {MOST_PUBLISHING} messages are not released");
                return Err(Refusal::new(DisconnectReasonCode::ReceiveMaximumExceeded, text).into());
            }
            self.session.received.insert(id.value());
            self.session.is_changed = true;
        }
        let inbound = Inbound {
            topic: Arc::clone(&topic),
            payload: publish.payload,
            is_retained: publish.retain,
            properties: properties::of_publish(publish.properties),
        };
        let broker = Arc::clone(&self.broker);
        let client = Arc::clone(&self.client);
        let published =
            async move { Published { tracked, result: broker.publish(&client, inbound).await } };
        // A table takes writes in the order in which they are handed over. Code does not, and who
        // leaves out his own messages must know them before they come back: one at a time.
        let is_alone = self.session.subscriptions.values().any(|known| known.options.no_local)
            || self.broker.served(&topic) == Some(Served::ByGuest);
        self.publishing.push_back(Box::pin(published));
        if is_alone {
            use futures_util::StreamExt;
            while let Some(published) = self.publishing.next().await {
                self.acknowledge(published);
            }
        }
        Ok(())
    }

    /// Answers a message that was published, or was not.
    pub(super) fn acknowledge(&mut self, published: Published) {
        let Published { tracked, result } = published;
        if let Ok(Some(seq)) = result
            && self.session.subscriptions.values().any(|known| known.options.no_local)
        {
            self.own.insert(seq);
        }
        let error = result.err();
        if let Some(error) = &error {
            tracing::debug!("a message of {} failed: {error}", self.session.client_id);
        }
        match tracked {
            None => {}
            Some((QoS::Level1 | QoS::Level0, id)) => {
                let mut ack = Puback::new(id, PubackReasonCode::Success);
                if let Some(error) = &error {
                    ack.reason_code = puback_reason(error);
                    ack.properties.reason_string = reason_string(&error.message);
                }
                self.send(&Packet::Puback(ack));
            }
            Some((QoS::Level2, id)) => {
                let mut ack = Pubrec::new(id, PubrecReasonCode::Success);
                if let Some(error) = &error {
                    ack.reason_code = pubrec_reason(error);
                    ack.properties.reason_string = reason_string(&error.message);
                    // Version 3 has no such answer: its client goes on to release the message.
                    if self.version == Version::V5 {
                        self.session.received.remove(&id.value());
                    }
                }
                self.send(&Packet::Pubrec(ack));
            }
        }
    }

    /// PUBREC: the client has the message, or refuses it.
    fn received(&mut self, ack: &Pubrec) {
        let id = ack.pid;
        if ack.reason_code as u8 >= 0x80 {
            drop(self.session.settle(id.value()));
            return;
        }
        let reason = match self.session.receive(id.value()) {
            true => PubrelReasonCode::Success,
            false => PubrelReasonCode::PacketIdentifierNotFound,
        };
        self.send(&Packet::Pubrel(Pubrel::new(id, reason)));
    }

    async fn subscribe(&mut self, subscribe: Subscribe) {
        let id = subscribe.properties.subscription_id.map(|id| id.value());
        let mut codes = Vec::with_capacity(subscribe.topics.len());
        let mut reason = None;
        for (filter, options) in subscribe.topics {
            let shared = filter.shared_info().map(|(_, filter)| filter.to_owned());
            let filter: Arc<str> = (&*filter).into();
            match self.open(&filter, shared.as_deref(), options, id).await {
                Ok(()) => codes.push(granted(options.max_qos)),
                Err(error) => {
                    codes.push(subscribe_reason(&error));
                    reason = reason_string(&error.message);
                }
            }
        }
        let mut suback = Suback::new(subscribe.pid, codes);
        suback.properties.reason_string = reason;
        self.send(&Packet::Suback(suback));
        if self.session.is_durable() {
            self.save().await;
        }
    }

    async fn unsubscribe(&mut self, unsubscribe: &Unsubscribe) {
        let codes = unsubscribe.topics.iter().map(|filter| {
            self.close_feed(filter);
            match self.session.unsubscribe(filter) {
                true => UnsubscribeReasonCode::Success,
                false => UnsubscribeReasonCode::NoSubscriptionExisted,
            }
        });
        let unsuback = Unsuback::new(unsubscribe.pid, codes.collect());
        self.send(&Packet::Unsuback(unsuback));
        if self.session.is_durable() {
            self.save().await;
        }
    }

    async fn disconnect(&mut self, disconnect: &Disconnect) -> End {
        match disconnect.properties.session_expiry_interval {
            Some(expiry) if self.session.expiry == 0 && expiry > 0 => {
                let text = "A session that ends with its connection can't be made to last";
                return Refusal::new(DisconnectReasonCode::ProtocolError, text).into();
            }
            Some(expiry) => {
                self.session.expiry = expiry;
                self.session.is_changed = true;
            }
            None => {}
        }
        if disconnect.reason_code == DisconnectReasonCode::DisconnectWithWillMessage {
            return End::Lost;
        }
        if self.will.take().is_some() {
            let broker = Arc::clone(&self.broker);
            broker.wills.forget(&self.session.client_id, Some(self.number)).await;
        }
        End::Clean
    }

    /// The identifier of a packet of ours; they are never 0.
    pub(super) fn packet_id(id: u16) -> Pid {
        Pid::try_from(id).unwrap_or_default()
    }
}

fn granted(qos: QoS) -> SubscribeReasonCode {
    match qos {
        QoS::Level0 => SubscribeReasonCode::GrantedQoS0,
        QoS::Level1 => SubscribeReasonCode::GrantedQoS1,
        QoS::Level2 => SubscribeReasonCode::GrantedQoS2,
    }
}

fn subscribe_reason(error: &Error) -> SubscribeReasonCode {
    match error.status() {
        401 | 403 => SubscribeReasonCode::NotAuthorized,
        400 | 404 => SubscribeReasonCode::TopicFilterInvalid,
        413 | 503 => SubscribeReasonCode::QuotaExceeded,
        _ => SubscribeReasonCode::UnspecifiedError,
    }
}

fn puback_reason(error: &Error) -> PubackReasonCode {
    match error.status() {
        401 | 403 => PubackReasonCode::NotAuthorized,
        404 => PubackReasonCode::TopicNameInvalid,
        413 => PubackReasonCode::QuotaExceeded,
        400 if error.kind == ErrorKind::Invalid => PubackReasonCode::PayloadFormatInvalid,
        _ => PubackReasonCode::UnspecifiedError,
    }
}

fn pubrec_reason(error: &Error) -> PubrecReasonCode {
    match puback_reason(error) {
        PubackReasonCode::NotAuthorized => PubrecReasonCode::NotAuthorized,
        PubackReasonCode::TopicNameInvalid => PubrecReasonCode::TopicNameInvalid,
        PubackReasonCode::QuotaExceeded => PubrecReasonCode::QuotaExceeded,
        PubackReasonCode::PayloadFormatInvalid => PubrecReasonCode::PayloadFormatInvalid,
        _ => PubrecReasonCode::UnspecifiedError,
    }
}
