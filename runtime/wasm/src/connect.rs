//! One `connect`: an instance of its own for as long as the client listens.
//!
//! Messages go through a small window, so that a slow client slows the guest. When the client leaves, the guest's next
//! write and its incoming stream tell it; it gets a moment to finish, then its instance is dropped. The processor time
//! of each turn between two waits is bounded, the life of the stream is not.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_channel::mpsc;
use futures_core::Stream;
use futures_util::StreamExt;
use kora_resource::{Connect, Error, Exceeded, Message, Outgoing, Result, VerbSet};
use tokio::sync::oneshot;
use wasmtime::AsContextMut;

use crate::bindings::kora::resource::types;
use crate::encoding::{self, Encoding};
use crate::guest::Guest;
use crate::instance::{Instance, Writes};
use crate::manifest::Readers;
use crate::pace::Took;
use crate::{convert, streams};

/// How long a guest may go on after its client has left.
const FAREWELL: Duration = Duration::from_secs(5);

type Messages = Pin<Box<dyn Stream<Item = Result<types::Message>> + Send>>;

/// What the client reads. Dropping it tells the driver that the client has gone.
struct Client {
    messages: Messages,
    /// Why the instance ended, if it did not end by itself.
    failure: mpsc::Receiver<Error>,
    encoding: Encoding,
    ended: bool,
    _gone: oneshot::Sender<()>,
}

impl Stream for Client {
    type Item = Result<Message>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let message = match std::task::ready!(self.messages.poll_next_unpin(cx)) {
            Some(Ok(types::Message::Value(bytes))) => {
                self.encoding.decode(&bytes, "a message").map(Message::Value)
            }
            Some(Ok(types::Message::Raw(raw))) => {
                let (content_type, data) = encoding::raw(raw);
                Ok(Message::Raw { content_type, data })
            }
            // A trap's reason says more than the stream's early end.
            Some(Err(error)) => Err(match self.failure.poll_next_unpin(cx) {
                Poll::Ready(Some(failure)) => failure,
                Poll::Ready(None) | Poll::Pending => error,
            }),
            None => {
                self.ended = true;
                return Poll::Ready(None);
            }
        };
        self.ended = message.is_err();
        Poll::Ready(Some(message))
    }
}

/// Opens the stream; resolves when the guest's `connect` has answered.
pub(crate) async fn open(
    guest: Arc<Guest>,
    name: &str,
    number: u32,
    connect: Connect,
) -> Result<Outgoing> {
    let limits = guest.info.limits;
    let busy = || {
        Error::unavailable(format!(
            "{} has as many open streams as limits.concurrency allows",
            guest.info.component
        ))
    };
    let permit = guest.streams.clone().try_acquire_owned().map_err(|_| busy())?;
    let (answer, answered) = oneshot::channel();
    let name: Arc<str> = name.into();
    let (this, title) = (guest.clone(), name.clone());
    let running = async move {
        this.stream(&title, number, connect, answer).await;
        drop(permit);
    };
    guest.begin(number, running);
    match tokio::time::timeout(limits.wall_time, answered).await {
        Ok(Ok(client)) => client.map(|client| Box::pin(client) as Outgoing),
        Ok(Err(_)) => Err(Error::unavailable("the server is shutting down")),
        Err(_) => Err(limits.error(Exceeded::WallTime, &name)),
    }
}

impl Guest {
    async fn stream(
        self: Arc<Self>,
        name: &str,
        number: u32,
        connect: Connect,
        answer: oneshot::Sender<Result<Client>>,
    ) {
        let mut instance = match self.new_instance().await {
            Ok(instance) => instance,
            // A receiver that is gone means that the client has left: there is nobody to tell.
            Err(error) => return drop(answer.send(Err(error))),
        };
        let awake = self.engine.awake();
        let (mut failed, failure) = mpsc::channel(1);
        let (gone, mut left) = oneshot::channel();
        let mut answer = Some(answer);
        let meter = instance.meter.clone();
        let outcome = {
            let readers = self.manifest.resources[number as usize].context;
            let run = drive(&mut instance, number, connect, readers, |opened| {
                let encoding = self.manifest.encoding;
                let client = opened.map(|messages| Client {
                    messages,
                    failure,
                    encoding,
                    ended: false,
                    _gone: gone,
                });
                if let Some(answer) = answer.take() {
                    drop(answer.send(client));
                }
            });
            let mut run = std::pin::pin!(run);
            // Each turn has its own budget: a poll that does not go on where a tick stopped it begins a new one.
            let run = poll_fn(|cx| {
                if meter.take_gave_way() {
                    self.paces[number as usize].note(Took::Interrupted);
                } else {
                    meter.reset();
                }
                run.as_mut().poll(cx)
            });
            let mut run = std::pin::pin!(meter.around(run));
            tokio::select! {
                outcome = &mut run => Some(outcome),
                // The client has gone, or never came because its sender was dropped with the closure.
                _ = &mut left => tokio::time::timeout(FAREWELL, run).await.ok(),
            }
        };
        drop(awake);
        if let Some(Err(trap)) = outcome {
            let error = self.trapped(&instance, name, &trap);
            match answer.take() {
                Some(answer) => drop(answer.send(Err(error))),
                // A reader that is gone does not ask.
                None => drop(failed.try_send(error)),
            }
        }
    }
}

async fn drive(
    instance: &mut Instance,
    number: u32,
    connect: Connect,
    readers: Readers,
    opened: impl FnOnce(Result<Messages>),
) -> wasmtime::Result<()> {
    let Instance { store, bindings, .. } = instance;
    store.set_epoch_deadline(1);
    store.data_mut().writes = Writes::Apart;
    let encoding = store.data().encoding;
    let Connect { target, context, incoming, .. } = connect;
    let call = convert::connect(number, &target, &context, readers, encoding);
    let incoming = incoming
        .map(|values| {
            let encoded = values.map(move |value| Ok(encoding.encode(&value)));
            streams::incoming(store.as_context_mut(), Box::pin(encoded))
        })
        .transpose()?;
    let guest = bindings.kora_resource_guest();
    store
        .run_concurrent(async |accessor| {
            let messages = match guest.call_connect(accessor, call, incoming).await? {
                Ok(sequence) => {
                    let messages = accessor.with(|mut access| {
                        streams::from_guest(access.as_context_mut(), sequence)
                    })?;
                    Ok(Box::pin(messages) as Messages)
                }
                Err(failure) => Err(convert::error(failure, VerbSet::default())),
            };
            opened(messages);
            poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
            Ok(())
        })
        .await
        .flatten()
}
