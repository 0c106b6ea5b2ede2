//! Many WebSocket subscribers on one thread: a handshake, and then only as much of the frames as tells which
//! change arrived and when.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use memchr::memmem;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::http1::Exchange;

/// Any key will do: the answer to it is not checked.
const UPGRADE: &str = "GET /Tick/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: a29yYS1sb2FkLXRlc3QtMQ==\r\n\r\n";

/// No event for this long after the last change: what has not arrived will not.
const QUIET: Duration = Duration::from_secs(2);

struct Subscriber {
    stream: TcpStream,
    received: Vec<u8>,
    is_open: bool,
}

pub(crate) struct Arrival {
    pub(crate) change: usize,
    pub(crate) at: Instant,
}

pub(crate) struct Subscribers {
    poll: Poll,
    all: Vec<Subscriber>,
}

impl Subscribers {
    pub(crate) fn connect(address: SocketAddr, count: usize) -> Result<Subscribers> {
        let poll = Poll::new()?;
        let mut all = Vec::with_capacity(count);
        for number in 0..count {
            let mut exchange =
                Exchange::connect(address).with_context(|| format!("subscriber {number}"))?;
            let (response, _) = exchange.send(UPGRADE.as_bytes())?;
            ensure!(response.status == 101, "the upgrade was answered with {}", response.status);
            let (stream, received) = exchange.into_parts();
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
            all.push(Subscriber { stream, received, is_open: true });
        }
        Ok(Subscribers { poll, all })
    }

    /// How many the server has not cut off.
    pub(crate) fn open(&self) -> usize {
        self.all.iter().filter(|subscriber| subscriber.is_open).count()
    }

    /// Collects arrivals of changes from `first` on, until every subscriber has the `expected` number of them
    /// (0: not yet known) or nothing comes any more.
    pub(crate) fn collect(&mut self, first: usize, expected: &AtomicUsize) -> Result<Vec<Arrival>> {
        let mut arrivals = Vec::new();
        let mut events = Events::with_capacity(1024);
        let mut last = Instant::now();
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let changes = expected.load(Ordering::Acquire);
            if changes > 0 && (arrivals.len() >= changes * self.open() || last.elapsed() > QUIET) {
                return Ok(arrivals);
            }
            self.poll.poll(&mut events, Some(Duration::from_millis(50)))?;
            for event in &events {
                let subscriber = &mut self.all[event.token().0];
                if subscriber.read(&mut chunk)? {
                    last = Instant::now();
                    subscriber.take_frames(first, last, &mut arrivals);
                }
            }
        }
    }
}

impl Subscriber {
    /// `true` when something came.
    fn read(&mut self, chunk: &mut [u8]) -> Result<bool> {
        let before = self.received.len();
        while self.is_open {
            match self.stream.read(chunk) {
                Ok(0) => self.is_open = false,
                Ok(read) => self.received.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    self.is_open = false
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.received.len() > before)
    }

    fn take_frames(&mut self, first: usize, at: Instant, arrivals: &mut Vec<Arrival>) {
        let mut taken = 0;
        while let Some((payload, end)) = frame(&self.received[taken..]) {
            let payload = &self.received[taken + payload..taken + end];
            if let Some(change) = change_number(payload)
                && change >= first
            {
                arrivals.push(Arrival { change, at });
            }
            taken += end;
        }
        self.received.drain(..taken);
    }
}

/// Where the payload of the frame at the start of `bytes` begins and ends. A server's frames are not masked.
fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let (start, length) = match *bytes.get(1)? & 0x7f {
        126 => (4, u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        short => (2, u64::from(short)),
    };
    let end = start + usize::try_from(length).ok()?;
    (bytes.len() >= end).then_some((start, end))
}

/// The attribute `n` of the record in an event.
fn change_number(event: &[u8]) -> Option<usize> {
    let value = event[memmem::find(event, br#""n":"#)? + 4..].trim_ascii_start();
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&value[..digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_each_length_form() {
        assert_eq!(frame(&[0x81, 3, 1, 2, 3, 0x81]), Some((2, 5)));
        assert_eq!(frame(&[0x81, 3, 1, 2]), None);
        let long = [&[0x81, 126, 0, 200][..], &[0; 200]].concat();
        assert_eq!(frame(&long), Some((4, 204)));
    }

    #[test]
    fn the_number_of_a_change_is_found_in_its_event() {
        assert_eq!(change_number(br#"{"id":"1","value":{"id":"1","n":42,"text":"x"}}"#), Some(42));
        assert_eq!(change_number(b"{}"), None);
    }
}
