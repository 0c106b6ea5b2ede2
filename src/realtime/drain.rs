//! The end of the server, as its connections learn of it.
//!
//! [`DrainControl`] is held by the server, [`Drain`] by everything that stays open longer than a
//! request. Beginning the drain wakes them all; it is over when all sockets are closed.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

/// Begins the drain and waits for it.
#[derive(Debug)]
pub(crate) struct DrainControl {
    signal: watch::Sender<bool>,
    /// Nothing is ever sent: it closes when the last [`OpenSocket`] is dropped.
    sockets: mpsc::Receiver<Infallible>,
    open: mpsc::Sender<Infallible>,
}

/// Tells when the drain has begun.
#[derive(Debug, Clone)]
pub(crate) struct Drain {
    signal: watch::Receiver<bool>,
    open: mpsc::WeakSender<Infallible>,
}

/// Holds up the end of the drain while it lives.
#[derive(Debug)]
pub(crate) struct OpenSocket(
    #[expect(dead_code, reason = "held for its drop")] Option<mpsc::Sender<Infallible>>,
);

impl DrainControl {
    pub(crate) fn new() -> DrainControl {
        let (open, sockets) = mpsc::channel(1);
        DrainControl { signal: watch::Sender::new(false), sockets, open }
    }

    pub(crate) fn drain(&self) -> Drain {
        Drain { signal: self.signal.subscribe(), open: self.open.downgrade() }
    }

    /// Wakes everything that waits for the drain.
    pub(crate) fn begin(&self) {
        self.signal.send_replace(true);
    }

    /// Waits until all sockets are closed, at most `limit`.
    pub(crate) async fn closed(self, limit: Duration) {
        let DrainControl { signal: _signal, mut sockets, open } = self;
        drop(open);
        if tokio::time::timeout(limit, sockets.recv()).await.is_err() {
            tracing::warn!("some sockets did not close within {} s", limit.as_secs());
        }
    }
}

impl Drain {
    /// Returns when the server is told to stop, also if that was long ago.
    pub(crate) async fn begun(&mut self) {
        // An error means that the control is gone, which is later than the beginning.
        let _ = self.signal.wait_for(|begun| *begun).await;
    }

    pub(crate) fn socket(&self) -> OpenSocket {
        OpenSocket(self.open.upgrade())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_drain_waits_for_open_sockets() {
        let control = DrainControl::new();
        let mut drain = control.drain();
        let socket = drain.socket();
        control.begin();
        drain.begun().await;
        let closed = tokio::spawn(control.closed(Duration::from_secs(60)));
        tokio::task::yield_now().await;
        assert!(!closed.is_finished());
        drop(socket);
        closed.await.unwrap();
    }
}
