//! How long the change log is kept: by age and by size (`spec/harper-components.md` section 3,
//! `auditRetention`).
//!
//! One thread a store looks at each database's log from time to time and has the writer cut off what
//! is too old or too much, from the front. It does so in steps of a few milliseconds with a pause as
//! long between them, so that writes go on meanwhile. Positions are never given out again: the last
//! one is remembered when the log becomes empty.

use std::io;
use std::ops::Bound;
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use heed::RwTxn;
use parking_lot::{Condvar, Mutex};

use crate::database::Database;
use crate::environment::{ReadTxn, Trees};
use crate::history::STEP;
use crate::layout::LogEntry;
use crate::log::position;
use crate::options::Retention;
use crate::{ByteSize, StoreError, catalog, clock};

/// How many entries are looked at between two looks at the clock.
const CHUNK: usize = 32;
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The thread that keeps the logs of a store within their bounds.
#[derive(Debug)]
pub(crate) struct Compactor {
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
    databases: Vec<Weak<Database>>,
}

impl Compactor {
    pub(crate) fn start(retention: Retention) -> io::Result<Compactor> {
        let shared = Arc::<Shared>::default();
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("compact".to_owned())
            .spawn(move || run(&theirs, retention))?;
        Ok(Compactor { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Takes care of a database from now on.
    pub(crate) fn watch(&self, database: &Arc<Database>) {
        self.shared.state.lock().databases.push(Arc::downgrade(database));
    }

    pub(crate) fn stop(&self) {
        self.shared.state.lock().stopped = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the compacting thread has panicked");
        }
    }
}

fn run(shared: &Shared, retention: Retention) {
    let pause = (retention.age / 4).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
    let mut state = shared.state.lock();
    while !state.stopped {
        shared.changed.wait_while_for(&mut state, |state| !state.stopped, pause);
        state.databases.retain(|database| database.strong_count() > 0);
        let databases: Vec<_> = state.databases.iter().filter_map(Weak::upgrade).collect();
        parking_lot::MutexGuard::unlocked(&mut state, || {
            for database in databases {
                match compact(&database, retention, || shared.state.lock().stopped) {
                    Ok(()) | Err(StoreError::Closed) => {}
                    Err(error) => {
                        let database = database.name();
                        tracing::error!(database, %error, "the change log can not be cut");
                    }
                }
            }
        });
    }
}

/// Cuts off all that is too old or too much.
fn compact(
    database: &Database,
    retention: Retention,
    stopped: impl Fn() -> bool,
) -> Result<(), StoreError> {
    // Most of the time there is nothing to do: the writer need not hear of it.
    while !stopped() && database.environment().read(|txn, trees| excess(txn, trees, retention))? {
        let began = Instant::now();
        database.run(move |txn, trees| cut(txn, trees, retention), |()| {})?;
        thread::sleep(began.elapsed().min(STEP * 4));
    }
    Ok(())
}

/// Whether the first entry must go.
fn excess(txn: &ReadTxn<'_>, trees: &Trees, retention: Retention) -> Result<bool, StoreError> {
    let Some((_, first)) = trees.log.first(txn)? else { return Ok(false) };
    Ok(is_old(first, retention)? || size(txn, trees)? > retention.size)
}

fn is_old(entry: &[u8], retention: Retention) -> Result<bool, StoreError> {
    let entry = LogEntry::read(entry)
        .ok_or_else(|| StoreError::damaged("the change log", "an entry can not be read"))?;
    Ok(entry.version.0 <= clock::now() - retention.age.as_secs_f64() * 1000.0)
}

/// The pages of the log's tree.
fn size(txn: &ReadTxn<'_>, trees: &Trees) -> Result<ByteSize, StoreError> {
    let stat = trees.log.stat(txn)?;
    let pages = stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
    Ok(ByteSize(pages * stat.page_size as usize))
}

/// One step: removes entries from the front until the time is over or enough are gone.
fn cut(txn: &mut RwTxn<'_>, trees: &Trees, retention: Retention) -> Result<(), StoreError> {
    let began = Instant::now();
    let last = catalog::last_seq(txn, trees)?;
    let mut surplus = size(txn, trees)?.0.saturating_sub(retention.size.0);
    let mut removed = None;
    while began.elapsed() < STEP {
        let mut upto = None;
        for entry in trees.log.iter(txn)?.take(CHUNK) {
            let (key, value) = entry?;
            if surplus == 0 && !is_old(value, retention)? {
                break;
            }
            surplus = surplus.saturating_sub(key.len() + value.len());
            let damaged =
                |error: kora_resource::Error| StoreError::damaged("the change log", error.message);
            upto = Some(position(key).map_err(damaged)?);
        }
        let Some(upto) = upto else { break };
        let high = upto.0.to_be_bytes();
        let bounds: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Unbounded, Bound::Included(&high[..]));
        trees.log.delete_range(txn, &bounds)?;
        removed = Some(upto);
    }
    if let Some(removed) = removed {
        catalog::put_trimmed(txn, trees, None, removed)?;
        catalog::put_seq(txn, trees, last)?;
    }
    Ok(())
}
