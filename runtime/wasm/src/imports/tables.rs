//! `kora:resource/tables`: the store, as the running call sees it.

use std::sync::Arc;

use futures_util::StreamExt;
use kora_resource::query::from_value;
use kora_resource::{Error, Event, EventValue, Id, Map, Message, Query, Record, Result, Value};
use kora_store::{Subscribe, Table, Transaction};
use wasmtime::component::{Access, Accessor, HasSelf, Resource};

use super::writes::{self, write};
use crate::bindings::kora::resource::tables::{
    Host, HostTable, HostTableWithStore, HostTransaction, HostTransactionWithStore, HostWithStore,
};
use crate::bindings::kora::resource::types::Failure;
use crate::convert::failure;
use crate::encoding::Encoding;
use crate::instance::{State, Writes};
use crate::streams::{self, Encoded, Sequence};

/// A table that a guest has found.
#[derive(Debug)]
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct TableHandle(pub(super) Arc<Table>);

/// A guest's own transaction.
#[derive(Debug)]
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct TransactionHandle(pub(super) Transaction);

type Txn = Option<Resource<TransactionHandle>>;

/// `Err` is what the guest is told; a wasmtime error would be a trap.
type Answer<T> = wasmtime::Result<Result<T, Failure>>;

fn told<T>(result: Result<T>) -> Result<T, Failure> {
    result.map_err(|error| failure(&error))
}

impl Host for State {}

impl<T: Send + 'static> HostWithStore<T> for HasSelf<State> {
    async fn commit(accessor: &Accessor<T, Self>) -> Answer<()> {
        let taken = accessor.with(|mut access| {
            let state = access.get();
            let fresh = state.store.transaction();
            match &mut state.writes {
                Writes::Together(transaction) => Some(std::mem::replace(transaction, fresh)),
                Writes::Apart | Writes::Refused => None,
            }
        });
        let Some(transaction) = taken else { return Ok(Ok(())) };
        Ok(told(transaction.commit().await.map(drop)))
    }
}

impl HostTransaction for State {
    fn new(&mut self) -> wasmtime::Result<Resource<TransactionHandle>> {
        let transaction = self.store.transaction();
        Ok(self.resources.push(TransactionHandle(transaction))?)
    }

    fn drop(&mut self, transaction: Resource<TransactionHandle>) -> wasmtime::Result<()> {
        self.resources.delete(transaction)?;
        Ok(())
    }
}

impl<T: Send + 'static> HostTransactionWithStore<T> for HasSelf<State> {
    async fn commit(accessor: &Accessor<T, Self>, this: Resource<TransactionHandle>) -> Answer<()> {
        let TransactionHandle(transaction) =
            accessor.with(|mut access| access.get().resources.delete(this))?;
        Ok(told(transaction.commit().await.map(drop)))
    }
}

impl HostTable for State {
    fn find(&mut self, database: String, name: String) -> Answer<Resource<TableHandle>> {
        Ok(match self.store.table(&database, &name) {
            Some(table) => Ok(self.resources.push(TableHandle(table))?),
            None => Err(failure(&Error::not_found(format!("there is no table {database}.{name}")))),
        })
    }

    fn get(&mut self, of: Resource<TableHandle>, txn: Txn, id: Vec<u8>) -> Answer<Option<Vec<u8>>> {
        let (table, encoding) = writes::table(self, &of)?;
        let read = |transaction: Option<&mut Transaction>| {
            let id = encoding.decode_id(&id)?;
            let record = match transaction {
                Some(transaction) => transaction.get(&table, &id)?,
                None => table.get(&id)?,
            };
            let encode = |record: Record| match table.shows_derived() {
                // As it is stored: nothing to decode.
                false => encoding.encode_record(&record),
                true => Ok(encoding.encode(&table.show(&record, None)?.unwrap_or_default())),
            };
            record.map(encode).transpose()
        };
        Ok(told(writes::transaction(self, txn.as_ref())?.and_then(read)))
    }

    fn drop(&mut self, table: Resource<TableHandle>) -> wasmtime::Result<()> {
        self.resources.delete(table)?;
        Ok(())
    }
}

impl<T: Send + 'static> HostTableWithStore<T> for HasSelf<State> {
    async fn put(
        accessor: &Accessor<T, Self>,
        to: Resource<TableHandle>,
        txn: Txn,
        id: Vec<u8>,
        record: Vec<u8>,
    ) -> Answer<()> {
        let done = write(accessor, to, txn, |transaction, table, encoding| {
            transaction.put(table, encoding.decode_id(&id)?, encoding.decode_map(&record)?)
        });
        Ok(told(done.await?))
    }

    async fn patch(
        accessor: &Accessor<T, Self>,
        to: Resource<TableHandle>,
        txn: Txn,
        id: Vec<u8>,
        changes: Vec<u8>,
    ) -> Answer<()> {
        let done = write(accessor, to, txn, |transaction, table, encoding| {
            transaction.patch(table, encoding.decode_id(&id)?, encoding.decode_map(&changes)?)
        });
        Ok(told(done.await?))
    }

    async fn create(
        accessor: &Accessor<T, Self>,
        to: Resource<TableHandle>,
        txn: Txn,
        id: Option<Vec<u8>>,
        record: Vec<u8>,
    ) -> Answer<Vec<u8>> {
        let done = write(accessor, to, txn, |transaction, table, encoding| {
            let id = id.map(|id| encoding.decode_id(&id)).transpose()?;
            let id = transaction.create(table, id, encoding.decode_map(&record)?)?;
            Ok(encoding.encode_id(&id))
        });
        Ok(told(done.await?))
    }

    async fn delete(
        accessor: &Accessor<T, Self>,
        of: Resource<TableHandle>,
        txn: Txn,
        id: Vec<u8>,
    ) -> Answer<bool> {
        let done = write(accessor, of, txn, |transaction, table, encoding| {
            transaction.delete(table, &encoding.decode_id(&id)?)
        });
        Ok(told(done.await?))
    }

    async fn publish(
        accessor: &Accessor<T, Self>,
        to: Resource<TableHandle>,
        txn: Txn,
        id: Vec<u8>,
        message: Vec<u8>,
    ) -> Answer<()> {
        let done = write(accessor, to, txn, |transaction, table, encoding| {
            let id = Id::from_value(&encoding.decode(&id, "a key")?)
                .ok_or_else(|| Error::invalid("a topic must be a key"))?;
            transaction.publish(table, id, encoding.decode(&message, "a message")?)
        });
        Ok(told(done.await?))
    }

    fn search(
        mut access: Access<'_, T, Self>,
        of: Resource<TableHandle>,
        txn: Txn,
        query: Vec<u8>,
    ) -> Answer<Sequence<Vec<u8>>> {
        let state = access.get();
        let (table, encoding) = writes::table(state, &of)?;
        let found = |transaction: Option<&mut Transaction>| {
            let query = query_of(&table, &encoding.decode(&query, "a query")?)?;
            match transaction {
                Some(transaction) => transaction.search(&table, query),
                None => table.search(query),
            }
        };
        let found = match writes::transaction(state, txn.as_ref())?.and_then(found) {
            Ok(found) => found,
            Err(error) => return Ok(Err(failure(&error))),
        };
        let rows: Encoded =
            Box::pin(found.into_items().map(move |item| encoding.encode_item(&item?)));
        Ok(Ok(streams::to_guest(access, rows)?))
    }

    fn subscribe(
        mut access: Access<'_, T, Self>,
        of: Resource<TableHandle>,
        options: Vec<u8>,
    ) -> Answer<Sequence<Vec<u8>>> {
        let (table, encoding) = writes::table(access.get(), &of)?;
        let subscription = encoding
            .decode(&options, "the options of a subscription")
            .and_then(|options| table.subscribe(subscribe_of(&options)?));
        let subscription = match subscription {
            Ok(subscription) => subscription,
            Err(error) => return Ok(Err(failure(&error))),
        };
        let events: Encoded = Box::pin(subscription.filter_map(move |message| {
            let event = match message {
                Ok(Message::Event(frame)) => Some(envelope(&frame.event, encoding)),
                // For clients that resume; a guest begins with what is there now.
                Ok(
                    Message::Position(_) | Message::Gap | Message::Value(_) | Message::Raw { .. },
                ) => None,
                Err(error) => Some(Err(error)),
            };
            std::future::ready(event)
        }));
        Ok(Ok(streams::to_guest(access, events)?))
    }
}

fn query_of(table: &Table, value: &Value) -> Result<Query> {
    let mut query = from_value(value)?;
    query.coerce(&table.schema())?;
    Ok(query)
}

fn subscribe_of(options: &Value) -> Result<Subscribe> {
    let flag = |name| matches!(options.get(name), Some(Value::Bool(true)));
    let id = match options.get("id") {
        None | Some(Value::Null) => None,
        Some(id) => {
            Some(Id::from_value(id).ok_or_else(|| Error::invalid("`id` can not be a key"))?)
        }
    };
    Ok(Subscribe {
        id,
        is_collection: flag("isCollection"),
        omit_current: flag("omitCurrent"),
        ..Subscribe::default()
    })
}

/// The event as clients of the table's own socket see it (`spec/harper-realtime.md` section 3.1).
fn envelope(event: &Event, encoding: Encoding) -> Result<Vec<u8>> {
    let value = match &event.value {
        EventValue::Absent => Value::Null,
        EventValue::Message(message) => message.clone(),
        EventValue::Record(record) => Value::Object(record.to_map()?),
    };
    let envelope = Map::from_iter([
        ("id".to_owned(), event.id.to_value()),
        ("localTime".to_owned(), Value::number(event.local_time.0)),
        ("value".to_owned(), value),
        ("version".to_owned(), Value::number(event.version.0)),
        ("type".to_owned(), Value::String(event.kind.name().to_owned())),
    ]);
    Ok(encoding.encode(&Value::Object(envelope)))
}
