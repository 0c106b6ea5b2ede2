//! Users and sessions: what `server.getUser`, `context.login` and `context.session` ask of the host.
//!
//! What is changeable crosses as JSON text: these ops are async, and an async op can't hold a value of
//! the engine.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use deno_core::{OpState, op2, v8};
use kora_resource::session_cookie::Site;
use kora_resource::value::json;
use kora_resource::{Accounts, Error, Map, Operator, User, Value};

use crate::error::OpError;
use crate::state::WorkerState;
use crate::values::{JsValue, to_v8};

fn accounts(state: &OpState) -> Arc<dyn Accounts> {
    Arc::clone(&state.borrow::<WorkerState>().accounts)
}

fn parse(text: &str) -> Result<Value, OpError> {
    json::parse(text.as_bytes())
        .map_err(|error| OpError(Error::internal(format!("not JSON: {error}"))))
}

/// The active user of this name; `null` if there is none. No password is asked.
#[op2]
pub(crate) fn op_kora_user<'s, 'i>(
    state: &mut OpState,
    scope: &mut v8::PinScope<'s, 'i>,
    #[string] username: &str,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
    let user = accounts(state).user(username)?;
    Ok(to_v8(scope, &user.map(|user| user.to_value()).unwrap_or_default()))
}

/// The user, if the password is theirs; else throws 401.
#[op2]
pub(crate) async fn op_kora_authenticate(
    state: Rc<RefCell<OpState>>,
    #[string] username: String,
    #[string] password: String,
) -> Result<JsValue, OpError> {
    let accounts = accounts(&state.borrow());
    Ok(JsValue(accounts.authenticate(username, password).await?.to_value()))
}

/// Runs an operation. `caller` is empty for the component itself, else the JSON of the user who asks,
/// `null` for nobody.
#[op2]
pub(crate) async fn op_kora_operation(
    state: Rc<RefCell<OpState>>,
    #[string] operation: String,
    #[string] caller: String,
) -> Result<JsValue, OpError> {
    let accounts = accounts(&state.borrow());
    let Value::Object(operation) = parse(&operation)? else {
        return Err(OpError(Error::invalid("An operation must be an object")));
    };
    let operator = match caller.as_str() {
        "" => Operator::Host,
        caller => Operator::Caller(User::from_value(&parse(caller)?).map(Arc::new)),
    };
    Ok(JsValue(accounts.operate(operation, operator).await?))
}

/// What a session holds; `null` if there is none.
#[op2]
pub(crate) fn op_kora_session<'s, 'i>(
    state: &mut OpState,
    scope: &mut v8::PinScope<'s, 'i>,
    #[string] id: &str,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
    let session = accounts(state).session(id)?;
    Ok(to_v8(scope, &session.map(Value::Object).unwrap_or_default()))
}

/// Merges changes into a session, or begins one where `id` is empty or unknown; its id.
#[op2]
#[string]
pub(crate) async fn op_kora_session_update(
    state: Rc<RefCell<OpState>>,
    #[string] id: String,
    #[string] changes: String,
) -> Result<String, OpError> {
    let accounts = accounts(&state.borrow());
    let changes: Map = parse(&changes)?
        .into_object()
        .ok_or_else(|| OpError(Error::invalid("A session must be an object")))?;
    Ok(accounts.update_session(Some(id).filter(|id| !id.is_empty()), changes).await?)
}

/// Ends a session; whether there was one.
#[op2]
pub(crate) async fn op_kora_session_delete(
    state: Rc<RefCell<OpState>>,
    #[string] id: String,
) -> Result<bool, OpError> {
    let accounts = accounts(&state.borrow());
    Ok(accounts.delete_session(id).await?)
}

/// The session id in a `Cookie` header; empty if there is none for this site. `origin` and `host` are
/// empty where the request has none.
#[op2]
#[string]
pub(crate) fn op_kora_session_find(
    #[string] cookie: &str,
    #[string] origin: &str,
    #[string] host: &str,
) -> String {
    site(origin, host, false).find([cookie]).unwrap_or_default().to_owned()
}

/// The `Set-Cookie` header that gives the client a session's id, or with an empty one takes it away.
#[op2]
#[string]
pub(crate) fn op_kora_session_cookie(
    #[string] id: &str,
    #[string] origin: &str,
    #[string] host: &str,
    is_tls: bool,
) -> String {
    let site = site(origin, host, is_tls);
    if id.is_empty() { site.clear_cookie() } else { site.set_cookie(id) }
}

fn site<'r>(origin: &'r str, host: &'r str, is_tls: bool) -> Site<'r> {
    let given = |text: &'r str| Some(text).filter(|text| !text.is_empty());
    Site { origin: given(origin), host: given(host), is_tls }
}
