//! Reading WebSocket frames, without a buffer while none come.
//!
//! Ten thousand idle sockets are ten thousand read buffers in most libraries (8 KiB each in the one that does our
//! handshake). Here a socket that is silent has none: the first bytes of a burst land on the stack, and what is
//! allocated belongs to the message and goes with it. Runs in the socket's task; [`FrameReader::next`] may be
//! cancelled at any point, what has been read stays in the reader.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::frame_writer::Opcode;

/// How many bytes are read at once while it is not known that more will come.
const CHUNK: usize = 2048;

/// The most that a control frame may carry (RFC 6455, section 5.5).
const LARGEST_CONTROL: usize = 125;

/// One frame as the client sent it, unmasked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) opcode: Opcode,
    /// Whether it is the last of its message.
    pub(super) is_last: bool,
    pub(super) payload: Bytes,
}

/// Why there is no next frame.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Lost(#[from] io::Error),
    #[error("{0}")]
    Protocol(&'static str),
    #[error("Message too large, maximum size is {largest} bytes")]
    TooLarge { largest: usize },
}

/// The read half of a server's socket.
pub(super) struct FrameReader<R> {
    socket: R,
    buffer: BytesMut,
    largest: usize,
}

/// The head of a frame.
struct Head {
    opcode: Opcode,
    is_last: bool,
    mask: [u8; 4],
    /// Bytes of the head itself.
    length: usize,
    payload: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Frames of more than `largest` bytes are refused before any of it is kept.
    pub(super) fn new(socket: R, largest: usize) -> FrameReader<R> {
        FrameReader { socket, buffer: BytesMut::new(), largest }
    }

    /// The next frame; `Lost` with `UnexpectedEof` when the client is gone.
    pub(super) async fn next(&mut self) -> Result<Frame, ReadError> {
        loop {
            let missing = match Head::parse(&self.buffer)? {
                Some(head) if head.payload > self.largest => {
                    return Err(ReadError::TooLarge { largest: self.largest });
                }
                Some(head) => match (head.length + head.payload).checked_sub(self.buffer.len()) {
                    None | Some(0) => return Ok(self.take(&head)),
                    Some(missing) => missing,
                },
                None => 0,
            };
            if self.fill(missing).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    fn take(&mut self, head: &Head) -> Frame {
        let mut frame = self.buffer.split_to(head.length + head.payload);
        if self.buffer.is_empty() {
            // The allocation is the payload's now.
            self.buffer = BytesMut::new();
        }
        let mut payload = frame.split_off(head.length);
        unmask(&mut payload, head.mask);
        Frame { opcode: head.opcode, is_last: head.is_last, payload: payload.freeze() }
    }

    /// Reads some bytes, knowing that `missing` of them will come; 0 at the end of the stream.
    async fn fill(&mut self, missing: usize) -> io::Result<usize> {
        if missing > CHUNK {
            self.buffer.reserve(missing);
            return self.socket.read_buf(&mut self.buffer).await;
        }
        poll_fn(|cx| {
            let mut chunk = [0; CHUNK];
            let mut read = ReadBuf::new(&mut chunk);
            match Pin::new(&mut self.socket).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) => {
                    self.buffer.extend_from_slice(read.filled());
                    Poll::Ready(Ok(read.filled().len()))
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

impl Head {
    /// The head at the start of `bytes` (RFC 6455, section 5.2); `None` if it is not all there yet.
    fn parse(bytes: &[u8]) -> Result<Option<Head>, ReadError> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(ReadError::Protocol(
                "A reserved bit is set, but no extension was agreed on",
            ));
        }
        let is_last = first & 0x80 != 0;
        let opcode = match first & 0x0F {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Text,
            0x2 => Opcode::Binary,
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xA => Opcode::Pong,
            _ => return Err(ReadError::Protocol("A frame of an unknown kind")),
        };
        if second & 0x80 == 0 {
            return Err(ReadError::Protocol("A client's frames must be masked"));
        }
        let (payload, extended) = match second & 0x7F {
            126 => match rest.first_chunk() {
                Some(length) => (u64::from(u16::from_be_bytes(*length)), 2),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(length) => (u64::from_be_bytes(*length), 8),
                None => return Ok(None),
            },
            short => (u64::from(short), 0),
        };
        // One that does not fit into memory is larger than any limit.
        let payload = usize::try_from(payload).unwrap_or(usize::MAX);
        let is_control = matches!(opcode, Opcode::Close | Opcode::Ping | Opcode::Pong);
        if is_control && (!is_last || payload > LARGEST_CONTROL) {
            let reason = "A control frame in fragments, or of more than 125 bytes";
            return Err(ReadError::Protocol(reason));
        }
        let Some(mask) = rest[extended..].first_chunk() else { return Ok(None) };
        let length = 2 + extended + mask.len();
        Ok(Some(Head { opcode, is_last, mask: *mask, length, payload }))
    }
}

/// Takes the mask off (RFC 6455, section 5.3), eight bytes at a time.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;

    /// A frame as a client writes it.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..126 => frame.push(0x80 | short as u8),
            long => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&u16::try_from(long).unwrap().to_be_bytes());
            }
        }
        frame.extend_from_slice(&MASK);
        frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
        frame
    }

    async fn first_error(bytes: &[u8]) -> ReadError {
        FrameReader::new(bytes, 1000).next().await.unwrap_err()
    }

    #[tokio::test]
    async fn what_breaks_the_protocol_is_named() {
        for (bytes, part) in [
            (&[0xC1, 0x80][..], "reserved bit"),
            (&[0x83, 0x80], "unknown kind"),
            (&[0x81, 0x01, b'a'], "must be masked"),
            (&[0x09, 0x80, 0, 0, 0, 0], "control frame"),
            (&[0x89, 0x80 | 126, 0, 126, 0, 0, 0, 0], "control frame"),
        ] {
            let error = first_error(bytes).await;
            assert!(matches!(error, ReadError::Protocol(_)), "{error}");
            assert!(error.to_string().contains(part), "{error}");
        }
        let huge = [0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];
        assert!(matches!(first_error(&huge).await, ReadError::TooLarge { largest: 1000 }));
        assert!(matches!(first_error(&[0x81]).await, ReadError::Lost(_)));
    }

    #[tokio::test]
    async fn a_silent_socket_keeps_no_buffer() {
        let bytes = [masked(0x81, b"one"), masked(0x82, &[7; 5000])].concat();
        let mut reader = FrameReader::new(&bytes[..], 10_000);
        let one = reader.next().await.unwrap();
        assert_eq!((one.opcode, &one.payload[..]), (Opcode::Text, &b"one"[..]));
        let two = reader.next().await.unwrap();
        assert_eq!((two.opcode, &two.payload[..]), (Opcode::Binary, &[7; 5000][..]));
        assert_eq!(reader.buffer.capacity(), 0);
    }

    proptest! {
        /// However the bytes arrive, and wherever a read is cancelled, the frames come out as they were sent.
        #[test]
        fn frames_survive_any_cut(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..8),
            cut in 1usize..40,
        ) {
            let bytes: Vec<u8> =
                payloads.iter().flat_map(|payload| masked(0x82, payload)).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let (ours, mut theirs) = tokio::io::duplex(cut);
                let mut reader = FrameReader::new(ours, 1000);
                let sender = async {
                    for piece in bytes.chunks(cut) {
                        theirs.write_all(piece).await.unwrap();
                    }
                };
                let receiver = async {
                    for expected in &payloads {
                        let frame = loop {
                            tokio::select! {
                                biased;
                                frame = reader.next() => break frame.unwrap(),
                                () = tokio::task::yield_now() => {}
                            }
                        };
                        assert_eq!(&frame.payload[..], &expected[..]);
                        assert!(frame.is_last);
                    }
                };
                tokio::join!(sender, receiver);
            });
        }
    }
}
