//! The writer: one thread a database, the only one that opens write transactions.
//!
//! It takes what waits in its queue, up to a bound, as one batch: plans each write set against the
//! transaction as the sets before it have left it, applies it, and commits them all with one fsync.
//! A set that fails its checks is answered with its error and leaves no trace; its neighbours are
//! not touched. After the commit every caller is answered, then the events go to the publisher
//! through a bounded channel: fan-out delays no acknowledgement, and a fan-out that can't keep up
//! slows the writer down.
//!
//! On failure: a full map is grown and the batch run again; any other error of LMDB fails the whole
//! batch (500 for each of its callers, nothing written) and the writer goes on.

mod apply;
mod job;
mod plan;
mod publisher;
mod sync;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use kora_hub::Hub;
use kora_resource::{Error, Result, Seq};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

pub(crate) use job::Job;
pub(crate) use plan::{entries_of, index_entries};
pub(crate) use sync::{Dirty, Syncer};

use crate::StoreError;
use crate::blobs::Blobs;
use crate::catalog::{self, Head};
use crate::clock::next_version;
use crate::database::Position;
use crate::environment::{Environment, Outcome};
use crate::transaction::Committed;
use crate::vector::{Edits, VectorMemory};
use crate::write_set::WriteSet;
use publisher::Published;

/// How many write sets share one transaction at most.
const BATCH_SETS: usize = 1024;
/// How many bytes of write sets share one transaction at most.
const BATCH_BYTES: usize = 8 << 20;
/// How many batches of events may wait for the publisher.
const PUBLISH_BATCHES: usize = 64;

/// What the writer is asked to do.
pub(crate) enum Command {
    Commit(Commit),
    Job(Job),
    /// Commit what came before, then end.
    Close,
}

/// A write set, who waits for it, and its share of the queue's room.
pub(crate) struct Commit {
    pub set: WriteSet,
    pub reply: oneshot::Sender<Result<Committed>>,
    pub _room: Option<OwnedSemaphorePermit>,
}

/// What a writer works on, and whom it tells.
pub(crate) struct Surroundings<'s> {
    pub environment: &'s Arc<Environment>,
    pub hub: &'s Arc<Hub>,
    pub blobs: &'s Arc<Blobs>,
    pub vectors: &'s Arc<VectorMemory>,
}

/// Starts the writer and its publisher; they end after [`Command::Close`].
pub(crate) fn start(
    database: &str,
    around: &Surroundings<'_>,
    commands: Receiver<Command>,
    head: &Head,
    dirty: Option<Dirty>,
) -> io::Result<[JoinHandle<()>; 2]> {
    let (events, published) = sync_channel(PUBLISH_BATCHES);
    let hub = Arc::clone(around.hub);
    let publisher = thread::Builder::new()
        .name(format!("publish {database}"))
        .spawn(move || publisher::run(&hub, &published))?;
    let last = Position { version: head.version, seq: head.seq };
    let writer = Writer {
        database: database.to_owned(),
        blobs: Arc::clone(around.blobs),
        vectors: Arc::clone(around.vectors),
        environment: Arc::clone(around.environment),
        commands,
        events,
        last,
        dirty,
    };
    let writer =
        thread::Builder::new().name(format!("write {database}")).spawn(move || writer.run())?;
    Ok([writer, publisher])
}

struct Writer {
    database: String,
    blobs: Arc<Blobs>,
    vectors: Arc<VectorMemory>,
    environment: Arc<Environment>,
    commands: Receiver<Command>,
    events: SyncSender<Vec<Published>>,
    last: Position,
    dirty: Option<Dirty>,
}

impl Writer {
    fn run(mut self) {
        let mut held_back = None;
        while let Some(command) = held_back.take().or_else(|| self.commands.recv().ok()) {
            match command {
                Command::Commit(first) => {
                    let (batch, next) = self.gather(first);
                    held_back = next;
                    self.commit(batch);
                }
                Command::Job(job) => self.run_job(job),
                Command::Close => break,
            }
        }
        // Whoever is left in the queue learns it when its sender is dropped with the queue.
    }

    /// All that waits, up to the bounds, and the command that ended the gathering.
    fn gather(&self, first: Commit) -> (Vec<Commit>, Option<Command>) {
        let mut bytes = first.set.cost();
        let mut batch = vec![first];
        while batch.len() < BATCH_SETS && bytes < BATCH_BYTES {
            match self.commands.try_recv() {
                Ok(Command::Commit(commit)) => {
                    bytes += commit.set.cost();
                    batch.push(commit);
                }
                Ok(other @ (Command::Job(_) | Command::Close)) => return (batch, Some(other)),
                Err(_) => break,
            }
        }
        (batch, None)
    }

    fn commit(&mut self, batch: Vec<Commit>) {
        let result = self.growing(|writer| {
            writer.environment.write(|txn, trees| {
                let mut last = writer.last;
                let mut answers = Vec::with_capacity(batch.len());
                let mut events = Vec::new();
                let mut outcome = Outcome::Abort;
                let mut doomed = Vec::new();
                let mut graphs = Edits::new(trees.indexes, &writer.vectors);
                for commit in &batch {
                    let version = next_version(last.version);
                    match plan::plan(&commit.set, txn, trees, version)? {
                        Err(error) => answers.push(Err(error)),
                        Ok(changes) if changes.is_empty() => answers.push(Ok(Committed::default())),
                        Ok(changes) => {
                            outcome = Outcome::Commit;
                            for change in changes {
                                doomed.extend_from_slice(&change.blobs.removed);
                                let at = Position { version, seq: Seq(last.seq.0 + 1) };
                                // What is done in silence takes no position.
                                let properties = commit.set.properties.as_ref();
                                let applied =
                                    apply::apply(change, txn, trees, &mut graphs, at, properties)?;
                                if let Some(event) = applied {
                                    events.push(event);
                                    last = at;
                                }
                            }
                            let Position { version, seq } = last;
                            answers.push(Ok(Committed { version: Some(version), seq: Some(seq) }));
                        }
                    }
                }
                if !events.is_empty() {
                    catalog::put_version(txn, trees, last.version)?;
                }
                graphs.flush(txn)?;
                Ok((outcome, (answers, events, last, doomed, graphs)))
            })
        });
        match result {
            Ok((answers, events, last, doomed, graphs)) => {
                self.last = last;
                graphs.committed();
                if let Some(dirty) = &self.dirty {
                    dirty.mark();
                }
                for (commit, answer) in batch.into_iter().zip(answers) {
                    if answer.is_ok() {
                        commit.set.staged.iter().for_each(|staged| staged.keep());
                    }
                    // The caller may have gone away; its write stands.
                    let _ = commit.reply.send(answer);
                }
                for blob in doomed {
                    self.blobs.doom(&self.database, blob);
                }
                if !events.is_empty() && self.events.send(events).is_err() {
                    tracing::error!("the publisher has ended before its writer");
                }
            }
            Err(error) => {
                tracing::error!(%error, sets = batch.len(), "a batch of writes has failed");
                for commit in batch {
                    let _ = commit.reply.send(Err(Error::from(error.clone())));
                }
            }
        }
    }

    fn run_job(&mut self, mut job: Job) {
        let result = self.growing(|writer| {
            writer.environment.write(|txn, trees| Ok((Outcome::Commit, job.run(txn, trees)?)))
        });
        if let Some(dirty) = &self.dirty {
            dirty.mark();
        }
        job.finish(result);
    }

    /// Runs `write`, again with a larger map as long as the map is full.
    fn growing<T>(
        &self,
        mut write: impl FnMut(&Writer) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        loop {
            match write(self) {
                Err(error) if error.is_map_full() => self.environment.grow()?,
                result => return result,
            }
        }
    }
}
