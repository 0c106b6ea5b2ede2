//! The client's frames: assembled into messages, decoded, handed to the resource.
//!
//! Runs inside the socket's task. It stops reading while the resource's inbox is full; it ends when
//! the client closes, breaks the protocol or is gone.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Bytes, BytesMut};
use hyper::header::{self, HeaderMap};
use kora_resource::Value;
use kora_resource::body::typed;
use kora_resource::value::{Format, json};
use parking_lot::Mutex;
use tokio::io::AsyncRead;
use tokio::sync::Notify;

use super::super::frame_reader::{Frame, FrameReader, ReadError};
use super::super::frame_writer::Opcode;
use super::super::inbox::Sender;
use super::End;

/// The largest message, in bytes, over all its fragments.
const LARGEST_MESSAGE: usize = 100 * 1024 * 1024;

/// Why reading ended.
#[derive(Debug)]
pub(super) enum Closed {
    ByClient(Bytes),
    Gone,
    Refused { code: u16, reason: String },
}

impl From<Closed> for End {
    fn from(closed: Closed) -> End {
        match closed {
            Closed::ByClient(payload) => End::ClosedByClient(payload),
            Closed::Gone => End::Gone,
            Closed::Refused { code, reason } => End::Refused { code, reason },
        }
    }
}

/// How messages are read, chosen once for a socket (section 5, "Incoming decode").
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decoding {
    /// Nothing was said, as browsers do: JSON objects are decoded, all else stays bytes.
    Guess,
    Json,
    /// Another format, each message one value.
    Encoded(Format),
    Text,
    /// Text of another type, handed over with its type.
    TypedText(String),
    /// Bytes of another type, handed over with their type.
    Typed(String),
}

impl Decoding {
    /// By the extension of the URL, or else the `Content-Type` of the upgrade request.
    pub(super) fn choose(extension: Option<&str>, headers: &HeaderMap) -> Decoding {
        match extension {
            Some("json") => return Decoding::Json,
            Some("cbor") => return Decoding::Encoded(Format::Cbor),
            Some("msgpack") => return Decoding::Encoded(Format::MessagePack),
            _ => {}
        }
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let Some(content_type) = content_type else { return Decoding::Guess };
        match content_type.split(';').next().unwrap_or_default().trim() {
            "" => Decoding::Guess,
            "application/json" => Decoding::Json,
            "text/plain" => Decoding::Text,
            "application/cbor" => Decoding::Encoded(Format::Cbor),
            "application/x-msgpack" | "application/msgpack" => {
                Decoding::Encoded(Format::MessagePack)
            }
            text if text.starts_with("text/") => Decoding::TypedText(content_type.to_owned()),
            _ => Decoding::Typed(content_type.to_owned()),
        }
    }

    fn decode(&self, message: Bytes) -> Result<Value, Closed> {
        let text = |message: Bytes| {
            String::from_utf8(message.into()).map(Value::String).map_err(|_| Closed::Refused {
                code: 1007,
                reason: "The message is not UTF-8 text".to_owned(),
            })
        };
        match self {
            Decoding::Guess => {
                let object = (message.first() == Some(&b'{')).then(|| json::parse(&message).ok());
                Ok(object
                    .flatten()
                    .unwrap_or_else(|| typed("application/octet-stream", Value::Bytes(message))))
            }
            Decoding::Json if message.is_empty() => Ok(Value::Null),
            Decoding::Json => json::parse(&message).map_err(|error| Closed::Refused {
                code: 1007,
                reason: format!("The message is not JSON: {error}"),
            }),
            Decoding::Encoded(_) if message.is_empty() => Ok(Value::Null),
            Decoding::Encoded(format) => format.decode(&message).map_err(|error| Closed::Refused {
                code: 1007,
                reason: format!("The message is {error}"),
            }),
            Decoding::Text => text(message),
            Decoding::TypedText(content_type) => Ok(typed(content_type, text(message)?)),
            Decoding::Typed(content_type) => Ok(typed(content_type, Value::Bytes(message))),
        }
    }
}

/// What the writing side is told of the client's frames.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Whether anything came since this was last cleared.
    pub(super) anything: AtomicBool,
    /// The payload of the last ping that was not answered: only that one wants an answer (RFC 6455, section 5.5.3).
    ping: Mutex<Option<Bytes>>,
    pinged: Notify,
}

impl Heard {
    /// The payload of a ping, to be sent back.
    pub(super) async fn ping(&self) -> Bytes {
        loop {
            if let Some(payload) = self.ping.lock().take() {
                return payload;
            }
            self.pinged.notified().await;
        }
    }
}

/// Reads until the end of the socket.
pub(super) async fn run<R: AsyncRead + Unpin>(
    socket: R,
    inbox: Sender,
    decoding: Decoding,
    heard: &Heard,
) -> Closed {
    let mut frames = FrameReader::new(socket, LARGEST_MESSAGE);
    let mut assembly = Assembly::default();
    loop {
        let frame = match frames.next().await {
            Ok(frame) => frame,
            Err(error) => return error.into(),
        };
        heard.anything.store(true, Ordering::Relaxed);
        match frame.opcode {
            Opcode::Ping => {
                *heard.ping.lock() = Some(frame.payload);
                heard.pinged.notify_one();
            }
            Opcode::Pong => {}
            Opcode::Close => return closed_by_client(frame.payload),
            Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                let message = match assembly.add(frame) {
                    Ok(Some(message)) => message,
                    Ok(None) => continue,
                    Err(refused) => return refused,
                };
                let size = message.len();
                match decoding.decode(message) {
                    Ok(message) => inbox.send(message, size).await,
                    Err(refused) => return refused,
                }
            }
        }
    }
}

/// A message of which not all fragments have come.
#[derive(Debug, Default)]
struct Assembly {
    /// The opcode of the first fragment; `None` between messages.
    begun: Option<Opcode>,
    fragments: BytesMut,
}

impl Assembly {
    /// Takes one data frame; the message if it was its last.
    fn add(&mut self, frame: Frame) -> Result<Option<Bytes>, Closed> {
        let begun = match (self.begun, frame.opcode) {
            (None, Opcode::Continuation) => {
                return Err(protocol_error("A continuation of nothing"));
            }
            (None, opcode) => opcode,
            (Some(begun), Opcode::Continuation) => begun,
            (Some(_), _) => return Err(protocol_error("A message within a message")),
        };
        if self.fragments.len() + frame.payload.len() > LARGEST_MESSAGE {
            return Err(ReadError::TooLarge { largest: LARGEST_MESSAGE }.into());
        }
        self.begun = (!frame.is_last).then_some(begun);
        let message = match (frame.is_last, self.fragments.is_empty()) {
            (true, true) => frame.payload,
            (is_last, _) => {
                self.fragments.extend_from_slice(&frame.payload);
                if !is_last {
                    return Ok(None);
                }
                std::mem::take(&mut self.fragments).freeze()
            }
        };
        if begun == Opcode::Text && std::str::from_utf8(&message).is_err() {
            let reason = "The message is not UTF-8 text".to_owned();
            return Err(Closed::Refused { code: 1007, reason });
        }
        Ok(Some(message))
    }
}

fn closed_by_client(payload: Bytes) -> Closed {
    match payload.split_first_chunk() {
        None if payload.is_empty() => Closed::ByClient(payload),
        None => protocol_error("A close frame with half a code"),
        Some((code, _)) if !is_close_code(u16::from_be_bytes(*code)) => {
            protocol_error("A close frame with a code that there is not")
        }
        Some((_, reason)) if std::str::from_utf8(reason).is_err() => {
            let reason = "The reason of a close is not UTF-8 text".to_owned();
            Closed::Refused { code: 1007, reason }
        }
        Some(_) => Closed::ByClient(payload),
    }
}

/// Whether an endpoint may send it (RFC 6455, section 7.4).
fn is_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

fn protocol_error(reason: &str) -> Closed {
    Closed::Refused { code: 1002, reason: reason.to_owned() }
}

impl From<ReadError> for Closed {
    fn from(error: ReadError) -> Closed {
        match error {
            ReadError::Lost(_) => Closed::Gone,
            ReadError::Protocol(reason) => protocol_error(reason),
            ReadError::TooLarge { .. } => Closed::Refused { code: 1009, reason: error.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json_of(decoding: &Decoding, message: &'static str) -> String {
        let mut out = Vec::new();
        json::write(&decoding.decode(Bytes::from_static(message.as_bytes())).unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn messages_are_decoded_as_the_specification_says() {
        assert_eq!(json_of(&Decoding::Guess, r#"{"a":1}"#), r#"{"a":1}"#);
        for raw in ["[1]", "5", "{no", "text"] {
            assert!(
                json_of(&Decoding::Guess, raw).starts_with(r#"{"contentType":"application/octet-"#)
            );
        }
        assert_eq!(json_of(&Decoding::Json, "[1]"), "[1]");
        assert_eq!(json_of(&Decoding::Text, "hi"), r#""hi""#);
        let csv = Decoding::TypedText("text/csv".to_owned());
        assert_eq!(json_of(&csv, "a"), r#"{"contentType":"text/csv","data":"a"}"#);
        assert!(Decoding::Json.decode(Bytes::from_static(b"{")).is_err());
        assert_eq!(json_of(&Decoding::Encoded(Format::Cbor), "\u{1}"), "1");
        assert!(Decoding::Encoded(Format::Cbor).decode(Bytes::from_static(b"a")).is_err());
    }

    #[test]
    fn fragments_are_assembled_and_bounded() {
        let mut assembly = Assembly::default();
        let part = |opcode, is_last, text: &'static [u8]| Frame {
            opcode,
            is_last,
            payload: Bytes::from_static(text),
        };
        assert_eq!(assembly.add(part(Opcode::Text, false, b"a")).unwrap(), None);
        let whole = assembly.add(part(Opcode::Continuation, true, b"b")).unwrap();
        assert_eq!(whole, Some(Bytes::from_static(b"ab")));
        assert!(assembly.add(part(Opcode::Continuation, true, b"c")).is_err());
        // A character may be cut between two fragments, but not at the end of a message.
        assert_eq!(assembly.add(part(Opcode::Text, false, b"\xC3")).unwrap(), None);
        assert!(assembly.add(part(Opcode::Continuation, true, b"\xA4")).unwrap().is_some());
        assert!(assembly.add(part(Opcode::Text, true, b"\xC3")).is_err());
        let mut large = Assembly::default();
        let payload = Bytes::from(vec![b'a'; 60 << 20]);
        let first = Frame { opcode: Opcode::Binary, is_last: false, payload: payload.clone() };
        assert_eq!(large.add(first).unwrap(), None);
        let second = Frame { opcode: Opcode::Continuation, is_last: true, payload };
        let refused = large.add(second).unwrap_err();
        assert!(matches!(refused, Closed::Refused { code: 1009, .. }));
    }
}
