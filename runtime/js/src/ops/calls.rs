//! Calls that JavaScript answers: what was asked, and the answer.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use deno_core::{OpState, op2, v8};
use futures_util::StreamExt;
use kora_resource::middleware::Step;
use kora_resource::value::Blob;
use kora_resource::{Error, ErrorKind, Item, Reply, ReplyBody, Value, VerbSet, Version};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::error::{OpError, unanswerable};
use crate::state::{Answer, PendingCall, WorkerState};
use crate::values::{from_v8, to_v8};

/// The request behind a call, read only by code that looks at it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestView<'a> {
    method: &'a str,
    url: &'a str,
    headers: &'a [(String, String)],
    protocol: &'a str,
    host: Option<&'a str>,
    ip: Option<String>,
    http_version: &'a str,
}

/// The request of call `call`; `null` where the call came over no request or is answered already.
#[op2]
pub(crate) fn op_kora_request<'s, 'i>(
    state: &mut OpState,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] call: u32,
) -> v8::Local<'s, v8::Value> {
    let request = state
        .borrow::<WorkerState>()
        .calls
        .get(call as usize)
        .and_then(|call| call.context.request.clone());
    let view = request.as_ref().map(|request| RequestView {
        method: &request.method,
        url: &request.url,
        headers: &request.headers,
        protocol: request.protocol,
        host: request.host.as_deref(),
        ip: request.ip.map(|ip| ip.to_string()),
        http_version: request.http_version,
    });
    deno_core::serde_v8::to_v8(scope, view).unwrap_or_else(|_| v8::null(scope).into())
}

/// How the body of an answer is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BodyKind {
    Absent,
    Value,
    Raw,
    Blob,
}

impl BodyKind {
    fn from_number(number: u32) -> BodyKind {
        match number {
            1 => BodyKind::Value,
            2 => BodyKind::Raw,
            3 => BodyKind::Blob,
            _ => BodyKind::Absent,
        }
    }
}

/// Answers call `call`. `status` 0 leaves it to the transport; `headers` is `null` or a flat array of
/// names and values; `version` NaN or that of the one record that is answered; `kind` 0 absent, 1 a
/// value, 2 bytes of type `content_type`.
#[op2(nofast, reentrant)]
#[allow(clippy::too_many_arguments, reason = "one crossing for the whole answer")]
pub(crate) fn op_kora_reply<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] call: u32,
    #[smi] status: u32,
    headers: v8::Local<'s, v8::Value>,
    version: f64,
    #[smi] kind: u32,
    body: v8::Local<'s, v8::Value>,
    #[string] content_type: &str,
) -> Result<(), OpError> {
    let body = match BodyKind::from_number(kind) {
        BodyKind::Absent => ReplyBody::Absent,
        BodyKind::Value => match from_v8(scope, body).map_err(unanswerable)? {
            Some(value) => ReplyBody::Value(value),
            None => ReplyBody::Absent,
        },
        BodyKind::Blob => match from_v8(scope, body).map_err(unanswerable)? {
            Some(Value::Blob(blob)) => blob_body(&blob, content_type)?,
            Some(_) | None => ReplyBody::Absent,
        },
        BodyKind::Raw => ReplyBody::Raw {
            content_type: content_type.to_owned(),
            data: raw_bytes(from_v8(scope, body).map_err(unanswerable)?.unwrap_or_default()),
        },
    };
    let reply = Reply {
        status: status_of(status),
        headers: headers_of(scope, headers)?,
        body,
        version: (!version.is_nan()).then_some(Version(version)),
        created: None,
        seq: None,
    };
    answer(&mut state.borrow_mut(), call, reply);
    Ok(())
}

/// Answers call `call` with a sequence that JavaScript then feeds by [`op_kora_item`]; gives its
/// number.
#[op2(nofast, reentrant)]
#[smi]
pub(crate) fn op_kora_reply_items<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] call: u32,
    #[smi] status: u32,
    headers: v8::Local<'s, v8::Value>,
) -> Result<u32, OpError> {
    let headers = headers_of(scope, headers)?;
    let (sender, items) = fed_items();
    let reply = Reply { status: status_of(status), headers, ..Reply::items(Box::pin(items)) };
    let mut state = state.borrow_mut();
    answer(&mut state, call, reply);
    Ok(state.borrow_mut::<super::host::OpenItems>().insert(sender))
}

/// Answers call `call` with bytes that JavaScript feeds as they come, by [`op_kora_item`]; gives the
/// sequence's number. `content_type` may be empty.
#[op2(nofast, reentrant)]
#[smi]
pub(crate) fn op_kora_reply_stream<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] call: u32,
    #[smi] status: u32,
    headers: v8::Local<'s, v8::Value>,
    #[string] content_type: &str,
) -> Result<u32, OpError> {
    let headers = headers_of(scope, headers)?;
    let (sender, items) = fed_items();
    let chunks = items.map(|item| match item? {
        Item::Value(value) => Ok(raw_bytes(value)),
        Item::Record(record) => Ok(raw_bytes(Value::Object(record.to_map()?))),
    });
    let body = ReplyBody::Stream {
        content_type: content_type.to_owned(),
        size: None,
        chunks: Box::pin(chunks),
    };
    let reply = Reply { status: status_of(status), headers, body, ..Reply::default() };
    let mut state = state.borrow_mut();
    answer(&mut state, call, reply);
    Ok(state.borrow_mut::<super::host::OpenItems>().insert(sender))
}

/// A sequence, and where it is fed.
fn fed_items() -> (mpsc::Sender<kora_resource::Result<Item>>, kora_resource::Items) {
    let (sender, receiver) = mpsc::channel(super::host::ITEMS_AHEAD);
    let items = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|item| (item, receiver))
    });
    (sender, Box::pin(items))
}

/// The body of call `call`, decoded anew; `undefined` where it has none or is answered already.
#[op2]
pub(crate) fn op_kora_body<'s, 'i>(
    state: &mut OpState,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] call: u32,
) -> v8::Local<'s, v8::Value> {
    let call = state.borrow::<WorkerState>().calls.get(call as usize);
    match call.and_then(|call| call.body.as_ref()) {
        Some(body) => to_v8(scope, body),
        None => v8::undefined(scope).into(),
    }
}

/// Resolves when the caller of `call` goes away (`true`), or when the call is answered (`false`). One that
/// middleware gives up because its client has gone ends before the caller's end is seen here: it is told too.
#[op2]
pub(crate) async fn op_kora_call_given_up(state: Rc<RefCell<OpState>>, #[smi] call: u32) -> bool {
    let (watcher, mut ended) = oneshot::channel();
    let steps = {
        let mut state = state.borrow_mut();
        let Some(pending) = state.borrow_mut::<WorkerState>().calls.get_mut(call as usize) else {
            return false;
        };
        pending.watcher = Some(watcher);
        match pending.answer() {
            Some(Answer::Steps(steps)) => Some(steps.clone()),
            Some(
                Answer::Reply(_) | Answer::Outgoing { .. } | Answer::Loaded(_) | Answer::Written(_),
            )
            | None => None,
        }
    };
    if let Some(steps) = steps {
        return tokio::select! {
            biased;
            has_gone = ended => has_gone.unwrap_or(false),
            () = steps.closed() => true,
        };
    }
    poll_fn(|cx| {
        // First: when the call is over, its number may name another one.
        if let Poll::Ready(has_gone) = Pin::new(&mut ended).poll(cx) {
            return Poll::Ready(has_gone.unwrap_or(false));
        }
        let mut state = state.borrow_mut();
        let pending = state.borrow_mut::<WorkerState>().calls.get_mut(call as usize);
        match pending.and_then(PendingCall::answer_mut) {
            Some(Answer::Reply(reply)) => reply.poll_closed(cx).map(|()| true),
            Some(Answer::Outgoing { answer, .. }) => answer.poll_closed(cx).map(|()| true),
            Some(Answer::Loaded(answer)) => answer.poll_closed(cx).map(|()| true),
            Some(Answer::Written(answer)) => answer.poll_closed(cx).map(|()| true),
            Some(Answer::Steps(_)) | None => Poll::Ready(false),
        }
    })
    .await
}

/// Answers call `call` with the rows of search `search`, which never enter JavaScript.
#[op2(nofast, reentrant)]
pub(crate) fn op_kora_reply_search<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] call: u32,
    #[smi] status: u32,
    headers: v8::Local<'s, v8::Value>,
    #[smi] search: u32,
) -> Result<(), OpError> {
    let headers = headers_of(scope, headers)?;
    let mut state = state.borrow_mut();
    let search = state
        .borrow_mut::<WorkerState>()
        .searches
        .try_remove(search as usize)
        .ok_or_else(|| Error::internal("the search has ended"))?;
    let reply = Reply { status: status_of(status), headers, ..Reply::items(search.into_items()) };
    answer(&mut state, call, reply);
    Ok(())
}

/// Fails call `call`: `status` as thrown or decided by the host, `allow` the class's methods for 405.
#[op2(fast)]
#[allow(clippy::too_many_arguments, reason = "one crossing for the whole answer")]
pub(crate) fn op_kora_fail(
    state: &mut OpState,
    #[smi] call: u32,
    #[smi] status: u32,
    #[string] code: &str,
    #[string] message: &str,
    #[string] stack: &str,
    #[smi] export: u32,
) {
    let worker = state.borrow_mut::<WorkerState>();
    let Some(answer) = worker.take_answer(call) else { return };
    let verbs = worker.exports.verbs(export as usize);
    let mut error = Error::new(kind_of(status, verbs), message);
    error.code = code.to_owned();
    error.stack = (!stack.is_empty()).then(|| stack.to_owned());
    match answer {
        // A receiver that is gone means that the client has left: there is nobody to tell.
        Answer::Reply(reply) => drop(reply.send(Err(error))),
        Answer::Loaded(answer) => drop(answer.send(Err(error))),
        Answer::Written(answer) => drop(answer.send(Err(error))),
        Answer::Outgoing { answer, .. } => drop(answer.send(Err(error))),
        Answer::Steps(steps) => drop(steps.try_send(Step::Answer(Err(error)))),
    }
}

/// The kind of error for a status that code threw.
pub(crate) fn kind_of(status: u32, verbs: VerbSet) -> ErrorKind {
    match status {
        400 => ErrorKind::Invalid,
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        405 => ErrorKind::MethodNotAllowed(verbs),
        409 => ErrorKind::Conflict,
        500 => ErrorKind::Internal,
        503 => ErrorKind::Unavailable,
        status => match u16::try_from(status) {
            Ok(status) if (100..1000).contains(&status) => ErrorKind::Status(status),
            _ => ErrorKind::Internal,
        },
    }
}

fn answer(state: &mut OpState, call: u32, reply: Reply) {
    if let Some(Answer::Reply(sender)) = state.borrow_mut::<WorkerState>().take_answer(call) {
        // A receiver that is gone means that the client has left: there is nobody to tell.
        drop(sender.send(Ok(reply)));
    }
}

fn status_of(status: u32) -> Option<u16> {
    u16::try_from(status).ok().filter(|status| (100..1000).contains(status))
}

fn headers_of(
    scope: &mut v8::PinScope<'_, '_>,
    headers: v8::Local<'_, v8::Value>,
) -> Result<Vec<(String, String)>, OpError> {
    let Ok(flat) = v8::Local::<v8::Array>::try_from(headers) else { return Ok(Vec::new()) };
    let mut pairs = Vec::with_capacity(flat.length() as usize / 2);
    for index in (0..flat.length()).step_by(2) {
        let name = flat.get_index(scope, index).map(|name| name.to_rust_string_lossy(scope));
        let value = flat.get_index(scope, index + 1).map(|value| value.to_rust_string_lossy(scope));
        pairs.extend(name.zip(value));
    }
    Ok(pairs)
}

/// A blob as a body: its content streams from the disk, past the isolate.
fn blob_body(blob: &Blob, content_type: &str) -> Result<ReplyBody, OpError> {
    let blobs = crate::blobs::store()
        .ok_or_else(|| Error::unavailable("there are no blobs here: the worker is ending"))?;
    let content_type = [content_type, &blob.content_type, "application/octet-stream"]
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or_default()
        .to_owned();
    Ok(ReplyBody::Stream { content_type, size: Some(blob.size()), chunks: blobs.stream(blob) })
}

/// What goes over the wire for a raw body.
pub(crate) fn raw_bytes(value: Value) -> Bytes {
    match value {
        Value::Bytes(bytes) => bytes,
        Value::String(text) => text.into(),
        other => {
            let mut text = Vec::new();
            kora_resource::value::json::write(&other, &mut text);
            text.into()
        }
    }
}
