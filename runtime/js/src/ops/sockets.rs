//! Streams: subscriptions to tables, and the two directions of a client's socket.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use deno_core::{OpState, ToV8, op2, v8};
use kora_resource::{Error, EventValue, Frame, Message, Value, VerbSet};

use super::calls::{kind_of, raw_bytes};
use crate::error::{OpError, unanswerable};
use crate::pull::Pull;
use crate::socket::{Consent, Socket};
use crate::state::{Answer, PendingCall, WorkerState};
use crate::stream_options;
use crate::values::{JsValue, from_v8, id_to_v8, key, string, to_v8};

/// Events that one crossing may bring, and about how many bytes of them.
const EVENTS: usize = 64;
const EVENT_BYTES: usize = 256 * 1024;

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
    let subscribe = stream_options::subscribe(id, &options)?;
    let mut state = state.borrow_mut();
    let worker = state.borrow_mut::<WorkerState>();
    let subscription = worker.table(table)?.subscribe(subscribe)?;
    Ok(worker.subscriptions.insert(Pull::new(subscription)) as u32)
}

/// Events on their way into JavaScript.
pub(crate) struct Events(Vec<Arc<Frame>>);

/// Events, and whether there are more at hand: `[events, more]`.
pub(crate) struct Batch {
    events: Events,
    more: bool,
}

impl<'a> ToV8<'a> for Batch {
    type Error = std::convert::Infallible;

    fn to_v8<'i>(
        self,
        scope: &mut v8::PinScope<'a, 'i>,
    ) -> Result<v8::Local<'a, v8::Value>, Self::Error> {
        let events = self.events.to_v8(scope)?;
        let more = v8::Boolean::new(scope, self.more).into();
        Ok(v8::Array::new_with_elements(scope, &[events, more]).into())
    }
}

impl Events {
    pub(crate) fn new(frames: Vec<Arc<Frame>>) -> Events {
        Events(frames)
    }
}

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
fn event_to_v8<'s>(scope: &mut v8::PinScope<'s, '_>, frame: &Frame) -> v8::Local<'s, v8::Value> {
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

/// The next events of a subscription, at least one, and whether a bound cut them off; no events when
/// it has ended.
#[op2]
pub(crate) async fn op_kora_events(
    state: Rc<RefCell<OpState>>,
    #[smi] subscription: u32,
) -> Result<Batch, OpError> {
    let ended = |frames| Batch { events: Events(frames), more: false };
    let open = {
        let state = state.borrow();
        state.borrow::<WorkerState>().subscriptions.get(subscription as usize).cloned()
    };
    let Some(open) = open else { return Ok(ended(Vec::new())) };
    let batch = poll_fn(|cx| {
        let mut frames = Vec::new();
        let mut bytes = 0;
        while frames.len() < EVENTS && bytes < EVENT_BYTES {
            match open.poll(cx) {
                Poll::Ready(Some(Ok(message))) => {
                    if let Some(frame) = event(message) {
                        bytes += frame.cost();
                        frames.push(frame);
                    }
                }
                Poll::Ready(Some(Err(error))) if frames.is_empty() => {
                    return Poll::Ready(Err(error));
                }
                // The events before it go first.
                Poll::Ready(Some(Err(error))) => {
                    open.put_back(Err(error));
                    break;
                }
                Poll::Ready(None) => return Poll::Ready(Ok(ended(frames))),
                Poll::Pending if frames.is_empty() => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Ok(ended(frames))),
            }
        }
        Poll::Ready(Ok(Batch { events: Events(frames), more: true }))
    });
    Ok(batch.await?)
}

/// What of a subscription's stream concerns code. Positions are the clients' affair.
fn event(message: Message) -> Option<Arc<Frame>> {
    match message {
        Message::Event(frame) => Some(frame),
        Message::Gap => {
            tracing::warn!("a subscription of a component has missed changes: history was removed");
            None
        }
        Message::Position(_) | Message::Value(_) | Message::Raw { .. } => None,
    }
}

/// Ends a subscription. A number that is not open is left alone.
#[op2(fast)]
pub(crate) fn op_kora_unsubscribe(state: &mut OpState, #[smi] subscription: u32) {
    let subscriptions = &mut state.borrow_mut::<WorkerState>().subscriptions;
    if let Some(open) = subscriptions.try_remove(subscription as usize) {
        drop(open.take());
    }
}

/// The number of the socket of connect call `call`; -1 where the call is answered already.
#[op2(fast)]
#[smi]
pub(crate) fn op_kora_socket(state: &mut OpState, #[smi] call: u32) -> i32 {
    match state.borrow::<WorkerState>().calls.get(call as usize).map(PendingCall::answer) {
        Some(Some(Answer::Outgoing { socket, .. })) => *socket as i32,
        Some(
            Some(Answer::Reply(_) | Answer::Loaded(_) | Answer::Written(_) | Answer::Steps(_))
            | None,
        )
        | None => -1,
    }
}

/// Accepts the client of connect call `call`: its transport begins to read the socket. With `nothing`
/// there is nothing to send, and there will not be.
#[op2(fast)]
pub(crate) fn op_kora_accept(state: &mut OpState, #[smi] call: u32, nothing: bool) {
    let worker = state.borrow_mut::<WorkerState>();
    if let Some(Answer::Outgoing { answer, .. }) = worker.take_answer(call) {
        // A receiver that is gone has told the socket that its client is.
        let consent = if nothing { Consent::Nothing } else { Consent::Stream };
        drop(answer.send(Ok(consent)));
    }
}

/// Has the events of a subscription that nobody has begun to read sent to the socket's client; they
/// don't enter JavaScript.
#[op2(fast)]
pub(crate) fn op_kora_forward(state: &mut OpState, #[smi] socket: u32, #[smi] subscription: u32) {
    let worker = state.borrow_mut::<WorkerState>();
    let subscription =
        worker.subscriptions.try_remove(subscription as usize).and_then(|open| open.take());
    if let (Some(socket), Some(subscription)) = (worker.sockets.get(socket as usize), subscription)
    {
        socket.forward(subscription);
    }
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
    let value = from_v8(scope, value).map_err(unanswerable)?.unwrap_or_default();
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
        return Message::Raw { content_type: content_type.clone(), data: raw_bytes(data.clone()) };
    }
    Message::Value(value)
}

/// Resolves when the socket has room; `false` when its client is gone.
#[op2]
pub(crate) async fn op_kora_writable(state: Rc<RefCell<OpState>>, #[smi] socket: u32) -> bool {
    let writable =
        state.borrow().borrow::<WorkerState>().sockets.get(socket as usize).map(Socket::writable);
    match writable {
        Some(writable) => writable.await,
        None => false,
    }
}

/// Resolves when the socket's client is gone.
#[op2]
pub(crate) async fn op_kora_closed(state: Rc<RefCell<OpState>>, #[smi] socket: u32) {
    let closed =
        state.borrow().borrow::<WorkerState>().sockets.get(socket as usize).map(Socket::closed);
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

/// The stream of a client has come to its end, `finally` blocks and all.
#[op2(fast)]
pub(crate) fn op_kora_client_done(state: &mut OpState) {
    let worker = state.borrow_mut::<WorkerState>();
    worker.clients = worker.clients.saturating_sub(1);
}

/// The client's next message as a one-element array; an empty one when the client is gone.
#[op2]
pub(crate) async fn op_kora_incoming(state: Rc<RefCell<OpState>>, #[smi] incoming: u32) -> JsValue {
    let open = state.borrow().borrow::<WorkerState>().incoming.get(incoming as usize).cloned();
    let message = match open {
        Some(open) => poll_fn(|cx| open.poll(cx)).await,
        None => None,
    };
    JsValue(Value::Array(message.into_iter().collect()))
}

/// Stops reading the client's messages.
#[op2(fast)]
pub(crate) fn op_kora_incoming_close(state: &mut OpState, #[smi] incoming: u32) {
    let incomings = &mut state.borrow_mut::<WorkerState>().incoming;
    if let Some(open) = incomings.try_remove(incoming as usize) {
        drop(open.take());
    }
}
