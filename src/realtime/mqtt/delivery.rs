//! PUBLISH packets to clients, written straight into their bytes: this is what fan-out does most.

use bytes::Bytes;
use kora_resource::{MessageProperties, PayloadKind};

use super::codec::Version;

/// What varies between the PUBLISH packets of one message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delivery<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    /// Quality of service 1 or 2 with its packet identifier; `None` for 0.
    pub(super) tracked: Option<(mqtt_proto::QoS, u16)>,
    pub(super) is_repeated: bool,
    pub(super) is_retained: bool,
    pub(super) subscription_id: Option<u32>,
    pub(super) content_type: Option<&'a str>,
    /// What its publisher has said about it.
    pub(super) properties: Option<&'a MessageProperties>,
    /// The seconds after which it is no longer worth having.
    pub(super) expires_in: Option<u32>,
    /// The number that stands for the topic; the topic itself is empty once the client knows it.
    pub(super) alias: Option<u16>,
    /// Whether changes are missing before it: a user property `gap`.
    pub(super) follows_gap: bool,
}

impl Delivery<'_> {
    /// The packet.
    pub(super) fn encode(&self, version: Version) -> Bytes {
        let properties = match version {
            Version::V3 => Vec::new(),
            Version::V5 => self.properties(),
        };
        let id_length = if self.tracked.is_some() { 2 } else { 0 };
        let length = 2 + self.topic.len() + id_length + properties.len() + self.payload.len();
        let mut out = Vec::with_capacity(length + 5);
        let quality = self.tracked.map_or(0, |(qos, _)| qos as u8);
        let (repeated, retained) = (u8::from(self.is_repeated), u8::from(self.is_retained));
        out.push(0x30 | repeated << 3 | quality << 1 | retained);
        push_length(length, &mut out);
        push_text(self.topic, &mut out);
        if let Some((_, id)) = self.tracked {
            out.extend_from_slice(&id.to_be_bytes());
        }
        out.extend_from_slice(&properties);
        out.extend_from_slice(self.payload);
        out.into()
    }

    fn properties(&self) -> Vec<u8> {
        const PAYLOAD_FORMAT: u8 = 0x01;
        const EXPIRY: u8 = 0x02;
        const CONTENT_TYPE: u8 = 0x03;
        const RESPONSE_TOPIC: u8 = 0x08;
        const CORRELATION_DATA: u8 = 0x09;
        const SUBSCRIPTION_ID: u8 = 0x0B;
        const TOPIC_ALIAS: u8 = 0x23;
        const USER_PROPERTY: u8 = 0x26;
        let mut properties = Vec::new();
        if self.properties.is_some_and(|said| said.payload == PayloadKind::Text)
            && std::str::from_utf8(self.payload).is_ok()
        {
            properties.extend_from_slice(&[PAYLOAD_FORMAT, 1]);
        }
        if let Some(seconds) = self.expires_in {
            properties.push(EXPIRY);
            properties.extend_from_slice(&seconds.to_be_bytes());
        }
        if let Some(content_type) = self.content_type {
            properties.push(CONTENT_TYPE);
            push_text(content_type, &mut properties);
        }
        if let Some(said) = self.properties {
            if let Some(topic) = &said.response_topic {
                properties.push(RESPONSE_TOPIC);
                push_text(topic, &mut properties);
            }
            if let Some(data) = &said.correlation_data {
                properties.push(CORRELATION_DATA);
                push_bytes(data, &mut properties);
            }
            for (name, value) in &said.user {
                properties.push(USER_PROPERTY);
                push_text(name, &mut properties);
                push_text(value, &mut properties);
            }
        }
        if let Some(alias) = self.alias {
            properties.push(TOPIC_ALIAS);
            properties.extend_from_slice(&alias.to_be_bytes());
        }
        if let Some(id) = self.subscription_id {
            properties.push(SUBSCRIPTION_ID);
            push_length(id as usize, &mut properties);
        }
        if self.follows_gap {
            properties.push(USER_PROPERTY);
            push_text("gap", &mut properties);
            push_text("true", &mut properties);
        }
        let mut out = Vec::with_capacity(properties.len() + 2);
        push_length(properties.len(), &mut out);
        out.append(&mut properties);
        out
    }
}

/// Appends a length as MQTT writes it: seven bits a byte, the lowest first.
pub(super) fn push_length(mut length: usize, out: &mut Vec<u8>) {
    loop {
        let more = if length > 0x7F { 0x80 } else { 0 };
        out.push((length & 0x7F) as u8 | more);
        length >>= 7;
        if length == 0 {
            return;
        }
    }
}

fn push_text(text: &str, out: &mut Vec<u8>) {
    push_bytes(text.as_bytes(), out);
}

fn push_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    // Topics are bounded by the length of ids and paths, the rest came in such a field itself.
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use mqtt_proto::v5::Packet;
    use mqtt_proto::{Pid, QoS, QosPid};
    use proptest::prelude::*;

    use super::super::codec::Decoder;
    use super::*;

    proptest! {
        #[test]
        fn deliveries_are_what_the_library_reads(
            topic in "[a-z/]{0,40}",
            payload in proptest::collection::vec(any::<u8>(), 0..400),
            id in proptest::option::of(1..=u16::MAX),
            subscription_id in proptest::option::of(1..=268_435_455u32),
            is_retained: bool,
        ) {
            let said = MessageProperties {
                payload: PayloadKind::Text,
                response_topic: Some("answers".into()),
                correlation_data: Some(Bytes::from_static(b"\x01\xff")),
                user: vec![("name".into(), "value".into())],
                ..MessageProperties::default()
            };
            for version in [Version::V3, Version::V5] {
                let delivery = Delivery {
                    topic: &topic,
                    payload: &payload,
                    tracked: id.map(|id| (QoS::Level1, id)),
                    is_repeated: id.is_some(),
                    is_retained,
                    subscription_id,
                    content_type: Some("text/plain"),
                    properties: Some(&said),
                    expires_in: Some(77),
                    alias: Some(3),
                    follows_gap: true,
                };
                let mut bytes = BytesMut::from(&delivery.encode(version)[..]);
                let packet = Decoder::of(version, 1 << 20).next(&mut bytes).unwrap();
                let Some(Packet::Publish(publish)) = packet else { panic!("{packet:?}") };
                prop_assert_eq!(&*publish.topic_name, &topic[..]);
                prop_assert_eq!(&publish.payload[..], &payload[..]);
                prop_assert_eq!(publish.retain, is_retained);
                let expected = id.map(|id| QosPid::Level1(Pid::try_from(id).unwrap()));
                prop_assert_eq!(publish.qos_pid, expected.unwrap_or(QosPid::Level0));
                if version == Version::V5 {
                    let properties = publish.properties;
                    prop_assert_eq!(properties.subscription_id.map(|id| id.value()), subscription_id);
                    prop_assert_eq!(properties.content_type.as_deref(), Some("text/plain"));
                    prop_assert_eq!(properties.message_expiry_interval, Some(77));
                    prop_assert_eq!(properties.topic_alias, Some(3));
                    prop_assert_eq!(properties.response_topic.as_deref(), Some("answers"));
                    prop_assert_eq!(properties.correlation_data.as_deref(), Some(&b"\x01\xff"[..]));
                    prop_assert_eq!(&*properties.user_properties[0].value, "value");
                    prop_assert_eq!(&*properties.user_properties[1].name, "gap");
                }
            }
        }
    }
}
