//! Tables, typed.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::encoding::{decode, encode};
use crate::transaction::Transaction;
use crate::{Id, Query, Result, Subscribe, host};

/// A table whose records are `T`. Reads take microseconds and do not wait.
#[derive(Debug)]
pub struct Table<T> {
    handle: host::Table,
    name: String,
    transaction: Option<Transaction>,
    record: PhantomData<fn() -> T>,
}

impl<T> Table<T> {
    /// The table of this name: `Dog`, or `pets.Dog` in another database than `data`. 404 if there is none.
    pub fn find(name: &str) -> Result<Table<T>> {
        let (database, table) = name.split_once('.').unwrap_or(("data", name));
        let handle = host::Table::find(database, table)?;
        Ok(Table { handle, name: name.to_owned(), transaction: None, record: PhantomData })
    }

    /// The same table, with all that is done through it belonging to `transaction`.
    #[must_use]
    pub fn within(mut self, transaction: &Transaction) -> Table<T> {
        self.transaction = Some(transaction.clone());
        self
    }

    /// Whether there was such a record.
    pub async fn delete(&self, id: impl Into<Id>) -> Result<bool> {
        self.handle.delete(self.transaction.as_ref(), encode(&id.into())?).await
    }

    /// An event for the subscribers of `id` that changes no record.
    pub async fn publish(&self, id: impl Into<Id>, message: &impl Serialize) -> Result<()> {
        let (id, message) = (encode(&id.into())?, encode(message)?);
        self.handle.publish(self.transaction.as_ref(), id, message).await
    }

    /// Merges `changes` into the record; makes it if there is none.
    pub async fn patch(&self, id: impl Into<Id>, changes: &impl Serialize) -> Result<()> {
        let (id, changes) = (encode(&id.into())?, encode(changes)?);
        self.handle.patch(self.transaction.as_ref(), id, changes).await
    }

    /// Adds `amount` to a number. Concurrent additions never refuse each other.
    pub async fn add_to(&self, id: impl Into<Id>, attribute: &str, amount: i64) -> Result<()> {
        let increment = serde_json::json!({attribute: {"__op__": "add", "value": amount}});
        self.patch(id, &increment).await
    }
}

impl<T: Serialize> Table<T> {
    /// Writes the whole record.
    pub async fn put(&self, id: impl Into<Id>, record: &T) -> Result<()> {
        let (id, record) = (encode(&id.into())?, encode(record)?);
        self.handle.put(self.transaction.as_ref(), id, record).await
    }

    /// Makes a record, with the key that it holds or a new one. 409 if there is one already.
    pub async fn create(&self, record: &impl Serialize) -> Result<Id> {
        let id = self.handle.create(self.transaction.as_ref(), None, encode(record)?).await?;
        decode(&id, "the key", 500)
    }
}

impl<T: DeserializeOwned> Table<T> {
    pub fn get(&self, id: impl Into<Id>) -> Result<Option<T>> {
        let record = self.handle.get(self.transaction.as_ref(), encode(&id.into())?)?;
        record.map(|record| decode(&record, &self.describe(), 500)).transpose()
    }

    /// The records that match, read as they are asked for.
    pub fn search(&self, query: &Query) -> Result<Rows<T>> {
        let rows = self.handle.search(self.transaction.as_ref(), encode(query)?)?;
        Ok(Rows { rows, what: self.describe(), row: PhantomData })
    }

    /// The current records, then each change.
    pub fn subscribe(&self, options: &Subscribe) -> Result<Events<T>> {
        let events = self.handle.subscribe(encode(options)?)?;
        Ok(Events { events, what: format!("an event of {}", self.name), value: PhantomData })
    }

    fn describe(&self) -> String {
        format!("a record of {}", self.name)
    }
}

/// Rows of a search.
pub struct Rows<T> {
    rows: host::Sequence,
    what: String,
    row: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Stream for Rows<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        let next = std::task::ready!(self.rows.as_mut().poll_next(cx));
        Poll::Ready(next.map(|row| decode(&row?, &self.what, 500)))
    }
}

/// What happened to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    Put,
    Patch,
    Delete,
    /// Published; no record changed.
    Message,
    Invalidate,
    /// The record no longer satisfies the conditions of the subscription.
    Leave,
}

/// One change, as clients see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event<T> {
    pub id: Id,
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// The record after the change, or the message; `None` after a delete.
    pub value: Option<T>,
    /// Milliseconds since 1970.
    pub version: f64,
    pub local_time: f64,
}

/// Events of a subscription. Dropping it unsubscribes.
pub struct Events<T> {
    events: host::Sequence,
    what: String,
    value: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Stream for Events<T> {
    type Item = Result<Event<T>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = std::task::ready!(self.events.as_mut().poll_next(cx));
        Poll::Ready(next.map(|event| decode(&event?, &self.what, 500)))
    }
}
