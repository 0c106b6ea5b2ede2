//! The host's own affairs: logging, what was exported, sequences being answered.

use std::cell::RefCell;
use std::rc::Rc;

use deno_core::{OpState, op2, v8};
use kora_resource::{Error, ErrorKind, Item, Result as ResourceResult};
use serde::Serialize;
use slab::Slab;
use tokio::sync::mpsc;

use crate::error::{OpError, unanswerable};
use crate::ops::plugins::Plugins;
use crate::state::WorkerState;
use crate::values::from_v8;

/// Items of a streamed answer that may wait for the client.
pub(crate) const ITEMS_AHEAD: usize = 64;

/// The sequences that JavaScript is feeding.
#[derive(Default)]
pub(crate) struct OpenItems(Slab<mpsc::Sender<ResourceResult<Item>>>);

impl OpenItems {
    pub(crate) fn insert(&mut self, sender: mpsc::Sender<ResourceResult<Item>>) -> u32 {
        self.0.insert(sender) as u32
    }

    /// Breaks all of them off. Must be called within the worker's tokio runtime.
    pub(crate) fn fail(&mut self, error: &Error) {
        for sender in self.0.drain() {
            let error = error.clone();
            // What waits to be read comes first. A receiver that is gone does not ask.
            tokio::spawn(async move { drop(sender.send(Err(error)).await) });
        }
    }
}

/// Adds one item to a streamed answer: 0 the client is gone, 1 taken, 2 full (wait, then again).
#[op2(nofast, reentrant)]
#[smi]
pub(crate) fn op_kora_item<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] items: u32,
    value: v8::Local<'s, v8::Value>,
) -> Result<u32, OpError> {
    let value = from_v8(scope, value).map_err(unanswerable)?.unwrap_or_default();
    let state = state.borrow();
    let Some(sender) = state.borrow::<OpenItems>().0.get(items as usize) else { return Ok(0) };
    Ok(match sender.try_send(Ok(Item::Value(value))) {
        Ok(()) => 1,
        Err(mpsc::error::TrySendError::Full(_)) => 2,
        Err(mpsc::error::TrySendError::Closed(_)) => 0,
    })
}

/// Resolves when the streamed answer has room; `false` when the client is gone.
#[op2]
pub(crate) async fn op_kora_item_room(state: Rc<RefCell<OpState>>, #[smi] items: u32) -> bool {
    let sender = state.borrow().borrow::<OpenItems>().0.get(items as usize).cloned();
    match sender {
        Some(sender) => sender.reserve().await.is_ok(),
        None => false,
    }
}

/// Ends a streamed answer; with an error as its last item if `message` is not empty.
#[op2]
pub(crate) async fn op_kora_items_end(
    state: Rc<RefCell<OpState>>,
    #[smi] items: u32,
    #[string] code: String,
    #[string] message: String,
) {
    let sender = state.borrow_mut().borrow_mut::<OpenItems>().0.try_remove(items as usize);
    if let (Some(sender), false) = (sender, message.is_empty()) {
        let mut error = Error::new(ErrorKind::Internal, message);
        error.code = code;
        // A receiver that is gone means that the client has left: there is nobody to tell.
        drop(sender.send(Err(error)).await);
    }
}

/// What the host tells its JavaScript at start.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HostView {
    application: String,
    worker_index: usize,
    hostname: String,
}

#[op2]
#[serde]
pub(crate) fn op_kora_host(state: &mut OpState) -> HostView {
    let worker = state.borrow::<WorkerState>();
    HostView {
        application: worker.application.to_string(),
        worker_index: worker.worker_index,
        hostname: std::fs::read_to_string("/etc/hostname")
            .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned()),
    }
}

/// A line from `console` (levels as Deno numbers them: 0 debug, 1 log, 2 warn, 3 error).
#[op2(fast)]
pub(crate) fn op_kora_console(state: &mut OpState, #[string] message: &str, #[smi] level: i32) {
    let application = state.borrow::<WorkerState>().application.clone();
    let message = message.trim_end_matches('\n');
    if level < least_console_level(state) {
        return;
    }
    match level {
        i32::MIN..=0 => tracing::debug!(target: "component", %application, "{message}"),
        1 => tracing::info!(target: "component", %application, "{message}"),
        2 => tracing::warn!(target: "component", %application, "{message}"),
        _ => tracing::error!(target: "component", %application, "{message}"),
    }
}

/// The least level of `console` that the component logs, by its configured level: `info` without one.
fn least_console_level(state: &OpState) -> i32 {
    match state.borrow::<Plugins>().settings.log_level.as_deref() {
        Some("trace" | "debug") => i32::MIN,
        Some("warn") => 2,
        Some("error") => 3,
        Some("fatal" | "notify") => i32::MAX,
        Some(_) | None => 1,
    }
}

/// A line from `logger` (`spec/harper-components.md` section 4.3), by the level's name.
#[op2(fast)]
pub(crate) fn op_kora_log(
    state: &mut OpState,
    #[string] level: &str,
    #[string] tag: &str,
    #[string] message: &str,
) {
    let application = state.borrow::<WorkerState>().application.clone();
    match level {
        "trace" => tracing::trace!(target: "component", %application, tag, "{message}"),
        "debug" => tracing::debug!(target: "component", %application, tag, "{message}"),
        "info" => tracing::info!(target: "component", %application, tag, "{message}"),
        "warn" => tracing::warn!(target: "component", %application, tag, "{message}"),
        "error" => tracing::error!(target: "component", %application, tag, "{message}"),
        // `fatal` and `notify` are above all levels of `tracing`.
        severity => tracing::error!(target: "component", %application, tag, severity, "{message}"),
    }
}
