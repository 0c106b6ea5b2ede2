//! Accepting TCP connections, for every listener alike, and the options that end those whose other end
//! is gone without a word: the network's own way to find out, beside what protocols ask themselves.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

/// How long accepting pauses after it failed, which is when the process is out of descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// After how much silence the system asks whether the other end is there, and how often then.
const QUIET: Duration = Duration::from_secs(60);
const ASKED_EVERY: Duration = Duration::from_secs(15);

/// How long what was written may stay without an acknowledgement, or a client without any room for it.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(90);

/// How many connections the system may hold for us that we have not accepted yet: enough for all clients of a
/// server that has just started again. The system has its own bound (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;

/// How many connections are accepted before everything else that is ready has had its turn. Each is a task that
/// wants to run at once, so a burst of thousands would stand before the next message of every other client.
const AT_ONCE: u32 = 8;

/// Accepts the connections of one port.
pub(crate) struct Acceptor {
    listener: TcpListener,
    /// Accepted since the others had their turn.
    accepted: u32,
}

impl Acceptor {
    /// Listens on the first address of `host` that can be had. Port 0 takes a free one.
    pub(crate) async fn bind(host: &str, port: u16) -> io::Result<Acceptor> {
        let mut failed = None;
        for address in lookup_host((host, port)).await? {
            match listen(address) {
                Ok(listener) => return Ok(Acceptor { listener, accepted: 0 }),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable)))
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next connection. Failures are said in the log, and waited out.
    pub(crate) async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        if self.accepted == AT_ONCE {
            self.accepted = 0;
            tokio::task::yield_now().await;
        }
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    self.accepted += 1;
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
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A server that starts again must not wait for the last connections of the one before it.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
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
