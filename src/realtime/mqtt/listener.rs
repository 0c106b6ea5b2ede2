//! MQTT over TCP and over TLS: accepting connections.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::client::Client;
use super::transport::{Framing, Outbox, Source};
use super::{Broker, connection};
use crate::connections::Acceptor;
use crate::http::listener::report_handshake;
use crate::tls::Tls;

/// Serves until the drain begins. Connections end by themselves then.
pub(crate) async fn run(mut acceptor: Acceptor, tls: Option<Arc<Tls>>, broker: Arc<Broker>) {
    let mut drain = broker.drain.clone();
    loop {
        let (stream, address) = tokio::select! {
            accepted = acceptor.accept() => accepted,
            () = drain.begun() => return,
        };
        let broker = Arc::clone(&broker);
        match &tls {
            None => {
                let (read, write) = stream.into_split();
                let client = broker.client(address);
                tokio::spawn(serve(broker, client, read, write));
            }
            Some(tls) => {
                let tls = Arc::clone(tls);
                tokio::spawn(async move {
                    match tls.accept(stream).await {
                        Ok(secured) => {
                            let client = broker.secure_client(address, secured.username.as_deref());
                            let (read, write) = tokio::io::split(secured.stream);
                            Box::pin(serve(broker, client, read, write)).await;
                        }
                        Err(error) => report_handshake(address, &error),
                    }
                });
            }
        }
    }
}

async fn serve<R, W>(broker: Arc<Broker>, client: Client, read: R, write: W)
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    connection::run(broker, client, Source::Stream(read), Outbox::new(write, Framing::None)).await;
}
