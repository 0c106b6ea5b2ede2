//! Many subscribers on one thread: after the handshake only as much of the messages is read as tells which
//! change arrived and when.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use memchr::memmem;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::transport::Transport;
use crate::report::quantile;

/// No event for this long after the last change: what has not arrived will not.
const QUIET: Duration = Duration::from_secs(2);

struct Subscriber {
    stream: TcpStream,
    received: Vec<u8>,
    is_open: bool,
}

/// A change that has come to one subscriber.
pub(crate) struct Arrival {
    pub(crate) change: usize,
    pub(crate) at: Instant,
}

/// How much later than to its first subscriber a change came to its last; quantiles over the changes, in microseconds.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
}

impl Spread {
    pub(crate) fn of(arrivals: &[Arrival]) -> Spread {
        let mut changes: HashMap<usize, (Instant, Instant)> = HashMap::new();
        for Arrival { change, at } in arrivals {
            let (first, last) = changes.entry(*change).or_insert((*at, *at));
            (*first, *last) = ((*first).min(*at), (*last).max(*at));
        }
        let mut spreads: Vec<u64> = changes
            .into_values()
            .map(|(first, last)| u64::try_from((last - first).as_micros()).unwrap_or(u64::MAX))
            .collect();
        spreads.sort_unstable();
        Spread { p50: quantile(&spreads, 0.5), p99: quantile(&spreads, 0.99) }
    }
}

/// What the writers and the reader of one run tell each other.
#[derive(Default)]
pub(crate) struct Progress {
    /// How many changes there are; 0 while that is not known.
    pub(crate) expected: AtomicUsize,
    /// How many have arrived, at all subscribers together.
    pub(crate) arrived: AtomicUsize,
}

pub(crate) struct Subscribers {
    transport: Transport,
    poll: Poll,
    all: Vec<Subscriber>,
}

impl Subscribers {
    /// Connects `count` of them; `path` tells what the one of a number subscribes to.
    pub(crate) fn connect(
        transport: Transport,
        address: SocketAddr,
        count: usize,
        path: impl Fn(usize) -> String,
    ) -> Result<Subscribers> {
        let poll = Poll::new()?;
        let mut all = Vec::with_capacity(count);
        for number in 0..count {
            let (stream, received) = transport
                .subscribe(address, &path(number), number)
                .with_context(|| format!("{} subscriber {number}", transport.name()))?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
            all.push(Subscriber { stream, received, is_open: true });
        }
        Ok(Subscribers { transport, poll, all })
    }

    /// How many the server has not cut off.
    pub(crate) fn open(&self) -> usize {
        self.all.iter().filter(|subscriber| subscriber.is_open).count()
    }

    /// Collects arrivals of changes from `first` on, until every subscriber has the expected number of them
    /// or nothing comes any more.
    pub(crate) fn collect(&mut self, first: usize, progress: &Progress) -> Result<Vec<Arrival>> {
        let mut arrivals = Vec::new();
        let mut events = Events::with_capacity(1024);
        let mut last = Instant::now();
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let changes = progress.expected.load(Ordering::Acquire);
            if changes > 0 && (arrivals.len() >= changes * self.open() || last.elapsed() > QUIET) {
                return Ok(arrivals);
            }
            self.poll.poll(&mut events, Some(Duration::from_millis(50)))?;
            for event in &events {
                let subscriber = &mut self.all[event.token().0];
                if subscriber.read(&mut chunk)? {
                    last = Instant::now();
                    let before = arrivals.len();
                    subscriber.take_messages(self.transport, first, last, &mut arrivals);
                    progress.arrived.fetch_add(arrivals.len() - before, Ordering::Release);
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
                Ok(read) => {
                    self.received.extend_from_slice(&chunk[..read]);
                    // Less than there was room for: all of it. A further read would only say so.
                    if read < chunk.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    self.is_open = false
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.received.len() > before)
    }

    fn take_messages(
        &mut self,
        transport: Transport,
        first: usize,
        at: Instant,
        arrivals: &mut Vec<Arrival>,
    ) {
        let mut taken = 0;
        let mut answers = Vec::new();
        while let Some(framed) = transport.split(&self.received[taken..]) {
            let payload = &self.received[taken + framed.payload.start..taken + framed.payload.end];
            if let Some(change) = change_number(payload)
                && change >= first
            {
                arrivals.push(Arrival { change, at });
            }
            answers.extend(framed.answer.into_iter().flatten());
            taken += framed.end;
        }
        self.received.drain(..taken);
        // Acknowledgements are small and the server reads them: a socket that takes none is one cut off.
        if !answers.is_empty() && self.stream.write_all(&answers).is_err() {
            self.is_open = false;
        }
    }
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
    fn the_number_of_a_change_is_found_in_its_event() {
        assert_eq!(change_number(br#"{"id":"1","value":{"id":"1","n":42,"text":"x"}}"#), Some(42));
        assert_eq!(change_number(b"{}"), None);
    }
}
