//! What a publisher says about a message besides its value: the properties of MQTT 5 (section 3.3.2.3)
//! that concern the message itself and not one connection.
//!
//! They travel with the call that publishes or writes, stand in the change log beside the event, and
//! come out with it, also for who resumes later. Transports that have no words for them pass them over.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Map, Value};

/// The properties of one message. All of them are the publisher's; nobody else changes them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MessageProperties {
    /// The media type of the payload as it was published.
    pub content_type: Option<Arc<str>>,
    /// Whether the publisher says that the payload is UTF-8 text.
    pub payload: PayloadKind,
    /// Where an answer is wanted.
    pub response_topic: Option<Arc<str>>,
    /// What the answer is recognised by.
    pub correlation_data: Option<Bytes>,
    /// Names and values in the publisher's order; names may repeat.
    pub user: Vec<(Arc<str>, Arc<str>)>,
    /// When the message is no longer worth delivering, in milliseconds since the Unix epoch.
    pub expires: Option<f64>,
}

/// The payload format indicator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PayloadKind {
    #[default]
    Unspecified,
    Text,
}

impl MessageProperties {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == MessageProperties::default()
    }

    /// Whether the message's time was over at `now`, in milliseconds since the Unix epoch.
    pub fn is_over(&self, now: f64) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// How many seconds of the message's time are left at `now`; `None` for one without end.
    pub fn remaining_seconds(&self, now: f64) -> Option<u32> {
        // The cast saturates; a second that has begun counts.
        self.expires.map(|expires| ((expires - now) / 1000.0).ceil() as u32)
    }

    /// About how many bytes they keep alive.
    pub fn approximate_size(&self) -> usize {
        let text = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        let user = self.user.iter().map(|(name, value)| name.len() + value.len() + 32);
        text(&self.content_type)
            + text(&self.response_topic)
            + self.correlation_data.as_ref().map_or(0, Bytes::len)
            + user.sum::<usize>()
            + size_of::<MessageProperties>()
    }

    /// As a value, for what is stored.
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        let mut insert = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                map.insert(name.to_owned(), value);
            }
        };
        insert("contentType", self.content_type.as_deref().map(Value::from));
        insert("text", (self.payload == PayloadKind::Text).then_some(Value::Bool(true)));
        insert("responseTopic", self.response_topic.as_deref().map(Value::from));
        insert("correlationData", self.correlation_data.clone().map(Value::Bytes));
        insert("expires", self.expires.map(Value::number));
        let pair = |(name, value): &(Arc<str>, Arc<str>)| {
            Value::Array(vec![Value::from(&**name), Value::from(&**value)])
        };
        let user = || Value::Array(self.user.iter().map(pair).collect());
        insert("user", (!self.user.is_empty()).then(user));
        Value::Object(map)
    }

    /// What [`MessageProperties::to_value`] made; what is not understood is left out.
    pub fn from_value(value: &Value) -> MessageProperties {
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(Arc::from);
        let pair = |pair: &Value| match pair {
            Value::Array(pair) => match pair.as_slice() {
                [name, value] => Some((name.as_str()?.into(), value.as_str()?.into())),
                _ => None,
            },
            _ => None,
        };
        MessageProperties {
            content_type: text("contentType"),
            payload: match value.get("text") {
                Some(Value::Bool(true)) => PayloadKind::Text,
                Some(_) | None => PayloadKind::Unspecified,
            },
            response_topic: text("responseTopic"),
            correlation_data: match value.get("correlationData") {
                Some(Value::Bytes(bytes)) => Some(bytes.clone()),
                Some(_) | None => None,
            },
            user: match value.get("user") {
                Some(Value::Array(pairs)) => pairs.iter().filter_map(pair).collect(),
                Some(_) | None => Vec::new(),
            },
            expires: value.get("expires").and_then(Value::as_f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_come_back_from_their_value() {
        let whole = MessageProperties {
            content_type: Some("text/plain".into()),
            payload: PayloadKind::Text,
            response_topic: Some("Reply/to".into()),
            correlation_data: Some(Bytes::from_static(b"\x00\xff")),
            user: vec![("a".into(), "1".into()), ("a".into(), "2".into())],
            expires: Some(1_761_843_000_000.5),
        };
        for properties in [whole, MessageProperties::default()] {
            assert_eq!(MessageProperties::from_value(&properties.to_value()), properties);
        }
        assert!(MessageProperties::from_value(&Value::Null).is_empty());
    }

    #[test]
    fn a_second_that_has_begun_is_left() {
        let until = |expires| MessageProperties { expires, ..MessageProperties::default() };
        assert_eq!(until(Some(2500.0)).remaining_seconds(1000.0), Some(2));
        assert_eq!(until(None).remaining_seconds(1000.0), None);
        assert!(until(Some(1000.0)).is_over(1000.0) && !until(Some(1000.5)).is_over(1000.0));
        assert_eq!(until(Some(0.0)).remaining_seconds(1000.0), Some(0));
    }
}
