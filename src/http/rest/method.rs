//! HTTP methods and the verbs of resources (`spec/harper-rest.md` section 2).

use hyper::Method;
use hyper::header::HeaderValue;
use kora_resource::{Error, ErrorKind, Resource, Verb, VerbSet};

/// What a request's method asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Verb(Verb),
    Options,
    Trace,
    Brew,
    Unknown,
}

pub(super) fn read(method: &Method) -> Asked {
    match method.as_str() {
        "GET" | "HEAD" => Asked::Verb(Verb::Get),
        "PUT" => Asked::Verb(Verb::Put),
        "PATCH" => Asked::Verb(Verb::Patch),
        "POST" => Asked::Verb(Verb::Post),
        "DELETE" => Asked::Verb(Verb::Delete),
        "QUERY" => Asked::Verb(Verb::Query),
        "OPTIONS" => Asked::Options,
        "TRACE" => Asked::Trace,
        "BREW" => Asked::Brew,
        "COPY" => Asked::Verb(Verb::Copy),
        "MOVE" => Asked::Verb(Verb::Move),
        _ => Asked::Unknown,
    }
}

/// 405: the resource has no such method.
pub(super) fn missing(resource: &dyn Resource, name: &str, http_method: &str) -> Error {
    let message = format!(
        "The {} does not have a {name} method implemented to handle HTTP method {http_method}",
        resource.name()
    );
    Error::new(ErrorKind::MethodNotAllowed(resource.verbs()), message)
}

/// The error of a call. Where the resource turns out to have no such method, which it tells in its own
/// words, it is the same 405 as of those that are known to have none.
pub(super) fn refused(
    error: Error,
    resource: &dyn Resource,
    verb: Verb,
    http_method: &str,
) -> Error {
    if error.status() != 405 || !error.message.ends_with("method implemented") {
        return error;
    }
    let others = resource.verbs().iter().filter(|other| *other != verb).collect();
    let kind = ErrorKind::MethodNotAllowed(others);
    Error { kind, ..missing(resource, verb.method(), http_method) }
}

/// The `Allow` of a response to `OPTIONS`.
pub(super) fn allowed(verbs: VerbSet) -> HeaderValue {
    let mut methods = Vec::with_capacity(Verb::ALL.len() + 1);
    for method in verbs.iter().filter_map(Verb::http_method) {
        methods.push(method);
        if method == "GET" {
            methods.push("HEAD");
        }
    }
    HeaderValue::from_str(&methods.join(", ")).expect("method names are plain ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allow_names_methods_in_order() {
        let verbs = VerbSet::default().with(Verb::Patch).with(Verb::Get).with(Verb::Publish);
        assert_eq!(allowed(verbs), "GET, HEAD, PATCH");
    }

    #[test]
    fn methods_beyond_the_usual_ones() {
        assert_eq!(read(&Method::from_bytes(b"MOVE").unwrap()), Asked::Verb(Verb::Move));
        assert_eq!(read(&Method::from_bytes(b"LOCK").unwrap()), Asked::Unknown);
        assert_eq!(read(&Method::from_bytes(b"BREW").unwrap()), Asked::Brew);
    }
}
