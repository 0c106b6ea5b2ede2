//! Numbers that stand for topics, in both directions of one connection (MQTT 5, section 3.3.2.3.4).

use std::collections::HashMap;
use std::sync::Arc;

use mqtt_proto::v5::{DisconnectReasonCode, Publish};

use super::codec::Refusal;

/// The most in either direction: what they cost in memory is bounded by the length of topics.
pub(super) const MOST_ALIASES: u16 = 32;

/// What the client calls its topics.
#[derive(Debug, Default)]
pub(super) struct IncomingAliases(HashMap<u16, Arc<str>>);

impl IncomingAliases {
    /// The topic of a packet, which may be an alias for it.
    pub(super) fn topic(&mut self, publish: &Publish) -> Result<Arc<str>, Refusal> {
        let name: &str = &publish.topic_name;
        let Some(alias) = publish.properties.topic_alias else {
            if name.is_empty() {
                let text = "A message without a topic or an alias for it";
                return Err(Refusal::new(DisconnectReasonCode::ProtocolError, text));
            }
            return Ok(name.into());
        };
        let invalid = |text: String| Refusal::new(DisconnectReasonCode::TopicAliasInvalid, text);
        if alias == 0 || alias > MOST_ALIASES {
            return Err(invalid(format!(
                "The topic alias {alias} is not within 1 to {MOST_ALIASES}"
            )));
        }
        if name.is_empty() {
            let known = self.0.get(&alias).cloned();
            return known.ok_or_else(|| invalid(format!("The topic alias {alias} is not defined")));
        }
        let topic: Arc<str> = name.into();
        self.0.insert(alias, Arc::clone(&topic));
        Ok(topic)
    }
}

/// What we call topics to the client: the first ones that it gets, as many as it allows.
#[derive(Debug)]
pub(super) struct OutgoingAliases {
    known: HashMap<Box<str>, u16>,
    most: u16,
}

/// How a topic is named in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// By itself alone.
    Whole,
    /// By itself, with the number that stands for it from here on.
    Defined(u16),
    /// By the number alone.
    Alias(u16),
}

impl OutgoingAliases {
    /// `most` is the client's topic alias maximum.
    pub(super) fn new(most: u16) -> OutgoingAliases {
        OutgoingAliases { known: HashMap::new(), most: most.min(MOST_ALIASES) }
    }

    /// Whether the client takes none.
    pub(super) fn is_off(&self) -> bool {
        self.most == 0
    }

    /// How the next packet is to name `topic`.
    pub(super) fn name(&mut self, topic: &str) -> Naming {
        if let Some(alias) = self.known.get(topic) {
            return Naming::Alias(*alias);
        }
        // Fewer than `most`, which is a `u16`.
        let next = self.known.len() as u16 + 1;
        if next > self.most {
            return Naming::Whole;
        }
        self.known.insert(topic.into(), next);
        Naming::Defined(next)
    }

    /// The packet that would have defined the alias, the newest, was not sent.
    pub(super) fn take_back(&mut self, topic: &str) {
        self.known.remove(topic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_topics_get_the_numbers() {
        let mut aliases = OutgoingAliases::new(2);
        assert_eq!(aliases.name("a"), Naming::Defined(1));
        assert_eq!(aliases.name("b"), Naming::Defined(2));
        assert_eq!(aliases.name("c"), Naming::Whole);
        assert_eq!(aliases.name("a"), Naming::Alias(1));
        aliases.take_back("b");
        assert_eq!(aliases.name("c"), Naming::Defined(2));
        assert!(OutgoingAliases::new(0).is_off());
        assert_eq!(OutgoingAliases::new(0).name("a"), Naming::Whole);
    }
}
