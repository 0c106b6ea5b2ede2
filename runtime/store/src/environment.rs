//! One LMDB environment and the rules that make it sound; the only module with `unsafe` code.
//!
//! LMDB's map may be resized only while no transaction is open in the process. Every transaction is
//! therefore opened below a shared guard ([`Environment::read`], [`Environment::write`]) and
//! [`Environment::grow`] takes the exclusive one. Transactions live inside a closure; read
//! transactions use thread-local reader slots, which LMDB reuses without a lock and which make the
//! transaction `!Send`: the compiler refuses to carry one across an `await`. Reads must not nest on
//! one thread (LMDB answers `BadRslot`, a 500).
//!
//! All tables of a database share four named databases; keys begin with the number of their table or
//! index. Opening a read transaction costs LMDB time by the number of *possible* named databases, and
//! there is no limit on tables this way.

use std::path::{Path, PathBuf};

use heed::types::Bytes;
use heed::{CommitOrAbort, Env, EnvFlags, EnvOpenOptions, RoTxn, RwTxn, WithTls};
use parking_lot::RwLock;

use crate::{Durability, StoreError, StoreOptions};

/// A named database of raw keys and values.
pub(crate) type Tree = heed::Database<'static, Bytes, Bytes>;

/// The named databases of one environment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trees {
    /// Format, epoch, last version, the catalogue.
    pub meta: Tree,
    /// `Seq` (u64 BE) -> log entry.
    pub log: Tree,
    /// Table (u32 BE), id -> record.
    pub records: Tree,
    /// Index (u32 BE), value, id -> nothing, or the id where the key holds only part of it.
    pub indexes: Tree,
}

const TREES: u32 = 4;

/// The reading side of any transaction.
pub(crate) type ReadTxn<'a> = RoTxn<'a>;

/// An open LMDB environment.
#[derive(Debug)]
pub(crate) struct Environment {
    env: Env<WithTls>,
    trees: Trees,
    path: PathBuf,
    /// Shared by every open transaction; exclusive while the map is resized.
    gate: RwLock<()>,
}

impl Environment {
    /// Opens or creates the environment in the folder `path`, which must exist and which the store's
    /// directory lock protects from other processes.
    pub(crate) fn open(path: &Path, options: &StoreOptions) -> Result<Environment, StoreError> {
        let damaged = |error: heed::Error| StoreError::damaged(path, error);
        let data_file = path.join("data.mdb");
        let on_disk = data_file.metadata().map_or(0, |file| file.len() as usize);
        let mut open = EnvOpenOptions::new().read_txn_with_tls();
        open.map_size(round_up(options.initial_map.0.max(on_disk)))
            .max_dbs(TREES)
            .max_readers(options.max_readers);
        let flags = match options.durability {
            Durability::Full => EnvFlags::empty(),
            Durability::Interval(_) => EnvFlags::NO_SYNC,
        };
        // SAFETY: NO_SYNC weakens durability, not memory safety: it is not combined with WRITE_MAP.
        unsafe { open.flags(flags | EnvFlags::NO_READ_AHEAD) };
        // SAFETY: nobody else modifies the mapped file: the store holds a lock on its directory for
        // as long as this environment lives, and heed refuses a second opening in this process.
        let env = unsafe { open.open(path) }.map_err(damaged)?;
        let txn = env.write_txn().map_err(damaged)?;
        let trees = env
            .create_databases_and_commit(txn, |opener, txn| {
                let trees = [
                    opener.create_database::<Bytes, Bytes>(txn, Some("meta"))?,
                    opener.create_database::<Bytes, Bytes>(txn, Some("log"))?,
                    opener.create_database::<Bytes, Bytes>(txn, Some("records"))?,
                    opener.create_database::<Bytes, Bytes>(txn, Some("indexes"))?,
                ];
                Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(trees))
            })
            .map_err(damaged)?
            .commit();
        let Some([meta, log, records, indexes]) = trees else {
            return Err(StoreError::damaged(path, "its databases can not be opened"));
        };
        let trees = Trees { meta, log, records, indexes };
        Ok(Environment { env, trees, path: path.to_owned(), gate: RwLock::new(()) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `read` in a snapshot. Must be short, must not call `read` again on this thread.
    pub(crate) fn read<T, E: From<StoreError>>(
        &self,
        read: impl FnOnce(&ReadTxn<'_>, &Trees) -> Result<T, E>,
    ) -> Result<T, E> {
        let _open = self.gate.read();
        let txn = self.env.read_txn().map_err(StoreError::from)?;
        read(&txn, &self.trees)
    }

    /// Runs `write` in a write transaction and commits it if the closure says so; only the writer
    /// thread calls this. On an error nothing is changed.
    pub(crate) fn write<T>(
        &self,
        write: impl FnOnce(&mut RwTxn<'_>, &Trees) -> Result<(Outcome, T), StoreError>,
    ) -> Result<T, StoreError> {
        let _open = self.gate.read();
        let mut txn = self.env.write_txn()?;
        let (outcome, value) = write(&mut txn, &self.trees)?;
        match outcome {
            Outcome::Commit => txn.commit()?,
            Outcome::Abort => txn.abort(),
        }
        Ok(value)
    }

    /// Doubles the map. Waits until every open transaction has ended, and holds off new ones.
    pub(crate) fn grow(&self) -> Result<(), StoreError> {
        let _exclusive = self.gate.write();
        let size = round_up(self.env.info().map_size.saturating_mul(2));
        // SAFETY: transactions live only inside `read` and `write`, which hold the gate shared; with
        // the gate held exclusively there is none.
        unsafe { self.env.resize(size) }.map_err(|error| StoreError::Growth {
            path: self.path.clone(),
            size,
            reason: error.to_string(),
        })?;
        tracing::info!(path = %self.path.display(), bytes = size, "the database's map has grown");
        Ok(())
    }

    /// Forces what is committed to the disk.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let _open = self.gate.read();
        Ok(self.env.force_sync()?)
    }

    #[cfg(test)]
    pub(crate) fn map_size(&self) -> usize {
        self.env.info().map_size
    }

    #[cfg(test)]
    pub(crate) fn max_key_size(&self) -> usize {
        self.env.max_key_size()
    }
}

/// What becomes of a write transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Commit,
    /// Nothing was changed: spare the disk.
    Abort,
}

/// Up to a multiple of 64 KiB, the largest page size in use anywhere.
fn round_up(bytes: usize) -> usize {
    bytes.max(1).div_ceil(1 << 16).saturating_mul(1 << 16)
}
