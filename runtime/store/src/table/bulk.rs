//! Many records in one request: all are written, or none and the answer tells what is wrong with
//! which row.

use std::sync::Arc;

use kora_resource::{Result, RowErrors, Value};

use super::Table;
use super::resource::object;
use super::rights::{Caller, Unnamed};
use crate::transaction::Transaction;

/// Writes the records whole, each under the key that it carries.
pub(super) fn put(
    table: &Arc<Table>,
    caller: &Caller,
    transaction: &mut Transaction,
    records: Vec<Value>,
) -> Result<()> {
    let mut wrong = RowErrors::default();
    for (index, record) in records.into_iter().enumerate() {
        let written = object(Some(record)).and_then(|mut record| {
            let key = table.key_in(&record)?;
            caller.write(transaction, &key, &mut record, Unnamed::Dropped)?;
            transaction.put(table, key, record)
        });
        if let Err(error) = written {
            wrong.add(index, error);
        }
    }
    wrong.finish()
}

/// Creates the records and gives their ids; 409 if one is there already.
pub(super) fn create(
    table: &Arc<Table>,
    caller: &Caller,
    transaction: &mut Transaction,
    records: Vec<Value>,
) -> Result<Vec<Value>> {
    let mut wrong = RowErrors::default();
    let mut ids = Vec::with_capacity(records.len());
    for (index, record) in records.into_iter().enumerate() {
        let created = object(Some(record)).and_then(|record| {
            caller.insert(&record)?;
            transaction.create(table, None, record)
        });
        match created {
            Ok(id) => ids.push(id.to_value()),
            Err(error) => wrong.add(index, error),
        }
    }
    wrong.finish()?;
    Ok(ids)
}
