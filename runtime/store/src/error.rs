//! What can go wrong with a store itself. What a client did wrong is a [`kora_resource::Error`].

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use kora_resource::Error;

/// A failure of the store, its files or its schema. Cheap to clone: one failed batch tells many.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error("the data directory {} is in use by another process", path.display())]
    Locked { path: PathBuf },
    #[error("can not use the data directory {}: {source}", path.display())]
    Directory { path: PathBuf, source: Arc<io::Error> },
    #[error("{} is damaged or is no database of Kora: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error(
        "{} was written in format {found}; this version of Kora reads format {expected}",
        path.display()
    )]
    Format { path: PathBuf, found: u32, expected: u32 },
    #[error("\"{name}\" can not be the name of a {what}: {reason}")]
    Name { what: &'static str, name: String, reason: &'static str },
    #[error(
        "the primary key of table {table} can not change from \"{from}\" to \"{to}\": its records \
         are stored by it. To migrate, declare a table of another name with the new key and copy the \
         records into it"
    )]
    PrimaryKeyChanged { table: String, from: String, to: String },
    #[error(
        "attribute {attribute} of table {table} can not change from {from} to {to}: record {id} does \
         not fit ({problem}). To migrate, declare a second attribute of the new type, copy the values \
         into it, and remove this one; or change the records first"
    )]
    TypeChanged {
        table: String,
        attribute: String,
        from: String,
        to: String,
        id: String,
        problem: String,
    },
    #[error("can not grow the map of {} to {size} bytes: {reason}", path.display())]
    Growth { path: PathBuf, size: usize, reason: String },
    #[error("the store is closed")]
    Closed,
    #[error("LMDB: {0}")]
    Lmdb(Arc<heed::Error>),
}

impl From<heed::Error> for StoreError {
    fn from(error: heed::Error) -> StoreError {
        StoreError::Lmdb(Arc::new(error))
    }
}

impl StoreError {
    pub(crate) fn damaged(path: impl Into<PathBuf>, reason: impl ToString) -> StoreError {
        StoreError::Damaged { path: path.into(), reason: reason.to_string() }
    }

    /// Whether the map is full, which growing it cures.
    pub(crate) fn is_map_full(&self) -> bool {
        matches!(self, StoreError::Lmdb(error)
            if matches!(**error, heed::Error::Mdb(heed::MdbError::MapFull)))
    }
}

/// As a client sees it: a closed store is unavailable, all else is our fault.
impl From<StoreError> for Error {
    fn from(error: StoreError) -> Error {
        match error {
            StoreError::Closed => Error::unavailable(error.to_string()),
            StoreError::Locked { .. }
            | StoreError::Directory { .. }
            | StoreError::Damaged { .. }
            | StoreError::Format { .. }
            | StoreError::Name { .. }
            | StoreError::PrimaryKeyChanged { .. }
            | StoreError::TypeChanged { .. }
            | StoreError::Growth { .. }
            | StoreError::Lmdb(_) => Error::internal(error.to_string()),
        }
    }
}
