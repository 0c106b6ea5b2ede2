//! Writing WebSocket frames: what is ready is gathered and goes out in one vectored write.
//!
//! Server frames are not masked, so one encoded frame serves every client. Writing survives being
//! cancelled: what is queued stays queued, with its position, and the next flush goes on there.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

/// How many bytes are gathered before they are written.
pub(super) const BATCH: usize = 64 * 1024;

/// How long a client may read nothing at all while something is to be written to it.
const STALLED: Duration = Duration::from_secs(30);

/// How many frames go into one system call.
const SLICES: usize = 64;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    /// A further fragment of a message.
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xA,
}

/// A whole unmasked frame.
pub(super) fn encode_frame(opcode: Opcode, payload: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(payload.len() + 10);
    write_header(opcode, payload.len(), &mut frame);
    frame.extend_from_slice(payload);
    frame.into()
}

/// Appends the header of an unmasked, unfragmented frame (RFC 6455, section 5.2).
pub(super) fn write_header(opcode: Opcode, length: usize, out: &mut Vec<u8>) {
    const FINAL: u8 = 0x80;
    out.push(FINAL | opcode as u8);
    match length {
        0..126 => out.push(length as u8),
        126..65536 => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// A close frame; without a code the peer sees 1005.
pub(super) fn encode_close(close: Option<(u16, &str)>) -> Bytes {
    /// A control frame holds 125 bytes, two of them for the code.
    const LONGEST_REASON: usize = 123;
    let Some((code, reason)) = close else { return encode_frame(Opcode::Close, &[]) };
    let reason = &reason[..reason.floor_char_boundary(LONGEST_REASON)];
    encode_frame(Opcode::Close, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// The write half of a socket with what is to be written.
pub(super) struct FrameWriter<W> {
    socket: W,
    queue: VecDeque<Bytes>,
    queued: usize,
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    pub(super) fn new(socket: W) -> FrameWriter<W> {
        FrameWriter { socket, queue: VecDeque::new(), queued: 0 }
    }

    /// Queues an encoded frame; true while more should be gathered before flushing.
    pub(super) fn push(&mut self, frame: Bytes) -> bool {
        self.queued += frame.len();
        self.queue.push_back(frame);
        self.queued < BATCH
    }

    /// Queues a message whose payload is not copied if it is large.
    pub(super) fn push_message(&mut self, opcode: Opcode, payload: Bytes) -> bool {
        const COPIED: usize = 4096;
        if payload.len() <= COPIED {
            return self.push(encode_frame(opcode, &payload));
        }
        let mut header = Vec::with_capacity(10);
        write_header(opcode, payload.len(), &mut header);
        self.push(header.into());
        self.push(payload)
    }

    /// Writes everything that is queued. Fails with `TimedOut` if the client stops reading.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        while !self.queue.is_empty() {
            let written = std::future::poll_fn(|cx| self.poll_write(cx));
            match tokio::time::timeout(STALLED, written).await {
                Ok(written) => written?,
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
        std::future::poll_fn(|cx| Pin::new(&mut self.socket).poll_flush(cx)).await
    }

    /// Ends the sending side of the connection.
    pub(super) async fn shutdown(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| Pin::new(&mut self.socket).poll_shutdown(cx)).await
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = self.queue.len().min(SLICES);
        for (slice, frame) in slices.iter_mut().zip(&self.queue) {
            *slice = IoSlice::new(frame);
        }
        let socket = Pin::new(&mut self.socket);
        let mut written = ready!(socket.poll_write_vectored(cx, &slices[..count]))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.queued -= written;
        while let Some(frame) = self.queue.front_mut() {
            if written < frame.len() {
                frame.advance(written);
                break;
            }
            written -= frame.len();
            self.queue.pop_front();
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[test]
    fn headers_have_the_three_lengths() {
        assert_eq!(encode_frame(Opcode::Text, b"ab")[..], [0x81, 2, b'a', b'b']);
        assert_eq!(encode_frame(Opcode::Binary, &[0; 126])[..4], [0x82, 126, 0, 126]);
        assert_eq!(
            encode_frame(Opcode::Pong, &[0; 65536])[..10],
            [0x8A, 127, 0, 0, 0, 0, 0, 1, 0, 0]
        );
    }

    #[test]
    fn close_reasons_are_cut_between_characters() {
        assert_eq!(encode_close(None)[..], [0x88, 0]);
        let long = "ä".repeat(100);
        let frame = encode_close(Some((1011, &long)));
        assert_eq!(frame[1], 2 + 122);
        assert!(std::str::from_utf8(&frame[4..]).is_ok());
    }

    #[tokio::test]
    async fn a_cancelled_flush_goes_on_where_it_stopped() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let mut writer = FrameWriter::new(ours);
        let mut expected = Vec::new();
        for n in 0..100u8 {
            let frame = encode_frame(Opcode::Binary, &[n; 20]);
            expected.extend_from_slice(&frame);
            writer.push(frame);
        }
        let mut received = vec![0; expected.len()];
        let mut filled = 0;
        while filled < received.len() {
            tokio::select! {
                biased;
                read = theirs.read(&mut received[filled..]) => filled += read.unwrap(),
                flushed = writer.flush() => flushed.unwrap(),
            }
        }
        assert_eq!(received, expected);
    }
}
