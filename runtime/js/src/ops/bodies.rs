//! Reading and producing the bodies that middleware holds (`bodies.rs`).

use std::cell::RefCell;
use std::rc::Rc;

use deno_core::{OpState, op2, v8};
use kora_resource::middleware::Body;
use kora_resource::{Error, ErrorKind, Value};
use tokio::sync::mpsc::error::TrySendError;

use super::calls::raw_bytes;
use crate::bodies::Bodies;
use crate::error::OpError;
use crate::values::{JsValue, from_v8, to_v8};

/// A body that is there as a whole, as a string where `as_text` and it is one, else as bytes; `null`
/// for one that is still to come.
#[op2]
pub(crate) fn op_kora_body_whole<'s, 'i>(
    state: &mut OpState,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] body: i32,
    as_text: bool,
) -> v8::Local<'s, v8::Value> {
    let Some(bytes) = state.borrow::<Bodies>().whole(body) else { return v8::null(scope).into() };
    let value = match std::str::from_utf8(&bytes) {
        Ok(text) if as_text => Value::String(text.to_owned()),
        Ok(_) | Err(_) => Value::Bytes(bytes),
    };
    to_v8(scope, &value)
}

/// The next chunk of a body; `null` at its end.
#[op2]
pub(crate) async fn op_kora_body_chunk(
    state: Rc<RefCell<OpState>>,
    #[smi] body: i32,
) -> Result<JsValue, OpError> {
    let reading = state.borrow_mut().borrow_mut::<Bodies>().read(body);
    Ok(JsValue(match reading.next().await {
        Some(chunk) => Value::Bytes(chunk?),
        None => Value::Null,
    }))
}

/// Holds a string or bytes as a body; gives its number.
#[op2(nofast, reentrant)]
#[smi]
pub(crate) fn op_kora_body_of<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    value: v8::Local<'s, v8::Value>,
) -> Result<i32, OpError> {
    let bytes = raw_bytes(from_v8(scope, value)?.unwrap_or_default());
    Ok(state.borrow_mut().borrow_mut::<Bodies>().insert(Body::Full(bytes)))
}

/// Opens a body that is fed chunk by chunk: its number and that of its feed.
#[op2]
#[serde]
pub(crate) fn op_kora_body_open(state: &mut OpState) -> (i32, u32) {
    state.borrow_mut::<Bodies>().open()
}

/// Feeds one chunk: 0 nobody reads any more, 1 taken, 2 full (wait, then again).
#[op2(nofast, reentrant)]
#[smi]
pub(crate) fn op_kora_body_feed<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] feed: u32,
    chunk: v8::Local<'s, v8::Value>,
) -> Result<u32, OpError> {
    let bytes = raw_bytes(from_v8(scope, chunk)?.unwrap_or_default());
    let state = state.borrow();
    let Some(feed) = state.borrow::<Bodies>().feed(feed) else { return Ok(0) };
    Ok(match feed.try_send(Ok(bytes)) {
        Ok(()) => 1,
        Err(TrySendError::Full(_)) => 2,
        Err(TrySendError::Closed(_)) => 0,
    })
}

/// Resolves when a feed has room; `false` when nobody reads any more.
#[op2]
pub(crate) async fn op_kora_body_room(state: Rc<RefCell<OpState>>, #[smi] feed: u32) -> bool {
    let feed = state.borrow().borrow::<Bodies>().feed(feed).cloned();
    match feed {
        Some(feed) => feed.reserve().await.is_ok(),
        None => false,
    }
}

/// Ends a feed; with an error if `message` is not empty.
#[op2]
pub(crate) async fn op_kora_body_end(
    state: Rc<RefCell<OpState>>,
    #[smi] feed: u32,
    #[string] message: String,
) {
    let feed = state.borrow_mut().borrow_mut::<Bodies>().close_feed(feed);
    if let (Some(feed), false) = (feed, message.is_empty()) {
        // A reader that is gone needs no error.
        drop(feed.send(Err(Error::new(ErrorKind::Internal, message))).await);
    }
}

/// Gives up a body that nobody wants.
#[op2(fast)]
pub(crate) fn op_kora_body_drop(state: &mut OpState, #[smi] body: i32) {
    drop(state.borrow_mut::<Bodies>().take(body));
}
