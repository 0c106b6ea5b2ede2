//! One call of a guest: an instance from the pool, the guest's answer, the commit of what it wrote, and the end of
//! what it streams.
//!
//! A call begins on its caller's thread if it is likely to be short (`pace.rs`) and runs on the guests' threads else; the
//! caller waits for the answer. What the guest streams after its answer is driven here too, so that the instance goes back to the pool only when the guest has nothing more to do. A commit
//! that conflicts is the host's affair: the whole call runs again, at first at once, then one call after the other, so
//! that calls which all change one record get through in turn.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

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
use crate::pace::{LONG, Took};
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

/// Runs `work` and gives its reply; `name` is the resource's, for messages.
pub(crate) async fn run(guest: Arc<Guest>, name: &str, work: Work) -> Result<Reply> {
    let (name, work): (Arc<str>, _) = (name.into(), Arc::new(work));
    let pace = &guest.paces[work.number as usize];
    let limits = guest.info.limits;
    let deadline = Instant::now() + limits.wall_time;
    let mut line = None;
    for attempt in 1.. {
        if attempt > ATTEMPTS_BESIDE_OTHERS && line.is_none() {
            // A fair lock: whoever waits longest is next.
            let turn = tokio::time::timeout_at(deadline, guest.contended.lock()).await;
            line = Some(turn.map_err(|_| limits.error(Exceeded::WallTime, &name))?);
        }
        let (answer, answered) = oneshot::channel();
        let (this, work, name) = (guest.clone(), work.clone(), name.clone());
        let mut running =
            Box::pin(async move { this.perform(&name, &work, deadline, answer).await });
        let begun = Instant::now();
        let ended = line.is_none() && pace.is_short() && poll_once(running.as_mut()).is_ready();
        if !ended {
            guest.engine.spawn(running);
        }
        if begun.elapsed() > LONG {
            pace.note(Took::Long);
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

/// Has a future begin here. Who polls it next need not wait to be woken: it is polled anew.
fn poll_once(future: Pin<&mut impl Future<Output = ()>>) -> Poll<()> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

impl Guest {
    async fn perform(
        self: Arc<Self>,
        name: &str,
        work: &Work,
        deadline: Instant,
        answer: oneshot::Sender<Answer>,
    ) {
        let ready = async {
            let permit = self.pool.permit().await?;
            Ok((permit, self.instance().await?))
        };
        let limits = self.info.limits;
        let deadline = tokio::time::sleep_until(deadline);
        let mut deadline = std::pin::pin!(deadline);
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
        let outcome = {
            let answered = AtomicBool::new(false);
            let run = drive(&mut instance, self.store.transaction(), work, |reply| {
                answered.store(true, Ordering::Relaxed);
                if let Some(answer) = answer.take() {
                    drop(answer.send(reply));
                }
            });
            let mut run = std::pin::pin!(meter.around(run));
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
        let took = if meter.used() > LONG { Took::Long } else { Took::Short };
        self.paces[work.number as usize].note(took);
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
    answer: impl FnOnce(Answer),
) -> wasmtime::Result<()> {
    instance.meter.reset();
    let Instance { store, bindings, .. } = instance;
    // The first tick may come by chance, while another guest keeps the ticker awake: a short call must not give way to
    // a long one for it.
    store.set_epoch_deadline(2);
    store.data_mut().writes = Writes::Together(transaction);
    let encoding = store.data().encoding;
    let verbs = kora_resource::VerbSet::default();
    let call = convert::call(work.number, &work.call, encoding);
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
            match transaction.commit().await {
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
        types::Body::Value(bytes) => match encoding.decode(&bytes, "a reply") {
            Ok(value) => ReplyBody::Value(value),
            Err(error) => return Ok(Err(error)),
        },
        types::Body::Items(sequence) => {
            let values = streams::from_guest(store, sequence)?;
            ReplyBody::Items(Box::pin(
                values.map(move |bytes| Ok(Item::Value(encoding.decode(&bytes?, "an item")?))),
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
