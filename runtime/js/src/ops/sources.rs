//! Caching: reading through a source, and answering as one (`harperdb/source.ts`).

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use deno_core::{OpState, ToV8, op2, v8};
use kora_resource::{CacheControl, Context, Error, Id, Record, Value};
use kora_store::{Cached, Found, Keep, Lifetime, Loaded, Origin, Pending, Table};

use super::tables::{require_id, with};
use crate::error::{OpError, unanswerable};
use crate::source::DeclaredSource;
use crate::state::{Answer, WorkerState};
use crate::values::{id_from_v8, map_from_v8, to_v8};

/// Declares the next source of the component: for which table, its methods, its times in seconds
/// (NaN where it says nothing).
#[op2]
pub(crate) fn op_kora_source(
    state: &mut OpState,
    #[smi] table: u32,
    #[serde] methods: Vec<String>,
    expiration: f64,
    eviction: f64,
    scan_interval: f64,
) {
    let worker = state.borrow_mut::<WorkerState>();
    if worker.worker_index == 0 {
        let seconds = |n: f64| (n.is_finite() && n >= 0.0).then_some(n);
        let lifetime = Lifetime {
            expiration: seconds(expiration),
            eviction: seconds(eviction),
            scan_interval: seconds(scan_interval),
        };
        worker.sources.push(DeclaredSource { table, methods, lifetime });
    }
}

/// Whether reads of the table ask a source.
#[op2(fast)]
pub(crate) fn op_kora_is_caching(state: &mut OpState, #[smi] table: u32) -> bool {
    state.borrow::<WorkerState>().tables.get(table as usize).is_some_and(|table| table.is_caching())
}

/// What a transaction does to the record: 0 nothing, 1 it is to be loaded anew, 2 it changes it and must
/// be read from.
#[op2(nofast, reentrant)]
#[smi]
pub(crate) fn op_kora_pending<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] transaction: i32,
    #[smi] table: u32,
    id: v8::Local<'s, v8::Value>,
) -> Result<u32, OpError> {
    let id = require_id(id_from_v8(scope, id)?)?;
    let mut state = state.borrow_mut();
    let worker = state.borrow_mut::<WorkerState>();
    let table = worker.table(table)?;
    let pending = match worker.transactions.get(transaction as usize)? {
        Some(open) => open.pending(&table, &id)?,
        None => Pending::Untouched,
    };
    Ok(match pending {
        Pending::Untouched => 0,
        Pending::Invalidated => 1,
        Pending::Changed => 2,
    })
}

/// A record read through the cache: `[record | null, version, expires, source]`, where `source` is -1
/// if it was loaded, else the seconds since it was stored.
pub(crate) struct Read {
    cached: Cached,
}

impl<'a> ToV8<'a> for Read {
    type Error = std::convert::Infallible;

    fn to_v8<'i>(
        self,
        scope: &mut v8::PinScope<'a, 'i>,
    ) -> Result<v8::Local<'a, v8::Value>, Self::Error> {
        let record = self.cached.record.as_ref();
        let number = |n: Option<f64>| n.unwrap_or(f64::NAN);
        let age = match self.cached.origin {
            Origin::Cache { age } => age,
            Origin::Source => -1.0,
        };
        // A record that can't be read is none here; its table tells why in the log.
        let map = record.and_then(|record| record.to_map().ok());
        let parts: [v8::Local<v8::Value>; 4] = [
            match map {
                Some(map) => to_v8(scope, &Value::Object(map)),
                None => v8::null(scope).into(),
            },
            v8::Number::new(scope, number(record.map(|record| record.shown_version().0))).into(),
            v8::Number::new(scope, number(record.and_then(Record::expires))).into(),
            v8::Number::new(scope, age).into(),
        ];
        Ok(v8::Array::new_with_elements(scope, &parts).into())
    }
}

/// The id and surroundings of a read, taken from JavaScript before anything waits.
fn reading<'s>(
    state: &RefCell<OpState>,
    scope: &mut v8::PinScope<'s, '_>,
    table: u32,
    id: v8::Local<'s, v8::Value>,
    call: i32,
    flags: u32,
) -> Result<(Arc<Table>, Id, Arc<Context>), OpError> {
    let id = require_id(id_from_v8(scope, id)?)?;
    let state = state.borrow();
    let worker = state.borrow::<WorkerState>();
    let table = worker.table(table)?;
    let context = worker.calls.get(call as usize).map(|call| Arc::clone(&call.context));
    let context = context.unwrap_or_default();
    let has = |bit: u32| flags & bit != 0;
    let asked = context.cache;
    let cache = CacheControl {
        max_age: asked.max_age,
        no_cache: asked.no_cache || has(1),
        no_store: asked.no_store || has(2),
        only_if_cached: asked.only_if_cached || has(4),
        stale_if_error: asked.stale_if_error || has(8),
        must_revalidate: asked.must_revalidate || has(16),
    };
    let context = match cache == asked {
        true => context,
        false => Arc::new(Context { cache, ..(*context).clone() }),
    };
    Ok((table, id, context))
}

/// What the table can tell without its source: `[read, fresh]` with `read` as [`Read`]; if it is not
/// fresh (stale, or nothing), the source must be asked.
#[op2(reentrant)]
pub(crate) fn op_kora_cached<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] table: u32,
    id: v8::Local<'s, v8::Value>,
    #[smi] call: i32,
    #[smi] flags: u32,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
    let (table, id, context) = reading(&state, scope, table, id, call, flags)?;
    let (cached, fresh) = match table.cached(&id, context.cache)? {
        Some(cached) => (cached, true),
        None => (Cached { record: table.stale(&id)?, origin: Origin::Cache { age: 0.0 } }, false),
    };
    let read = match (Read { cached }).to_v8(scope) {
        Ok(read) => read,
        Err(never) => match never {},
    };
    let parts = [read, v8::Boolean::new(scope, fresh).into()];
    Ok(v8::Array::new_with_elements(scope, &parts).into())
}

/// Begins a read through the cache; gives its number for [`op_kora_loaded`]. `call` is the call whose
/// request it is for, or -1; `flags` 1 no-cache, 2 no-store, 4 only-if-cached, 8 stale-if-error, 16
/// must-revalidate.
#[op2(nofast, reentrant)]
pub(crate) fn op_kora_load<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] table: u32,
    id: v8::Local<'s, v8::Value>,
    #[smi] call: i32,
    #[smi] flags: u32,
) -> Result<u32, OpError> {
    let (table, id, context) = reading(&state, scope, table, id, call, flags)?;
    let load: OpenLoad = Box::pin(async move { table.load(&id, &context).await });
    Ok(state.borrow_mut().borrow_mut::<WorkerState>().loads.insert(load) as u32)
}

/// Has a record loaded anew while its stale copy is shown.
#[op2(nofast, reentrant)]
pub(crate) fn op_kora_refresh<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] table: u32,
    id: v8::Local<'s, v8::Value>,
    #[smi] call: i32,
    #[smi] flags: u32,
) -> Result<(), OpError> {
    let (table, id, context) = reading(&state, scope, table, id, call, flags)?;
    Ok(table.refresh(&id, &context)?)
}

/// A read that [`op_kora_load`] has begun and [`op_kora_loaded`] waits for: two ops, since an async
/// one can't look at JavaScript values.
pub(crate) type OpenLoad =
    std::pin::Pin<Box<dyn Future<Output = kora_resource::Result<Cached>> + Send>>;

/// The record that a begun read finds.
#[op2]
pub(crate) async fn op_kora_loaded(
    state: Rc<RefCell<OpState>>,
    #[smi] load: u32,
) -> Result<Read, OpError> {
    let load = state.borrow_mut().borrow_mut::<WorkerState>().loads.try_remove(load as usize);
    let load = load.ok_or_else(|| Error::internal("the read was begun by nobody"))?;
    Ok(Read { cached: load.await? })
}

/// Answers a load: `kind` 0 nothing, 1 a record, 2 unchanged; times in milliseconds, NaN for none.
#[op2(nofast, reentrant)]
pub(crate) fn op_kora_source_loaded<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] call: u32,
    #[smi] kind: u32,
    record: v8::Local<'s, v8::Value>,
    expires: f64,
    modified: f64,
    store: bool,
) -> Result<(), OpError> {
    let found = match kind {
        0 => Found::Nothing,
        1 => Found::Record(map_from_v8(scope, record).map_err(unanswerable)?),
        _ => Found::Unchanged,
    };
    let time = |n: f64| n.is_finite().then_some(n);
    let keep = if store { Keep::Store } else { Keep::No };
    let loaded = Loaded { found, expires: time(expires), modified: time(modified), keep };
    let mut state = state.borrow_mut();
    // A receiver that is gone means that nobody waits any more.
    if let Some(Answer::Loaded(sender)) = state.borrow_mut::<WorkerState>().take_answer(call) {
        drop(sender.send(Ok(loaded)));
    }
    Ok(())
}

/// Answers a change: the source has taken it.
#[op2(fast)]
pub(crate) fn op_kora_source_written(state: &mut OpState, #[smi] call: u32) {
    if let Some(Answer::Written(sender)) = state.borrow_mut::<WorkerState>().take_answer(call) {
        drop(sender.send(Ok(())));
    }
}

/// Marks a record as no longer good, in a transaction.
#[op2(nofast, reentrant)]
pub(crate) fn op_kora_invalidate<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] transaction: u32,
    #[smi] table: u32,
    id: v8::Local<'s, v8::Value>,
) -> Result<(), OpError> {
    let id = require_id(id_from_v8(scope, id)?)?;
    Ok(with(&state, transaction, table, |open, table| open.invalidate(table, &id))?)
}

/// Begins a transaction whose changes come from a source and go back to none.
#[op2(fast)]
#[smi]
pub(crate) fn op_kora_begin_from_source(state: &mut OpState) -> u32 {
    let transactions = &mut state.borrow_mut::<WorkerState>().transactions;
    transactions.insert(kora_store::Transaction::from_source(), Instant::now()) as u32
}
