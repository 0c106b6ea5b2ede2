//! Files of an application, served from disk as they are at that moment, so that an edit shows with
//! the next request (`spec/harper-components.md` section 2.2).
//!
//! What is hidden (a segment that begins with a dot) and the data directory are never served.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use percent_encoding::percent_decode_str;
use tokio::io::AsyncReadExt;

use super::Response;
use super::body::{Chunks, ResponseBody};
use crate::components::StaticMount;

/// Files up to this size are read at once, larger ones in pieces of it.
const PIECE: usize = 256 * 1024;

/// The one hidden folder that the web has a name for.
const WELL_KNOWN: &str = ".well-known";

/// The file, or the redirect to the folder, that a GET or HEAD asks for; `None` if no mount has it.
pub(crate) async fn serve<B>(mounts: &[StaticMount], request: &Request<B>) -> Option<Response> {
    let path = percent_decode_str(request.uri().path()).decode_utf8().ok()?;
    let path = path.strip_prefix('/').unwrap_or(&path);
    if !is_servable(path) {
        return None;
    }
    for mount in mounts {
        let Some(below) = below_mount(path, mount.options.files.mount()) else { continue };
        match find(mount, below).await {
            Some(Found::File(file, metadata)) => {
                match respond(&file, &metadata, request.method(), request.headers()).await {
                    Ok(response) => return Some(response),
                    // Deleted since it was found: as if it had never been there.
                    Err(error) => tracing::debug!("{}: {error}", file.display()),
                }
            }
            Some(Found::Folder) => return Some(redirect_to_folder(request.uri())),
            None => {}
        }
    }
    None
}

enum Found {
    File(PathBuf, Metadata),
    /// A folder with an index, asked for without its slash.
    Folder,
}

async fn find(mount: &StaticMount, below: &str) -> Option<Found> {
    let is_folder = below.is_empty() || below.ends_with('/');
    let index =
        format!("{}index.html", if is_folder { below.to_owned() } else { format!("{below}/") });
    if !is_folder && let Some((file, metadata)) = find_file(mount, below).await {
        return Some(Found::File(file, metadata));
    }
    if !mount.options.index {
        return None;
    }
    let (file, metadata) = find_file(mount, &index).await?;
    Some(if is_folder { Found::File(file, metadata) } else { Found::Folder })
}

async fn find_file(mount: &StaticMount, below: &str) -> Option<(PathBuf, Metadata)> {
    for candidate in mount.options.files.candidates(below) {
        let path = mount.directory.join(&candidate);
        if path.starts_with(&mount.data) {
            continue;
        }
        // Whatever can't be looked at is not there for the client.
        if let Ok(metadata) = tokio::fs::metadata(&path).await
            && metadata.is_file()
        {
            return Some((path, metadata));
        }
    }
    None
}

async fn respond(
    path: &Path,
    metadata: &Metadata,
    method: &Method,
    request: &HeaderMap,
) -> io::Result<Response> {
    let mut response = Response::new(ResponseBody::Empty);
    let modified = metadata.modified()?;
    let age = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    let tag = format!("W/\"{:x}-{:x}\"", metadata.len(), age.as_millis());
    let last_modified = httpdate::fmt_http_date(modified);
    let is_known = match request.get(header::IF_NONE_MATCH) {
        Some(known) => known
            .to_str()
            .is_ok_and(|known| known == "*" || known.split(',').any(|known| known.trim() == tag)),
        None => request
            .get(header::IF_MODIFIED_SINCE)
            .and_then(|since| httpdate::parse_http_date(since.to_str().ok()?).ok())
            .is_some_and(|since| {
                modified <= since || last_modified == httpdate::fmt_http_date(since)
            }),
    };
    let headers = response.headers_mut();
    let value = |text: String| HeaderValue::try_from(text).map_err(io::Error::other);
    headers.insert(header::ETAG, value(tag)?);
    headers.insert(header::LAST_MODIFIED, value(last_modified)?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=0"));
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    headers.insert(header::CONTENT_TYPE, value(content_type(path))?);
    headers.insert(header::CONTENT_LENGTH, metadata.len().into());
    if *method != Method::HEAD {
        *response.body_mut() = read(path, metadata.len()).await?;
    }
    Ok(response)
}

/// The file's content. At most `length` bytes are sent, also if the file grows meanwhile; if it
/// shrinks, the connection breaks, which is how HTTP tells a client about it.
async fn read(path: &Path, length: u64) -> io::Result<ResponseBody> {
    let file = tokio::fs::File::open(path).await?;
    let mut file = file.take(length);
    if length <= PIECE as u64 {
        let mut content = Vec::with_capacity(length as usize);
        file.read_to_end(&mut content).await?;
        return Ok(ResponseBody::Full(content.into()));
    }
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

fn redirect_to_folder(uri: &hyper::Uri) -> Response {
    // Slashes at the beginning would name another host.
    let path = uri.path().trim_start_matches('/');
    let location = match uri.query() {
        Some(query) => format!("/{path}/?{query}"),
        None => format!("/{path}/"),
    };
    let mut response = Response::new(ResponseBody::Empty);
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    let location =
        HeaderValue::try_from(location).expect("a parsed URI has only header characters");
    response.headers_mut().insert(header::LOCATION, location);
    response
}

/// Whether the path stays below its folder and names nothing hidden.
fn is_servable(path: &str) -> bool {
    !path.contains(['\\', '\0'])
        && !path.split('/').any(|segment| segment.starts_with('.') && segment != WELL_KNOWN)
        && !path.starts_with('/')
}

/// The part of `path` below the mount prefix; `None` if it is elsewhere.
fn below_mount<'p>(path: &'p str, mount: &str) -> Option<&'p str> {
    if mount.is_empty() {
        return Some(path);
    }
    path.strip_prefix(mount)?.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_or_hidden_is_servable() {
        for path in ["", "index.html", "a/b/", ".well-known/x", "a..b"] {
            assert!(is_servable(path), "{path}");
        }
        for path in ["../x", "a/../../x", ".kora/data.mdb", "a/.git/config", "a\\..\\b", "/etc/x"] {
            assert!(!is_servable(path), "{path}");
        }
    }

    #[test]
    fn mounts_end_at_a_slash() {
        assert_eq!(below_mount("app/x.js", "app"), Some("x.js"));
        assert_eq!(below_mount("apple/x.js", "app"), None);
        assert_eq!(below_mount("x.js", ""), Some("x.js"));
    }

    #[test]
    fn text_has_a_charset() {
        assert_eq!(content_type(Path::new("a.html")), "text/html; charset=utf-8");
        assert_eq!(content_type(Path::new("a.png")), "image/png");
    }
}
