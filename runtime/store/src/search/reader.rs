//! A read transaction that leads into those of other databases.
//!
//! A relationship may lead from one database to another and back. LMDB allows one read transaction a
//! thread and environment, so whoever needs a database asks the transactions that are open already.

use std::sync::Arc;

use kora_resource::{Id, Record, Result};

use crate::StoreError;
use crate::database::Database;
use crate::environment::{ReadTxn, Trees};
use crate::keys::encode_id;
use crate::layout::{TableId, record_key};
use crate::table::visible_record;

/// One open transaction, and the one within which it was opened.
pub(crate) struct Reader<'r, 'e> {
    database: &'r Arc<Database>,
    pub(super) txn: &'r ReadTxn<'e>,
    pub(super) trees: &'r Trees,
    outer: Option<&'r dyn OpenReader>,
}

/// A reader of any lifetime, as its inner ones see it.
pub(crate) trait OpenReader {
    /// Hands the open transaction on `database` to `read`; `false` if there is none.
    fn offer(
        &self,
        database: &Arc<Database>,
        read: &mut dyn FnMut(&ReadTxn<'_>, &Trees) -> Result<()>,
    ) -> Result<bool>;
}

impl OpenReader for Reader<'_, '_> {
    fn offer(
        &self,
        database: &Arc<Database>,
        read: &mut dyn FnMut(&ReadTxn<'_>, &Trees) -> Result<()>,
    ) -> Result<bool> {
        if Arc::ptr_eq(self.database, database) {
            return read(self.txn, self.trees).map(|()| true);
        }
        match self.outer {
            Some(outer) => outer.offer(database, read),
            None => Ok(false),
        }
    }
}

impl Reader<'_, '_> {
    /// Runs `read` in a snapshot of `database`.
    pub(super) fn open<T>(
        database: &Arc<Database>,
        read: impl FnOnce(&Reader<'_, '_>) -> Result<T>,
    ) -> Result<T> {
        database
            .environment()
            .read(|txn, trees| read(&Reader { database, txn, trees, outer: None }))
    }

    /// Runs `read` in a snapshot of another database, or in this one's.
    pub(super) fn within<T>(
        &self,
        database: &Arc<Database>,
        read: impl FnOnce(&Reader<'_, '_>) -> Result<T>,
    ) -> Result<T> {
        let (mut read, mut answer) = (Some(read), None);
        let outer: &dyn OpenReader = self;
        let found = self.offer(database, &mut |txn, trees| {
            let reader = Reader { database, txn, trees, outer: Some(outer) };
            if let Some(read) = read.take() {
                answer = Some(read(&reader)?);
            }
            Ok(())
        })?;
        match (found, answer, read) {
            (true, Some(answer), _) => Ok(answer),
            (_, _, Some(read)) => database
                .environment()
                .read(|txn, trees| read(&Reader { database, txn, trees, outer: Some(outer) })),
            (_, _, None) => Err(kora_resource::Error::internal("a snapshot was read twice")),
        }
    }

    /// The record with this key.
    pub(super) fn record(&self, table: TableId, id: &Id) -> Result<Option<Record>> {
        // What can't be a key is no record's key.
        let Ok(key) = encode_id(id) else { return Ok(None) };
        match self
            .trees
            .records
            .get(self.txn, &record_key(table, &key))
            .map_err(StoreError::from)?
        {
            None => Ok(None),
            Some(bytes) => visible_record(bytes),
        }
    }
}
