//! Streams: subscriptions to tables, and the two directions of a client's socket.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::Poll;

use deno_core::{OpState, ToV8, op2, v8};
use futures_util::Stream;
use kora_resource::{Error, EventValue, Frame, Message, Value, VerbSet};
use kora_store::{Subscribe, Subscription};

use super::calls::{kind_of, raw_bytes};
use crate::error::OpError;
use crate::socket::socket;
use crate::state::{Answer, WorkerState};
use crate::values::{JsValue, from_v8, id_to_v8, key, string, to_v8};

/// Sockets that transports hold open; shared with the generation, which waits for them.
pub(crate) struct OpenSockets(pub(crate) Arc<AtomicUsize>);

/// Events that one crossing may bring.
const EVENTS: usize = 64;

/// Subscribes to a table and gives the subscription's number (`spec/harper-realtime.md` section 3).
#[op2(nofast, reentrant)]
#[smi]
pub(crate) fn op_kora_subscribe<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] table: u32,
    id: v8::Local<'s, v8::Value>,
    options: v8::Local<'s, v8::Value>,
) -> Result<u32, OpError> {
    let id = crate::values::id_from_v8(scope, id)?;
    let options = from_v8(scope, options)?.unwrap_or_default();
    let flag = |name: &str| matches!(options.get(name), Some(Value::Bool(true)));
    let number = |name: &str| options.get(name).and_then(Value::as_f64);
    let subscribe = Subscribe {
        is_collection: flag("isCollection") || id.is_none(),
        id,
        omit_current: flag("omitCurrent"),
        previous_count: number("previousCount").map(|count| count.max(0.0) as usize),
        start_time: match options.get("startTime") {
            Some(Value::Date(ms)) => Some(*ms),
            _ => number("startTime"),
        },
    };
    let mut state = state.borrow_mut();
    let worker = state.borrow_mut::<WorkerState>();
    let subscription = worker.table(table)?.subscribe(subscribe)?;
    Ok(worker.subscriptions.insert(Some(subscription)) as u32)
}

/// Events on their way into JavaScript.
pub(crate) struct Events(Vec<Arc<Frame>>);

impl<'a> ToV8<'a> for Events {
    type Error = std::convert::Infallible;

    fn to_v8<'i>(
        self,
        scope: &mut v8::PinScope<'a, 'i>,
    ) -> Result<v8::Local<'a, v8::Value>, Self::Error> {
        let events: Vec<_> = self.0.iter().map(|frame| event_to_v8(scope, frame)).collect();
        Ok(v8::Array::new_with_elements(scope, &events).into())
    }
}

/// The event object of `spec/harper-realtime.md` section 3.1.
fn event_to_v8<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    frame: &Frame,
) -> v8::Local<'s, v8::Value> {
    let event = &frame.event;
    let value = match &event.value {
        EventValue::Absent => v8::null(scope).into(),
        // A record that can't be read is null here; reading it by its key tells why.
        EventValue::Record(record) => match record.to_map() {
            Ok(map) => to_v8(scope, &Value::Object(map)),
            Err(_) => v8::null(scope).into(),
        },
        EventValue::Message(value) => to_v8(scope, value),
    };
    let properties: [(&str, v8::Local<v8::Value>); 5] = [
        ("id", id_to_v8(scope, Some(&event.id))),
        ("localTime", v8::Number::new(scope, event.local_time.0).into()),
        ("value", value),
        ("version", v8::Number::new(scope, event.version.0).into()),
        ("type", string(scope, event.kind.name()).into()),
    ];
    let object = v8::Object::new(scope);
    for (name, value) in properties {
        let name = key(scope, name);
        object.create_data_property(scope, name, value);
    }
    object.into()
}

/// The next events of a subscription, at least one; an empty array when it has ended.
#[op2]
pub(crate) async fn op_kora_events(
    state: Rc<RefCell<OpState>>,
    #[smi] subscription: u32,
) -> Result<Events, OpError> {
    let frames = poll_fn(|cx| {
        let mut state = state.borrow_mut();
        let subscriptions = &mut state.borrow_mut::<WorkerState>().subscriptions;
        let Some(Some(open)) = subscriptions.get_mut(subscription as usize) else {
            return Poll::Ready(Ok(Vec::new()));
        };
        let mut frames = Vec::new();
        while frames.len() < EVENTS {
            match Pin::new(&mut *open).poll_next(cx) {
                Poll::Ready(Some(Ok(frame))) => frames.push(frame),
                Poll::Ready(Some(Err(error))) if frames.is_empty() => {
                    return Poll::Ready(Err(error));
                }
                Poll::Ready(_) => break,
                Poll::Pending if frames.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(frames))
    });
    Ok(Events(frames.await?))
}

/// Ends a subscription. A number that is not open is left alone.
#[op2(fast)]
pub(crate) fn op_kora_unsubscribe(state: &mut OpState, #[smi] subscription: u32) {
    drop(state.borrow_mut::<WorkerState>().subscriptions.try_remove(subscription as usize));
}

/// Accepts the client of connect call `call` and gives the socket's number. `subscription` -1, or the
/// subscription whose events go to the client without entering JavaScript.
#[op2(fast)]
#[smi]
pub(crate) fn op_kora_accept(
    state: &mut OpState,
    #[smi] call: u32,
    #[smi] subscription: i32,
) -> Result<u32, OpError> {
    let open_sockets = state.borrow::<OpenSockets>().0.clone();
    let worker = state.borrow_mut::<WorkerState>();
    let subscription: Option<Subscription> =
        worker.subscriptions.get_mut(subscription as usize).and_then(Option::take);
    let (sender, stream) = socket(subscription, &open_sockets);
    let socket = worker.sockets.insert(sender) as u32;
    if let Some(pending) = worker.calls.try_remove(call as usize)
        && let Answer::Outgoing(outgoing) = pending.answer
    {
        // A receiver that is gone drops the stream, which tells the socket that its client is gone.
        drop(outgoing.send(Ok(Box::pin(stream))));
    }
    Ok(socket)
}

/// Sends one message: 0 the client is gone, 1 taken, 2 taken and full (wait before the next).
#[op2(nofast, reentrant)]
#[smi]
pub(crate) fn op_kora_send<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] socket: u32,
    value: v8::Local<'s, v8::Value>,
) -> Result<u32, OpError> {
    let value = from_v8(scope, value)?.unwrap_or_default();
    let state = state.borrow();
    let Some(socket) = state.borrow::<WorkerState>().sockets.get(socket as usize) else {
        return Ok(0);
    };
    Ok(socket.send(message(value)) as u32)
}

/// `{contentType, data}` goes out as it is, anything else is encoded for the client.
fn message(value: Value) -> Message {
    if let Value::Object(map) = &value
        && map.len() == 2
        && let (Some(Value::String(content_type)), Some(data)) =
            (map.get("contentType"), map.get("data"))
        && !data.is_null()
    {
        return Message::Raw {
            content_type: content_type.clone(),
            data: raw_bytes(data.clone()),
        };
    }
    Message::Value(value)
}

/// Resolves when the socket has room; `false` when its client is gone.
#[op2]
pub(crate) async fn op_kora_writable(state: Rc<RefCell<OpState>>, #[smi] socket: u32) -> bool {
    let writable = state
        .borrow()
        .borrow::<WorkerState>()
        .sockets
        .get(socket as usize)
        .map(crate::socket::Socket::writable);
    match writable {
        Some(writable) => writable.await,
        None => false,
    }
}

/// Resolves when the socket's client is gone.
#[op2]
pub(crate) async fn op_kora_closed(state: Rc<RefCell<OpState>>, #[smi] socket: u32) {
    let closed = state
        .borrow()
        .borrow::<WorkerState>()
        .sockets
        .get(socket as usize)
        .map(crate::socket::Socket::closed);
    if let Some(closed) = closed {
        closed.await;
    }
}

/// Ends the socket after what is queued; with an error if `message` is not empty.
#[op2(fast)]
pub(crate) fn op_kora_finish(
    state: &mut OpState,
    #[smi] socket: u32,
    #[smi] status: u32,
    #[string] code: &str,
    #[string] message: &str,
    #[string] stack: &str,
) {
    let Some(socket) = state.borrow_mut::<WorkerState>().sockets.try_remove(socket as usize) else {
        return;
    };
    let error = (!message.is_empty()).then(|| {
        let mut error = Error::new(kind_of(status, VerbSet::default()), message);
        error.code = code.to_owned();
        error.stack = (!stack.is_empty()).then(|| stack.to_owned());
        error
    });
    socket.finish(error);
}

/// The client's next message as a one-element array; an empty one when the client is gone.
#[op2]
pub(crate) async fn op_kora_incoming(
    state: Rc<RefCell<OpState>>,
    #[smi] incoming: u32,
) -> JsValue {
    let taken = state
        .borrow_mut()
        .borrow_mut::<WorkerState>()
        .incoming
        .get_mut(incoming as usize)
        .and_then(Option::take);
    let Some(mut stream) = taken else { return JsValue(Value::Array(Vec::new())) };
    let message = poll_fn(|cx| stream.as_mut().poll_next(cx)).await;
    let mut state = state.borrow_mut();
    let streams = &mut state.borrow_mut::<WorkerState>().incoming;
    match message {
        Some(message) => {
            if let Some(place) = streams.get_mut(incoming as usize) {
                *place = Some(stream);
            }
            JsValue(Value::Array(vec![message]))
        }
        None => {
            drop(streams.try_remove(incoming as usize));
            JsValue(Value::Array(Vec::new()))
        }
    }
}

/// Stops reading the client's messages.
#[op2(fast)]
pub(crate) fn op_kora_incoming_close(state: &mut OpState, #[smi] incoming: u32) {
    drop(state.borrow_mut::<WorkerState>().incoming.try_remove(incoming as usize));
}
