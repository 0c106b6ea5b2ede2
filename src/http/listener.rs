//! Accepting connections and driving them: HTTP/1.1 and HTTP/2 without TLS, with upgrades.
//!
//! One task accepts, one task a connection. On drain the acceptor stops, connections finish the
//! requests that they have and close; what is not done by then is dropped with the process.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;

use super::router::Router;
use crate::realtime::drain::Drain;

/// How long a client may take to send a request's head (`spec/harper-rest.md` section 12).
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// How long requests in flight may take after the server was told to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long accepting pauses after it failed, which is when the process is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `drain` begins and what was open has finished.
pub(crate) async fn run(listener: TcpListener, router: Arc<Router>, mut drain: Drain) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder.http2().timer(TokioTimer::new());
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = drain.begun() => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                report_accept_error(&error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("TCP_NODELAY: {error}");
        }
        let peer = Arc::new(router.peer(address));
        let router = router.clone();
        let service = service_fn(move |request| {
            let (router, peer) = (router.clone(), peer.clone());
            async move { Ok::<_, Infallible>(router.handle(request, &peer).await) }
        });
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let connection = connections.watch(connection.into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // A client that went away or spoke nonsense; hyper has answered what can be answered.
                tracing::debug!("connection of {address}: {error}");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, connections.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish within {} s", DRAIN_TIMEOUT.as_secs());
    }
}

fn report_accept_error(error: &io::Error) {
    match error.kind() {
        // The client gave up between its SYN and our accept.
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset => {}
        _ => tracing::error!("can't accept connections: {error}"),
    }
}
