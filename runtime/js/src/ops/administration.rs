//! A table as a whole: its size, its history, changes of its schema (`spec/harper-resources.md`
//! section 4). Long work goes in short steps, so that other requests have their turn; what blocks
//! runs on the blocking pool.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deno_core::{OpState, op2, v8};
use kora_resource::schema::{self, TableSchema};
use kora_resource::{Error, Frame, Result};
use kora_store::{HistoryRange, HistoryReader, Store, Table};
use serde::Deserialize;
use slab::Slab;

use super::sockets::Events;
use super::tables::{AttributeView, attributes};
use crate::error::OpError;
use crate::state::WorkerState;
use crate::values::id_from_v8;

/// The readings of the change log that JavaScript has begun.
#[derive(Default)]
pub(crate) struct OpenHistories(Slab<HistoryReader>);

/// Counts the records of a table for at most `time_limit` ms: their number, their bytes, and how many
/// there may be at most, which is their number if the time was enough.
#[op2]
#[serde]
pub(crate) async fn op_kora_table_size(
    state: Rc<RefCell<OpState>>,
    #[smi] table: u32,
    time_limit: f64,
) -> Result<(f64, f64, f64), OpError> {
    let table = state.borrow().borrow::<WorkerState>().table(table)?;
    let began = Instant::now();
    let limit = Duration::try_from_secs_f64(time_limit / 1000.0).unwrap_or(Duration::MAX);
    let mut counting = table.count();
    let mut more = counting.step()?;
    while more && began.elapsed() < limit {
        tokio::task::yield_now().await;
        more = counting.step()?;
    }
    let most = if more { table.most_records()?.max(counting.records) } else { counting.records };
    Ok((counting.records as f64, counting.bytes as f64, most as f64))
}

/// Begins to read the changes of a table, or of the record `id`, from the time `start` (included) to the
/// time `end` (left out); gives the reading's number.
#[op2(nofast, reentrant)]
#[smi]
pub(crate) fn op_kora_history<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] table: u32,
    id: v8::Local<'s, v8::Value>,
    start: f64,
    end: f64,
) -> Result<u32, OpError> {
    let id = id_from_v8(scope, id)?;
    let range = HistoryRange { id, after: Some(start.next_down()), before: Some(end) };
    let mut state = state.borrow_mut();
    let history = state.borrow::<WorkerState>().table(table)?.history(range)?;
    Ok(state.borrow_mut::<OpenHistories>().0.insert(history) as u32)
}

/// The next changes; an empty array at the end, which closes the reading.
#[op2]
pub(crate) async fn op_kora_history_next(
    state: Rc<RefCell<OpState>>,
    #[smi] reading: u32,
) -> Result<Events, OpError> {
    tokio::task::yield_now().await;
    let mut state = state.borrow_mut();
    let open = &mut state.borrow_mut::<OpenHistories>().0;
    let events = match open.get_mut(reading as usize) {
        Some(history) => history.next_batch()?,
        None => Vec::new(),
    };
    if events.is_empty() {
        drop(open.try_remove(reading as usize));
    }
    Ok(Events::new(events.into_iter().map(Frame::new).collect()))
}

/// Deletes the history of a table up to a time; resolves with how many entries went.
#[op2]
pub(crate) async fn op_kora_delete_history(
    state: Rc<RefCell<OpState>>,
    #[smi] table: u32,
    until: f64,
) -> Result<f64, OpError> {
    let table = state.borrow().borrow::<WorkerState>().table(table)?;
    let deleted = tokio::task::spawn_blocking(move || table.delete_history(until))
        .await
        .map_err(|error| Error::internal(format!("deleting history failed: {error}")))??;
    Ok(deleted as f64)
}

/// A change of a table's schema.
#[derive(Deserialize)]
pub(crate) struct TableChange {
    /// Seconds from a write to the record's end; 0 for none.
    expiration: Option<f64>,
    /// Seconds from then until it is removed.
    eviction: Option<f64>,
    /// Seconds between two searches for what is to be removed.
    #[serde(rename = "scanInterval")]
    scan_interval: Option<f64>,
    #[serde(default)]
    added: Vec<NewAttribute>,
    #[serde(default)]
    removed: Vec<String>,
}

#[derive(Deserialize)]
struct NewAttribute {
    name: String,
    r#type: String,
    indexed: bool,
}

/// Changes a table's schema until the application is loaded again; gives its attributes.
#[op2]
#[serde]
pub(crate) async fn op_kora_change_table(
    state: Rc<RefCell<OpState>>,
    #[smi] table: u32,
    #[serde] change: TableChange,
) -> Result<Vec<AttributeView>, OpError> {
    let (store, table) = {
        let state = state.borrow();
        let worker = state.borrow::<WorkerState>();
        (worker.store.clone(), worker.table(table)?)
    };
    let schema = changed(&table, change)?;
    tokio::task::spawn_blocking(move || apply(&store, schema))
        .await
        .map_err(|error| Error::internal(format!("changing a table failed: {error}")))??;
    Ok(attributes(&table.schema()))
}

fn apply(store: &Arc<Store>, schema: TableSchema) -> Result<()> {
    store.apply(&[schema]).map(drop).map_err(Error::from)
}

/// The schema that a change makes of a table's.
fn changed(table: &Table, change: TableChange) -> Result<TableSchema> {
    let mut schema = TableSchema::clone(&table.schema());
    if let Some(seconds) = change.expiration {
        schema.expiration = (seconds > 0.0).then_some(seconds);
    }
    schema.eviction = change.eviction.or(schema.eviction);
    schema.scan_interval = change.scan_interval.or(schema.scan_interval);
    for name in &change.removed {
        if *name == schema.primary_key {
            return Err(Error::invalid(format!(
                "{name} is the primary key and can not be removed"
            )));
        }
        schema.attributes.retain(|attribute| attribute.name != *name);
    }
    for NewAttribute { name, r#type, indexed } in &change.added {
        if schema.attribute(name).is_some() {
            return Err(Error::invalid(format!("There is an attribute {name} already")));
        }
        // Read as a schema file is: names and types mean the same.
        let directive = if *indexed { "@indexed" } else { "" };
        let text =
            format!("type T @table {{ kora_key: Any @primaryKey\n {name}: {type} {directive} }}");
        let wrong = |reason: String| {
            Error::invalid(format!("The attribute {name} of type {type} can't be added: {reason}"))
        };
        let parsed = schema::parse(&text, Path::new("addAttributes"))
            .map_err(|error| wrong(error.message))?;
        let declared = parsed.tables.into_iter().next();
        let added = declared.and_then(|declared| declared.attribute(name).cloned());
        schema.attributes.push(added.ok_or_else(|| wrong("it is no attribute".to_owned()))?);
    }
    Ok(schema)
}
