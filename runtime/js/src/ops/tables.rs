//! Tables: what `tables.X` does, inside a transaction.

use std::cell::RefCell;
use std::rc::Rc;

use deno_core::{OpState, op2, v8};
use kora_resource::schema::{Assigned, Attribute, Audit, TableSchema, ValidateMode};
use kora_resource::{Error, Id};
use kora_store::Table;
use serde::Serialize;

use crate::error::OpError;
use crate::state::WorkerState;
use crate::values::{fill_record, from_v8, id_from_v8, id_to_v8, map_from_v8};

/// A table as its JavaScript class shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TableView {
    database: String,
    table: String,
    primary_key: String,
    attributes: Vec<AttributeView>,
    sealed: bool,
    audit: bool,
    expiration: Option<f64>,
    created_time_property: Option<String>,
    updated_time_property: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttributeView {
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
    let assigned = |wanted: Assigned| {
        let holds = |attribute: &&Attribute| attribute.assigned == Some(wanted);
        schema.attributes.iter().find(holds).map(|attribute| attribute.name.clone())
    };
    TableView {
        database: table.database().to_owned(),
        table: table.name().to_owned(),
        primary_key: schema.primary_key.clone(),
        attributes: attributes(&schema),
        sealed: schema.sealed,
        audit: schema.audit == Audit::On,
        expiration: schema.expiration,
        created_time_property: assigned(Assigned::CreatedTime),
        updated_time_property: assigned(Assigned::UpdatedTime),
    }
}

/// The attributes of a table.
pub(super) fn attributes(schema: &TableSchema) -> Vec<AttributeView> {
    let view = |attribute: &Attribute| AttributeView {
        name: attribute.name.clone(),
        r#type: attribute.ty.to_string(),
        is_primary_key: attribute.name == schema.primary_key,
        indexed: attribute.indexed,
        nullable: !attribute.required,
    };
    schema.attributes.iter().map(view).collect()
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
        match worker.transactions.get(transaction as usize)? {
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

/// Whether there is such a record; asking does not count as reading it.
#[op2(nofast, reentrant)]
pub(crate) fn op_kora_exists<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] transaction: i32,
    #[smi] table: u32,
    id: v8::Local<'s, v8::Value>,
) -> Result<bool, OpError> {
    let id = require_id(id_from_v8(scope, id)?)?;
    let mut state = state.borrow_mut();
    let worker = state.borrow_mut::<WorkerState>();
    let table = worker.table(table)?;
    Ok(match worker.transactions.get(transaction as usize)? {
        Some(transaction) => transaction.exists(&table, &id)?,
        None => table.exists(&id)?,
    })
}

/// Checks a record, or with `patch` the properties that are to be merged into one, against the
/// table's schema.
#[op2(nofast, reentrant)]
pub(crate) fn op_kora_validate<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] table: u32,
    record: v8::Local<'s, v8::Value>,
    patch: bool,
) -> Result<(), OpError> {
    let mut record = map_from_v8(scope, record)?;
    let schema = state.borrow().borrow::<WorkerState>().table(table)?.schema();
    let mode = if patch { ValidateMode::Partial } else { ValidateMode::Full };
    Ok(schema.validate(&mut record, mode)?)
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

/// Adds a write to a transaction; gives the record's id. `kind` 0 put, 1 patch, 2 create, 3 publish;
/// `expires` NaN, or when the record ends.
#[op2(reentrant)]
pub(crate) fn op_kora_write<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] transaction: u32,
    #[smi] table: u32,
    #[smi] kind: u32,
    id: v8::Local<'s, v8::Value>,
    value: v8::Local<'s, v8::Value>,
    expires: f64,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
    let expires = (!expires.is_nan()).then_some(expires);
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
            with(&state, transaction, table, |open, table| {
                open.expire_at(expires);
                match kind {
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
                }
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

/// Runs `write` in an open transaction of the worker, on one of its tables.
pub(super) fn with<T>(
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
        .get(transaction as usize)?
        .ok_or_else(|| Error::internal("the transaction has ended"))?;
    write(open, &table)
}

/// An id where there must be one.
pub(super) fn require_id(id: Option<Id>) -> kora_resource::Result<Id> {
    id.ok_or_else(|| Error::invalid("a primary key is required"))
}
