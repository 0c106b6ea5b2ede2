//! One call of a guest: an instance from the pool, the guest's answer, the commit of what it wrote, and the end of
//! what it streams.
//!
//! A call begins on its caller's thread if it is likely to be short (`pace.rs`) and runs on the guests' threads else; the
//! caller waits for the answer. What the guest streams after its answer is driven here too, so that the instance goes back to the pool only when the guest has nothing more to do. A commit
//! that conflicts is the host's affair: the whole call runs again, at first at once, then one call after the other, so
//! that calls which all change one record get through in turn.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

use bytes::Bytes;
use futures_util::StreamExt;
use kora_resource::{Call, Error, Exceeded, Item, Reply, ReplyBody, Result};
use tokio::sync::oneshot;
use tokio::time::Instant;
use wasmtime::component::Accessor;
use wasmtime::{AsContextMut, StoreContextMut};

use crate::bindings::kora::resource::types;
use crate::encoding::Encoding;
use crate::guest::Guest;
use crate::instance::{Instance, State, Writes};
use crate::limits::Precision;
use crate::manifest::Readers;
use crate::pace::Took;
use crate::{convert, encoding, streams};

/// How often a call runs at most whose commit finds that what it read has changed.
const ATTEMPTS: usize = 20;

/// How many of them run beside other calls; from there on it stands in line.
const ATTEMPTS_BESIDE_OTHERS: usize = 2;

/// What is asked of which resource.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) number: u32,
    pub(crate) call: Call,
}

enum Answer {
    Reply(Result<Reply>),
    /// The commit found that something has changed.
    Conflict(Error),
}

/// Runs `work` and gives its reply.
pub(crate) async fn run(guest: Arc<Guest>, work: Work) -> Result<Reply> {
    let work = Arc::new(work);
    let limits = guest.info.limits;
    let deadline = Instant::now() + limits.wall_time;
    let mut line = None;
    for attempt in 1.. {
        if attempt > ATTEMPTS_BESIDE_OTHERS && line.is_none() {
            // A fair lock: whoever waits longest is next.
            let turn = tokio::time::timeout_at(deadline, guest.contended.lock()).await;
            line = Some(turn.map_err(|_| limits.error(Exceeded::WallTime, guest.name(&work)))?);
        }
        let (answer, answered) = oneshot::channel();
        let running = guest.clone().perform(work.clone(), deadline, answer);
        match line {
            None => guest.begin(work.number, running),
            Some(_) => guest.engine.spawn(running),
        }
        match answered.await {
            Ok(Answer::Reply(reply)) => return reply,
            Ok(Answer::Conflict(error)) if attempt == ATTEMPTS => return Err(error),
            Ok(Answer::Conflict(_)) => {}
            Err(_) => break,
        }
    }
    Err(Error::unavailable("the server is shutting down"))
}

impl Guest {
    /// Has work for a resource begin on the calling thread if it is likely to be short, and go on, or begin, on the
    /// guests' threads. Who polls it next need not wait to be woken: it is polled anew.
    pub(crate) fn begin(&self, number: u32, work: impl Future<Output = ()> + Send + 'static) {
        let mut work = Box::pin(work);
        let mut cx = Context::from_waker(Waker::noop());
        let is_short = self.paces[number as usize].is_short();
        if !is_short || work.as_mut().poll(&mut cx).is_pending() {
            self.engine.spawn(work);
        }
    }

    /// The name of the resource that is asked, for messages.
    fn name(&self, work: &Work) -> &str {
        &self.manifest.resources[work.number as usize].path
    }

    async fn perform(
        self: Arc<Self>,
        work: Arc<Work>,
        deadline: Instant,
        answer: oneshot::Sender<Answer>,
    ) {
        let ready = async {
            let permit = self.pool.permit().await?;
            Ok((permit, self.instance().await?))
        };
        let limits = self.info.limits;
        let name = self.name(&work);
        let deadline = tokio::time::sleep_until(deadline);
        let mut deadline = pin!(deadline);
        // In this order: most calls end before their deadline is looked at for the first time.
        let ready = tokio::select! {
            biased;
            ready = ready => ready,
            () = &mut deadline => Err(limits.error(Exceeded::WallTime, name)),
        };
        let (_permit, mut instance) = match ready {
            Ok(ready) => ready,
            // A receiver that is gone means that the client has left: there is nobody to tell.
            Err(error) => return drop(answer.send(Answer::Reply(Err(error)))),
        };
        let awake = self.engine.awake();
        let mut answer = Some(answer);
        let meter = instance.meter.clone();
        let pace = &self.paces[work.number as usize];
        let mut interrupted = false;
        // To know exactly is worth its price where there is more than one poll.
        let mut precision = Precision::Wall;
        let outcome = {
            let answered = AtomicBool::new(false);
            let readers = self.manifest.resources[work.number as usize].context;
            let reply = |reply| {
                answered.store(true, Ordering::Relaxed);
                if let Some(answer) = answer.take() {
                    drop(answer.send(reply));
                }
            };
            let transaction = self.store.transaction();
            let mut run = pin!(drive(&mut instance, transaction, &work, readers, reply));
            let mut run = poll_fn(|cx| {
                let polled = meter.poll(run.as_mut(), cx, precision);
                precision = Precision::Thread;
                // A call that turns out long says so while it still runs.
                if meter.take_gave_way() && !interrupted {
                    interrupted = true;
                    pace.note(Took::Interrupted);
                }
                polled
            });
            tokio::select! {
                biased;
                outcome = &mut run => Some(outcome),
                () = &mut deadline => match answered.load(Ordering::Relaxed) {
                    // Nobody waits any more: what it does after its answer takes the time it takes.
                    true => Some(run.await),
                    false => None,
                },
            }
        };
        drop(awake);
        if !interrupted {
            pace.note(Took::Time(meter.used()));
        }
        let error = match outcome {
            Some(Ok(())) => return self.pool.put(instance),
            Some(Err(error)) => self.trapped(&instance, name, &error),
            None => {
                let error = limits.error(Exceeded::WallTime, name);
                tracing::error!(component = self.info.component, "{error}");
                error
            }
        };
        if let Some(answer) = answer.take() {
            drop(answer.send(Answer::Reply(Err(error))));
        }
    }

    /// What the caller is told of a trap; the log gets the guest's stack.
    pub(crate) fn trapped(&self, instance: &Instance, name: &str, trap: &wasmtime::Error) -> Error {
        let error = match instance.meter.exceeded() {
            Some(exceeded) => self.info.limits.error(exceeded, name),
            None => Error::internal(format!("{name} failed: {}", trap.root_cause())),
        };
        tracing::error!(component = self.info.component, "{error}\n{trap:?}");
        error
    }
}

/// Runs the guest until it has answered and has nothing more to do.
async fn drive(
    instance: &mut Instance,
    transaction: kora_store::Transaction,
    work: &Work,
    readers: Readers,
    answer: impl FnOnce(Answer),
) -> wasmtime::Result<()> {
    instance.meter.reset();
    let Instance { store, bindings, .. } = instance;
    store.set_epoch_deadline(1);
    store.data_mut().writes = Writes::Together(transaction);
    let encoding = store.data().encoding;
    let verbs = kora_resource::VerbSet::default();
    let call = convert::call(work.number, &work.call, readers, encoding);
    let guest = bindings.kora_resource_guest();
    store
        .run_concurrent(async |accessor| {
            let reply = guest.call_handle(accessor, call).await?;
            let reply = match reply {
                Ok(reply) => accessor
                    .with(|mut access| take_reply(access.as_context_mut(), reply, encoding))?,
                Err(failure) => Err(convert::error(failure, verbs)),
            };
            answer(settle(accessor, reply).await);
            poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
            Ok(())
        })
        .await
        .flatten()?;
    store.data_mut().writes = Writes::Refused;
    Ok(())
}

/// Commits what a call that succeeded has written, drops what one that failed has.
async fn settle(accessor: &Accessor<State>, reply: Result<Reply>) -> Answer {
    let writes =
        accessor.with(|mut access| std::mem::replace(&mut access.data_mut().writes, Writes::Apart));
    match (reply, writes) {
        (Ok(mut reply), Writes::Together(transaction)) if !transaction.is_empty() => {
            // Boxed: the future of a call that writes nothing need not be as large.
            match Box::pin(transaction.commit()).await {
                Ok(committed) => {
                    reply.version = reply.version.or(committed.version);
                    Answer::Reply(Ok(reply))
                }
                Err(error) if error.kind == kora_resource::ErrorKind::Conflict => {
                    Answer::Conflict(error)
                }
                Err(error) => Answer::Reply(Err(error)),
            }
        }
        (reply, _) => Answer::Reply(reply),
    }
}

/// Reads the guest's reply; what it streams is read as the transport asks for it.
fn take_reply(
    store: StoreContextMut<'_, State>,
    reply: types::Reply,
    encoding: Encoding,
) -> wasmtime::Result<Result<Reply>> {
    let body = match reply.body {
        types::Body::Absent => ReplyBody::Absent,
        types::Body::Value(bytes) => match encoding.decode_item(bytes, "a reply") {
            Ok(Item::Value(value)) => ReplyBody::Value(value),
            Ok(Item::Record(record)) => ReplyBody::Record(record),
            Err(error) => return Ok(Err(error)),
        },
        types::Body::Items(sequence) => {
            let values = streams::from_guest(store, sequence)?;
            ReplyBody::Items(Box::pin(
                values.map(move |bytes| encoding.decode_item(bytes?, "an item")),
            ))
        }
        types::Body::Raw(raw) => {
            let (content_type, data) = encoding::raw(raw);
            ReplyBody::Raw { content_type, data }
        }
        types::Body::Pieces((content_type, stream, end)) => {
            let pieces = streams::from_guest(store, (stream, end))?;
            let chunks = Box::pin(pieces.map(|piece: Result<Vec<u8>>| Ok(Bytes::from(piece?))));
            ReplyBody::Stream { content_type, chunks, size: None }
        }
    };
    let created = match reply.created.map(|id| encoding.decode_id(&id)).transpose() {
        Ok(created) => created,
        Err(error) => return Ok(Err(error)),
    };
    Ok(Ok(Reply {
        status: reply.status,
        headers: reply.headers,
        body,
        created,
        ..Reply::default()
    }))
}
