//! Removes records whose time is over (`@table(expiration:, eviction:)`), and bounds what a caching
//! table keeps.
//!
//! Reads never show an expired record; this only frees its place and tells subscribers with a delete
//! event. One thread a store looks through each expiring table at a quarter of its expiration, in
//! short read transactions, and asks the writer to delete what is over: the writer checks that it
//! was not written anew meanwhile. A caching table gives its copies up without a word.

use std::io;
use std::ops::Bound;
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kora_resource::{Error, Result, Version};
use parking_lot::{Condvar, Mutex};

use crate::clock;
use crate::keys::{Key, after_prefix, decode_id};
use crate::layout::{Header, id_of, record_key};
use crate::write_set::{Op, Write, WriteSet};
use crate::{ByteSize, StoreError, Table, eviction};

/// How many records one read transaction looks at.
const BATCH: usize = 1000;
/// However short the expiration, the table is looked through no more often.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The sweeping thread.
#[derive(Debug)]
pub(crate) struct Sweeper {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stopped: bool,
    watched: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    table: Weak<Table>,
    due: Instant,
}

impl Sweeper {
    /// `cache_size` bounds each caching table.
    pub(crate) fn start(cache_size: Option<ByteSize>) -> io::Result<Sweeper> {
        let shared = Arc::<Shared>::default();
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("sweep".to_owned())
            .spawn(move || run(&theirs, cache_size))?;
        Ok(Sweeper { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Takes care of a table from now on, or of its new expiration.
    pub(crate) fn watch(&self, table: &Arc<Table>) {
        let mut state = self.shared.state.lock();
        state.watched.retain(|watched| !std::ptr::eq(watched.table.as_ptr(), Arc::as_ptr(table)));
        if let Some(pause) = pause(table) {
            let table = Arc::downgrade(table);
            state.watched.push(Watched { table, due: Instant::now() + pause });
            self.shared.changed.notify_one();
        }
    }

    pub(crate) fn stop(&self) {
        self.shared.state.lock().stopped = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the sweeping thread has panicked");
        }
    }
}

fn pause(table: &Table) -> Option<Duration> {
    let lifetime = table.lifetime();
    // Of single records their source or they themselves may say when they are over.
    let by_record = table.is_caching() || table.schema().expires_at().is_some();
    let seconds = match (lifetime.scan_interval, lifetime.expiration) {
        (Some(interval), _) => interval,
        (None, Some(expiration)) => (expiration + lifetime.eviction.unwrap_or(0.0)) / 4.0,
        (None, None) if by_record => LONGEST_PAUSE.as_secs_f64(),
        (None, None) => return None,
    };
    let pause = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_PAUSE);
    Some(pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE))
}

fn run(shared: &Shared, cache_size: Option<ByteSize>) {
    let mut state = shared.state.lock();
    while !state.stopped {
        let now = Instant::now();
        state.watched.retain(|watched| watched.table.strong_count() > 0);
        let Some(next) = state.watched.iter_mut().min_by_key(|watched| watched.due) else {
            shared.changed.wait(&mut state);
            continue;
        };
        if next.due > now {
            let due = next.due;
            shared.changed.wait_until(&mut state, due);
            continue;
        }
        let Some(table) = next.table.upgrade() else { continue };
        next.due = now + pause(&table).unwrap_or(LONGEST_PAUSE);
        parking_lot::MutexGuard::unlocked(&mut state, || {
            if let Err(error) = sweep(&table, cache_size, || shared.state.lock().stopped) {
                tracing::error!(table = table.name(), %error, "could not remove expired records");
            }
        });
    }
}

/// Deletes all that is over in one table, and of a cache what is too much.
fn sweep(
    table: &Arc<Table>,
    cache_size: Option<ByteSize>,
    stopped: impl Fn() -> bool,
) -> Result<()> {
    let bound = cache_size.filter(|_| table.is_caching());
    let crowded_out = bound.map(|bound| eviction::crowded_out(table, bound, &stopped));
    let crowded_out = crowded_out.transpose()?.flatten();
    let mut after: Option<Key> = None;
    while !stopped() {
        let (set, last) = expired(table, after.as_ref(), crowded_out)?;
        if !set.is_empty() {
            table.owner().commit_blocking(set)?;
        }
        match last {
            Some(last) => after = Some(last),
            None => return Ok(()),
        }
    }
    Ok(())
}

/// The expired ones of the next records, and the last key if there may be more.
fn expired(
    table: &Arc<Table>,
    after: Option<&Key>,
    crowded_out: Option<Version>,
) -> Result<(WriteSet, Option<Key>)> {
    let start = record_key(table.id(), &[]);
    let end = after_prefix(&start);
    let low = match after {
        Some(after) => Bound::Excluded(&after[..]),
        None => Bound::Included(&start[..]),
    };
    let high = end.as_ref().map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..]));
    let eviction = table.lifetime().eviction.unwrap_or(0.0) * 1000.0;
    let over = clock::now() - eviction;
    let caching = table.is_caching();
    let damaged = || Error::internal("damaged record");
    table.owner().environment().read(|txn, trees| {
        let mut set = WriteSet::default();
        let range = trees.records.range(txn, &(low, high)).map_err(StoreError::from)?;
        for (count, stored) in range.enumerate() {
            let (key, bytes) = stored.map_err(StoreError::from)?;
            let header = Header::read(bytes).ok_or_else(damaged)?;
            let is_crowded_out = crowded_out.is_some_and(|newest| header.version <= newest);
            if is_crowded_out || header.is_expired(|| over) {
                let id = decode_id(id_of(key)).ok_or_else(damaged)?;
                let version = header.version;
                let op = if caching { Op::Evict(version) } else { Op::Expire(version) };
                let write = Write { table: Arc::clone(table), id, op, expires: None };
                set.add(Key::from_slice(id_of(key)), write);
            }
            if count + 1 == BATCH {
                return Ok((set, Some(Key::from_slice(key))));
            }
        }
        Ok((set, None))
    })
}
