//! Compressing bodies by `Accept-Encoding`: Brotli, or gzip for clients that lack it
//! (`spec/harper-rest.md` section 6.3).
//!
//! What is shorter than the threshold, compressed already, an event stream or encoded by the resource
//! itself goes out as it is; so does a stream of known length, which is a blob. Large and streamed
//! bodies are compressed piece by piece as the client reads, on the connection's task; each piece of a
//! stream is flushed, so that compression never holds back what is ready. A stream that fails stays
//! without an end, so that its part does not pass for the whole.

use std::io::Write;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use hyper::header::{self, HeaderMap, HeaderValue};
use kora_resource::{Chunks, Result};

use super::Response;
use super::body::ResponseBody;
use super::negotiation::parse_entry;

/// Brotli's quality: 2 is about as fast as gzip and as small.
const BROTLI_QUALITY: u32 = 2;
/// Base-two logarithm of Brotli's window in bytes.
const BROTLI_WINDOW: u32 = 20;
const BROTLI_BUFFER: usize = 4096;

/// How much of a body that is there is compressed at a time.
const PIECE: usize = 64 * 1024;

/// A content coding that this host writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Brotli,
    Gzip,
}

/// Compresses the body of `response` if the client reads a coding and it is worth it: bodies of at
/// least `threshold` bytes, and streams. `None` switches compression off.
pub(crate) fn apply(response: &mut Response, request: &HeaderMap, threshold: Option<NonZeroUsize>) {
    let Some(threshold) = threshold else { return };
    let is_worth_it = match response.body() {
        ResponseBody::Empty | ResponseBody::Piped { size: Some(_), .. } => false,
        ResponseBody::Full(bytes) => bytes.len() >= threshold.get(),
        ResponseBody::Streamed(_) | ResponseBody::Piped { size: None, .. } => true,
    };
    if !is_worth_it || !is_compressible(response.headers()) {
        return;
    }
    let Some(coding) = choose(request) else { return };
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    let name = match coding {
        Coding::Brotli => "br",
        Coding::Gzip => "gzip",
    };
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
    let body = match std::mem::take(response.body_mut()) {
        ResponseBody::Full(bytes) if bytes.len() <= PIECE => {
            let mut compressor = Compressor::new(coding);
            compressor.write(&bytes);
            ResponseBody::Full(compressor.finish())
        }
        ResponseBody::Full(bytes) => compressed(Source::Whole(bytes), coding),
        ResponseBody::Streamed(chunks) => {
            compressed(Source::Chunks(Box::pin(chunks.map(Ok))), coding)
        }
        ResponseBody::Piped { size: None, chunks } => compressed(Source::Chunks(chunks), coding),
        untouched @ (ResponseBody::Empty | ResponseBody::Piped { size: Some(_), .. }) => untouched,
    };
    *response.body_mut() = body;
}

/// The coding that `Accept-Encoding` prefers; Brotli where it has no preference.
fn choose(request: &HeaderMap) -> Option<Coding> {
    let (mut brotli, mut gzip, mut any) = (None, None, None);
    for line in request.get_all(header::ACCEPT_ENCODING) {
        for (name, weight) in line.to_str().unwrap_or_default().split(',').map(parse_entry) {
            match name {
                "br" => brotli = Some(weight),
                "gzip" | "x-gzip" => gzip = Some(weight),
                "*" => any = Some(weight),
                _ => {}
            }
        }
    }
    let brotli = brotli.or(any).unwrap_or(0.0);
    let gzip = gzip.or(any).unwrap_or(0.0);
    if brotli > 0.0 && brotli >= gzip {
        Some(Coding::Brotli)
    } else {
        (gzip > 0.0).then_some(Coding::Gzip)
    }
}

/// Whether a body of this type gets smaller. Unknown types are left alone.
fn is_compressible(headers: &HeaderMap) -> bool {
    if headers.contains_key(header::CONTENT_ENCODING) || headers.contains_key(header::CONTENT_RANGE)
    {
        return false;
    }
    let Some(media_type) = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()) else {
        return false;
    };
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media_type.as_str() {
        "text/event-stream" => false,
        "application/json"
        | "application/cbor"
        | "application/x-msgpack"
        | "application/msgpack"
        | "application/x-ndjson"
        | "application/ndjson"
        | "application/yaml"
        | "application/javascript"
        | "application/xml"
        | "application/x-www-form-urlencoded"
        | "application/wasm"
        | "image/svg+xml" => true,
        other => other.starts_with("text/") || other.ends_with("+json") || other.ends_with("+xml"),
    }
}

/// One of the encoders over memory.
enum Compressor {
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
}

impl Compressor {
    fn new(coding: Coding) -> Compressor {
        match coding {
            Coding::Brotli => Compressor::Brotli(Box::new(brotli::CompressorWriter::new(
                Vec::new(),
                BROTLI_BUFFER,
                BROTLI_QUALITY,
                BROTLI_WINDOW,
            ))),
            Coding::Gzip => Compressor::Gzip(flate2::write::GzEncoder::new(
                Vec::new(),
                flate2::Compression::fast(),
            )),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        let written = match self {
            Compressor::Brotli(encoder) => encoder.write_all(bytes),
            Compressor::Gzip(encoder) => encoder.write_all(bytes),
        };
        written.expect("memory takes every byte");
    }

    /// Everything that was written since the last time.
    fn flush(&mut self) -> Bytes {
        let (flushed, out) = match self {
            Compressor::Brotli(encoder) => (encoder.flush(), encoder.get_mut()),
            Compressor::Gzip(encoder) => (encoder.flush(), encoder.get_mut()),
        };
        flushed.expect("memory takes every byte");
        std::mem::take(out).into()
    }

    fn finish(self) -> Bytes {
        match self {
            Compressor::Brotli(encoder) => encoder.into_inner().into(),
            Compressor::Gzip(encoder) => encoder.finish().expect("memory takes every byte").into(),
        }
    }
}

enum Source {
    Whole(Bytes),
    Chunks(Chunks),
}

/// A body that is compressed while it is read.
struct Compressed {
    source: Source,
    /// `None` after the end.
    compressor: Option<Compressor>,
}

fn compressed(source: Source, coding: Coding) -> ResponseBody {
    let compressed = Compressed { source, compressor: Some(Compressor::new(coding)) };
    ResponseBody::Piped { size: None, chunks: Box::pin(compressed) }
}

impl Stream for Compressed {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let this = self.get_mut();
        loop {
            let Some(compressor) = &mut this.compressor else { return Poll::Ready(None) };
            let piece = match &mut this.source {
                Source::Whole(rest) => {
                    let piece = rest.split_to(rest.len().min(PIECE));
                    (!piece.is_empty()).then_some(Ok(piece))
                }
                Source::Chunks(chunks) => std::task::ready!(chunks.as_mut().poll_next(cx)),
            };
            match piece {
                None => {
                    let last = this.compressor.take().map(Compressor::finish);
                    return Poll::Ready(last.filter(|last| !last.is_empty()).map(Ok));
                }
                Some(Err(error)) => {
                    this.compressor = None;
                    return Poll::Ready(Some(Err(error)));
                }
                Some(Ok(piece)) => {
                    compressor.write(&piece);
                    let compressed = compressor.flush();
                    if !compressed.is_empty() {
                        return Poll::Ready(Some(Ok(compressed)));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use futures_util::TryStreamExt;
    use kora_resource::Error;

    use super::*;

    fn accepting(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, value.parse().unwrap());
        headers
    }

    async fn compressed(accept: &str, body: ResponseBody, media_type: &str) -> (String, Vec<u8>) {
        let mut response = Response::new(body);
        response.headers_mut().insert(header::CONTENT_TYPE, media_type.parse().unwrap());
        apply(&mut response, &accepting(accept), NonZeroUsize::new(100));
        let coding = response.headers().get(header::CONTENT_ENCODING);
        let coding = coding.map_or("", |coding| coding.to_str().unwrap()).to_owned();
        let bytes = match response.into_body() {
            ResponseBody::Empty => Vec::new(),
            ResponseBody::Full(bytes) => bytes.into(),
            ResponseBody::Streamed(chunks) => chunks.collect::<Vec<_>>().await.concat(),
            ResponseBody::Piped { chunks, .. } => {
                chunks.try_collect::<Vec<_>>().await.unwrap().concat()
            }
        };
        (coding, bytes)
    }

    fn decompressed(coding: &str, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match coding {
            "br" => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out).unwrap(),
            "gzip" => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap(),
            _ => (&mut &*bytes).read_to_end(&mut out).unwrap(),
        };
        out
    }

    #[test]
    fn the_client_chooses() {
        for (accept, coding) in [
            ("gzip, deflate, br", Some(Coding::Brotli)),
            ("gzip", Some(Coding::Gzip)),
            ("br;q=0.5, gzip;q=0.8", Some(Coding::Gzip)),
            ("br;q=0, *", Some(Coding::Gzip)),
            ("identity", None),
            ("*;q=0", None),
            ("", None),
        ] {
            assert_eq!(choose(&accepting(accept)), coding, "{accept}");
        }
    }

    #[tokio::test]
    async fn bodies_survive_whole_and_streamed() {
        for size in [10, 1000, 300_000] {
            let body: Vec<u8> = (0..size).map(|n| b"abcdefgh \n"[n % 10]).collect();
            for accept in ["br", "gzip", "identity"] {
                let full = ResponseBody::Full(body.clone().into());
                let (coding, bytes) = compressed(accept, full, "application/json").await;
                assert_eq!(coding, if size < 100 || accept == "identity" { "" } else { accept });
                assert_eq!(decompressed(&coding, &bytes), body, "{accept} {size}");
                let chunks: Vec<Bytes> = body.chunks(777).map(Bytes::copy_from_slice).collect();
                let stream = ResponseBody::Streamed(Box::pin(futures_util::stream::iter(chunks)));
                let (coding, bytes) = compressed(accept, stream, "text/csv").await;
                assert_eq!(coding, if accept == "identity" { "" } else { accept });
                assert_eq!(decompressed(&coding, &bytes), body, "{accept} {size} streamed");
            }
        }
    }

    #[tokio::test]
    async fn a_stream_that_fails_has_no_end() {
        let chunks = [Ok(Bytes::from("begun")), Err(Error::internal("torn"))];
        let chunks: Chunks = Box::pin(futures_util::stream::iter(chunks));
        let mut response = Response::new(ResponseBody::Piped { size: None, chunks });
        let media_type = HeaderValue::from_static("text/plain");
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
        apply(&mut response, &accepting("gzip"), NonZeroUsize::new(100));
        let ResponseBody::Piped { mut chunks, .. } = response.into_body() else {
            panic!("no stream")
        };
        let begun = chunks.next().await.unwrap().unwrap();
        assert_eq!(begun[..2], [0x1f, 0x8b]);
        assert_eq!(chunks.next().await.unwrap().unwrap_err().message, "torn");
        assert!(chunks.next().await.is_none());
    }

    #[tokio::test]
    async fn what_is_compressed_already_is_left_alone() {
        for media_type in ["image/png", "application/zip", "text/event-stream", "video/mp4"] {
            let body = ResponseBody::Full(vec![b'a'; 1000].into());
            assert_eq!(compressed("br", body, media_type).await.0, "", "{media_type}");
        }
    }
}
