//! The client's frames: assembled into messages, decoded, handed to the resource.
//!
//! Runs inside the socket's task. It stops reading while the resource's inbox is full; it ends when
//! the client closes, breaks the protocol or is gone.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Bytes, BytesMut};
use fastwebsockets::{Frame, OpCode, Payload, WebSocketError, WebSocketRead};
use hyper::header::{self, HeaderMap};
use kora_resource::Value;
use kora_resource::value::{Format, json};
use tokio::io::AsyncRead;
use tokio::sync::mpsc;

use super::super::inbox::Sender;
use super::End;
use crate::http::negotiation::typed;

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

/// Reads until the end of the socket. Payloads of pings go to `pongs`; `heard` is set by any frame.
pub(super) async fn run<R: AsyncRead + Unpin>(
    mut socket: WebSocketRead<R>,
    inbox: Sender,
    decoding: Decoding,
    pongs: mpsc::Sender<Bytes>,
    heard: &AtomicBool,
) -> Closed {
    // Closes and pongs are written by the serving side, which owns the write half.
    socket.set_auto_close(false);
    socket.set_auto_pong(false);
    socket.set_max_message_size(LARGEST_MESSAGE);
    let mut assembly = Assembly::default();
    let mut nothing_to_send = |_: Frame<'_>| std::future::ready(Ok::<(), WebSocketError>(()));
    loop {
        let frame = match socket.read_frame(&mut nothing_to_send).await {
            Ok(frame) => frame,
            Err(error) => return refusal(&error),
        };
        heard.store(true, Ordering::Relaxed);
        let payload = match frame.payload {
            Payload::Bytes(bytes) => bytes.freeze(),
            other => Bytes::from(Vec::from(other)),
        };
        match frame.opcode {
            // A full queue means that pongs can't be written as fast as pings come: skip one.
            OpCode::Ping => drop(pongs.try_send(payload)),
            OpCode::Pong => {}
            OpCode::Close => return closed_by_client(payload),
            OpCode::Text | OpCode::Binary | OpCode::Continuation => {
                let message = match assembly.add(frame.opcode, frame.fin, payload) {
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
    begun: Option<OpCode>,
    fragments: BytesMut,
}

impl Assembly {
    /// Takes one data frame; the message if it was its last.
    fn add(
        &mut self,
        opcode: OpCode,
        is_last: bool,
        payload: Bytes,
    ) -> Result<Option<Bytes>, Closed> {
        let protocol_error =
            |reason: &str| Closed::Refused { code: 1002, reason: reason.to_owned() };
        match (self.begun, opcode) {
            (None, OpCode::Continuation) => {
                return Err(protocol_error("A continuation of nothing"));
            }
            (Some(_), OpCode::Text | OpCode::Binary) => {
                return Err(protocol_error("A message within a message"));
            }
            (None, _) if is_last => return Ok(Some(payload)),
            (None, _) => self.begun = Some(opcode),
            (Some(_), _) => {}
        }
        if self.fragments.len() + payload.len() > LARGEST_MESSAGE {
            return Err(Closed::Refused { code: 1009, reason: too_large() });
        }
        self.fragments.extend_from_slice(&payload);
        if !is_last {
            return Ok(None);
        }
        let message = self.fragments.split().freeze();
        if self.begun.take() == Some(OpCode::Text) && std::str::from_utf8(&message).is_err() {
            let reason = "The message is not UTF-8 text".to_owned();
            return Err(Closed::Refused { code: 1007, reason });
        }
        Ok(Some(message))
    }
}

fn closed_by_client(payload: Bytes) -> Closed {
    let refused = |code, reason: &str| Closed::Refused { code, reason: reason.to_owned() };
    match payload.split_first_chunk() {
        None if payload.is_empty() => Closed::ByClient(payload),
        None => refused(1002, "A close frame with half a code"),
        Some((code, _)) if !is_close_code(u16::from_be_bytes(*code)) => {
            refused(1002, "A close frame with a code that there is not")
        }
        Some((_, reason)) if std::str::from_utf8(reason).is_err() => {
            refused(1007, "The reason of a close is not UTF-8 text")
        }
        Some(_) => Closed::ByClient(payload),
    }
}

/// Whether an endpoint may send it (RFC 6455, section 7.4).
fn is_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

fn too_large() -> String {
    format!("Message too large, maximum size is {LARGEST_MESSAGE} bytes")
}

fn refusal(error: &WebSocketError) -> Closed {
    match error {
        WebSocketError::InvalidUTF8 => {
            Closed::Refused { code: 1007, reason: "The message is not UTF-8 text".to_owned() }
        }
        WebSocketError::FrameTooLarge => Closed::Refused { code: 1009, reason: too_large() },
        WebSocketError::UnexpectedEOF
        | WebSocketError::ConnectionClosed
        | WebSocketError::IoError(_)
        | WebSocketError::HTTPError(_)
        | WebSocketError::SendError(_) => Closed::Gone,
        WebSocketError::InvalidFragment
        | WebSocketError::InvalidContinuationFrame
        | WebSocketError::InvalidStatusCode(_)
        | WebSocketError::InvalidUpgradeHeader
        | WebSocketError::InvalidConnectionHeader
        | WebSocketError::InvalidCloseFrame
        | WebSocketError::InvalidCloseCode
        | WebSocketError::ReservedBitsNotZero
        | WebSocketError::ControlFrameFragmented
        | WebSocketError::PingFrameTooLarge
        | WebSocketError::InvalidSecWebsocketVersion
        | WebSocketError::InvalidValue
        | WebSocketError::MissingSecWebSocketKey => {
            Closed::Refused { code: 1002, reason: error.to_string() }
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
        let part = |text: &'static str| Bytes::from_static(text.as_bytes());
        assert_eq!(assembly.add(OpCode::Text, false, part("a")).unwrap(), None);
        let whole = assembly.add(OpCode::Continuation, true, part("b")).unwrap();
        assert_eq!(whole, Some(part("ab")));
        assert!(assembly.add(OpCode::Continuation, true, part("c")).is_err());
        let mut large = Assembly::default();
        let megabytes = Bytes::from(vec![b'a'; 60 << 20]);
        assert_eq!(large.add(OpCode::Binary, false, megabytes.clone()).unwrap(), None);
        let refused = large.add(OpCode::Continuation, true, megabytes).unwrap_err();
        assert!(matches!(refused, Closed::Refused { code: 1009, .. }));
    }
}
