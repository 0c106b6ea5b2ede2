//! Files of an application, served from disk as they are at that moment, so that an edit shows with
//! the next request (`spec/harper-components.md` section 2.2).
//!
//! What is hidden (a segment that begins with a dot), the data directory and what a symbolic link
//! names outside of the application are never served. Each request does its file system work in one
//! piece on the blocking pool.

mod file_response;

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::header::{self, HeaderValue};
use hyper::{Request, StatusCode};
use percent_encoding::percent_decode_str;

use super::Response;
use super::body::ResponseBody;
use super::problem;
use crate::components::{Snapshot, StaticMount};
use crate::config::static_options::{Missing, Order};

/// The one hidden folder that the web has a name for.
const WELL_KNOWN: &str = ".well-known";

/// The file, the redirect to the folder or the page for what is missing that a GET or HEAD asks for;
/// `None` if no mount of this place in the order answers.
pub(crate) async fn serve<B>(
    snapshot: Arc<Snapshot>,
    order: Order,
    request: &Request<B>,
) -> Option<Response> {
    if !snapshot.statics.iter().any(|mount| mount.options.order == order) {
        return None;
    }
    let uri = request.uri().clone();
    let ask = file_response::Ask::of(request.method(), request.headers());
    let work = move || {
        let path = percent_decode_str(uri.path()).decode_utf8().ok()?;
        let path = path.strip_prefix('/').unwrap_or(&path);
        let mounts = snapshot.statics.iter().filter(|mount| mount.options.order == order);
        mounts.into_iter().find_map(|mount| answer(mount, path, &uri, &ask))
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(response) => response,
        // The task is never aborted, so a failed join is a panic of the work: let it go on here.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// What one mount answers. Blocks.
fn answer(
    mount: &StaticMount,
    path: &str,
    uri: &hyper::Uri,
    ask: &file_response::Ask,
) -> Option<Response> {
    let below = below_mount(path, mount.options.files.mount())?;
    let found = if is_servable(path) { find(mount, below) } else { None };
    match found {
        Some(Found::File(file, metadata)) => {
            match file_response::of_file(&file, &metadata, StatusCode::OK, ask) {
                Ok(response) => return Some(response),
                // Deleted since it was found: as if it had never been there.
                Err(error) => tracing::debug!("{}: {error}", file.display()),
            }
        }
        Some(Found::Folder) => return Some(redirect_to_folder(uri)),
        None => {}
    }
    match &mount.options.missing {
        // What a HEAD misses, REST may still have: Harper's plugin never looks at one.
        _ if ask.is_head() => None,
        Missing::FallThrough => None,
        Missing::Refuse => Some(problem::with_text(StatusCode::NOT_FOUND, "File not found")),
        Missing::Page { file, status } => Some(page(mount, file, *status, ask)),
    }
}

/// The page that stands for what is missing.
fn page(mount: &StaticMount, file: &str, status: u16, ask: &file_response::Ask) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_FOUND);
    let path = mount.directory.join(file);
    let found = std::fs::metadata(&path)
        .and_then(|metadata| file_response::of_file(&path, &metadata, status, ask));
    found.unwrap_or_else(|error| {
        tracing::error!("static: the page for `notFound`, {}: {error}", path.display());
        problem::with_text(StatusCode::INTERNAL_SERVER_ERROR, format!("No file {file}"))
    })
}

enum Found {
    File(PathBuf, Metadata),
    /// A folder with an index, asked for without its slash.
    Folder,
}

fn find(mount: &StaticMount, below: &str) -> Option<Found> {
    let options = &mount.options;
    // The mount's own path without a slash is its folder, too.
    let is_mount_itself = below.is_empty() && !options.files.mount().is_empty();
    let path = below.strip_prefix('/').unwrap_or(below);
    let is_folder = !is_mount_itself && (path.is_empty() || path.ends_with('/'));
    if !is_folder && let Some((file, metadata)) = find_file(mount, path) {
        return Some(Found::File(file, metadata));
    }
    if options.index {
        let index = match path {
            "" => "index.html".to_owned(),
            path => format!("{}/index.html", path.trim_end_matches('/')),
        };
        if let Some((file, metadata)) = find_file(mount, &index) {
            return Some(if is_folder { Found::File(file, metadata) } else { Found::Folder });
        }
    }
    if is_folder {
        return None;
    }
    let mut with_extensions =
        options.extensions.iter().map(|extension| format!("{path}.{extension}"));
    let (file, metadata) = with_extensions.find_map(|path| find_file(mount, &path))?;
    Some(Found::File(file, metadata))
}

fn find_file(mount: &StaticMount, below: &str) -> Option<(PathBuf, Metadata)> {
    mount.options.files.candidates(below).find_map(|candidate| {
        let path = mount.directory.join(&candidate);
        // Whatever can't be looked at is not there for the client.
        let metadata = std::fs::metadata(&path).ok().filter(Metadata::is_file)?;
        (!path.starts_with(&mount.data) && stays_inside(mount, &path)).then_some((path, metadata))
    })
}

/// Whether the file is where it seems to be: links may lead anywhere inside the application's folder
/// and nowhere else.
fn stays_inside(mount: &StaticMount, path: &Path) -> bool {
    let Ok(real) = path.canonicalize() else { return false };
    let Ok(directory) = mount.directory.canonicalize() else { return false };
    match real.strip_prefix(&directory) {
        Ok(relative) => {
            let hidden = relative.iter().filter_map(|segment| segment.to_str()).any(is_hidden);
            !hidden && !real.starts_with(&mount.data)
        }
        Err(_) => false,
    }
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
    !path.contains(['\\', '\0']) && !path.split('/').any(is_hidden) && !path.starts_with('/')
}

fn is_hidden(segment: &str) -> bool {
    segment.starts_with('.') && segment != WELL_KNOWN
}

/// The part of `path` below the mount prefix, with its slash if there is a prefix; `None` if it is
/// elsewhere.
fn below_mount<'p>(path: &'p str, mount: &str) -> Option<&'p str> {
    if mount.is_empty() {
        return Some(path);
    }
    path.strip_prefix(mount).filter(|below| below.is_empty() || below.starts_with('/'))
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
        assert_eq!(below_mount("app/x.js", "app"), Some("/x.js"));
        assert_eq!(below_mount("app", "app"), Some(""));
        assert_eq!(below_mount("apple/x.js", "app"), None);
        assert_eq!(below_mount("x.js", ""), Some("x.js"));
    }
}
