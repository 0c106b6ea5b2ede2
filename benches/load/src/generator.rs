//! Closed-loop load: each connection sends its next request when the answer to its last one is whole. One thread,
//! one epoll.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::http1::{PATIENCE, Response};
use crate::report::quantile;

#[derive(Clone, Copy)]
pub(crate) enum Stop {
    After(Duration),
    Requests(usize),
}

pub(crate) struct Outcome {
    pub(crate) completed: usize,
    pub(crate) elapsed: Duration,
    /// Microseconds from a request's first byte to its answer's last, sorted.
    latencies: Vec<u64>,
}

impl Outcome {
    pub(crate) fn rate(&self) -> f64 {
        self.completed as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency, in microseconds, that `share` of the answers came below.
    pub(crate) fn latency(&self, share: f64) -> u64 {
        quantile(&self.latencies, share)
    }
}

struct Connection {
    stream: TcpStream,
    /// The request under way and how much of it is written.
    request: usize,
    written: usize,
    since: Instant,
    received: Vec<u8>,
    filled: usize,
}

impl Connection {
    fn open(address: SocketAddr) -> Result<Connection> {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let stream = TcpStream::from_std(stream);
        let received = vec![0; 16 * 1024];
        Ok(Connection {
            stream,
            request: 0,
            written: 0,
            since: Instant::now(),
            received,
            filled: 0,
        })
    }

    fn write(&mut self, request: &[u8]) -> Result<()> {
        while self.written < request.len() {
            match self.stream.write(&request[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads what is there; `true` once the answer is whole.
    fn read(&mut self) -> Result<bool> {
        loop {
            if self.filled == self.received.len() {
                self.received.resize(self.filled * 2, 0);
            }
            match self.stream.read(&mut self.received[self.filled..]) {
                Ok(0) => bail!("the server closed a connection under load"),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
            let received = &self.received[..self.filled];
            if let Some(response) = Response::parse(received)? {
                if !response.is_success() {
                    bail!("the server answered: {}", String::from_utf8_lossy(received));
                }
                self.filled = 0;
                return Ok(true);
            }
        }
    }
}

/// Sends `requests` in turn over `connections` sockets. Any answer but a 2xx ends the run with an error: a
/// server must not look fast by failing.
pub(crate) fn run(
    address: SocketAddr,
    connections: usize,
    requests: &[Vec<u8>],
    stop: Stop,
) -> Result<Outcome> {
    let mut poll = Poll::new()?;
    let mut open = Vec::with_capacity(connections);
    for number in 0..connections {
        let mut connection = Connection::open(address).context("connect")?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut connection.stream, Token(number), interest)?;
        open.push(connection);
    }

    let limit = match stop {
        Stop::After(_) => usize::MAX,
        Stop::Requests(limit) => limit,
    };
    let started = Instant::now();
    let deadline = match stop {
        Stop::After(duration) => started + duration,
        Stop::Requests(_) => started + PATIENCE,
    };
    let (mut sent, mut completed, mut latencies) = (0, 0, Vec::new());
    for connection in open.iter_mut().take(limit) {
        connection.request = sent % requests.len();
        connection.since = Instant::now();
        sent += 1;
        connection.write(&requests[connection.request])?;
    }

    let mut events = Events::with_capacity(connections.max(16));
    while completed < limit && Instant::now() < deadline {
        poll.poll(&mut events, Some(Duration::from_millis(100)))?;
        for event in &events {
            let connection = &mut open[event.token().0];
            if connection.written < requests[connection.request].len() {
                connection.write(&requests[connection.request])?;
            }
            if !event.is_readable() || !connection.read()? {
                continue;
            }
            completed += 1;
            latencies.push(connection.since.elapsed().as_micros() as u64);
            if sent < limit {
                connection.since = Instant::now();
                connection.request = sent % requests.len();
                connection.written = 0;
                sent += 1;
                connection.write(&requests[connection.request])?;
            }
        }
    }
    if let Stop::Requests(limit) = stop
        && completed < limit
    {
        bail!("only {completed} of {limit} requests were answered in {PATIENCE:?}");
    }
    let elapsed = started.elapsed();
    latencies.sort_unstable();
    Ok(Outcome { completed, elapsed, latencies })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Answers each request that ends in an empty line, in two pieces, for as long as connections come.
    fn server(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(io::Result::ok) {
                stream.set_nodelay(true).unwrap();
                std::thread::spawn(move || {
                    let mut buffer = [0; 1024];
                    while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                        let (head, tail) = answer.split_at(answer.len() / 2);
                        if stream.write_all(head).and_then(|()| stream.write_all(tail)).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        address
    }

    #[test]
    fn every_request_is_answered_once() {
        let address = server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let requests = [crate::http1::get("/a"), crate::http1::get("/b")];
        let outcome = run(address, 4, &requests, Stop::Requests(100)).unwrap();
        assert_eq!(outcome.completed, 100);
        assert!(outcome.latency(0.99) >= outcome.latency(0.5));
    }

    #[test]
    fn a_failing_server_is_not_measured() {
        let address = server(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
        let error = run(address, 1, &[crate::http1::get("/")], Stop::Requests(1)).err().unwrap();
        assert!(error.to_string().contains("503"), "{error}");
    }
}
