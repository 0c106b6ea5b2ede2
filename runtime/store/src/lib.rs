//! Tables on LMDB: keys, records, indexes, queries, transactions, the change log, subscriptions.
//!
//! One [`Store`] owns one data directory (and its lock); below it each database is one LMDB
//! environment with one writer thread, one publisher thread and, with [`Durability::Interval`], one
//! sync thread. The way of one write: [`Transaction`] validates and collects a write set on the
//! caller's thread -> the writer checks it against what it read, plans it so that applying cannot
//! fail halfway, applies it with its log entries in one LMDB transaction shared with all that waits
//! -> fsync -> every caller is answered -> the publisher hands the events to the hub in `Seq` order.
//!
//! *Invariants:* only a database's writer thread opens write transactions. Guest code never runs in
//! one. Read transactions are bound to their thread by type and live within one function call, so
//! none crosses an `await` and no reader is long-lived. An event is published only after its commit.

mod blobs;
mod catalog;
mod clock;
mod database;
mod environment;
mod error;
mod eviction;
mod expiration;
mod history;
mod keys;
mod layout;
mod log;
mod merge;
mod options;
mod reads;
mod retention;
mod schema_change;
mod search;
mod source;
mod store;
mod subscription;
mod table;
mod transaction;
mod vector;
mod write_set;
mod writer;

pub use blobs::{BlobWriter, Blobs};
pub use error::{StoreError, TypeChange};
pub use history::{HistoryRange, HistoryReader};
pub use kora_hub::QueueLimit;
pub use options::{ByteSize, Durability, Retention, StoreOptions};
pub use search::Search;
pub use source::{
    Found, Keep, Lifetime, Load, Loaded, Source, SourceChange, SourceFuture, SourceMethod,
};
pub use store::Store;
pub use subscription::{Subscribe, Subscription};
pub use table::{Cached, Counting, Origin, Table};
pub use transaction::{Committed, Pending, Transaction};

#[cfg(test)]
mod tests;
