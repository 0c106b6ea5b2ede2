//! Requests in a component's middleware: their listeners, `next`, and the answer.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use deno_core::{OpState, op2};
use kora_resource::middleware::{Listener, Origin, Place, Request, Response, Step};
use kora_resource::value::json;
use kora_resource::{Error, RequestInfo, User};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::bodies::Bodies;
use crate::error::OpError;
use crate::middleware::CallOrigin;
use crate::state::{Answer, WorkerState};

/// The listeners that a worker has registered.
#[derive(Default)]
pub(crate) struct Listeners(pub(crate) Vec<Listener>);

/// One registration, as `harperdb/middleware.ts` tells it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListenerView {
    name: Option<String>,
    before: Option<String>,
    after: Option<String>,
    run_first: bool,
    run_last: bool,
    url_path: Option<String>,
    host: Option<String>,
    media_types: Vec<String>,
}

/// Takes the listeners that the component's code has registered while it was loaded.
#[op2]
pub(crate) fn op_kora_listeners(state: &mut OpState, #[serde] listeners: Vec<ListenerView>) {
    let place = |view: &ListenerView| match (view.run_first, view.run_last) {
        (true, _) => Place::First,
        (false, true) => Place::Last,
        (false, false) => Place::Registered,
    };
    let listeners = listeners.into_iter().map(|view| Listener {
        place: place(&view),
        name: view.name,
        before: view.before,
        after: view.after,
        url_path: view.url_path,
        host: view.host,
        media_types: view.media_types,
    });
    *state.borrow_mut::<Listeners>() = Listeners(listeners.collect());
}

/// What the listeners changed of a request before they called `next`; what is absent is as it was.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Changes {
    method: Option<String>,
    url: Option<String>,
    /// Names and values in turn.
    headers: Option<Vec<String>>,
    /// JSON of the user that middleware has put in place of the host's; what tells of no user is nobody.
    user: Option<String>,
}

/// The response of what lies behind the listeners.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResponseView {
    status: u16,
    headers: Vec<String>,
    body: i32,
    handler_path: Option<String>,
}

/// `next(request)` of the last listener of a run: the host goes on with the request, and its response
/// comes back. `number` is that of the request's object in JavaScript.
#[op2]
#[serde]
pub(crate) async fn op_kora_next(
    state: Rc<RefCell<OpState>>,
    #[smi] call: u32,
    #[smi] number: u32,
    #[serde] changes: Changes,
    #[smi] body: i32,
    is_web_socket: bool,
) -> Result<ResponseView, OpError> {
    let gone = || Error::unavailable("the request is answered already, or its client is gone");
    let (respond, response) = oneshot::channel();
    {
        let mut state = state.borrow_mut();
        let body = state.borrow_mut::<Bodies>().take(body);
        let worker = state.borrow::<WorkerState>();
        let pending = worker.calls.get(call as usize).ok_or_else(gone)?;
        let Some(Answer::Steps(steps)) = pending.answer() else { return Err(gone().into()) };
        let context = &pending.context;
        let info = context.request.as_ref().ok_or_else(gone)?;
        let user = match &changes.user {
            None => context.user.clone(),
            Some(user) => {
                let user = json::parse(user.as_bytes()).ok();
                user.and_then(|user| User::from_value(&user)).map(Arc::new)
            }
        };
        let origin: Origin = Arc::new(CallOrigin {
            generation: worker.generation,
            worker: worker.worker_index,
            number,
            user: user.clone(),
        });
        let request = Request {
            info: changed(info, &changes),
            body,
            user,
            is_web_socket,
            origins: context.origins.iter().cloned().chain([origin]).collect(),
        };
        let respond = Box::new(move |response| drop(respond.send(response)));
        steps.try_send(Step::Next { request, respond }).map_err(|_| gone())?;
    }
    let Response { status, headers, body, handler_path } = response.await.map_err(|_| gone())?;
    let headers = headers.into_iter().flat_map(|(name, value)| [name, value]).collect();
    let body = state.borrow_mut().borrow_mut::<Bodies>().insert(body);
    Ok(ResponseView { status, headers, body, handler_path })
}

/// The request as it goes on; the same one where nothing was changed.
fn changed(info: &Arc<RequestInfo>, changes: &Changes) -> Arc<RequestInfo> {
    if changes.method.is_none() && changes.url.is_none() && changes.headers.is_none() {
        return info.clone();
    }
    let mut info = RequestInfo::clone(info);
    if let Some(method) = &changes.method {
        info.method.clone_from(method);
    }
    if let Some(url) = &changes.url {
        info.url.clone_from(url);
    }
    if let Some(headers) = &changes.headers {
        info.headers = pairs(headers);
    }
    Arc::new(info)
}

fn pairs(flat: &[String]) -> Vec<(String, String)> {
    flat.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

/// Answers request `call`: `headers` are names and values in turn, `body` a number of the worker's
/// bodies. Status 0 is an answer of nothing.
#[op2]
pub(crate) fn op_kora_answer(
    state: &mut OpState,
    #[smi] call: u32,
    #[smi] status: u32,
    #[serde] headers: Vec<String>,
    #[smi] body: i32,
) {
    let body = state.borrow_mut::<Bodies>().take(body);
    let answer = state.borrow_mut::<WorkerState>().take_answer(call);
    let Some(Answer::Steps(steps)) = answer else { return };
    let status = u16::try_from(status).unwrap_or(500);
    let response = (status != 0).then(|| Response {
        status,
        headers: pairs(&headers),
        body,
        handler_path: None,
    });
    // A receiver that is gone means that the client has left: there is nobody to tell.
    drop(steps.try_send(Step::Answer(Ok(response))));
}
