//! Where the records of a caching table come from (`spec/harper-resources.md` section 13).
//!
//! The trait is the store's side of `sourcedFrom`: whoever loads component code implements it. Its
//! futures run in the task of whoever asks, or in one of the store's on the same tokio runtime;
//! nothing of it runs on the writer's thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use kora_resource::{Context, Id, Map, Record, Result};

/// What a source answers with.
pub type SourceFuture<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// The methods that a source may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceMethod {
    Get,
    Put,
    Patch,
    Delete,
}

/// The source of a caching table.
pub trait Source: Send + Sync + 'static {
    /// Whether the source has the method; it is not asked for one that it lacks.
    fn has(&self, method: SourceMethod) -> bool;

    /// Loads one record.
    fn load(&self, load: Load) -> SourceFuture<Loaded>;

    /// Takes a change before the table does; an error refuses it.
    fn write(&self, id: Id, change: SourceChange, context: Arc<Context>) -> SourceFuture<()>;
}

/// What is asked of a source.
#[derive(Debug, Clone)]
pub struct Load {
    pub id: Id,
    /// Of the request that misses the record; of the first one, where several do.
    pub context: Arc<Context>,
    /// What is stored, though it is no longer good.
    pub replacing: Option<Record>,
}

/// What a source gave.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub found: Found,
    /// When it is no longer good, in milliseconds since the epoch; as the table says if `None`.
    pub expires: Option<f64>,
    /// When it last changed, in milliseconds since the epoch.
    pub modified: Option<f64>,
    pub keep: Keep,
}

/// What a source has under a key.
#[derive(Debug, Clone)]
pub enum Found {
    Record(Map),
    Nothing,
    /// The record that is being replaced is still right.
    Unchanged,
}

/// Whether what was loaded may be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Store,
    /// `noCacheStore`.
    No,
}

/// A change on its way to a source.
#[derive(Debug, Clone)]
pub enum SourceChange {
    /// The whole record.
    Put(Map),
    /// Only what changes; only for sources that have the method.
    Patch(Map),
    Delete,
}

/// How long the records of a table live, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Lifetime {
    /// From a write until it is no longer good.
    pub expiration: Option<f64>,
    /// From then until it is removed.
    pub eviction: Option<f64>,
    /// Between two searches for what is to be removed.
    pub scan_interval: Option<f64>,
}

impl Lifetime {
    /// This, and what it leaves open as `other` has it.
    pub(crate) fn or(self, other: Lifetime) -> Lifetime {
        Lifetime {
            expiration: self.expiration.or(other.expiration),
            eviction: self.eviction.or(other.eviction),
            scan_interval: self.scan_interval.or(other.scan_interval),
        }
    }
}
