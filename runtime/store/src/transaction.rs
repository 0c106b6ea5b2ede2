//! A transaction as its caller sees it: a write set in the making.
//!
//! Reads see the newest committed records with the transaction's own changes over them; their
//! versions are remembered (see [`crate::reads`]). Nothing is written before [`Transaction::commit`], and dropping the
//! transaction is its rollback. Each database commits by itself, in the order of its first use; as in
//! Harper there is no atomicity across databases (`spec/harper-resources.md` section 8). What a
//! search returned is checked at commit; records that *would* have matched are not (no predicate
//! locks).

use std::sync::Arc;

use kora_resource::schema::ValidateMode;
use kora_resource::{
    Context, Error, Id, Map, MessageProperties, Query, Record, Result, Seq, Value, Version,
};

use crate::Table;
use crate::database::Database;
use crate::keys::encode_id;
use crate::merge::{increment, merge};
use crate::reads;
use crate::search::{Overlay, Search};
use crate::source::{SourceChange, SourceMethod};
use crate::write_set::{Content, Op, Write, WriteSet};

/// Changes that are committed together. Begun by [`crate::Store::transaction`].
#[derive(Debug, Default)]
#[must_use = "nothing is written before `commit`"]
pub struct Transaction {
    sets: Vec<(Arc<Database>, WriteSet)>,
    /// Of the request that it belongs to, for sources that are written through.
    context: Arc<Context>,
    /// When the records that are written from here on end.
    expires: Option<f64>,
    /// What is said about its changes.
    properties: Option<Arc<MessageProperties>>,
    door: Door,
}

/// What a transaction does to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    Untouched,
    /// It is to be loaded anew.
    Invalidated,
    /// It is to be read from the transaction.
    Changed,
}

/// By which way changes come to a caching table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Door {
    /// From clients and code: the table's source hears of them first.
    #[default]
    Front,
    /// From the source itself.
    Source,
}

/// Where a transaction's changes stand in the log of the last database it wrote to; `None` if it has
/// changed nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Committed {
    /// The version that all its changes share.
    pub version: Option<Version>,
    /// The position of its last change.
    pub seq: Option<Seq>,
}

impl Transaction {
    /// A transaction on behalf of a request.
    pub fn in_context(context: Arc<Context>) -> Transaction {
        Transaction { context, ..Transaction::default() }
    }

    /// A transaction whose changes come from the tables' sources, which need not be told of them.
    pub fn from_source() -> Transaction {
        Transaction { door: Door::Source, ..Transaction::default() }
    }

    /// The record with this key, own changes included.
    pub fn get(&mut self, table: &Arc<Table>, id: &Id) -> Result<Option<Record>> {
        let key = encode_id(id)?;
        let set = self.set(table);
        let since = set.reads.is_full().then(|| table.owner().head()).transpose()?;
        let stored = table.get(id)?;
        set.reads.note(table, &key, stored.as_ref().map(Record::version), since);
        match set.writes.get(&(table.id(), key)) {
            None => Ok(stored),
            Some(write) => overlaid(table, id, stored, &write.op),
        }
    }

    /// Writes the whole record; the key is `id` whatever the record says. 400 with all problems if it
    /// does not fit the schema (`spec/harper-schema.md` section 5).
    pub fn put(&mut self, table: &Arc<Table>, id: Id, mut record: Map) -> Result<()> {
        check_id(&id)?;
        let definition = table.definition();
        definition.key_first(&mut record, &id);
        definition.schema.validate(&mut record, ValidateMode::Full)?;
        self.write(table, id, Op::Put(Content::new(record)))
    }

    /// Writes a new record and answers its key: `id`, else the one in the record, else a generated
    /// one. 409 if there is such a record, now or at commit.
    pub fn create(&mut self, table: &Arc<Table>, id: Option<Id>, mut record: Map) -> Result<Id> {
        let definition = table.definition();
        let named = || record.get(&definition.schema.primary_key).filter(|key| !key.is_null());
        let id = match (id, named()) {
            (Some(id), _) => id,
            (None, Some(key)) => key_of(key)?,
            (None, None) => table.generate_id()?,
        };
        check_id(&id)?;
        let key = encode_id(&id)?;
        let written = self.set(table).writes.get(&(table.id(), key));
        let exists = match written.map(|write| &write.op) {
            Some(Op::Put(_) | Op::Create(_) | Op::Patch(_)) => true,
            Some(Op::Delete) => false,
            // Invalidated, or the store's own, which are never in a transaction.
            Some(Op::Invalidate | Op::Fill(..) | Op::Expire(_) | Op::Evict(_)) => false,
            None => table.get(&id)?.is_some(),
        };
        if exists {
            return Err(Error::conflict("Record already exists"));
        }
        definition.key_first(&mut record, &id);
        definition.schema.validate(&mut record, ValidateMode::Full)?;
        self.write(table, id.clone(), Op::Create(Content::new(record)))?;
        Ok(id)
    }

    /// Merges properties into the record, one level deep; makes the record if there is none. 400 if
    /// they do not fit the schema, at commit if the record that they make does not.
    pub fn patch(&mut self, table: &Arc<Table>, id: Id, changes: Map) -> Result<()> {
        check_id(&id)?;
        let definition = table.definition();
        // Increments are checked by their sums, which only the writer knows.
        let (increments, mut plain): (Map, Map) =
            changes.into_iter().partition(|(_, change)| increment(change).is_some());
        plain.shift_remove(&definition.schema.primary_key);
        definition.schema.validate(&mut plain, ValidateMode::Partial)?;
        plain.extend(increments);
        let place = (table.id(), encode_id(&id)?);
        match self.set(table).writes.get(&place).map(|write| &write.op) {
            // There is nothing left to merge into.
            Some(Op::Delete | Op::Invalidate) => {
                let mut record = Map::new();
                merge(&mut record, plain);
                self.put(table, id, record)
            }
            Some(
                Op::Put(_)
                | Op::Create(_)
                | Op::Patch(_)
                | Op::Fill(..)
                | Op::Expire(_)
                | Op::Evict(_),
            )
            | None => self.write(table, id, Op::Patch(plain)),
        }
    }

    /// Removes the record and answers whether there was one.
    pub fn delete(&mut self, table: &Arc<Table>, id: &Id) -> Result<bool> {
        let key = encode_id(id)?;
        let written = self.set(table).writes.get(&(table.id(), key));
        let existed = match written.map(|write| &write.op) {
            Some(Op::Put(_) | Op::Create(_) | Op::Patch(_)) => true,
            Some(Op::Delete) => false,
            // Invalidated, or the store's own, which are never in a transaction.
            Some(Op::Invalidate | Op::Fill(..) | Op::Expire(_) | Op::Evict(_)) => false,
            None => table.get(id)?.is_some(),
        };
        self.write(table, id.clone(), Op::Delete)?;
        Ok(existed)
    }

    /// Marks the record as no longer good: a caching table asks its source at the next read, in any
    /// other table it is gone. Nothing if there is none.
    pub fn invalidate(&mut self, table: &Arc<Table>, id: &Id) -> Result<()> {
        self.write(table, id.clone(), Op::Invalidate)
    }

    /// Sends a message to the subscribers of `id` ([`Id::Null`]: of the whole table); no record
    /// changes. Objects must fit the schema (`spec/harper-realtime.md` section 3.2).
    pub fn publish(&mut self, table: &Arc<Table>, id: Id, message: Value) -> Result<()> {
        let key = encode_id(&id)?;
        let message = match message {
            Value::Object(mut map) => {
                table.schema().validate(&mut map, ValidateMode::Full)?;
                Value::Object(map)
            }
            other => other,
        };
        self.set(table).messages.push((Arc::clone(table), id, key, message));
        Ok(())
    }

    /// Begins a search that sees the transaction's own changes. The records that it returns count as
    /// read.
    pub fn search(&mut self, table: &Arc<Table>, query: Query) -> Result<Search> {
        let set = self.set(table);
        let may_be_many = query.limit.is_none_or(|limit| limit > reads::EACH);
        let since =
            (may_be_many || set.reads.is_full()).then(|| table.owner().head()).transpose()?;
        let mut overlay = Overlay::noting(set.reads.clone(), since);
        for ((in_table, key), write) in &set.writes {
            if *in_table == table.id() {
                let stored = table.get(&write.id)?;
                let record = overlaid(table, &write.id, stored, &write.op)?;
                overlay.insert(key.clone(), record);
            }
        }
        Search::new(Arc::clone(table), query, overlay)
    }

    /// What it does to the record.
    pub fn pending(&self, table: &Arc<Table>, id: &Id) -> Result<Pending> {
        Ok(match self.written(table, id)? {
            None => Pending::Untouched,
            Some(Op::Invalidate) => Pending::Invalidated,
            Some(_) => Pending::Changed,
        })
    }

    fn written(&self, table: &Arc<Table>, id: &Id) -> Result<Option<&Op>> {
        let place = (table.id(), encode_id(id)?);
        let of = |database: &Arc<Database>| Arc::ptr_eq(database, table.owner());
        let set = self.sets.iter().find(|(database, _)| of(database));
        Ok(set.and_then(|(_, set)| set.writes.get(&place)).map(|write| &write.op))
    }

    /// Has the records that are written from here on end at a time of their own, in milliseconds
    /// since the epoch, instead of when their table says (`None`).
    pub fn expire_at(&mut self, time: Option<f64>) {
        self.expires = time;
    }

    /// Has the events of its changes carry what their publisher says about them. To be called before
    /// the first change.
    pub(crate) fn describe(&mut self, properties: Option<Arc<MessageProperties>>) {
        self.properties = properties;
    }

    /// Whether there is such a record, own changes included. Unlike [`Transaction::get`] it does not
    /// count as read: a change of the record is no conflict.
    pub fn exists(&self, table: &Arc<Table>, id: &Id) -> Result<bool> {
        match self.written(table, id)? {
            Some(Op::Put(_) | Op::Create(_) | Op::Patch(_)) => Ok(true),
            Some(Op::Delete) => Ok(false),
            // Invalidated, or the store's own, which are never in a transaction.
            Some(Op::Invalidate | Op::Fill(..) | Op::Expire(_) | Op::Evict(_)) => Ok(false),
            None => table.exists(id),
        }
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.sets.iter().all(|(_, set)| set.is_empty())
    }

    /// Commits, acknowledged as the store's durability promises. 409 if what was read has changed
    /// or what is created exists. Once polled, dropping the future abandons only the answer.
    pub async fn commit(self) -> Result<Committed> {
        if self.door == Door::Front {
            for (_, set) in &self.sets {
                write_through(set, &self.context).await?;
            }
        }
        let mut committed = Committed::default();
        for (database, set) in self.sets {
            if !set.is_empty() {
                committed = database.commit(set).await?;
            }
        }
        Ok(committed)
    }

    /// How many records it remembers one by one.
    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        self.sets.iter().map(|(_, set)| set.reads.len()).sum()
    }

    /// A change without the checks that are made when it is asked for.
    #[cfg(test)]
    pub(crate) fn force(&mut self, table: &Arc<Table>, id: Id, op: Op) {
        self.write(table, id, op).expect("a short id");
    }

    fn write(&mut self, table: &Arc<Table>, id: Id, op: Op) -> Result<()> {
        let key = encode_id(&id)?;
        let expires = self.expires;
        self.set(table).add(key, Write { table: Arc::clone(table), id, op, expires });
        Ok(())
    }

    fn set(&mut self, table: &Arc<Table>) -> &mut WriteSet {
        let of = |database: &Arc<Database>| Arc::ptr_eq(database, table.owner());
        let at = self.sets.iter().position(|(database, _)| of(database)).unwrap_or_else(|| {
            let set = WriteSet { properties: self.properties.clone(), ..WriteSet::default() };
            self.sets.push((Arc::clone(table.owner()), set));
            self.sets.len() - 1
        });
        &mut self.sets[at].1
    }
}

/// Tells the sources of caching tables of the changes, in order; the first that refuses ends it.
async fn write_through(set: &WriteSet, context: &Arc<Context>) -> Result<()> {
    for write in set.writes.values() {
        let Some(source) = write.table.source() else { continue };
        let change = match &write.op {
            Op::Put(content) | Op::Create(content) if source.has(SourceMethod::Put) => {
                SourceChange::Put(content.map.clone())
            }
            Op::Patch(changes) if source.has(SourceMethod::Patch) => {
                SourceChange::Patch(changes.clone())
            }
            Op::Patch(_) if source.has(SourceMethod::Put) => {
                let stored = write.table.get(&write.id)?;
                match overlaid(&write.table, &write.id, stored, &write.op)? {
                    Some(record) => SourceChange::Put(record.to_map()?),
                    None => continue,
                }
            }
            Op::Delete if source.has(SourceMethod::Delete) => SourceChange::Delete,
            Op::Put(_) | Op::Create(_) | Op::Patch(_) | Op::Delete => continue,
            Op::Fill(..) | Op::Invalidate | Op::Expire(_) | Op::Evict(_) => continue,
        };
        source.write(write.id.clone(), change, Arc::clone(context)).await?;
    }
    Ok(())
}

/// The record that a pending change makes of a stored one. Its version is that of the stored record:
/// it gets its own at commit, and so do the times that the host assigns.
fn overlaid(table: &Table, id: &Id, stored: Option<Record>, op: &Op) -> Result<Option<Record>> {
    let (version, created) = match &stored {
        Some(record) => (record.version(), record.created()),
        None => Default::default(),
    };
    let map = match op {
        Op::Put(content) | Op::Create(content) | Op::Fill(content, _) => content.map.clone(),
        Op::Patch(changes) => {
            let mut map = stored.map(|record| record.to_map()).transpose()?.unwrap_or_default();
            merge(&mut map, changes.clone());
            table.definition().key_first(&mut map, id);
            map
        }
        Op::Delete | Op::Invalidate | Op::Expire(_) | Op::Evict(_) => return Ok(None),
    };
    Ok(Some(Record::new(&map, version, created, None)))
}

/// The id that stands in a record.
pub(crate) fn key_of(value: &Value) -> Result<Id> {
    Id::from_value(value)
        .ok_or_else(|| Error::invalid("A primary key must be a string, a number or an array"))
}

/// A key that a record may have: null stands only for the root topic, or within an array.
fn check_id(id: &Id) -> Result<()> {
    match id {
        Id::Null => Err(Error::invalid("A record must have a primary key that is not null")),
        Id::Bool(_) | Id::Number(_) | Id::BigInt(_) | Id::String(_) | Id::Array(_) => Ok(()),
    }
}
