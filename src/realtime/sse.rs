//! Server-Sent Events (`spec/harper-realtime.md` section 6).
//!
//! The response's body is the resource's stream, framed; hyper polls it as fast as the client reads.
//! When the client goes, hyper drops the body and with it the stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, StatusCode};
use kora_resource::value::json;
use kora_resource::{Connect, Epoch, Error, Map, Message, Opens, Outgoing, Result, Target, Value};

use super::drain::Drain;
use super::frame_writer::BATCH;
use super::heartbeat::{Beat, Heartbeat};
use super::{asked, envelope, resumed};
use crate::http::Response;
use crate::http::body::ResponseBody;
use crate::http::problem;
use crate::http::request_body::RequestBody;
use crate::http::rest::{Exchange, url};

/// What a browser sends when it connects again: the last `id` that it has read.
const LAST_EVENT_ID: &str = "last-event-id";

/// Answers a request for an event stream.
pub(crate) async fn respond(
    exchange: &Exchange<'_>,
    request: Request<RequestBody>,
    drain: &Drain,
    heartbeat: &Heartbeat,
) -> Response {
    let (request, _) = request.into_parts();
    let mut response = match connect(exchange, &request).await {
        // A stream that is known to be empty: the class has nothing for this client.
        Ok(outgoing) if outgoing.size_hint() == (0, Some(0)) => {
            let mut response = Response::new(ResponseBody::Empty);
            *response.status_mut() = StatusCode::NO_CONTENT;
            return response;
        }
        Ok(outgoing) => Response::new(ResponseBody::Streamed(Box::pin(EventStream::new(
            outgoing,
            drain.clone(),
            heartbeat.join(),
            url(&request),
        )))),
        Err(error) => {
            let mut response = problem::response(&error, url(&request));
            let text = problem::json_text(&error, url(&request));
            let block = [b"data: ".as_slice(), &text, b"\n\n"].concat();
            *response.body_mut() = ResponseBody::Full(block.into());
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    response
}

async fn connect(exchange: &Exchange<'_>, request: &Parts) -> Result<Outgoing> {
    let registration = exchange.registration;
    let asked = asked::read(&url(request)[exchange.remainder_start..])?;
    let target = Target::parse(&asked.remainder, registration.resource.schema().as_deref())?;
    let target = Target { params: exchange.params.clone(), ..target };
    let mut options = asked.options;
    // An id that is no position is one of the class's own.
    if let Some(last) = request.headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()) {
        options.resume = last.parse().ok().or(options.resume);
    }
    let context = exchange.peer.context(registration.served, request);
    let resume = options.resume;
    let connect = Connect { target, context, incoming: None, opens: Opens::Connect, options };
    let outgoing = registration.resource.clone().connect(connect).await?;
    Ok(resumed::honestly(outgoing, resume))
}

/// The framed messages of one stream.
struct EventStream {
    /// `None` after the end.
    outgoing: Option<Outgoing>,
    /// The epoch of the positions, once it is told.
    epoch: Option<Epoch>,
    /// When a comment is due, which keeps proxies from closing the connection and finds clients that are
    /// gone.
    beat: Beat,
    /// Resolves when the server stops: an event stream has no end of its own to wait for.
    drained: Pin<Box<dyn Future<Output = ()> + Send>>,
    instance: String,
}

impl EventStream {
    fn new(outgoing: Outgoing, mut drain: Drain, beat: Beat, instance: &str) -> EventStream {
        EventStream {
            outgoing: Some(outgoing),
            epoch: None,
            beat,
            drained: Box::pin(async move { drain.begun().await }),
            instance: instance.to_owned(),
        }
    }
}

impl Stream for EventStream {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let this = self.get_mut();
        if this.outgoing.is_some() && this.drained.as_mut().poll(cx).is_ready() {
            this.outgoing = None;
        }
        let Some(outgoing) = &mut this.outgoing else { return Poll::Ready(None) };
        let mut blocks = Vec::new();
        let ended = loop {
            match outgoing.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(Message::Event(frame)))) if blocks.is_empty() => {
                    // The usual case, one event at a time, needs no copy.
                    return Poll::Ready(Some(envelope::sse(&frame, this.epoch)));
                }
                Poll::Ready(Some(Ok(message))) => {
                    if let Message::Position(position) = &message {
                        this.epoch = Some(position.epoch);
                    }
                    write_message(&message, this.epoch, &mut blocks);
                }
                Poll::Ready(Some(Err(error))) => {
                    problem::log(&error, &this.instance);
                    write_error(&error, &this.instance, &mut blocks);
                    break true;
                }
                Poll::Ready(None) => break true,
                Poll::Pending => break false,
            }
            if blocks.len() >= BATCH {
                break false;
            }
        };
        if ended {
            this.outgoing = None;
        }
        if !blocks.is_empty() {
            return Poll::Ready(Some(blocks.into()));
        }
        if this.outgoing.is_none() {
            return Poll::Ready(None);
        }
        match this.beat.poll_due(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Bytes::from_static(b":\n\n"))),
            Poll::Pending => Poll::Pending,
        }
    }
}

fn write_message(message: &Message, epoch: Option<Epoch>, out: &mut Vec<u8>) {
    match message {
        Message::Event(frame) => out.extend_from_slice(&envelope::sse(frame, epoch)),
        // A block without data: the browser keeps the id and dispatches nothing.
        Message::Position(position) => {
            out.extend_from_slice(format!("id: {position}\n\n").as_bytes());
        }
        Message::Gap => {
            let gap = text_of(&envelope::notice("gap", None));
            out.extend_from_slice(format!("event: gap\ndata: {gap}\n\n").as_bytes());
        }
        Message::Value(value) => write_value(value, out),
        Message::Raw { content_type: _, data } => {
            write_data(&String::from_utf8_lossy(data), out);
            out.push(b'\n');
        }
    }
}

/// The last block of a stream that fails.
fn write_error(error: &Error, instance: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: harper-error\ndata: ");
    out.extend_from_slice(&problem::json_text(error, instance));
    out.extend_from_slice(b"\n\n");
}

/// One value as a block: its `data`, `event`, `id` and `retry` if it has them, else the value itself.
fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value.as_object() {
        Some(object) if is_truthy(object.get("timestamp")) && object.contains_key("value") => {
            // Change events in the form that Harper's caches and custom resources yield.
            let event = object.get("type").filter(|event| is_truthy(Some(event)));
            write_fields(event, object.get("value"), object.get("timestamp"), None, out);
        }
        Some(object) if is_truthy(object.get("data")) || is_truthy(object.get("event")) => {
            let field = |name: &str| object.get(name).filter(|value| !value.is_null());
            write_fields(
                object.get("event").filter(|event| is_truthy(Some(event))),
                data_of(object),
                field("id"),
                field("retry"),
                out,
            );
        }
        _ => write_data(&text_of(value), out),
    }
    out.push(b'\n');
}

fn data_of(object: &Map) -> Option<&Value> {
    object.get("data").filter(|data| !data.is_null())
}

fn write_fields(
    event: Option<&Value>,
    data: Option<&Value>,
    id: Option<&Value>,
    retry: Option<&Value>,
    out: &mut Vec<u8>,
) {
    if let Some(event) = event {
        write_line("event", event, out);
    }
    if let Some(data) = data {
        write_data(&text_of(data), out);
    }
    if let Some(id) = id {
        write_line("id", id, out);
    }
    if let Some(retry) = retry {
        write_line("retry", retry, out);
    }
}

fn write_line(name: &str, value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    // A line break would begin another field.
    out.extend_from_slice(text_of(value).replace(['\r', '\n'], " ").as_bytes());
    out.push(b'\n');
}

/// `data` lines, one for each line of the text.
fn write_data(text: &str, out: &mut Vec<u8>) {
    let unified = text.replace("\r\n", "\n").replace('\r', "\n");
    for line in unified.split('\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
}

/// A string as it is, anything else as JSON.
fn text_of(value: &Value) -> String {
    if let Value::String(text) = value {
        return text.clone();
    }
    let mut text = Vec::new();
    json::write(value, &mut text);
    String::from_utf8(text).expect("JSON text is UTF-8")
}

/// JavaScript's idea of true, which the framing rules are written in.
fn is_truthy(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Bool(value)) => *value,
        Some(Value::Int(value)) => *value != 0,
        Some(Value::Float(value)) => !value.is_nan() && *value != 0.0,
        Some(Value::BigInt(value)) => *value != 0,
        Some(Value::String(text)) => !text.is_empty(),
        Some(
            Value::Bytes(_) | Value::Date(_) | Value::Array(_) | Value::Object(_) | Value::Blob(_),
        ) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_framed_as_the_specification_says() {
        for (value, expected) in [
            (r#""greetings""#, "data: greetings\n\n"),
            (r#""two\nlines""#, "data: two\ndata: lines\n\n"),
            ("5", "data: 5\n\n"),
            ("0", "data: 0\n\n"),
            ("null", "data: null\n\n"),
            (r#"{"a":[1]}"#, "data: {\"a\":[1]}\n\n"),
            (
                r#"{"event":"another-message","data":"hello again"}"#,
                "event: another-message\ndata: hello again\n\n",
            ),
            (r#"{"data":{"a":1},"id":7,"retry":100}"#, "data: {\"a\":1}\nid: 7\nretry: 100\n\n"),
            (
                r#"{"value":{"a":1},"type":"put","timestamp":12.5}"#,
                "event: put\ndata: {\"a\":1}\nid: 12.5\n\n",
            ),
            (r#"{"event":"a\nb"}"#, "event: a b\n\n"),
        ] {
            let mut out = Vec::new();
            write_value(&json::parse(value.as_bytes()).unwrap(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{value}");
        }
    }
}
