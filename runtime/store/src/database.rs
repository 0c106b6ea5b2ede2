//! One database: an environment, its writer, publisher and sync threads, and the way to them.
//!
//! Any thread may read. Writes go through a queue to the writer thread; it is bounded by the bytes
//! of the write sets in it, and who commits waits for room. Nothing outside this crate blocks on it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use kora_hub::{Hub, QueueLimit};
use kora_resource::{Epoch, Error, Result, Seq, Version};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use crate::blobs::{self, Blobs};
use crate::catalog;
use crate::environment::{Environment, Outcome};
use crate::transaction::Committed;
use crate::vector::{Room, VectorMemory};
use crate::write_set::WriteSet;
use crate::writer::{self, Command, Commit, Job, Surroundings, Syncer};
use crate::{StoreError, StoreOptions};

/// How many bytes of write sets may wait for one writer.
const QUEUE_BYTES: usize = 64 << 20;
/// One permit of the queue's semaphore.
const PERMIT: usize = 1 << 10;

/// One database of a store.
#[derive(Debug)]
pub(crate) struct Database {
    name: String,
    environment: Arc<Environment>,
    epoch: Epoch,
    hub: Arc<Hub>,
    blobs: Arc<Blobs>,
    vectors: Arc<VectorMemory>,
    queue_limit: QueueLimit,
    scan_limit: usize,
    commands: mpsc::Sender<Command>,
    room: Arc<Semaphore>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    syncer: Option<Syncer>,
}

impl Database {
    /// Opens or creates the database in the folder `path` and starts its threads.
    pub(crate) fn open(
        name: &str,
        path: &Path,
        options: &StoreOptions,
        hub: &Arc<Hub>,
        blobs: &Arc<Blobs>,
        vector_room: &Room,
    ) -> Result<Arc<Database>, StoreError> {
        let unusable =
            |error| StoreError::Directory { path: path.to_owned(), source: Arc::new(error) };
        std::fs::create_dir_all(path).map_err(unusable)?;
        let environment = Arc::new(Environment::open(path, options)?);
        let open = |environment: &Environment| {
            environment.write(|txn, trees| {
                catalog::open(txn, trees, environment.path()).map(|head| (Outcome::Commit, head))
            })
        };
        let head = loop {
            match open(&environment) {
                Err(error) if error.is_map_full() => environment.grow()?,
                result => break result?,
            }
        };
        environment.sync()?;
        // The folder and the file in it must survive the power as what is written to them will.
        for directory in path.parent().into_iter().chain([path]) {
            File::open(directory).and_then(|folder| folder.sync_all()).map_err(unusable)?;
        }
        environment.read(|txn, trees| {
            blobs.remove_orphans(name, |id| {
                Ok::<_, StoreError>(catalog::blob(txn, trees, id)?.is_some())
            })
        })?;
        let syncer = match options.durability {
            crate::Durability::Full => None,
            crate::Durability::Interval(interval) => {
                Some(Syncer::start(name, &environment, interval).map_err(unusable)?)
            }
        };
        let (commands, queue) = mpsc::channel();
        let dirty = syncer.as_ref().map(Syncer::mark);
        let vectors = Arc::new(VectorMemory::new(vector_room.clone()));
        let around = Surroundings { environment: &environment, hub, blobs, vectors: &vectors };
        let threads = writer::start(name, &around, queue, &head, dirty).map_err(unusable)?;
        Ok(Arc::new(Database {
            name: name.to_owned(),
            environment,
            epoch: head.epoch,
            hub: Arc::clone(hub),
            blobs: Arc::clone(blobs),
            vectors,
            queue_limit: options.queue_limit,
            scan_limit: options.scan_limit,
            commands,
            room: Arc::new(Semaphore::new(QUEUE_BYTES / PERMIT)),
            threads: Mutex::new(threads.into()),
            syncer,
        }))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(crate) fn blobs(&self) -> &Arc<Blobs> {
        &self.blobs
    }

    /// What is in memory of its indexed vectors.
    pub(crate) fn vectors(&self) -> &Arc<VectorMemory> {
        &self.vectors
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// How many entries one search may look at.
    pub(crate) fn scan_limit(&self) -> usize {
        self.scan_limit
    }

    pub(crate) fn queue_limit(&self) -> QueueLimit {
        self.queue_limit
    }

    /// Queues a write set and waits for its acknowledgement. Once queued it is committed even if the
    /// caller goes away.
    pub(crate) async fn commit(self: &Arc<Self>, set: WriteSet) -> Result<Committed> {
        let mut set = blobs::settle(self, set).await?;
        set.prepare();
        let permits = (set.cost() / PERMIT + 1).min(QUEUE_BYTES / PERMIT) as u32;
        let closed = |_| Error::from(StoreError::Closed);
        let room = Arc::clone(&self.room);
        let permit = room.acquire_many_owned(permits).await.map_err(|_| StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        self.send(Command::Commit(Commit { set, reply, _room: Some(permit) }))?;
        answer.await.map_err(closed)?
    }

    /// Queues a write set of the store's own from a thread that may block. It takes no room: there is
    /// one such thread a store, and it waits here.
    pub(crate) fn commit_blocking(&self, set: WriteSet) -> Result<Committed> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Commit(Commit { set, reply, _room: None }))?;
        answer.blocking_recv().map_err(|_| Error::from(StoreError::Closed))?
    }

    /// Runs `job` on the writer's thread in a transaction of its own and waits for its commit.
    /// Blocks: never called on an async thread.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        job: impl FnMut(&mut heed::RwTxn<'_>, &crate::environment::Trees) -> Result<T, StoreError>
        + Send
        + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.send(Command::Job(Job::new(job, committed, reply)))?;
        answer.recv().unwrap_or(Err(StoreError::Closed))
    }

    fn send(&self, command: Command) -> Result<(), StoreError> {
        self.commands.send(command).map_err(|_| StoreError::Closed)
    }

    /// The last committed position of the log.
    pub(crate) fn head(&self) -> Result<Seq, StoreError> {
        self.environment.read(catalog::last_seq)
    }

    /// Commits all that is queued, makes it durable, publishes it and ends the threads. What comes
    /// later is refused. Calling it again does nothing.
    pub(crate) fn close(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        if threads.is_empty() {
            return;
        }
        self.room.close();
        // Fails only if the writer has already ended.
        let _ = self.send(Command::Close);
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!(database = self.name, "a thread of the database has panicked");
            }
        }
        if let Some(syncer) = &self.syncer {
            syncer.stop();
        }
        if let Err(error) = self.environment.sync() {
            tracing::error!(database = self.name, %error, "could not sync the database");
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.close();
    }
}

/// Where a writer stands: the last version and position that it gave out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    pub version: Version,
    pub seq: Seq,
}
