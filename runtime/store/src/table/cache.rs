//! Reading through the cache: what a table with a source does for a record that is missing, expired,
//! invalidated or not wanted from the cache (`spec/harper-resources.md` section 13).
//!
//! One load a record at a time in the whole process: it runs in a task of its own, so that it goes on
//! when the client that began it leaves, and all who want the record wait for it, at most ten
//! seconds; then the next one loads it itself. What comes is written by the writer only if the record
//! has not changed since the load began: a newer write wins.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kora_resource::schema::ValidateMode;
use kora_resource::{CacheControl, Context, Error, ErrorKind, Id, Record, Result, Version};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::Table;
use crate::clock;
use crate::keys::{Key, encode_id};
use crate::source::{Found, Keep, Lifetime, Load, Loaded, Source, SourceMethod};
use crate::write_set::{Content, Op, Write, WriteSet};

/// How long a load keeps others from beginning one of the same record.
const LOCK: Duration = Duration::from_secs(10);
/// How often a reader tries again whose load was given up: its worker has ended.
const ATTEMPTS: usize = 3;

/// The source of a table.
pub(super) struct Caching {
    pub source: Arc<dyn Source>,
    pub lifetime: Lifetime,
}

/// A record as a read through the cache found it.
#[derive(Debug, Clone)]
pub struct Cached {
    /// `None`: there is no such record.
    pub record: Option<Record>,
    pub origin: Origin,
}

/// Where a record came from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Origin {
    /// The table; so many seconds after it was stored.
    Cache {
        age: f64,
    },
    Source,
}

/// The loads under way.
#[derive(Default)]
pub(super) struct Flights {
    under_way: Mutex<HashMap<Key, Flight>>,
    last: AtomicU64,
}

struct Flight {
    number: u64,
    began: Instant,
    outcome: watch::Receiver<Option<Outcome>>,
}

type Outcome = Result<Option<Record>>;

impl Table {
    /// Whether reads of missing records ask a source.
    pub fn is_caching(&self) -> bool {
        self.caching.load().is_some()
    }

    pub(crate) fn source(&self) -> Option<Arc<dyn Source>> {
        self.caching.load().as_ref().map(|caching| Arc::clone(&caching.source))
    }

    /// Whether it is this source that the table asks.
    pub fn is_sourced_from(&self, source: &Arc<dyn Source>) -> bool {
        let caching = self.caching.load();
        caching.as_ref().is_some_and(|caching| Arc::ptr_eq(&caching.source, source))
    }

    /// Gives the table another source, or none; loads under way end with the old one.
    pub(crate) fn set_source(&self, source: Option<(Arc<dyn Source>, Lifetime)>) {
        let caching = source.map(|(source, lifetime)| Caching { source, lifetime });
        self.caching.store(caching.map(Arc::new));
    }

    /// How long records live: what the source's options leave open is as the schema says.
    pub(crate) fn lifetime(&self) -> Lifetime {
        let schema = self.schema();
        let declared = Lifetime {
            expiration: schema.expiration,
            eviction: schema.eviction,
            scan_interval: schema.scan_interval,
        };
        match &*self.caching.load() {
            Some(caching) => caching.lifetime.or(declared),
            None => declared,
        }
    }

    /// The record if the table alone can tell: always in a table without a source. `None` where the
    /// source must be asked: see [`Table::load`]. 504 where it may not be. Synchronous.
    pub fn cached(&self, id: &Id, control: CacheControl) -> Result<Option<Cached>> {
        let caching = self.caching.load();
        let stored = self.stored(id)?;
        Ok(match &*caching {
            Some(caching) if caching.source.has(SourceMethod::Get) => {
                let fresh = stored.filter(|record| is_fresh(record, control));
                if fresh.is_none() && control.only_if_cached {
                    return Err(Error::new(ErrorKind::Status(504), "Entry is not cached"));
                }
                fresh.map(hit)
            }
            Some(_) | None => {
                let visible = stored.filter(|record| !is_over(record));
                Some(visible.map_or(Cached { record: None, origin: UNCACHED }, hit))
            }
        })
    }

    /// What the table holds though its time is over: to decide whether it may be shown while it is
    /// loaded anew. Nothing that was invalidated.
    pub fn stale(&self, id: &Id) -> Result<Option<Record>> {
        Ok(self.stored(id)?.filter(|record| !is_invalidated(record)))
    }

    /// Reads a record, from the source if need be. An error of the source gets
    /// ` while resolving record <id> for <table>`, unless the stale record can stand in.
    pub async fn load(self: &Arc<Self>, id: &Id, context: &Arc<Context>) -> Result<Cached> {
        if let Some(cached) = self.cached(id, context.cache)? {
            return Ok(cached);
        }
        let key = encode_id(id)?;
        for _ in 0..ATTEMPTS {
            let Some(source) = self.source() else { break };
            let (mut outcome, left) = self.flight(id, &key, source, context);
            let waited = tokio::time::timeout(left, outcome.wait_for(Option::is_some)).await;
            let loaded = match waited {
                Ok(Ok(loaded)) => loaded.clone(),
                // Too long, or given up.
                Ok(Err(_)) | Err(_) => continue,
            };
            match loaded {
                Some(Ok(record)) => return Ok(Cached { record, origin: Origin::Source }),
                Some(Err(error)) => return self.failed(id, context.cache, error),
                None => {}
            }
        }
        let message = "The source of the table did not answer in time";
        self.failed(id, context.cache, Error::unavailable(message))
    }

    /// Loads a record anew without waiting for it. Needs a tokio runtime.
    pub fn refresh(self: &Arc<Self>, id: &Id, context: &Arc<Context>) -> Result<()> {
        if let Some(source) = self.source() {
            self.flight(id, &encode_id(id)?, source, context);
        }
        Ok(())
    }

    /// The load of a record that is under way, else one begun here, and how long to wait for it.
    fn flight(
        self: &Arc<Self>,
        id: &Id,
        key: &Key,
        source: Arc<dyn Source>,
        context: &Arc<Context>,
    ) -> (watch::Receiver<Option<Outcome>>, Duration) {
        let mut under_way = self.flights.under_way.lock();
        if let Some(flight) = under_way.get(key) {
            let left = LOCK.saturating_sub(flight.began.elapsed());
            if !left.is_zero() && flight.outcome.has_changed().is_ok() {
                return (flight.outcome.clone(), left);
            }
        }
        let (sender, outcome) = watch::channel(None);
        let number = self.flights.last.fetch_add(1, Ordering::Relaxed);
        let flight = Flight { number, began: Instant::now(), outcome: outcome.clone() };
        under_way.insert(key.clone(), flight);
        drop(under_way);
        let (table, id, key) = (Arc::clone(self), id.clone(), key.clone());
        let context = Arc::clone(context);
        tokio::spawn(async move {
            let loaded = table.load_from(&*source, &id, &key, &context).await;
            if let Err(error) = &loaded {
                tracing::debug!(table = table.name(), %error, "a source has failed");
            }
            // Whoever comes from here on finds the record in the table.
            let mut under_way = table.flights.under_way.lock();
            if under_way.get(&key).is_some_and(|flight| flight.number == number) {
                under_way.remove(&key);
            }
            drop(under_way);
            let _ = sender.send(Some(loaded));
        });
        (outcome, LOCK)
    }

    async fn load_from(
        self: &Arc<Self>,
        source: &dyn Source,
        id: &Id,
        key: &Key,
        context: &Arc<Context>,
    ) -> Outcome {
        let replacing = self.stored(id)?;
        let replaces = replacing.as_ref().map(Record::version);
        let load = Load { id: id.clone(), context: Arc::clone(context), replacing };
        let known = load.replacing.clone();
        let Loaded { found, expires, modified, keep } = source.load(load).await?;
        let map = match (found, &known) {
            (Found::Record(mut map), _) => {
                let definition = self.definition();
                definition.key_first(&mut map, id);
                // As in Harper the source's word is taken: this only gives values their types.
                let _ = definition.schema.validate(&mut map, ValidateMode::Full);
                Some(map)
            }
            (Found::Unchanged, Some(known)) => Some(known.to_map()?),
            (Found::Unchanged | Found::Nothing, _) => None,
        };
        let modified = modified.or(known.filter(|_| map.is_some()).and_then(|k| k.modified()));
        if keep == Keep::No || context.cache.no_store {
            let now = Version(clock::now());
            return Ok(map.map(|map| Record::new(&map, now, now, expires).with_modified(modified)));
        }
        let op = match map {
            Some(map) => Op::Fill(Content { modified, ..Content::new(map) }, replaces),
            None => match replaces {
                Some(version) => Op::Expire(version),
                None => return Ok(None),
            },
        };
        let mut set = WriteSet::default();
        set.add(key.clone(), Write { table: Arc::clone(self), id: id.clone(), op, expires });
        self.owner().commit(set).await?;
        // What is there now: what was loaded, or something newer that was written meanwhile. It may
        // be over already, if the source says so: it is answered all the same.
        Ok(self.stored(id)?.filter(|record| !is_invalidated(record)))
    }

    /// A source has failed: the stale record if it may stand in, else the error.
    fn failed(&self, id: &Id, control: CacheControl, mut error: Error) -> Result<Cached> {
        const UNREACHABLE: [&str; 3] = ["ECONNRESET", "ECONNREFUSED", "EAI_AGAIN"];
        let passing = UNREACHABLE.contains(&&*error.code)
            || control.stale_if_error && matches!(error.status(), 500 | 502 | 503 | 504);
        if passing
            && !control.must_revalidate
            && let Some(stale) = self.stale(id)?
        {
            return Ok(hit(stale));
        }
        error.message.push_str(&format!(" while resolving record {id} for {}", self.name()));
        Err(error)
    }

    /// The record that is stored under a key, though its time be over.
    pub(crate) fn stored(&self, id: &Id) -> Result<Option<Record>> {
        let key = encode_id(id)?;
        self.owner().environment().read(|txn, trees| {
            let stored = trees.records.get(txn, &crate::layout::record_key(self.id(), &key));
            let Some(bytes) = stored.map_err(crate::StoreError::from)? else { return Ok(None) };
            let record = crate::layout::read_record(bytes);
            record.map(Some).ok_or_else(|| Error::internal("damaged record"))
        })
    }
}

const UNCACHED: Origin = Origin::Cache { age: 0.0 };

fn hit(record: Record) -> Cached {
    let age = ((clock::now() - record.version().0) / 1000.0).max(0.0);
    Cached { record: Some(record), origin: Origin::Cache { age } }
}

fn is_over(record: &Record) -> bool {
    record.expires().is_some_and(|at| at <= clock::now())
}

fn is_fresh(record: &Record, control: CacheControl) -> bool {
    let age = clock::now() - record.version().0;
    !control.no_cache
        && !is_over(record)
        && control.max_age.is_none_or(|seconds| age <= seconds * 1000.0)
}

/// An invalidated record expired at the beginning of time.
fn is_invalidated(record: &Record) -> bool {
    record.expires() == Some(INVALIDATED)
}

/// The expiry of an invalidated record.
pub(crate) const INVALIDATED: f64 = 0.0;
