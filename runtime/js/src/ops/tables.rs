//! Tables: what `tables.X` does, inside a transaction.

use std::cell::RefCell;
use std::rc::Rc;

use deno_core::{OpState, op2, v8};
use kora_resource::query::{Comparator, Compare, Condition, Operator};
use kora_resource::{Attributes, Error, Id, Item, Query, Target, Value};
use kora_store::Table;
use serde::Serialize;

use crate::error::OpError;
use crate::state::WorkerState;
use crate::values::{self, fill_record, from_v8, id_from_v8, id_to_v8, map_from_v8};

/// A table as its JavaScript class shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TableView {
    database: String,
    table: String,
    primary_key: String,
    attributes: Vec<AttributeView>,
    sealed: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AttributeView {
    name: String,
    r#type: String,
    is_primary_key: bool,
    indexed: bool,
    nullable: bool,
}

/// The tables of the worker, in the order of their numbers.
#[op2]
#[serde]
pub(crate) fn op_kora_tables(state: &mut OpState) -> Vec<TableView> {
    state.borrow::<WorkerState>().tables.iter().map(|table| view(table)).collect()
}

fn view(table: &Table) -> TableView {
    let schema = table.schema();
    let attributes = schema
        .attributes
        .iter()
        .map(|attribute| AttributeView {
            name: attribute.name.clone(),
            r#type: attribute.ty.to_string(),
            is_primary_key: attribute.name == schema.primary_key,
            indexed: attribute.indexed,
            nullable: !attribute.required,
        })
        .collect();
    TableView {
        database: table.database().to_owned(),
        table: table.name().to_owned(),
        primary_key: schema.primary_key.clone(),
        attributes,
        sealed: schema.sealed,
    }
}

/// Reads a record into `into`. Its version and expiry are left in `stamps[0]` and `stamps[1]`, so that
/// a read crosses once. `transaction` -1 reads outside of any. `false` where there is no such record.
#[op2(nofast, reentrant)]
pub(crate) fn op_kora_get<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] transaction: i32,
    #[smi] table: u32,
    id: v8::Local<'s, v8::Value>,
    into: v8::Local<'s, v8::Object>,
    #[buffer] stamps: &mut [f64],
) -> Result<bool, OpError> {
    let id = require_id(id_from_v8(scope, id)?)?;
    let record = {
        let mut state = state.borrow_mut();
        let worker = state.borrow_mut::<WorkerState>();
        let table = worker.table(table)?;
        match worker.transactions.get_mut(transaction as usize) {
            Some(transaction) => transaction.get(&table, &id)?,
            None => table.get(&id)?,
        }
    };
    let Some(record) = record else { return Ok(false) };
    if let [version, expires, ..] = stamps {
        *version = record.version().0;
        *expires = record.expires().unwrap_or(f64::NAN);
    }
    fill_record(scope, into, &record)?;
    Ok(true)
}

/// What a write does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Write {
    Put,
    Patch,
    Create,
    Publish,
}

impl Write {
    fn from_number(number: u32) -> Option<Write> {
        match number {
            0 => Some(Write::Put),
            1 => Some(Write::Patch),
            2 => Some(Write::Create),
            3 => Some(Write::Publish),
            _ => None,
        }
    }
}

/// Adds a write to a transaction; gives the record's id. `kind` 0 put, 1 patch, 2 create, 3 publish.
#[op2(reentrant)]
pub(crate) fn op_kora_write<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] transaction: u32,
    #[smi] table: u32,
    #[smi] kind: u32,
    id: v8::Local<'s, v8::Value>,
    value: v8::Local<'s, v8::Value>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
    let kind = Write::from_number(kind).ok_or_else(|| Error::internal("no such kind of write"))?;
    let id = id_from_v8(scope, id)?;
    let written = match kind {
        Write::Publish => {
            let message = from_v8(scope, value)?.unwrap_or_default();
            let id = id.unwrap_or(Id::Null);
            with(&state, transaction, table, |open, table| {
                open.publish(table, id.clone(), message)?;
                Ok(id)
            })?
        }
        Write::Put | Write::Patch | Write::Create => {
            let record = map_from_v8(scope, value)?;
            with(&state, transaction, table, |open, table| match kind {
                Write::Create => open.create(table, id, record),
                Write::Patch => {
                    let id = require_id(id)?;
                    open.patch(table, id.clone(), record)?;
                    Ok(id)
                }
                Write::Put | Write::Publish => match id {
                    Some(id) => {
                        open.put(table, id.clone(), record)?;
                        Ok(id)
                    }
                    // A record without a key gets one, as a POST would.
                    None => open.create(table, None, record),
                },
            })?
        }
    };
    Ok(id_to_v8(scope, Some(&written)))
}

/// Adds the deletion of a record to a transaction; whether it existed.
#[op2(nofast, reentrant)]
pub(crate) fn op_kora_delete<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] transaction: u32,
    #[smi] table: u32,
    id: v8::Local<'s, v8::Value>,
) -> Result<bool, OpError> {
    let id = require_id(id_from_v8(scope, id)?)?;
    Ok(with(&state, transaction, table, |open, table| open.delete(table, &id))?)
}

fn with<T>(
    state: &RefCell<OpState>,
    transaction: u32,
    table: u32,
    write: impl FnOnce(&mut kora_store::Transaction, &std::sync::Arc<Table>) -> kora_resource::Result<T>,
) -> kora_resource::Result<T> {
    let mut state = state.borrow_mut();
    let worker = state.borrow_mut::<WorkerState>();
    let table = worker.table(table)?;
    let open = worker
        .transactions
        .get_mut(transaction as usize)
        .ok_or_else(|| Error::internal("the transaction has ended"))?;
    write(open, &table)
}

fn require_id(id: Option<Id>) -> kora_resource::Result<Id> {
    id.ok_or_else(|| Error::invalid("a primary key is required"))
}

/// Begins a search and gives its number. The query is `options` (the object form), with what the text
/// `search` of a URL says beneath it.
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
    if let Some(options @ Value::Object(_)) = &options {
        overlay(&mut wanted, kora_resource::query::from_value(options)?);
        let key = table.schema().primary_key.clone();
        readable(options).restrict(&mut wanted, &key)?;
        if let Some(id) = options.get("record") {
            only_record(&mut wanted, key, id.clone());
        }
    }
    let search = match worker.transactions.get_mut(transaction as usize) {
        Some(transaction) => transaction.search(&table, wanted)?,
        None => table.search(wanted)?,
    };
    Ok(worker.searches.insert(search) as u32)
}

/// The attributes that the host's options let somebody read: all unless they name some.
pub(super) fn readable(options: &Value) -> Attributes {
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
            let mut both = std::mem::take(&mut query.conditions);
            both.push(kora_resource::query::Condition::Group {
                operator: over.operator,
                conditions: over.conditions,
            });
            query.conditions = both;
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
    if over.id_prefix.is_some() {
        query.id_prefix = over.id_prefix;
    }
}

/// The next rows of a search, at most `rows`; an empty array at its end, which closes it.
#[op2]
pub(crate) fn op_kora_rows<'s, 'i>(
    state: &mut OpState,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] search: u32,
    #[smi] rows: u32,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
    let searches = &mut state.borrow_mut::<WorkerState>().searches;
    let batch = match searches.get_mut(search as usize) {
        Some(open) => open.next_batch(rows as usize)?,
        None => Vec::new(),
    };
    if batch.is_empty() {
        drop(searches.try_remove(search as usize));
    }
    let mut elements = Vec::with_capacity(batch.len());
    for item in &batch {
        elements.push(match item {
            Item::Record(record) => {
                let object = v8::Object::new(scope);
                fill_record(scope, object, record)?;
                object.into()
            }
            Item::Value(value) => values::to_v8(scope, value),
        });
    }
    Ok(v8::Array::new_with_elements(scope, &elements).into())
}

/// Ends a search early.
#[op2(fast)]
pub(crate) fn op_kora_search_close(state: &mut OpState, #[smi] search: u32) {
    drop(state.borrow_mut::<WorkerState>().searches.try_remove(search as usize));
}

/// Reads a URL below a resource as a target: what `new RequestTarget(text)` shows.
#[op2]
pub(crate) fn op_kora_parse_target<'s, 'i>(
    state: &mut OpState,
    scope: &mut v8::PinScope<'s, 'i>,
    #[string] url: &str,
    #[smi] table: i32,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
    let schema =
        state.borrow::<WorkerState>().tables.get(table as usize).map(|table| table.schema());
    let target = Target::parse(url, schema.as_deref())?;
    let id = id_to_v8(scope, target.id.as_ref());
    let is_collection = v8::Boolean::new(scope, target.is_collection).into();
    let property = values::optional_string(scope, target.property.as_deref());
    let parts: [v8::Local<v8::Value>; 3] = [id, is_collection, property];
    Ok(v8::Array::new_with_elements(scope, &parts).into())
}
