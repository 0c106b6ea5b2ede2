//! From a PUBLISH packet, or a will, to the resource's method.

use std::sync::Arc;

use bytes::Bytes;
use kora_resource::{Call, Error, MessageProperties, Result, Seq, Verb};

use super::client::Client;
use super::stored::Leftover;
use super::will::Will;
use super::{Broker, payload, properties, topics};
use crate::components::registry::Served;

/// One message on its way in.
#[derive(Debug, Clone)]
pub(super) struct Inbound {
    pub(super) topic: Arc<str>,
    pub(super) payload: Bytes,
    pub(super) is_retained: bool,
    pub(super) properties: Option<Arc<MessageProperties>>,
}

impl Broker {
    /// Who runs the resource of a topic, if anybody does.
    pub(super) fn served(&self, topic: &str) -> Option<Served> {
        topics::of_topic(&self.components, topic).ok().map(|place| place.registration.served)
    }

    /// Publishes, puts or deletes. Resolves once that is committed, with its position in the log if
    /// the resource tells.
    pub(super) async fn publish(
        self: Arc<Self>,
        client: &Client,
        inbound: Inbound,
    ) -> Result<Option<Seq>> {
        let Inbound { topic, payload: bytes, is_retained, properties } = inbound;
        if topic.starts_with('$') {
            return Err(Error::not_found(format!("The topic {topic} is the broker's own")));
        }
        let place = topics::of_topic(&self.components, &topic)?;
        let said = properties.as_ref().and_then(|said| said.content_type.clone());
        let content_type = said.or_else(|| client.content_type.clone());
        let context = self.context(&place.registration, client, &topic, properties)?;
        let (verb, body) = match (is_retained, bytes.is_empty()) {
            (true, true) => (Verb::Delete, None),
            (true, false) => (Verb::Put, Some(payload::decode(content_type.as_deref(), bytes)?)),
            (false, true) => (Verb::Publish, None),
            (false, false) => {
                (Verb::Publish, Some(payload::decode(content_type.as_deref(), bytes)?))
            }
        };
        let resource = Arc::clone(&place.registration.resource);
        let reply = resource.call(Call { verb, target: place.target, body, context }).await?;
        Ok(reply.seq)
    }

    /// `connection` is whose will it is; `None` if it is left over from a run of the host before this one.
    pub(super) async fn publish_will(
        self: &Arc<Self>,
        client_id: &str,
        connection: Option<u64>,
        client: Arc<Client>,
        will: Will,
    ) {
        let Will { topic, payload, is_retained, properties, lifetime, delay: _ } = will;
        let properties = properties::with_lifetime(properties, lifetime);
        let inbound = Inbound { topic, payload, is_retained, properties };
        if let Err(error) = Arc::clone(self).publish(&client, inbound).await {
            tracing::warn!("the will of the MQTT client {client_id} was not published: {error}");
        }
        self.wills.forget(client_id, connection).await;
    }

    /// Wills of clients that were connected when the process ended, unless they are back.
    pub(super) async fn publish_leftover_wills(self: &Arc<Self>) {
        for Leftover { client_id, username, will } in self.wills.all().await {
            if self.sessions.is_connected(&client_id) {
                // Unless it is what the client has left since it is back.
                self.wills.forget(&client_id, None).await;
                continue;
            }
            match self.former_client(username.as_deref()) {
                Ok(client) => self.publish_will(&client_id, None, Arc::new(client), will).await,
                Err(error) => {
                    tracing::error!("the will of the MQTT client {client_id} waits: {error}");
                }
            }
        }
    }
}
