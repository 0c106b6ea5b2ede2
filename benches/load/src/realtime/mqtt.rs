//! As much of MQTT 3.1.1 as a load generator needs, by hand: it must cost less than any server under test.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Result, ensure};

use super::transport::Framed;

/// A quality of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quality {
    AtMostOnce = 0,
    AtLeastOnce = 1,
}

const PUBLISH: u8 = 3;

/// Connects with a clean session and no keep-alive.
pub(crate) fn connect(stream: &mut TcpStream, client_id: &str) -> Result<()> {
    let mut body = b"\x00\x04MQTT\x04\x02\x00\x00".to_vec();
    push_text(client_id, &mut body);
    stream.write_all(&packet_of(0x10, &body))?;
    let mut connack = [0; 4];
    stream.read_exact(&mut connack)?;
    ensure!(connack == [0x20, 2, 0, 0], "CONNECT was answered with {connack:?}");
    Ok(())
}

/// Subscribes; what came with the answer.
pub(crate) fn subscribe(stream: &mut TcpStream, filter: &str, quality: Quality) -> Result<Vec<u8>> {
    let mut body = vec![0, 1];
    push_text(filter, &mut body);
    body.push(quality as u8);
    stream.write_all(&packet_of(0x82, &body))?;
    let mut suback = [0; 5];
    stream.read_exact(&mut suback)?;
    ensure!(suback == [0x90, 3, 0, 1, quality as u8], "SUBSCRIBE was answered with {suback:?}");
    Ok(Vec::new())
}

/// A PUBLISH packet; `id` is used with quality of service 1.
pub(crate) fn publish(topic: &str, payload: &[u8], quality: Quality, id: u16) -> Vec<u8> {
    let mut body = Vec::with_capacity(topic.len() + payload.len() + 4);
    push_text(topic, &mut body);
    if quality == Quality::AtLeastOnce {
        body.extend_from_slice(&id.to_be_bytes());
    }
    body.extend_from_slice(payload);
    packet_of(PUBLISH << 4 | (quality as u8) << 1, &body)
}

/// The packet at the start of `bytes`, and the acknowledgement that it asks for.
pub(crate) fn packet(bytes: &[u8]) -> Option<Framed> {
    let first = *bytes.first()?;
    let mut length = 0;
    let mut at = 1;
    loop {
        let byte = *bytes.get(at)?;
        length |= usize::from(byte & 0x7f) << (7 * (at - 1));
        at += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let end = at + length;
    if bytes.len() < end {
        return None;
    }
    let mut start = at;
    let mut answer = None;
    if first >> 4 == PUBLISH {
        let topic = bytes.get(at..at + 2)?;
        start += 2 + usize::from(u16::from_be_bytes([topic[0], topic[1]]));
        if first & 0x06 != 0 {
            let id = bytes.get(start..start + 2)?;
            answer = Some([0x40, 2, id[0], id[1]]);
            start += 2;
        }
    }
    Some(Framed { payload: start.min(end)..end, end, answer })
}

fn packet_of(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    loop {
        let more = if length > 0x7f { 0x80 } else { 0 };
        packet.push((length & 0x7f) as u8 | more);
        length >>= 7;
        if length == 0 {
            break;
        }
    }
    packet.extend_from_slice(body);
    packet
}

fn push_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_read() {
        for (quality, answer) in
            [(Quality::AtMostOnce, None), (Quality::AtLeastOnce, Some([0x40, 2, 1, 2]))]
        {
            let payload = vec![b'x'; 300];
            let bytes = publish("Tick/5", &payload, quality, 0x0102);
            assert_eq!(packet(&bytes[..bytes.len() - 1]), None);
            let framed = packet(&bytes).unwrap();
            assert_eq!(framed.answer, answer);
            assert_eq!((&bytes[framed.payload], framed.end), (&payload[..], bytes.len()));
        }
    }
}
