//! Bytes to packets and back. One vocabulary for both versions: what MQTT 3.1.1 says is said as the
//! MQTT 5 packet that means the same, so that nothing else asks which version a client speaks.
//!
//! The packets themselves are `mqtt-proto`'s, which checks them; this module finds where one ends,
//! bounds its size before it is held in memory, and translates.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use mqtt_proto::v5::{
    Connack, Connect, ConnectProperties, ConnectReasonCode, DisconnectReasonCode, LastWill, Packet,
    Puback, Pubcomp, Publish, Pubrec, Pubrel, RetainHandling, Subscribe, SubscriptionOptions,
    Unsubscribe, WillProperties,
};
use mqtt_proto::{v3, v5};

use super::delivery::push_length;

/// The session expiry interval that means: never.
pub(super) const NEVER_EXPIRES: u32 = u32::MAX;

/// Which version a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// 3.1 and 3.1.1.
    V3,
    V5,
}

/// Why a connection can't go on.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) reason: DisconnectReasonCode,
    pub(super) text: String,
}

impl Refusal {
    pub(super) fn new(reason: DisconnectReasonCode, text: impl Into<String>) -> Refusal {
        Refusal { reason, text: text.into() }
    }
}

/// Assembles packets from what arrives.
#[derive(Debug)]
pub(super) struct Decoder {
    /// Known once the CONNECT packet has come.
    version: Option<Version>,
    /// The largest packet, in bytes.
    limit: usize,
}

impl Decoder {
    pub(super) fn new(limit: usize) -> Decoder {
        Decoder { version: None, limit }
    }

    /// In the middle of a connection.
    #[cfg(test)]
    pub(super) fn of(version: Version, limit: usize) -> Decoder {
        Decoder { version: Some(version), limit }
    }

    /// Takes the next whole packet out of `buffer`.
    pub(super) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Packet>, Refusal> {
        const CONNECT: u8 = 0x10;
        let Some(&first) = buffer.first() else { return Ok(None) };
        if self.version.is_none() && first != CONNECT {
            let text = "The first packet must be CONNECT";
            return Err(Refusal::new(DisconnectReasonCode::ProtocolError, text));
        }
        let Some((header, length)) = packet_length(buffer)? else { return Ok(None) };
        if header + length > self.limit {
            let text = format!("A packet of {length} bytes, at most {} are taken", self.limit);
            return Err(Refusal::new(DisconnectReasonCode::PacketTooLarge, text));
        }
        if buffer.len() < header + length {
            return Ok(None);
        }
        let packet = buffer.split_to(header + length);
        let version = match self.version {
            Some(version) => version,
            None => *self.version.insert(connect_version(&packet[header..])?),
        };
        if buffer.is_empty() {
            // The next packet of an idle client may be long in coming.
            *buffer = BytesMut::new();
        }
        let malformed = |text: String| Refusal::new(DisconnectReasonCode::MalformedPacket, text);
        let decoded = match version {
            Version::V5 => Packet::decode(&packet).map_err(|error| malformed(error.to_string()))?,
            Version::V3 => {
                let packet =
                    v3::Packet::decode(&packet).map_err(|error| malformed(error.to_string()))?;
                packet.map(from_v3)
            }
        };
        // The packet is whole: one that wants more bytes lies about a length within it.
        decoded.map(Some).ok_or_else(|| malformed("A packet ends too early".to_owned()))
    }
}

/// The lengths of the fixed header and of what follows it; `None` while the header is not whole.
fn packet_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, Refusal> {
    let mut length = 0;
    for (index, byte) in bytes.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((index + 2, length)));
        }
    }
    if bytes.len() > 4 {
        let text = "The length of a packet has more than four bytes";
        return Err(Refusal::new(DisconnectReasonCode::MalformedPacket, text));
    }
    Ok(None)
}

/// What a CONNECT packet says after its header: the protocol's name and its level.
fn connect_version(mut bytes: &[u8]) -> Result<Version, Refusal> {
    let level = (bytes.len() >= 2).then(|| usize::from(bytes.get_u16())).and_then(|length| {
        let name = bytes.get(..length)?;
        Some((name, *bytes.get(length)?))
    });
    match level {
        Some((b"MQTT", 5)) => Ok(Version::V5),
        Some((b"MQTT", 4) | (b"MQIsdp", 3)) => Ok(Version::V3),
        Some((b"MQTT" | b"MQIsdp", level)) => Err(Refusal::new(
            DisconnectReasonCode::ImplementationSpecificError,
            format!("MQTT level {level} is not spoken here, 3, 4 and 5 are"),
        )),
        Some(_) | None => {
            let text = "This is not the MQTT protocol";
            Err(Refusal::new(DisconnectReasonCode::ProtocolError, text))
        }
    }
}

fn from_v3(packet: v3::Packet) -> Packet {
    match packet {
        v3::Packet::Connect(connect) => Packet::Connect(connect_from_v3(connect)),
        v3::Packet::Connack(connack) => {
            let reason = match connack.code {
                v3::ConnectReturnCode::Accepted => ConnectReasonCode::Success,
                _ => ConnectReasonCode::UnspecifiedError,
            };
            Packet::Connack(Connack::new(connack.session_present, reason))
        }
        v3::Packet::Publish(publish) => {
            let v3::Publish { dup, retain, qos_pid, topic_name, payload } = publish;
            let publish = Publish::new(qos_pid, topic_name, payload);
            Packet::Publish(Publish { dup, retain, ..publish })
        }
        v3::Packet::Puback(pid) => Packet::Puback(Puback::new_success(pid)),
        v3::Packet::Pubrec(pid) => Packet::Pubrec(Pubrec::new_success(pid)),
        v3::Packet::Pubrel(pid) => Packet::Pubrel(Pubrel::new_success(pid)),
        v3::Packet::Pubcomp(pid) => Packet::Pubcomp(Pubcomp::new_success(pid)),
        v3::Packet::Subscribe(subscribe) => {
            let topics = subscribe.topics.into_iter().map(|(filter, qos)| {
                let options = SubscriptionOptions {
                    max_qos: qos,
                    no_local: false,
                    retain_as_published: false,
                    retain_handling: RetainHandling::SendAtSubscribe,
                };
                (filter, options)
            });
            Packet::Subscribe(Subscribe::new(subscribe.pid, topics.collect()))
        }
        v3::Packet::Unsubscribe(unsubscribe) => {
            Packet::Unsubscribe(Unsubscribe::new(unsubscribe.pid, unsubscribe.topics))
        }
        v3::Packet::Pingreq => Packet::Pingreq,
        v3::Packet::Pingresp => Packet::Pingresp,
        v3::Packet::Disconnect => Packet::Disconnect(v5::Disconnect::new_normal()),
        // What only servers send: refused as such by whoever gets it.
        v3::Packet::Suback(_) | v3::Packet::Unsuback(_) => Packet::Pingresp,
    }
}

fn connect_from_v3(connect: v3::Connect) -> Connect {
    let expiry = if connect.clean_session { 0 } else { NEVER_EXPIRES };
    let will = connect.last_will.map(|will| LastWill {
        qos: will.qos,
        retain: will.retain,
        topic_name: will.topic_name,
        payload: will.message,
        properties: WillProperties::default(),
    });
    Connect {
        protocol: connect.protocol,
        clean_start: connect.clean_session,
        keep_alive: connect.keep_alive,
        properties: ConnectProperties {
            session_expiry_interval: Some(expiry),
            ..ConnectProperties::default()
        },
        client_id: connect.client_id,
        last_will: will,
        username: connect.username,
        password: connect.password,
    }
}

/// A packet as bytes. Empty for what the version has no packet for.
pub(super) fn encode(packet: &Packet, version: Version) -> Bytes {
    if let (Packet::Suback(suback), Version::V3) = (packet, version) {
        return suback_of_v3(suback);
    }
    let encoded = match version {
        Version::V5 => packet.encode(),
        Version::V3 => match to_v3(packet) {
            Some(packet) => packet.encode(),
            None => return Bytes::new(),
        },
    };
    match encoded {
        Ok(bytes) => Bytes::copy_from_slice(bytes.as_ref()),
        // Only what is too large for the protocol's own lengths, which no packet of ours is.
        Err(error) => {
            tracing::error!("an MQTT packet can't be written: {error}");
            Bytes::new()
        }
    }
}

/// A packet without its reason string.
pub(super) fn without_words(mut packet: Packet) -> Packet {
    match &mut packet {
        Packet::Connack(packet) => packet.properties.reason_string = None,
        Packet::Puback(packet) => packet.properties.reason_string = None,
        Packet::Pubrec(packet) => packet.properties.reason_string = None,
        Packet::Pubrel(packet) => packet.properties.reason_string = None,
        Packet::Pubcomp(packet) => packet.properties.reason_string = None,
        Packet::Suback(packet) => packet.properties.reason_string = None,
        Packet::Unsuback(packet) => packet.properties.reason_string = None,
        Packet::Disconnect(packet) => packet.properties.reason_string = None,
        Packet::Connect(_)
        | Packet::Publish(_)
        | Packet::Subscribe(_)
        | Packet::Unsubscribe(_)
        | Packet::Pingreq
        | Packet::Pingresp
        | Packet::Auth(_) => {}
    }
    packet
}

fn to_v3(packet: &Packet) -> Option<v3::Packet> {
    Some(match packet {
        Packet::Connack(connack) => v3::Packet::Connack(v3::Connack {
            session_present: connack.session_present,
            code: return_code(connack.reason_code),
        }),
        Packet::Puback(ack) => v3::Packet::Puback(ack.pid),
        Packet::Pubrec(ack) => v3::Packet::Pubrec(ack.pid),
        Packet::Pubrel(ack) => v3::Packet::Pubrel(ack.pid),
        Packet::Pubcomp(ack) => v3::Packet::Pubcomp(ack.pid),
        Packet::Unsuback(ack) => v3::Packet::Unsuback(ack.pid),
        Packet::Pingresp => v3::Packet::Pingresp,
        // A server of version 3 closes the connection without a word; the rest is never sent.
        Packet::Disconnect(_)
        | Packet::Auth(_)
        | Packet::Suback(_)
        | Packet::Connect(_)
        | Packet::Publish(_)
        | Packet::Subscribe(_)
        | Packet::Unsubscribe(_)
        | Packet::Pingreq => return None,
    })
}

/// A SUBACK of version 3. Written here because `mqtt-proto` 0.4 writes a failure as 3 instead of 0x80.
fn suback_of_v3(suback: &v5::Suback) -> Bytes {
    const SUBACK: u8 = 0x90;
    const FAILURE: u8 = 0x80;
    let mut out = vec![SUBACK];
    push_length(2 + suback.topics.len(), &mut out);
    out.extend_from_slice(&suback.pid.value().to_be_bytes());
    out.extend(suback.topics.iter().map(|code| match *code as u8 {
        granted @ 0..=2 => granted,
        _ => FAILURE,
    }));
    out.into()
}

fn return_code(reason: ConnectReasonCode) -> v3::ConnectReturnCode {
    match reason {
        ConnectReasonCode::Success => v3::ConnectReturnCode::Accepted,
        ConnectReasonCode::UnsupportedProtocolVersion => {
            v3::ConnectReturnCode::UnacceptableProtocolVersion
        }
        ConnectReasonCode::ClientIdentifierNotValid => v3::ConnectReturnCode::IdentifierRejected,
        ConnectReasonCode::BadUserNameOrPassword => v3::ConnectReturnCode::BadUserNameOrPassword,
        ConnectReasonCode::NotAuthorized | ConnectReasonCode::Banned => {
            v3::ConnectReturnCode::NotAuthorized
        }
        _ => v3::ConnectReturnCode::ServerUnavailable,
    }
}

/// A reason string, which the protocol bounds.
pub(super) fn reason_string(text: &str) -> Option<Arc<str>> {
    const LONGEST: usize = 1024;
    Some(text[..text.floor_char_boundary(LONGEST)].into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoder(version: Version) -> Decoder {
        Decoder::of(version, 1 << 20)
    }

    proptest! {
        /// Whatever comes, it is a packet, a refusal or not enough: never a panic.
        #[test]
        fn garbage_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for mut decoder in [Decoder::new(64), decoder(Version::V3), decoder(Version::V5)] {
                let mut buffer = BytesMut::from(&bytes[..]);
                while let Ok(Some(_)) = decoder.next(&mut buffer) {}
            }
        }
    }

    #[test]
    fn packets_are_bounded_before_they_have_come() {
        let mut decoder = Decoder::new(100);
        let refused = decoder.next(&mut BytesMut::from(&[0x10, 0xFF, 0x7F][..])).unwrap_err();
        assert_eq!(refused.reason, DisconnectReasonCode::PacketTooLarge);
        let refused = decoder.next(&mut BytesMut::from(&[0x10, 0xFF, 0xFF, 0xFF, 0xFF][..]));
        assert_eq!(refused.unwrap_err().reason, DisconnectReasonCode::MalformedPacket);
        let refused = decoder.next(&mut BytesMut::from(&b"GET / HTTP/1.1"[..])).unwrap_err();
        assert_eq!(refused.reason, DisconnectReasonCode::ProtocolError);
    }
}
