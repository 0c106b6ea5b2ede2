//! Which representation a response takes, and what is handed over undecoded (`spec/harper-rest.md`
//! section 6.1).
//!
//! JSON is the only one so far. The table of types is the place to add the others: each has a server
//! weight, and the product of that and the client's decides.

use hyper::HeaderMap;
use hyper::header;
use kora_resource::{Error, ErrorKind, Map, Result, Value};

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Representation {
    Json,
}

impl Representation {
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Representation::Json => "application/json",
        }
    }
}

/// Media types that can be asked for, with the server's weight.
const OFFERED: [(&str, f32, Representation); 3] = [
    ("application/json", 0.8, Representation::Json),
    ("*/*", 0.5, Representation::Json),
    ("", 0.5, Representation::Json),
];

/// Extensions of URLs that choose a representation; `None` for those that are still to come.
const EXTENSIONS: [(&str, Option<Representation>); 4] =
    [("json", Some(Representation::Json)), ("cbor", None), ("msgpack", None), ("csv", None)];

/// Whether the client asks for server-sent events and for nothing else, which is what makes a
/// request a subscription.
pub(crate) fn wants_event_stream(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes() == b"text/event-stream")
}

/// The representation for `Accept`, or for the URL's extension if that names one. 406 if there is none.
pub(crate) fn choose(headers: &HeaderMap, extension: Option<&str>) -> Result<Representation> {
    if let Some(extension) = extension
        && let Some((_, chosen)) = EXTENSIONS.iter().find(|(name, _)| *name == extension)
    {
        return chosen.ok_or_else(not_acceptable);
    }
    let Some(accept) = headers.get(header::ACCEPT) else { return Ok(Representation::Json) };
    match accept.as_bytes() {
        b"application/json" | b"*/*" => return Ok(Representation::Json),
        _ => {}
    }
    let mut best: Option<(f32, Representation)> = None;
    for entry in headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()) {
        for (media_type, client_weight) in entry.split(',').map(parse_entry) {
            let offered = OFFERED.iter().find(|(name, _, _)| media_type.eq_ignore_ascii_case(name));
            let Some((_, server_weight, representation)) = offered else { continue };
            let weight = server_weight * client_weight;
            if weight > 0.0 && best.is_none_or(|(highest, _)| weight > highest) {
                best = Some((weight, *representation));
            }
        }
    }
    best.map(|(_, representation)| representation).ok_or_else(not_acceptable)
}

/// One entry of `Accept`: the media type without parameters, and its `q`.
fn parse_entry(entry: &str) -> (&str, f32) {
    let mut parts = entry.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let weight = parts
        .find_map(|parameter| parameter.strip_prefix("q="))
        .and_then(|weight| weight.trim().parse().ok())
        .unwrap_or(1.0);
    (media_type, weight)
}

/// What a handler gets for data of a type that is not decoded.
pub(crate) fn typed(content_type: &str, data: Value) -> Value {
    Value::Object(Map::from_iter([
        ("contentType".to_owned(), Value::from(content_type)),
        ("data".to_owned(), data),
    ]))
}

fn not_acceptable() -> Error {
    let types: Vec<&str> =
        OFFERED.iter().map(|(name, _, _)| *name).filter(|name| !name.is_empty()).collect();
    Error::new(
        ErrorKind::NotAcceptable,
        format!(
            "No supported content types found in Accept header, supported types are {}",
            types.join(", ")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &str, extension: Option<&str>) -> Option<Representation> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, value.parse().unwrap());
        choose(&headers, extension).ok()
    }

    #[test]
    fn accept_is_read_with_weights_and_without_type_wildcards() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for value in [browser, "application/json", "APPLICATION/JSON;q=0.1", "*/*", ""] {
            assert_eq!(accept(value, None), Some(Representation::Json), "{value}");
        }
        for value in ["text/html", "application/*", "application/json;q=0"] {
            assert_eq!(accept(value, None), None, "{value}");
        }
        assert_eq!(accept("text/html", Some("json")), Some(Representation::Json));
        assert_eq!(accept("*/*", Some("csv")), None);
        assert_eq!(accept("*/*", Some("png")), Some(Representation::Json));
    }

    #[test]
    fn events_are_asked_for_exactly() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, "text/event-stream".parse().unwrap());
        assert!(wants_event_stream(&headers));
        headers.insert(header::ACCEPT, "text/event-stream, */*".parse().unwrap());
        assert!(!wants_event_stream(&headers));
    }
}
