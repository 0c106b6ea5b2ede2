//! One file as a response: validators, conditional requests and ranges, as the `send` package of Node
//! answers them, which is what Harper serves files with.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode};
use tokio::io::AsyncReadExt;

use crate::http::Response;
use crate::http::body::{Chunks, ResponseBody};

/// Files up to this size are read at once, larger ones in pieces of it.
const PIECE: usize = 256 * 1024;

/// What of a request decides how a file is sent.
pub(super) struct Ask {
    is_head: bool,
    headers: HeaderMap,
}

impl Ask {
    pub(super) fn of(method: &Method, headers: &HeaderMap) -> Ask {
        const RELEVANT: [header::HeaderName; 4] =
            [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::RANGE, header::IF_RANGE];
        let known =
            RELEVANT.iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone())));
        Ask { is_head: *method == Method::HEAD, headers: known.collect() }
    }

    pub(super) fn is_head(&self) -> bool {
        self.is_head
    }

    fn text(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the client has this version already.
    fn knows(&self, tag: &str, modified: SystemTime) -> bool {
        match self.text(header::IF_NONE_MATCH) {
            Some(known) => {
                let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
                known.trim() == "*" || known.split(',').any(|known| weak(known) == weak(tag))
            }
            None => self
                .text(header::IF_MODIFIED_SINCE)
                .and_then(|since| httpdate::parse_http_date(since).ok())
                .is_some_and(|since| whole_seconds(modified) <= whole_seconds(since)),
        }
    }

    /// The part that is asked for: `None` for all of it, an error if there is no such part.
    fn range(&self, length: u64, tag: &str, last_modified: &str) -> Result<Option<Range<u64>>, ()> {
        let Some(range) = self.text(header::RANGE) else { return Ok(None) };
        if self
            .text(header::IF_RANGE)
            .is_some_and(|version| version != tag && version != last_modified)
        {
            return Ok(None);
        }
        // Several parts, and units that are no bytes, are answered with the whole.
        let Some(range) = range.trim().strip_prefix("bytes=") else { return Ok(None) };
        if range.contains(',') {
            return Ok(None);
        }
        let Some((first, last)) = range.split_once('-') else { return Err(()) };
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| ());
        let range = match (first.trim(), last.trim()) {
            ("", last) => length.saturating_sub(number(last)?)..length,
            (first, "") => number(first)?..length,
            (first, last) => number(first)?..length.min(number(last)?.saturating_add(1)),
        };
        if range.is_empty() { Err(()) } else { Ok(Some(range)) }
    }
}

fn whole_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The response that carries a file. `status` is that of the whole file; ranges and conditions are
/// looked at where it is 200. Blocks.
pub(super) fn of_file(
    path: &Path,
    metadata: &Metadata,
    status: StatusCode,
    ask: &Ask,
) -> io::Result<Response> {
    let mut response = Response::new(ResponseBody::Empty);
    *response.status_mut() = status;
    let modified = metadata.modified()?;
    let age = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    let length = metadata.len();
    let tag = format!("W/\"{length:x}-{:x}\"", age.as_millis());
    let last_modified = httpdate::fmt_http_date(modified);
    let value = |text: &str| HeaderValue::try_from(text).map_err(io::Error::other);
    let headers = response.headers_mut();
    headers.insert(header::ETAG, value(&tag)?);
    headers.insert(header::LAST_MODIFIED, value(&last_modified)?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=0"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let is_whole_page = status == StatusCode::OK;
    if is_whole_page && ask.knows(&tag, modified) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    headers.insert(header::CONTENT_TYPE, value(&content_type(path))?);
    let asked = if is_whole_page { ask.range(length, &tag, &last_modified) } else { Ok(None) };
    let part = match asked {
        Ok(None) => 0..length,
        Ok(Some(part)) => {
            let shown = format!("bytes {}-{}/{length}", part.start, part.end - 1);
            headers.insert(header::CONTENT_RANGE, value(&shown)?);
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            part
        }
        Err(()) => {
            headers.insert(header::CONTENT_RANGE, value(&format!("bytes */{length}"))?);
            headers.remove(header::CONTENT_TYPE);
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            return Ok(response);
        }
    };
    response.headers_mut().insert(header::CONTENT_LENGTH, (part.end - part.start).into());
    if !ask.is_head {
        *response.body_mut() = read(path, part)?;
    }
    Ok(response)
}

/// A part of the file. If the file shrinks meanwhile, the connection breaks, which is how HTTP tells
/// a client about it.
fn read(path: &Path, part: Range<u64>) -> io::Result<ResponseBody> {
    let mut file = File::open(path)?;
    let length = part.end - part.start;
    if part.start > 0 {
        file.seek(SeekFrom::Start(part.start))?;
    }
    if length <= PIECE as u64 {
        let mut content = Vec::with_capacity(length as usize);
        file.take(length).read_to_end(&mut content)?;
        return Ok(ResponseBody::Full(content.into()));
    }
    let file = tokio::fs::File::from_std(file).take(length);
    let chunks: Chunks = Box::pin(futures_util::stream::unfold(file, |mut file| async {
        let mut piece = Vec::with_capacity(PIECE);
        match file.read_buf(&mut piece).await {
            Ok(0) => None,
            Ok(_) => Some((Bytes::from(piece), file)),
            Err(error) => {
                tracing::warn!("a static file can't be read to its end: {error}");
                None
            }
        }
    }));
    Ok(ResponseBody::Streamed(chunks))
}

fn content_type(path: &Path) -> String {
    let media_type = mime_guess::from_path(path).first_or_octet_stream();
    let is_text = media_type.type_() == "text"
        || matches!(media_type.subtype().as_str(), "javascript" | "json" | "svg");
    if is_text { format!("{media_type}; charset=utf-8") } else { media_type.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_a_charset() {
        assert_eq!(content_type(Path::new("a.html")), "text/html; charset=utf-8");
        assert_eq!(content_type(Path::new("a.png")), "image/png");
    }

    #[test]
    fn ranges_are_read() {
        let range = |text: &str| {
            let headers = HeaderMap::from_iter([(header::RANGE, text.parse().unwrap())]);
            Ask { is_head: false, headers }.range(10, "t", "m")
        };
        for (text, expected) in [
            ("bytes=0-3", Ok(Some(0..4))),
            ("bytes=5-", Ok(Some(5..10))),
            ("bytes=-3", Ok(Some(7..10))),
            ("bytes=-99", Ok(Some(0..10))),
            ("bytes=8-99", Ok(Some(8..10))),
            ("bytes=10-", Err(())),
            ("bytes=5-2", Err(())),
            ("bytes=x-", Err(())),
            ("bytes=-0", Err(())),
            ("bytes=0-1,3-4", Ok(None)),
            ("lines=0-1", Ok(None)),
        ] {
            assert_eq!(range(text), expected, "{text}");
        }
    }
}
