//! The host of native tests: tables in memory, one world a thread.
//!
//! It keeps the contract that resources see (transactions, 404 for unknown tables, 409 for existing records, events
//! for subscribers), without schemas: any record fits any table.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;

use futures_core::Stream;
use futures_util::StreamExt;
use rmpv::Value;

use crate::http::{Request, Response};
use crate::log::Level;
use crate::{Error, Result};

/// A sequence from the host, each item encoded.
pub(crate) type Sequence = Pin<Box<dyn Stream<Item = Result<Vec<u8>>>>>;

type Txn<'a> = Option<&'a crate::Transaction>;
type TableName = (String, String);
pub(crate) type Answer = Box<dyn Fn(Request) -> Result<Response>>;

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

/// Everything that one thread's double knows.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) tables: HashMap<TableName, Records>,
    pub(crate) logged: Vec<(Level, String)>,
    pub(crate) config: Option<String>,
    pub(crate) http: Option<Answer>,
    subscribers: Vec<(TableName, Option<Value>, futures_channel::mpsc::UnboundedSender<Vec<u8>>)>,
    made: u64,
    clock: f64,
}

/// Records by the text of their keys, so that they have an order.
pub(crate) type Records = BTreeMap<String, (Value, Value)>;

pub(crate) fn world<R>(f: impl FnOnce(&mut World) -> R) -> R {
    WORLD.with(|world| f(&mut world.borrow_mut()))
}

#[derive(Debug, Clone)]
pub(crate) struct Table(TableName);

/// Changes that wait for their commit, in order.
#[derive(Debug, Default)]
pub(crate) struct Transaction(RefCell<Vec<(TableName, Change)>>);

#[derive(Debug, Clone)]
enum Change {
    Put(Value, Value),
    Delete(Value),
    Message(Value, Value),
}

fn decode(bytes: &[u8]) -> Result<Value> {
    rmpv::decode::read_value(&mut &bytes[..]).map_err(Error::internal)
}

fn encode(value: &Value) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, value).map_err(Error::internal)?;
    Ok(bytes)
}

impl Table {
    pub(crate) fn find(database: &str, name: &str) -> Result<Table> {
        let table = (database.to_owned(), name.to_owned());
        match world(|world| world.tables.contains_key(&table)) {
            true => Ok(Table(table)),
            false => Err(Error::not_found(format!("there is no table {database}.{name}"))),
        }
    }

    /// The records as a transaction sees them.
    fn records(&self, txn: Txn<'_>) -> Result<Records> {
        let mut records = world(|world| world.tables.get(&self.0).cloned().unwrap_or_default());
        if let Some(transaction) = txn {
            let taken = transaction.take()?;
            for (table, change) in taken.0.borrow().iter() {
                if *table == self.0 {
                    apply(&mut records, change.clone());
                }
            }
            transaction.give_back(taken);
        }
        Ok(records)
    }

    fn change(&self, txn: Txn<'_>, change: Change) -> Result<()> {
        match txn {
            None => commit(&self.0, change),
            Some(transaction) => {
                let taken = transaction.take()?;
                taken.0.borrow_mut().push((self.0.clone(), change));
                transaction.give_back(taken);
                Ok(())
            }
        }
    }

    pub(crate) fn get(&self, txn: Txn<'_>, id: Vec<u8>) -> Result<Option<Vec<u8>>> {
        let id = decode(&id)?;
        self.records(txn)?.get(&id.to_string()).map(|(_, record)| encode(record)).transpose()
    }

    #[allow(clippy::unused_async, reason = "the real host waits here")]
    pub(crate) async fn put(&self, txn: Txn<'_>, id: Vec<u8>, record: Vec<u8>) -> Result<()> {
        self.change(txn, Change::Put(decode(&id)?, decode(&record)?))
    }

    #[allow(clippy::unused_async, reason = "the real host waits here")]
    pub(crate) async fn patch(&self, txn: Txn<'_>, id: Vec<u8>, changes: Vec<u8>) -> Result<()> {
        let id = decode(&id)?;
        let old = self.records(txn)?.get(&id.to_string()).map(|(_, record)| record.clone());
        self.change(txn, Change::Put(id, merge(old, decode(&changes)?)))
    }

    #[allow(clippy::unused_async, reason = "the real host waits here")]
    pub(crate) async fn create(
        &self,
        txn: Txn<'_>,
        id: Option<Vec<u8>>,
        record: Vec<u8>,
    ) -> Result<Vec<u8>> {
        let mut record = decode(&record)?;
        let id = match id {
            Some(id) => decode(&id)?,
            None => match property(&record, "id") {
                Value::Nil => made_id(),
                id => id,
            },
        };
        if self.records(txn)?.contains_key(&id.to_string()) {
            return Err(Error::conflict("Record already exists"));
        }
        if let Value::Map(pairs) = &mut record {
            pairs.retain(|(name, _)| name.as_str() != Some("id"));
            pairs.insert(0, ("id".into(), id.clone()));
        }
        self.change(txn, Change::Put(id.clone(), record))?;
        encode(&id)
    }

    #[allow(clippy::unused_async, reason = "the real host waits here")]
    pub(crate) async fn delete(&self, txn: Txn<'_>, id: Vec<u8>) -> Result<bool> {
        let id = decode(&id)?;
        let existed = self.records(txn)?.contains_key(&id.to_string());
        self.change(txn, Change::Delete(id))?;
        Ok(existed)
    }

    #[allow(clippy::unused_async, reason = "the real host waits here")]
    pub(crate) async fn publish(&self, txn: Txn<'_>, id: Vec<u8>, message: Vec<u8>) -> Result<()> {
        self.change(txn, Change::Message(decode(&id)?, decode(&message)?))
    }

    pub(crate) fn search(&self, txn: Txn<'_>, query: Vec<u8>) -> Result<Sequence> {
        let query = decode(&query)?;
        let mut found: Vec<Value> =
            self.records(txn)?.into_values().map(|(_, record)| record).collect();
        for condition in items(property(&query, "conditions")) {
            let attribute = property(&condition, "attribute");
            let comparator = property(&condition, "comparator");
            let value = property(&condition, "value");
            let (attribute, comparator) =
                (attribute.as_str().unwrap_or_default(), comparator.as_str().unwrap_or("equals"));
            found.retain(|record| matches(&property(record, attribute), comparator, &value));
        }
        let sort = property(&query, "sort");
        if let Some(attribute) = property(&sort, "attribute").as_str() {
            found.sort_by(|a, b| compare(&property(a, attribute), &property(b, attribute)));
            if property(&sort, "descending") == Value::Boolean(true) {
                found.reverse();
            }
        }
        let select = items(property(&query, "select"));
        if !select.is_empty() {
            for record in &mut found {
                if let Value::Map(pairs) = record {
                    pairs.retain(|(name, _)| select.contains(name));
                }
            }
        }
        let count = |name| property(&query, name).as_u64().map(|count| count as usize);
        let found = found
            .into_iter()
            .skip(count("offset").unwrap_or(0))
            .take(count("limit").unwrap_or(usize::MAX))
            .map(|record| encode(&record));
        Ok(Box::pin(futures_util::stream::iter(found.collect::<Vec<_>>())))
    }

    pub(crate) fn subscribe(&self, options: Vec<u8>) -> Result<Sequence> {
        let options = decode(&options)?;
        let id = Some(property(&options, "id")).filter(|id| *id != Value::Nil);
        let (sender, receiver) = futures_channel::mpsc::unbounded();
        if property(&options, "omitCurrent") != Value::Boolean(true) {
            for (key, record) in self.records(None)?.into_values() {
                if id.as_ref().is_none_or(|id| *id == key) {
                    // The receiver is at hand.
                    let _ = sender.unbounded_send(event("put", &key, record)?);
                }
            }
        }
        world(|world| world.subscribers.push((self.0.clone(), id, sender)));
        Ok(Box::pin(receiver.map(Ok)))
    }
}

impl Transaction {
    pub(crate) fn begin() -> Transaction {
        Transaction::default()
    }

    #[allow(clippy::unused_async, reason = "the real host waits here")]
    pub(crate) async fn commit(self) -> Result<()> {
        self.0.into_inner().into_iter().try_for_each(|(table, change)| commit(&table, change))
    }
}

fn apply(records: &mut Records, change: Change) {
    match change {
        Change::Put(id, record) => drop(records.insert(id.to_string(), (id, record))),
        Change::Delete(id) => drop(records.remove(&id.to_string())),
        Change::Message(..) => {}
    }
}

fn commit(table: &TableName, change: Change) -> Result<()> {
    let (id, bytes) = match &change {
        Change::Put(id, record) => (id.clone(), event("put", id, record.clone())?),
        Change::Delete(id) => (id.clone(), event("delete", id, Value::Nil)?),
        Change::Message(id, message) => (id.clone(), event("message", id, message.clone())?),
    };
    world(|world| {
        apply(world.tables.entry(table.clone()).or_default(), change);
        world.subscribers.retain(|(of, wanted, sender)| {
            let concerned = of == table && wanted.as_ref().is_none_or(|wanted| *wanted == id);
            !concerned || sender.unbounded_send(bytes.clone()).is_ok()
        });
    });
    Ok(())
}

fn event(kind: &str, id: &Value, value: Value) -> Result<Vec<u8>> {
    let now = now();
    encode(&Value::Map(vec![
        ("id".into(), id.clone()),
        ("localTime".into(), now.into()),
        ("value".into(), value),
        ("version".into(), now.into()),
        ("type".into(), kind.into()),
    ]))
}

fn property(value: &Value, name: &str) -> Value {
    let pairs = value.as_map().map(Vec::as_slice).unwrap_or_default();
    let found = pairs.iter().find(|(key, _)| key.as_str() == Some(name));
    found.map_or(Value::Nil, |(_, value)| value.clone())
}

fn items(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

fn merge(old: Option<Value>, changes: Value) -> Value {
    let mut pairs = match old {
        Some(Value::Map(pairs)) => pairs,
        _ => Vec::new(),
    };
    let Value::Map(changes) = changes else { return Value::Map(pairs) };
    for (name, change) in changes {
        let old = pairs.iter().position(|(key, _)| *key == name).map(|at| pairs.remove(at).1);
        let value = match property(&change, "__op__").as_str() {
            Some("add") => {
                let sum = |value: &Value| value.as_i64().unwrap_or(0);
                (old.as_ref().map_or(0, sum) + sum(&property(&change, "value"))).into()
            }
            _ => change,
        };
        pairs.push((name, value));
    }
    Value::Map(pairs)
}

fn matches(found: &Value, comparator: &str, wanted: &Value) -> bool {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match comparator {
        "equals" => compare(found, wanted) == Equal,
        "not_equal" => compare(found, wanted) != Equal,
        "greater_than" => compare(found, wanted) == Greater,
        "greater_than_equal" => compare(found, wanted) != Less,
        "less_than" => compare(found, wanted) == Less,
        "less_than_equal" => compare(found, wanted) != Greater,
        "contains" => text(found).contains(&text(wanted)),
        "starts_with" => text(found).starts_with(&text(wanted)),
        "ends_with" => text(found).ends_with(&text(wanted)),
        _ => false,
    }
}

fn compare(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => a.to_string().cmp(&b.to_string()),
    }
}

fn made_id() -> Value {
    world(|world| {
        world.made += 1;
        format!("made-{}", world.made).into()
    })
}

/// A clock that moves one millisecond a look: tests see the same times each run.
pub(crate) fn now() -> f64 {
    world(|world| {
        world.clock += 1.0;
        world.clock
    })
}

#[allow(clippy::unused_async, reason = "the real host waits here")]
pub(crate) async fn sleep(milliseconds: f64) {
    world(|world| world.clock += milliseconds);
}

pub(crate) fn random(count: u32) -> Vec<u8> {
    world(|world| {
        world.made += 1;
        let seed = world.made;
        (0..u64::from(count)).map(|n| (seed.wrapping_mul(31).wrapping_add(n * 7)) as u8).collect()
    })
}

pub(crate) fn config() -> String {
    world(|world| world.config.clone()).unwrap_or_else(|| "null".to_owned())
}

pub(crate) fn log(level: Level, message: String) {
    world(|world| world.logged.push((level, message)));
}

#[allow(clippy::unused_async, reason = "the real host waits here")]
pub(crate) async fn fetch(request: Request) -> Result<Response> {
    let url = request.url.clone();
    let answer = world(|world| world.http.take());
    let Some(answer) = answer else {
        return Err(Error::forbidden(format!(
            "no answer for {url}: set one with testing::on_fetch"
        )));
    };
    let response = answer(request);
    // Unless the answer has set another one.
    world(|world| {
        world.http.get_or_insert(answer);
    });
    response
}
