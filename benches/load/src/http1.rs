//! As much of HTTP/1.1 as a load generator needs: where a response ends, and one exchange on a blocking socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use memchr::memmem;

/// Nothing that is measured here takes this long; without it a bench of a hung server would hang too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The bytes of a request without a body.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n")
        .into_bytes()
}

/// The bytes of a PUT with a JSON body.
pub(crate) fn put(path: &str, json: &str) -> Vec<u8> {
    with_body("PUT", path, json)
}

/// The bytes of a POST with a JSON body.
pub(crate) fn post(path: &str, json: &str) -> Vec<u8> {
    with_body("POST", path, json)
}

/// The bytes of a QUERY with a JSON body.
pub(crate) fn query(path: &str, json: &str) -> Vec<u8> {
    with_body("QUERY", path, json)
}

fn with_body(method: &str, path: &str, json: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
        json.len()
    )
    .into_bytes()
}

/// Where the response at the start of a buffer ends, once it is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Bytes of status line and headers, with the empty line.
    pub(crate) head: usize,
    /// Bytes of the whole response.
    pub(crate) length: usize,
}

impl Response {
    /// `None` while bytes are missing.
    pub(crate) fn parse(buffer: &[u8]) -> Result<Option<Response>> {
        let Some(end) = memmem::find(buffer, b"\r\n\r\n") else { return Ok(None) };
        let head = end + 4;
        let status =
            std::str::from_utf8(buffer.get(9..12).context("a short status line")?)?.parse()?;
        let length = match Framing::of(&buffer[..head], status)? {
            Framing::Length(body) => head + body,
            Framing::Chunked => match memmem::find(&buffer[end..], b"\r\n0\r\n\r\n") {
                Some(last) => end + last + 7,
                None => return Ok(None),
            },
        };
        Ok((buffer.len() >= length).then_some(Response { status, head, length }))
    }

    pub(crate) fn is_success(self) -> bool {
        (200..300).contains(&self.status)
    }
}

enum Framing {
    Length(usize),
    Chunked,
}

impl Framing {
    fn of(head: &[u8], status: u16) -> Result<Framing> {
        if matches!(status, 101 | 204 | 304) {
            return Ok(Framing::Length(0));
        }
        for line in head.split(|byte| *byte == b'\n') {
            let Some(colon) = memchr::memchr(b':', line) else { continue };
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"content-length") {
                return Ok(Framing::Length(std::str::from_utf8(value)?.parse()?));
            }
            if name.eq_ignore_ascii_case(b"transfer-encoding") && value == b"chunked" {
                return Ok(Framing::Chunked);
            }
        }
        bail!(
            "a response with neither content-length nor chunks: {}",
            String::from_utf8_lossy(head)
        )
    }
}

/// A blocking keep-alive connection.
pub(crate) struct Exchange {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Exchange {
    pub(crate) fn connect(address: SocketAddr) -> Result<Exchange> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Exchange { stream, received: Vec::new() })
    }

    /// Sends a request and returns the bytes of its whole response.
    pub(crate) fn send(&mut self, request: &[u8]) -> Result<(Response, Vec<u8>)> {
        self.stream.write_all(request)?;
        let mut chunk = [0; 16 * 1024];
        loop {
            if let Some(response) = Response::parse(&self.received)? {
                let rest = self.received.split_off(response.length);
                return Ok((response, std::mem::replace(&mut self.received, rest)));
            }
            let read = self.stream.read(&mut chunk)?;
            ensure!(read > 0, "the server closed the connection");
            self.received.extend_from_slice(&chunk[..read]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_whole_only_with_its_last_byte() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        for cut in 0..whole.len() {
            assert_eq!(Response::parse(&whole[..cut]).unwrap(), None, "cut at {cut}");
        }
        let response = Response::parse(whole).unwrap().unwrap();
        assert_eq!(response, Response { status: 200, head: 38, length: 43 });
    }

    #[test]
    fn chunks_end_with_the_empty_one() {
        let whole = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
        assert_eq!(Response::parse(&whole[..whole.len() - 1]).unwrap(), None);
        assert_eq!(Response::parse(whole).unwrap().unwrap().length, whole.len());
    }

    #[test]
    fn no_content_has_no_body() {
        let response = Response::parse(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap();
        assert_eq!(response.length, response.head);
    }
}
