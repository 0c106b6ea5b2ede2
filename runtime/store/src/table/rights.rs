//! What the caller of one call may do with a table (`spec/harper-resources.md` section 11).
//!
//! A write that makes a record is an insert, one that changes it an update, whatever the verb is; so
//! callers whose rights differ between the two have the record looked up first, inside the
//! transaction: if it comes or goes before the commit, the commit is refused. Nobody else pays for it.

use std::sync::Arc;

use kora_resource::{Access, Attributes, Context, Error, Id, Map, Query, Result, TableRights};

use super::Table;
use crate::transaction::Transaction;

/// How a write treats what a record has and the write does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unnamed {
    /// PUT: it goes.
    Dropped,
    /// PATCH: it stays.
    Kept,
}

/// The caller of one call to one table.
pub(super) struct Caller {
    table: Arc<Table>,
    context: Arc<Context>,
}

impl Caller {
    pub(super) fn new(table: &Arc<Table>, context: &Arc<Context>) -> Caller {
        Caller { table: Arc::clone(table), context: Arc::clone(context) }
    }

    pub(super) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// A transaction on the caller's behalf.
    pub(super) fn begin(&self) -> Transaction {
        Transaction::in_context(Arc::clone(&self.context))
    }

    /// A transaction whose events carry what the caller says about them. A record whose message has an
    /// end has it, too.
    pub(super) fn begin_described(&self) -> Transaction {
        let mut transaction = self.begin();
        if let Some(properties) = &self.context.properties {
            transaction.expire_at(properties.expires);
            transaction.describe(Some(Arc::clone(properties)));
        }
        transaction
    }

    fn rights(&self) -> TableRights<'_> {
        if !self.context.authorize {
            return TableRights::All;
        }
        match &self.context.user {
            Some(user) => user.rights(self.table.database(), self.table.name()),
            None => TableRights::Nothing,
        }
    }

    /// 401 or 403 unless the caller has this access to the table.
    pub(super) fn require(&self, access: Access) -> Result<()> {
        if self.rights().may(access) { Ok(()) } else { Err(Error::access(&self.context)) }
    }

    /// 401 or 403 if the caller may neither make nor change records.
    pub(super) fn require_write(&self) -> Result<()> {
        let rights = self.rights();
        if rights.may(Access::Insert) { Ok(()) } else { self.require(Access::Update) }
    }

    /// The attributes that the caller may read; 401 or 403 if there is nothing to read at all.
    pub(super) fn readable(&self) -> Result<Attributes> {
        self.require(Access::Read)?;
        Ok(self.rights().attributes(Access::Read))
    }

    /// Makes a query show only what the caller may read, here and by way of relationships.
    pub(super) fn restrict(&self, query: &mut Query) -> Result<()> {
        self.readable()?.restrict(query, &self.table.schema().primary_key)?;
        self.restrict_related(query)
    }

    fn restrict_related(&self, query: &mut Query) -> Result<()> {
        match &self.context.user {
            Some(user) if self.context.authorize => {
                self.table.restrict_related(query, &user.role.permission)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The conditions of a query that chooses what is deleted must not tell of what is withheld.
    pub(super) fn restrict_choice(&self, query: &mut Query) -> Result<()> {
        let attributes = self.rights().attributes(Access::Read);
        attributes.restrict(query, &self.table.schema().primary_key)?;
        self.restrict_related(query)
    }

    /// Checks a write of `record` to `id`, and gives the record back what the caller may not change.
    pub(super) fn write(
        &self,
        transaction: &mut Transaction,
        id: &Id,
        record: &mut Map,
        unnamed: Unnamed,
    ) -> Result<()> {
        let rights = self.rights();
        let may_both = rights.may(Access::Insert) && rights.may(Access::Update);
        let updatable = rights.attributes(Access::Update);
        let all =
            rights.attributes(Access::Insert) == Attributes::All && updatable == Attributes::All;
        if may_both && all {
            return Ok(());
        }
        let key = &self.table.schema().primary_key;
        match transaction.get(&self.table, id)? {
            None => self.insert(record),
            Some(current) => {
                self.require(Access::Update)?;
                updatable.require_all(record, key)?;
                if unnamed == Unnamed::Dropped {
                    updatable.preserve(record, &current.to_map()?);
                }
                Ok(())
            }
        }
    }

    /// Checks a write that makes a record.
    pub(super) fn insert(&self, record: &Map) -> Result<()> {
        self.require(Access::Insert)?;
        let attributes = self.rights().attributes(Access::Insert);
        attributes.require_all(record, &self.table.schema().primary_key)
    }

    /// Checks a message: to a record it is an update, to the whole table an insert.
    pub(super) fn publish(&self, id: &Id, message: Option<&Map>) -> Result<()> {
        let access = match id {
            Id::Null => Access::Insert,
            _ => Access::Update,
        };
        self.require(access)?;
        let attributes = self.rights().attributes(access);
        match message {
            Some(message) => attributes.require_all(message, &self.table.schema().primary_key),
            None => Ok(()),
        }
    }
}
