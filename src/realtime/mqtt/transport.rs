//! The two carriers of packets: a byte stream (TCP or TLS), and the binary frames
//! of a WebSocket with the subprotocol `mqtt`, whose borders mean nothing to packets.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use kora_resource::Result;
use mqtt_proto::v5::Packet;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::mpsc;

use super::client::Client;
use super::codec::{Decoder, Refusal};
use super::{Broker, PACKET_LIMIT, connection};
use crate::http::body::ResponseBody;
use crate::http::peer::Peer;
use crate::http::request_body::RequestBody;
use crate::http::{Response, negotiation, problem};
use crate::realtime::frame_reader::FrameReader;
use crate::realtime::frame_writer::{
    BATCH, FrameWriter, Opcode, encode_close, encode_frame, write_header,
};

/// How many bytes are read at a time from a client that sends little.
const READ: usize = 2048;

/// What arrives from a client.
#[derive(Debug)]
pub(super) enum Arrived {
    Packet(Box<Packet>),
    /// A WebSocket's ping, to be answered.
    Ping(Bytes),
}

/// Why nothing arrives any more.
#[derive(Debug)]
pub(super) enum Ended {
    Gone,
    Refused(Refusal),
}

/// Where a client's bytes come from.
pub(super) enum Source<R> {
    Stream(R),
    WebSocket(FrameReader<R>),
}

impl<R: AsyncRead + Unpin> Source<R> {
    /// Reads packets until the client is gone or says what is no packet. It reads no faster than they
    /// are taken.
    pub(super) async fn run(mut self, arrived: mpsc::Sender<Arrived>) -> Ended {
        let mut decoder = Decoder::new(PACKET_LIMIT);
        let mut buffer = BytesMut::new();
        loop {
            loop {
                match decoder.next(&mut buffer) {
                    Ok(None) => break,
                    Ok(Some(packet)) => {
                        if arrived.send(Arrived::Packet(Box::new(packet))).await.is_err() {
                            return Ended::Gone;
                        }
                    }
                    Err(refusal) => return Ended::Refused(refusal),
                }
            }
            match self.fill(&mut buffer, &arrived).await {
                Ok(true) => {}
                Ok(false) => return Ended::Gone,
                Err(error) => {
                    tracing::debug!("an MQTT connection is lost: {error}");
                    return Ended::Gone;
                }
            }
        }
    }

    /// Reads some bytes; `false` at the end.
    async fn fill(
        &mut self,
        buffer: &mut BytesMut,
        arrived: &mpsc::Sender<Arrived>,
    ) -> io::Result<bool> {
        let socket = match self {
            Source::Stream(stream) => {
                buffer.reserve(READ);
                return Ok(stream.read_buf(buffer).await? > 0);
            }
            Source::WebSocket(socket) => socket,
        };
        let frame = socket.next().await.map_err(io::Error::other)?;
        match frame.opcode {
            Opcode::Binary | Opcode::Continuation => {
                buffer.extend_from_slice(&frame.payload);
                Ok(true)
            }
            Opcode::Ping => Ok(arrived.send(Arrived::Ping(frame.payload)).await.is_ok()),
            Opcode::Pong => Ok(true),
            Opcode::Text => Err(io::Error::other("a text frame, MQTT has binary ones")),
            Opcode::Close => Ok(false),
        }
    }
}

/// How bytes are framed on their way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    WebSocket,
}

/// What is to be written to a client: gathered, then written at once.
pub(super) struct Outbox<W> {
    writer: FrameWriter<W>,
    framing: Framing,
    waiting: Vec<Bytes>,
    bytes: usize,
}

impl<W: AsyncWrite + Unpin> Outbox<W> {
    pub(super) fn new(writer: W, framing: Framing) -> Outbox<W> {
        Outbox { writer: FrameWriter::new(writer), framing, waiting: Vec::new(), bytes: 0 }
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.waiting.push(bytes);
        }
    }

    /// Whether more should be gathered before it is written.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < BATCH
    }

    pub(super) fn answer_ping(&mut self, payload: &Bytes) {
        if self.framing == Framing::WebSocket {
            self.frame();
            self.writer.push(encode_frame(Opcode::Pong, payload));
        }
    }

    /// Writes what waits. Fails with `TimedOut` if the client stops reading.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        self.frame();
        self.writer.flush().await
    }

    /// Writes what waits and ends the sending side.
    pub(super) async fn close(&mut self, code: u16) -> io::Result<()> {
        self.frame();
        if self.framing == Framing::WebSocket {
            self.writer.push(encode_close(Some((code, ""))));
        }
        self.writer.flush().await?;
        self.writer.shutdown().await
    }

    fn frame(&mut self) {
        if self.framing == Framing::WebSocket && self.bytes > 0 {
            let mut header = Vec::with_capacity(10);
            write_header(Opcode::Binary, self.bytes, &mut header);
            self.writer.push(header.into());
        }
        self.bytes = 0;
        for bytes in self.waiting.drain(..) {
            self.writer.push(bytes);
        }
    }
}

/// Whether a request to upgrade offers MQTT.
pub(crate) fn is_offered<B>(request: &Request<B>) -> bool {
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    offered
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|protocol| protocol.trim() == "mqtt")
}

/// What the headers of the upgrade say of a client: who it is, and what its payloads are
/// (`spec/harper-realtime.md` section 8). 406 for a format that there is none of.
fn client(peer: &Peer, headers: &HeaderMap) -> Result<Client> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let format = negotiation::choose(headers, None)?.format;
    Ok(Client { format, content_type: content_type.map(Into::into), ..Client::new(peer) })
}

/// Accepts the upgrade of a client that offers MQTT.
pub(crate) fn accept_web_socket(
    mut request: Request<RequestBody>,
    peer: &Peer,
    broker: &Arc<Broker>,
) -> Response {
    let client = match client(peer, request.headers()) {
        Ok(client) => client,
        Err(error) => return problem::response(&error, request.uri().path()),
    };
    let (response, upgraded) = match fastwebsockets::upgrade::upgrade(&mut request) {
        Ok(accepted) => accepted,
        Err(error) => return problem::with_text(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let broker = Arc::clone(broker);
    tokio::spawn(async move {
        let io: TokioIo<_> = match upgraded.await {
            Ok(socket) => socket.into_inner(),
            Err(error) => return tracing::debug!("upgrade: {error}"),
        };
        let (read, write) = tokio::io::split(io);
        let source = Source::WebSocket(FrameReader::new(read, PACKET_LIMIT));
        let outbox = Outbox::new(write, Framing::WebSocket);
        connection::run(broker, client, source, outbox).await;
    });
    let mut response = response.map(|_| ResponseBody::Empty);
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("mqtt"));
    response
}
