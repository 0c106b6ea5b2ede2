//! Where a guest's write goes: into the transaction that it names, into that of the running call, or, in a stream,
//! into one of its own that is committed at once.

use std::sync::Arc;

use kora_resource::{Error, Result};
use kora_store::{Table, Transaction};
use wasmtime::component::{Accessor, HasSelf, Resource};

use super::tables::{TableHandle, TransactionHandle};
use crate::encoding::Encoding;
use crate::instance::{State, Writes};

/// The transaction that an operation belongs to, if it does not commit by itself.
pub(super) fn transaction<'a>(
    state: &'a mut State,
    named: Option<&Resource<TransactionHandle>>,
) -> wasmtime::Result<Result<Option<&'a mut Transaction>>> {
    if let Some(named) = named {
        return Ok(Ok(Some(&mut state.resources.get_mut(named)?.0)));
    }
    Ok(match &mut state.writes {
        Writes::Together(transaction) => Ok(Some(transaction)),
        Writes::Apart => Ok(None),
        Writes::Refused => Err(Error::internal("no call runs: tables can't be used here")),
    })
}

pub(super) fn table(
    state: &State,
    table: &Resource<TableHandle>,
) -> wasmtime::Result<(Arc<Table>, Encoding)> {
    Ok((state.resources.get(table)?.0.clone(), state.encoding))
}

/// Does `write` where it belongs, and commits it if it stands alone.
pub(super) async fn write<T: Send, R>(
    accessor: &Accessor<T, HasSelf<State>>,
    to: Resource<TableHandle>,
    named: Option<Resource<TransactionHandle>>,
    write: impl FnOnce(&mut Transaction, &Arc<Table>, Encoding) -> Result<R>,
) -> wasmtime::Result<Result<R>> {
    let done = accessor.with(|mut access| {
        let state = access.get();
        let (table, encoding) = table(state, &to)?;
        let mut alone = state.store.transaction();
        let transaction = match transaction(state, named.as_ref())? {
            Ok(transaction) => transaction,
            Err(error) => return wasmtime::error::Ok(Err(error)),
        };
        Ok(match transaction {
            Some(transaction) => write(transaction, &table, encoding).map(|result| (result, None)),
            None => write(&mut alone, &table, encoding).map(|result| (result, Some(alone))),
        })
    })?;
    Ok(match done {
        Ok((result, Some(alone))) => alone.commit().await.map(|_| result),
        Ok((result, None)) => Ok(result),
        Err(error) => Err(error),
    })
}
