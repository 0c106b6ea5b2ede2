//! Streams across the border. A stream in the world is a `stream` with a `future` that says how it ended; here it is a
//! Rust stream whose last item may be an error.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_channel::{mpsc, oneshot};
use futures_core::Stream;
use futures_util::StreamExt;
use kora_resource::{Error, Result, VerbSet};
use wasmtime::component::{
    Destination, FutureConsumer, FutureReader, Lift, Source, StreamConsumer, StreamProducer,
    StreamReader, StreamResult,
};
use wasmtime::{AsContextMut, StoreContextMut};

use crate::bindings::kora::resource::types::Failure;
use crate::convert;
use crate::instance::State;

/// Items that wait between a guest and the host: enough to keep both busy, few enough to bound memory.
const WINDOW: usize = 16;

/// A sequence in the world's form.
pub(crate) type Sequence<T> = (StreamReader<T>, FutureReader<Result<(), Failure>>);

/// Values for the guest, each encoded already.
pub(crate) type Encoded = Pin<Box<dyn Stream<Item = Result<Vec<u8>>> + Send>>;

/// Gives the guest `values` as a sequence. Reading goes as fast as the guest reads.
pub(crate) fn to_guest(
    mut store: impl AsContextMut,
    values: Encoded,
) -> wasmtime::Result<Sequence<Vec<u8>>> {
    let (end, ended) = oneshot::channel();
    let producer = Producer { values, end: Some(end) };
    let stream = StreamReader::new(&mut store, producer)?;
    let future = FutureReader::new(&mut store, async move {
        // A producer that is gone without a word was dropped by the guest, who then does not ask.
        wasmtime::error::Ok(ended.await.unwrap_or(Ok(())))
    })?;
    Ok((stream, future))
}

/// Values for the guest without an end of their own: what a client sends.
pub(crate) fn incoming(
    store: impl AsContextMut,
    values: Encoded,
) -> wasmtime::Result<StreamReader<Vec<u8>>> {
    StreamReader::new(store, Producer { values, end: None })
}

struct Producer {
    values: Encoded,
    end: Option<oneshot::Sender<Result<(), Failure>>>,
}

impl<D> StreamProducer<D> for Producer {
    type Item = Vec<u8>;
    type Buffer = Option<Vec<u8>>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, Vec<u8>, Option<Vec<u8>>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let ended = match self.values.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(value))) => {
                destination.set_buffer(Some(value));
                return Poll::Ready(Ok(StreamResult::Completed));
            }
            Poll::Ready(Some(Err(error))) => Err(convert::failure(&error)),
            Poll::Ready(None) => Ok(()),
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
        };
        if let Some(end) = self.end.take() {
            // The guest may have dropped the future.
            drop(end.send(ended));
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

/// Takes a sequence from the guest. The guest goes on no faster than the result is read, and learns when it is dropped.
pub(crate) fn from_guest<T: Lift + Send + Sync + 'static>(
    mut store: StoreContextMut<'_, State>,
    (stream, future): Sequence<T>,
) -> wasmtime::Result<impl Stream<Item = Result<T>> + Send + use<T>> {
    let (sender, receiver) = mpsc::channel(WINDOW);
    let (end, ended) = oneshot::channel();
    let (meter, info) = (store.data().meter.clone(), store.data().info.clone());
    stream.pipe(&mut store, Consumer { sender })?;
    future.pipe(&mut store, EndConsumer { end: Some(end) })?;
    let end = async move {
        match ended.await {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(Err(convert::error(failure, VerbSet::default()))),
            // The instance is gone: a limit or a trap.
            Err(oneshot::Canceled) => Some(Err(match meter.exceeded() {
                Some(exceeded) => info.limits.error(exceeded, &info.component),
                None => Error::internal("the guest ended early"),
            })),
        }
    };
    Ok(receiver.map(Ok).chain(futures_util::stream::once(end).filter_map(std::future::ready)))
}

struct Consumer<T> {
    sender: mpsc::Sender<T>,
}

impl<T: Lift + Send + Sync + 'static> StreamConsumer<State> for Consumer<T> {
    type Item = T;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, State>,
        mut source: Source<'_, T>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if source.remaining(&mut store) == 0 {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        match self.sender.poll_ready(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => return Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
        }
        let mut item: Option<T> = None;
        source.read(&mut store, &mut item)?;
        match item.map(|item| self.sender.start_send(item)) {
            Some(Err(_)) => Poll::Ready(Ok(StreamResult::Dropped)),
            Some(Ok(())) | None => Poll::Ready(Ok(StreamResult::Completed)),
        }
    }
}

struct EndConsumer {
    end: Option<oneshot::Sender<Result<(), Failure>>>,
}

impl FutureConsumer<State> for EndConsumer {
    type Item = Result<(), Failure>;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        store: StoreContextMut<'_, State>,
        mut source: Source<'_, Self::Item>,
        _finish: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut item: Option<Self::Item> = None;
        source.read(store, &mut item)?;
        if let (Some(ended), Some(end)) = (item, self.end.take()) {
            // A reader that is gone does not ask how it ended.
            drop(end.send(ended));
        }
        Poll::Ready(Ok(()))
    }
}
