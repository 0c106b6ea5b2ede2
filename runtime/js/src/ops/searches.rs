//! Searches: begun by a query, read in batches, or given to a client without entering JavaScript.

use std::cell::RefCell;
use std::rc::Rc;

use deno_core::{OpState, op2, v8};
use kora_resource::query::{Comparator, Compare, Condition, Operator};
use kora_resource::{Attributes, Error, Item, Permission, Query, Target, Value};

use crate::error::OpError;
use crate::state::WorkerState;
use crate::values::{self, fill_record, from_v8};

/// Begins a search and gives its number. The query is `options` (the object form), with what the text
/// `search` of a URL says beneath it. `transaction` -1 reads outside of any.
#[op2(nofast, reentrant)]
#[smi]
pub(crate) fn op_kora_search<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] transaction: i32,
    #[smi] table: u32,
    #[string] search: &str,
    options: v8::Local<'s, v8::Value>,
) -> Result<u32, OpError> {
    let options = from_v8(scope, options)?;
    let mut state = state.borrow_mut();
    let worker = state.borrow_mut::<WorkerState>();
    let table = worker.table(table)?;
    let mut wanted = if search.is_empty() {
        Query::default()
    } else {
        Target::parse(&format!("/?{search}"), Some(&table.schema()))?
            .query(Some(&table.schema()))?
    };
    if let Some(options @ Value::Object(_)) = options {
        overlay(&mut wanted, kora_resource::query::from_value(&options)?);
        let key = table.schema().primary_key.clone();
        readable(&options).restrict(&mut wanted, &key)?;
        if let Some(permission) = options.get("permission") {
            // What can't be understood allows nothing.
            let permission = Permission::from_value(permission).unwrap_or_default();
            table.restrict_related(&mut wanted, &permission)?;
        }
        if let Some(id) = options.get("record") {
            only_record(&mut wanted, key, id.clone());
        }
        // The prefix of the keys is no part of a query that code may write.
        if let Some(prefix) = options.get("idPrefix") {
            wanted.id_prefix = kora_resource::Id::from_value(prefix);
        }
    }
    let search = match worker.transactions.get(transaction as usize)? {
        Some(transaction) => transaction.search(&table, wanted)?,
        None => table.search(wanted)?,
    };
    Ok(worker.searches.insert(search) as u32)
}

/// The attributes that the host's options let somebody read: all unless they name some.
pub(crate) fn readable(options: &Value) -> Attributes {
    match options.get("attributes") {
        Some(Value::Array(names)) => {
            let names = names.iter().filter_map(Value::as_str);
            Attributes::Only(names.map(str::to_owned).collect())
        }
        _ => Attributes::All,
    }
}

/// Narrows a query to one record.
fn only_record(query: &mut Query, primary_key: String, id: Value) {
    let by_key = Compare::new(vec![primary_key], Comparator::Equals, id);
    let found = std::mem::replace(&mut query.conditions, vec![Condition::Compare(by_key)]);
    if !found.is_empty() {
        query.conditions.push(Condition::Group { operator: query.operator, conditions: found });
        query.operator = Operator::And;
    }
}

/// What code set on a target goes before what its URL said; conditions of both hold.
fn overlay(query: &mut Query, over: Query) {
    if !over.conditions.is_empty() {
        if query.conditions.is_empty() {
            query.operator = over.operator;
            query.conditions = over.conditions;
        } else {
            let group = |operator, conditions| Condition::Group { operator, conditions };
            let before = std::mem::take(&mut query.conditions);
            query.conditions =
                vec![group(query.operator, before), group(over.operator, over.conditions)];
            query.operator = Operator::And;
        }
    }
    if over.select.is_some() {
        query.select = over.select;
    }
    if !over.sort.is_empty() {
        query.sort = over.sort;
    }
    if over.limit.is_some() {
        query.limit = over.limit;
    }
    if over.offset > 0 {
        query.offset = over.offset;
    }
    query.explain = over.explain;
    query.full_scan = over.full_scan;
    query.undeclared = over.undeclared;
    query.execution = over.execution;
}

/// How a search goes about it, instead of its rows; ends it.
#[op2]
pub(crate) fn op_kora_explain<'s, 'i>(
    state: &mut OpState,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] search: u32,
) -> v8::Local<'s, v8::Value> {
    match state.borrow_mut::<WorkerState>().searches.try_remove(search as usize) {
        Some(search) => values::to_v8(scope, search.explain()),
        None => v8::undefined(scope).into(),
    }
}

/// The next rows of a search, at most `rows`; an empty array at its end, which closes it. Records are
/// filled into what the function `make` gives, their versions and expiries left in `stamps`: two
/// numbers a row, NaN for a row that is no whole record.
#[op2(reentrant)]
pub(crate) fn op_kora_rows<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] search: u32,
    #[smi] rows: u32,
    #[buffer] stamps: &mut [f64],
    make: v8::Local<'s, v8::Value>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
    let batch = {
        let mut state = state.borrow_mut();
        let searches = &mut state.borrow_mut::<WorkerState>().searches;
        let batch = match searches.get_mut(search as usize) {
            Some(open) => open.next_batch(rows as usize)?,
            None => Vec::new(),
        };
        if batch.is_empty() {
            drop(searches.try_remove(search as usize));
        }
        batch
    };
    let make = v8::Local::<v8::Function>::try_from(make)
        .map_err(|_| Error::internal("rows need a function that makes records"))?;
    let undefined = v8::undefined(scope).into();
    let mut elements = Vec::with_capacity(batch.len());
    for (item, stamps) in batch.iter().zip(stamps.chunks_exact_mut(2)) {
        elements.push(match item {
            Item::Record(record) => {
                let made = make.call(scope, undefined, &[]);
                let object = made
                    .and_then(|made| v8::Local::<v8::Object>::try_from(made).ok())
                    .ok_or_else(|| Error::internal("a record could not be made"))?;
                fill_record(scope, object, record)?;
                stamps[0] = record.version().0;
                stamps[1] = record.expires().unwrap_or(f64::NAN);
                object.into()
            }
            Item::Value(value) => {
                stamps[0] = f64::NAN;
                values::to_v8(scope, value)
            }
        });
    }
    Ok(v8::Array::new_with_elements(scope, &elements).into())
}

/// Ends a search early.
#[op2(fast)]
pub(crate) fn op_kora_search_close(state: &mut OpState, #[smi] search: u32) {
    drop(state.borrow_mut::<WorkerState>().searches.try_remove(search as usize));
}

/// Resolves when everything else that is ready has had its turn.
#[op2]
pub(crate) async fn op_kora_turn() {
    tokio::task::yield_now().await;
}
