//! Which [`Format`] a response or a socket takes (`spec/harper-rest.md` section 6.1).
//!
//! Each media type has a weight of the server; the product of that and the client's decides. `*/*` is
//! the only wildcard, as in Harper. An extension of the URL decides before any header.

use hyper::HeaderMap;
use hyper::header;
use kora_resource::value::Format;
use kora_resource::{Error, ErrorKind, Result};

/// A chosen format, and the name by which the client asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Representation {
    pub(crate) format: Format,
    pub(crate) media_type: &'static str,
}

impl Representation {
    pub(crate) const JSON: Representation = Representation::of(Format::Json);

    pub(crate) const fn of(format: Format) -> Representation {
        Representation { format, media_type: format.media_type() }
    }
}

/// Media types that can be asked for, with the server's weight.
const OFFERED: [(&str, f32, Format); 13] = [
    ("application/json", 0.8, Format::Json),
    ("application/cbor", 1.0, Format::Cbor),
    ("application/x-msgpack", 0.9, Format::MessagePack),
    ("application/msgpack", 0.9, Format::MessagePack),
    ("text/csv", 0.1, Format::Csv),
    ("text/plain", 0.2, Format::Text),
    ("text/yaml", 0.7, Format::Yaml),
    ("application/yaml", 0.7, Format::Yaml),
    ("application/x-ndjson", 0.7, Format::Ndjson),
    ("application/ndjson", 0.7, Format::Ndjson),
    ("application/x-www-form-urlencoded", 1.0, Format::Form),
    ("*/*", 0.5, Format::Json),
    ("", 0.5, Format::Json),
];

/// Whether the client asks for server-sent events and for nothing else, which is what makes a
/// request a subscription.
pub(crate) fn wants_event_stream(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes() == b"text/event-stream")
}

/// The representation for `Accept`, or for the URL's extension if that names one. 406 if there is none.
pub(crate) fn choose(headers: &HeaderMap, extension: Option<&str>) -> Result<Representation> {
    if let Some(format) = extension.and_then(Format::of_extension) {
        return Ok(Representation::of(format));
    }
    let Some(accept) = headers.get(header::ACCEPT) else { return Ok(Representation::JSON) };
    match accept.as_bytes() {
        b"application/json" | b"*/*" => return Ok(Representation::JSON),
        _ => {}
    }
    let mut best: Option<(f32, Representation)> = None;
    for entry in headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()) {
        for (asked, client_weight) in entry.split(',').map(parse_entry) {
            let offered = OFFERED.iter().find(|(name, _, _)| asked.eq_ignore_ascii_case(name));
            let Some(&(name, server_weight, format)) = offered else { continue };
            let weight = server_weight * client_weight;
            if weight > 0.0 && best.is_none_or(|(highest, _)| weight > highest) {
                let is_wildcard = matches!(name, "*/*" | "");
                let media_type = if is_wildcard { format.media_type() } else { name };
                best = Some((weight, Representation { format, media_type }));
            }
        }
    }
    best.map(|(_, representation)| representation).ok_or_else(not_acceptable)
}

/// One entry of `Accept` or `Accept-Encoding`: the name without parameters, and its `q`.
pub(super) fn parse_entry(entry: &str) -> (&str, f32) {
    let mut parts = entry.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let weight = parts
        .find_map(|parameter| parameter.strip_prefix("q=").or(parameter.strip_prefix("Q=")))
        .and_then(|weight| weight.trim().parse().ok())
        .unwrap_or(1.0);
    (name, weight)
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

    fn accept(value: &str, extension: Option<&str>) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, value.parse().unwrap());
        choose(&headers, extension).ok().map(|representation| representation.media_type)
    }

    #[test]
    fn accept_is_read_with_weights_and_without_type_wildcards() {
        let json = Some("application/json");
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for value in [browser, "application/json", "APPLICATION/JSON;q=0.1", "*/*", ""] {
            assert_eq!(accept(value, None), json, "{value}");
        }
        for (value, chosen) in [
            ("application/json, application/cbor", "application/cbor"),
            ("application/json, application/cbor;q=0.7", "application/json"),
            ("text/csv", "text/csv"),
            ("text/csv, */*", "application/json"),
            ("application/ndjson", "application/ndjson"),
            ("text/yaml;q=0.9, text/plain", "text/yaml"),
            ("application/msgpack", "application/msgpack"),
        ] {
            assert_eq!(accept(value, None), Some(chosen), "{value}");
        }
        for value in ["text/html", "application/*", "application/json;q=0"] {
            assert_eq!(accept(value, None), None, "{value}");
        }
        assert_eq!(accept("text/html", Some("json")), json);
        assert_eq!(accept("*/*", Some("csv")), Some("text/csv"));
        assert_eq!(accept("*/*", Some("png")), json);
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
