//! MQTT over TCP: accepting connections. A TLS acceptor would stand between the accepted stream and
//! [`connection::run`], which takes any byte stream.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::transport::{Framing, Outbox, Source};
use super::{Broker, connection};

/// How long accepting pauses after it failed, which is when the process is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until the drain begins. Connections end by themselves then.
pub(crate) async fn run(listener: TcpListener, broker: Arc<Broker>) {
    let mut drain = broker.drain.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = drain.begun() => return,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!("can't accept an MQTT connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("TCP_NODELAY: {error}");
        }
        let broker = Arc::clone(&broker);
        tokio::spawn(async move {
            let (read, write) = stream.into_split();
            let outbox = Outbox::new(write, Framing::None);
            let client = broker.client(address);
            connection::run(broker, client, Source::Stream(read), outbox).await;
        });
    }
}
