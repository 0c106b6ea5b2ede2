//! Accepting TCP connections, for every listener alike, and the options that end those whose other end
//! is gone without a word: the network's own way to find out, beside what protocols ask themselves.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};

/// How long accepting pauses after it failed, which is when the process is out of descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// After how much silence the system asks whether the other end is there, and how often then.
const QUIET: Duration = Duration::from_secs(60);
const ASKED_EVERY: Duration = Duration::from_secs(15);

/// How long what was written may stay without an acknowledgement, or a client without any room for it.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(90);

/// The next connection. Failures are said in the log, and waited out.
pub(crate) async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                if let Err(error) = prepare(&stream) {
                    tracing::debug!("the options of the connection of {address}: {error}");
                }
                return (stream, address);
            }
            Err(error) => {
                report(&error);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(QUIET).with_interval(ASKED_EVERY))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(())
}

fn report(error: &io::Error) {
    match error.kind() {
        // The client gave up between its SYN and our accept.
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset => {}
        _ => tracing::error!("can't accept connections: {error}"),
    }
}
