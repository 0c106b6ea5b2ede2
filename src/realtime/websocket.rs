//! WebSocket: one socket is one `connect` of a resource (`spec/harper-realtime.md` section 5).
//!
//! A socket is one task. In it two futures run side by side: [`reading`] turns frames into messages
//! for the resource, [`serve`] turns the resource's stream into frames. The first that ends decides
//! how the socket is closed; dropping the other is how the resource learns that the client is gone.

mod reading;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, FutureExt, select};
use futures_util::stream::StreamExt;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::upgrade::Upgraded;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use kora_resource::value::Format;
use kora_resource::{
    Connect, Context, Epoch, Error, ErrorKind, Message, Opens, Outgoing, Params, Result, Target,
    Value,
};
use tokio::io::{AsyncWrite, WriteHalf};

use super::asked::{self, Positions};
use super::drain::{Drain, OpenSocket};
use super::envelope;
use super::frame_writer::{FrameWriter, Opcode, encode_close};
use super::heartbeat::{Beat, Heartbeat};
use super::inbox::{self, Inbox};
use super::resumed;
use crate::components::registry::Registration;
use crate::http::body::ResponseBody;
use crate::http::peer::Peer;
use crate::http::request_body::RequestBody;
use crate::http::{Response, negotiation, problem};
use reading::{Decoding, Heard};

/// How long the closing handshake may take.
const CLOSING: Duration = Duration::from_secs(2);

/// How a socket ends.
#[derive(Debug)]
enum End {
    /// The client sent a close frame with this payload, which goes back to it.
    ClosedByClient(Bytes),
    /// The connection is lost, or the client has stopped reading: nothing can be said any more.
    Gone,
    /// The client broke the protocol or a limit.
    Refused {
        code: u16,
        reason: String,
    },
    /// The resource's stream is over.
    Finished,
    Failed(Error),
    /// The server stops.
    Draining,
}

/// Accepts an upgrade. It always succeeds, also for paths that nobody answers for: browsers can read
/// the reason of a close, but no status of a refused upgrade.
pub(crate) fn accept(
    mut request: Request<RequestBody>,
    found: Option<(Arc<Registration>, String, Params)>,
    peer: &Peer,
    drain: &Drain,
    heartbeat: &Heartbeat,
) -> Response {
    let (response, upgraded) = match fastwebsockets::upgrade::upgrade(&mut request) {
        Ok(accepted) => accepted,
        Err(error) => return problem::with_text(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let request = detached(request.into_parts().0);
    let mut response = response.map(|_| ResponseBody::Empty);
    if let Some(protocol) = first_protocol(&request.headers) {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    let opening = match found {
        Some((registration, remainder, params)) => {
            let context = peer.context(registration.served, &request);
            Opening::To { registration, remainder, params, context }
        }
        None => Opening::ToNobody { path: request.uri.path().to_owned() },
    };
    let (drain, open, beat) = (drain.clone(), drain.socket(), heartbeat.join());
    tokio::spawn(async move {
        match upgraded.await {
            Ok(socket) => {
                run(socket.into_inner(), opening, request.headers, drain, open, beat).await;
            }
            Err(error) => tracing::debug!("upgrade: {error}"),
        }
    });
    response
}

/// The head of a request as copies. hyper's are slices of the buffer that the connection was read into: one header
/// that is kept for as long as a socket is open keeps all of its 16 KiB.
fn detached(mut head: Parts) -> Parts {
    for value in head.headers.values_mut() {
        let is_sensitive = value.is_sensitive();
        if let Ok(copy) = HeaderValue::from_bytes(value.as_bytes()) {
            *value = copy;
            value.set_sensitive(is_sensitive);
        }
    }
    if let Ok(copy) = head.uri.to_string().parse() {
        head.uri = copy;
    }
    head
}

/// What a socket was opened to.
enum Opening {
    To { registration: Arc<Registration>, remainder: String, params: Params, context: Arc<Context> },
    ToNobody { path: String },
}

impl Opening {
    async fn connect(self, headers: HeaderMap, inbox: Inbox) -> Result<(Outgoing, Envelopes)> {
        let (registration, remainder, params, context) = match self {
            Opening::To { registration, remainder, params, context } => {
                (registration, remainder, params, context)
            }
            Opening::ToNobody { path } => {
                let reason = format!("No resource was found to handle {path}");
                return Err(Error::not_found(reason));
            }
        };
        let resource = registration.resource.clone();
        let asked = asked::read(&remainder)?;
        let target = Target::parse(&asked.remainder, resource.schema().as_deref())?;
        let target = Target { params, ..target };
        let format = negotiation::choose(&headers, target.extension.as_deref())?.format;
        let envelopes = Envelopes { format, positions: asked.positions, epoch: None };
        let incoming: kora_resource::Incoming = Box::pin(inbox);
        let (incoming, options) = (Some(incoming), asked.options);
        let resume = options.resume;
        let connect = Connect { target, context, incoming, opens: Opens::Connect, options };
        Ok((resumed::honestly(resource.connect(connect).await?, resume), envelopes))
    }

    /// The extension of the URL, which decides how the client's messages are read.
    fn extension(&self) -> Option<String> {
        let Opening::To { registration, remainder, .. } = self else { return None };
        let schema = registration.resource.schema();
        Target::parse(remainder, schema.as_deref()).ok()?.extension
    }
}

async fn run(
    io: TokioIo<Upgraded>,
    opening: Opening,
    headers: HeaderMap,
    mut drain: Drain,
    _open: OpenSocket,
    beat: Beat,
) {
    let (read, write) = tokio::io::split(io);
    let mut writer = FrameWriter::new(write);
    let is_known_path = matches!(opening, Opening::To { .. });
    let decoding = Decoding::choose(opening.extension().as_deref(), &headers);
    let (sender, inbox) = inbox::new();
    let heard = Heard::default();
    let mut reading = pin!(reading::run(read, sender, decoding, &heard));
    let end = {
        let serving = pin!(async {
            // Boxed: what opening takes is freed while the socket is open.
            let (mut outgoing, envelopes) = tokio::select! {
                connected = Box::pin(opening.connect(headers, inbox)) => match connected {
                    Ok(connected) => connected,
                    Err(error) => return End::Failed(error),
                },
                () = drain.begun() => return End::Draining,
            };
            let silence = Silence::new(&heard, beat);
            serve(&mut outgoing, &mut writer, envelopes, silence, &mut drain).await
        });
        match select(reading.as_mut(), serving).await {
            Either::Left((end, _)) => End::from(end),
            Either::Right((end, _)) => end,
        }
    };
    let client_may_answer =
        !matches!(end, End::ClosedByClient(_) | End::Gone | End::Refused { .. });
    if let Err(error) = tokio::time::timeout(CLOSING, close(&mut writer, end, is_known_path))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    {
        tracing::debug!("closing a socket: {error}");
        return;
    }
    if client_may_answer {
        // Waits for the client's own close frame, so that ours is not lost in a reset.
        let _ = tokio::time::timeout(CLOSING, reading).await;
    }
    let _ = tokio::time::timeout(CLOSING, writer.shutdown()).await;
}

/// Whether the client has said anything since it was last asked.
struct Silence<'a> {
    heard: &'a Heard,
    beat: Beat,
}

impl<'a> Silence<'a> {
    fn new(heard: &'a Heard, beat: Beat) -> Silence<'a> {
        heard.anything.store(true, Ordering::Relaxed);
        Silence { heard, beat }
    }

    /// Resolves when it is time to ask again: `false` if the last question was not answered, and
    /// nothing else was heard either.
    async fn may_go_on(&mut self) -> bool {
        self.beat.due().await;
        self.heard.anything.swap(false, Ordering::Relaxed)
    }
}

/// Writes what the resource sends until it ends. What is ready goes out together.
async fn serve<W: AsyncWrite + Unpin>(
    outgoing: &mut Outgoing,
    writer: &mut FrameWriter<W>,
    mut envelopes: Envelopes,
    mut silence: Silence<'_>,
    drain: &mut Drain,
) -> End {
    let heard = silence.heard;
    loop {
        let mut more = tokio::select! {
            biased;
            () = drain.begun() => return End::Draining,
            ping = heard.ping() => writer.push_message(Opcode::Pong, ping),
            answered = silence.may_go_on() => match answered {
                true => writer.push_message(Opcode::Ping, Bytes::new()),
                false => return End::Gone,
            },
            message = outgoing.next() => match message {
                Some(Ok(message)) => envelopes.push(writer, message),
                Some(Err(error)) => return End::Failed(error),
                None => return End::Finished,
            },
        };
        let mut end = None;
        while more {
            match outgoing.next().now_or_never() {
                Some(Some(Ok(message))) => more = envelopes.push(writer, message),
                Some(Some(Err(error))) => {
                    end = Some(End::Failed(error));
                    break;
                }
                Some(None) => {
                    end = Some(End::Finished);
                    break;
                }
                None => break,
            }
        }
        if let Err(error) = writer.flush().await {
            tracing::debug!("a socket is dropped: {error}");
            return End::Gone;
        }
        if let Some(end) = end {
            return end;
        }
    }
}

/// How one client's messages are written.
struct Envelopes {
    format: Format,
    positions: Positions,
    /// The epoch of the positions, once it is told.
    epoch: Option<Epoch>,
}

impl Envelopes {
    /// Queues one message; true while more should be gathered.
    fn push<W: AsyncWrite + Unpin>(
        &mut self,
        writer: &mut FrameWriter<W>,
        message: Message,
    ) -> bool {
        match message {
            Message::Event(frame) => {
                writer.push(envelope::web_socket(&frame, self.format, self.positions, self.epoch))
            }
            Message::Position(position) => match self.positions {
                Positions::Omitted => true,
                Positions::Sent => {
                    self.epoch = Some(position.epoch);
                    self.push_value(writer, &envelope::notice("position", Some(position)))
                }
            },
            Message::Gap => self.push_value(writer, &envelope::notice("gap", None)),
            Message::Value(value) => self.push_value(writer, &value),
            Message::Raw { content_type, data } => {
                let is_text =
                    content_type.starts_with("text/") || content_type == "application/json";
                let is_text = is_text && std::str::from_utf8(&data).is_ok();
                writer.push_message(if is_text { Opcode::Text } else { Opcode::Binary }, data)
            }
        }
    }

    fn push_value<W: AsyncWrite + Unpin>(
        &self,
        writer: &mut FrameWriter<W>,
        value: &Value,
    ) -> bool {
        let mut payload = Vec::with_capacity(128);
        self.format.encode(value, &mut payload);
        writer.push_message(envelope::opcode(self.format), payload.into())
    }
}

/// Sends the close frame that tells the client how it ended.
async fn close(
    writer: &mut FrameWriter<WriteHalf<TokioIo<Upgraded>>>,
    end: End,
    is_known_path: bool,
) -> io::Result<()> {
    let frame = match end {
        End::Gone => return Ok(()),
        End::ClosedByClient(payload) => super::frame_writer::encode_frame(Opcode::Close, &payload),
        End::Finished => encode_close(None),
        End::Draining => encode_close(Some((1001, "The server is stopping"))),
        End::Refused { code, reason } => encode_close(Some((code, &reason))),
        End::Failed(error) if is_known_path => {
            problem::log(&error, "a socket");
            encode_close(Some((close_code(&error), &problem::one_line(&error))))
        }
        End::Failed(error) => encode_close(Some((1011, &error.message))),
    };
    writer.push(frame);
    writer.flush().await
}

/// The close code of an error: 3000 and 3003 for refused users, 1012 for a class that a newer version
/// has replaced, 1013 for a reader that was too slow or a host that is busy, 1011 for the rest.
fn close_code(error: &Error) -> u16 {
    match error.kind {
        ErrorKind::Unauthenticated | ErrorKind::Status(401) => 3000,
        ErrorKind::Forbidden | ErrorKind::Status(403) => 3003,
        ErrorKind::Unavailable => 1013,
        ErrorKind::Replaced => 1012,
        ErrorKind::Invalid
        | ErrorKind::NotFound
        | ErrorKind::MethodNotAllowed(_)
        | ErrorKind::NotAcceptable
        | ErrorKind::Conflict
        | ErrorKind::TooLarge
        | ErrorKind::Internal
        | ErrorKind::Status(_) => 1011,
    }
}

/// The first subprotocol that the client offers: browsers insist on hearing one of theirs.
fn first_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    const PROTOCOL: HeaderName = header::SEC_WEBSOCKET_PROTOCOL;
    let offered = headers.get(PROTOCOL)?.to_str().ok()?;
    HeaderValue::from_str(offered.split(',').next()?.trim()).ok()
}
