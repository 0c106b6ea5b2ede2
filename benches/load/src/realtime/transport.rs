//! What the subscribers of each transport say to begin with, and where the messages are in what they get.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;

use anyhow::{Result, ensure};
use memchr::memmem;

use super::mqtt::{self, Quality};
use crate::http1::PATIENCE;

/// How a subscriber is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    WebSocket,
    Sse,
    Mqtt(Quality),
}

/// One message at the start of what was received.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Framed {
    /// Where what the event says is.
    pub(crate) payload: Range<usize>,
    /// Where the next message begins.
    pub(crate) end: usize,
    /// What the server wants to hear.
    pub(crate) answer: Option<[u8; 4]>,
}

impl Transport {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Transport::WebSocket => "WebSocket",
            Transport::Sse => "SSE",
            Transport::Mqtt(Quality::AtMostOnce) => "MQTT QoS 0",
            Transport::Mqtt(Quality::AtLeastOnce) => "MQTT QoS 1",
        }
    }

    /// Subscribes to `path`: `Tick/` is a table, `Tick/5` a record of it. The socket, and what came with the
    /// answer.
    pub(crate) fn subscribe(
        self,
        address: SocketAddr,
        path: &str,
        number: usize,
    ) -> Result<(TcpStream, Vec<u8>)> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let received = match self {
            // Any key will do: the answer to it is not checked.
            Transport::WebSocket => handshake(
                &mut stream,
                &format!(
                    "GET /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: a29yYS1sb2FkLXRlc3QtMQ==\r\n\r\n"
                ),
                b"HTTP/1.1 101 ",
            )?,
            Transport::Sse => handshake(
                &mut stream,
                &format!(
                    "GET /{path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
                ),
                b"HTTP/1.1 200 ",
            )?,
            Transport::Mqtt(quality) => {
                mqtt::connect(&mut stream, &format!("subscriber-{number}"))?;
                let filter = match path.strip_suffix('/') {
                    Some(table) => format!("{table}/#"),
                    None => path.to_owned(),
                };
                mqtt::subscribe(&mut stream, &filter, quality)?
            }
        };
        Ok((stream, received))
    }

    /// The message at the start of `bytes`; `None` while some of it is missing.
    pub(crate) fn split(self, bytes: &[u8]) -> Option<Framed> {
        match self {
            Transport::WebSocket => web_socket_frame(bytes),
            // A block ends with an empty line, wherever the chunks of the body are cut.
            Transport::Sse => {
                let end = memmem::find(bytes, b"\n\n")? + 2;
                Some(Framed { payload: 0..end, end, answer: None })
            }
            Transport::Mqtt(_) => mqtt::packet(bytes),
        }
    }
}

/// Sends a request and reads to the end of the response's head; what came after it.
fn handshake(stream: &mut TcpStream, request: &str, expected: &[u8]) -> Result<Vec<u8>> {
    stream.write_all(request.as_bytes())?;
    let mut received = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        if let Some(end) = memmem::find(&received, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&received[..end]);
            ensure!(received.starts_with(expected), "the answer was {head}");
            return Ok(received.split_off(end + 4));
        }
        let read = stream.read(&mut chunk)?;
        ensure!(read > 0, "the server closed the connection");
        received.extend_from_slice(&chunk[..read]);
    }
}

/// A server's frames are not masked.
fn web_socket_frame(bytes: &[u8]) -> Option<Framed> {
    let (start, length) = match *bytes.get(1)? & 0x7f {
        126 => (4, u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        short => (2, u64::from(short)),
    };
    let end = start + usize::try_from(length).ok()?;
    (bytes.len() >= end).then_some(Framed { payload: start..end, end, answer: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_each_form() {
        let framed = |payload, end| Some(Framed { payload, end, answer: None });
        let web_socket = |bytes: &[u8]| Transport::WebSocket.split(bytes);
        assert_eq!(web_socket(&[0x81, 3, 1, 2, 3, 0x81]), framed(2..5, 5));
        assert_eq!(web_socket(&[0x81, 3, 1, 2]), None);
        let long = [&[0x81, 126, 0, 200][..], &[0; 200]].concat();
        assert_eq!(web_socket(&long), framed(4..204, 204));
        assert_eq!(Transport::Sse.split(b"5\r\ndata: 1\nid: 2\n\n\r\n"), framed(0..18, 18));
        assert_eq!(Transport::Sse.split(b"data: 1\n"), None);
    }
}
