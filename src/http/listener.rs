//! Accepting connections and driving them: HTTP/1.1 and HTTP/2, with or without TLS, with upgrades.
//!
//! One task accepts, one task a connection. A client that does not say what it wants within its time,
//! be it silent, slow or stuck in a handshake, is dropped. On drain the acceptor stops, connections
//! finish the requests that they have and close; what is not done by then is dropped with the process.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};

use super::peer::{Peer, Scheme};
use super::router::Router;
use crate::connections::Acceptor;
use crate::realtime::drain::Drain;
use crate::tls::Tls;

/// How long requests in flight may take after the server was told to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How often an HTTP/2 client is asked whether it is there, and how long it may take to answer.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(20);

/// What all connections of a listener share.
#[derive(Clone)]
struct Serving {
    builder: Builder<TokioExecutor>,
    router: Arc<Router>,
    head_timeout: Duration,
}

/// Serves until `drain` begins and what was open has finished.
pub(crate) async fn run(
    mut acceptor: Acceptor,
    tls: Option<Arc<Tls>>,
    router: Arc<Router>,
    head_timeout: Duration,
    mut drain: Drain,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(head_timeout);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(PING).keep_alive_timeout(PONG);
    let serving = Serving { builder, router, head_timeout };
    let open = GracefulShutdown::new();
    loop {
        let (stream, address) = tokio::select! {
            accepted = acceptor.accept() => accepted,
            () = drain.begun() => break,
        };
        let (serving, watcher) = (serving.clone(), open.watcher());
        match &tls {
            None => {
                let peer = serving.router.peer(address, Scheme::Http);
                tokio::spawn(serving.serve(stream, peer, watcher));
            }
            Some(tls) => {
                let tls = Arc::clone(tls);
                tokio::spawn(async move {
                    match tls.accept(stream).await {
                        Ok(secured) => {
                            let user = secured.username.as_deref();
                            let peer = serving.router.secure_peer(address, user);
                            Box::pin(serving.serve(secured.stream, peer, watcher)).await;
                        }
                        Err(error) => report_handshake(address, &error),
                    }
                });
            }
        }
    }
    drop(acceptor);
    if tokio::time::timeout(DRAIN_TIMEOUT, open.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish within {} s", DRAIN_TIMEOUT.as_secs());
    }
}

impl Serving {
    async fn serve<S>(self, stream: S, peer: Peer, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let address = peer.socket_address();
        let peer = Arc::new(peer);
        let router = self.router;
        // The library's own time for a head begins only once it knows the version.
        let is_heard = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&is_heard);
        let service = service_fn(move |request| {
            heard.store(true, Ordering::Relaxed);
            let (router, peer) = (router.clone(), peer.clone());
            async move { Ok::<_, Infallible>(router.handle(request, &peer).await) }
        });
        let connection = self.builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let connection = watcher.watch(connection.into_owned());
        let silent = pin!(tokio::time::sleep(self.head_timeout));
        let ended = match select(pin!(connection), silent).await {
            Either::Left((ended, _)) => ended,
            Either::Right(((), connection)) => match is_heard.load(Ordering::Relaxed) {
                true => connection.await,
                false => return tracing::debug!("{address} has asked for nothing"),
            },
        };
        if let Err(error) = ended {
            // A client that went away or spoke nonsense; hyper has answered what can be answered.
            tracing::debug!("connection of {address}: {error}");
        }
    }
}

/// A client that went away, has no TLS, or does not like our certificate.
pub(crate) fn report_handshake(address: SocketAddr, error: &io::Error) {
    tracing::debug!("the TLS handshake with {address}: {error}");
}
