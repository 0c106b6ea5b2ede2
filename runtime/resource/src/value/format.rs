//! The content types that values are written and read in (`spec/harper-rest.md` section 6.1,
//! `spec/harper-realtime.md` section 7).
//!
//! [`Format`] is what a transport chooses by negotiation: HTTP for a body, WebSocket, SSE and MQTT for
//! a message. What each format does with the types that it lacks is said in its module. Decoding
//! takes any bytes: what is wrong becomes a [`DecodeError`] that names the type and the place.

use std::fmt;

use super::{Value, cbor, csv, form, json, msgpack, ndjson, yaml};
use crate::{Error, Record, Result};

/// A content type with an encoder and a decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Json,
    Cbor,
    MessagePack,
    Yaml,
    /// One JSON value a line.
    Ndjson,
    Csv,
    /// Text as it is; what is no string is written as JSON.
    Text,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// Why bytes are not of a format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {format}: {problem}")]
pub struct DecodeError {
    pub format: Format,
    /// What is wrong and where: a line, or a byte's position.
    pub problem: String,
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Error {
        Error::invalid(format!("The body is {error}"))
    }
}

impl Format {
    pub const ALL: [Format; 8] = [
        Format::Json,
        Format::Cbor,
        Format::MessagePack,
        Format::Yaml,
        Format::Ndjson,
        Format::Csv,
        Format::Text,
        Format::Form,
    ];

    /// The media type that a response of this format carries.
    pub const fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Cbor => "application/cbor",
            Format::MessagePack => "application/x-msgpack",
            Format::Yaml => "text/yaml",
            Format::Ndjson => "application/x-ndjson",
            Format::Csv => "text/csv",
            Format::Text => "text/plain",
            Format::Form => "application/x-www-form-urlencoded",
        }
    }

    /// The format of a media type, with or without parameters, in any case. The registered names and
    /// the usual other ones (`application/msgpack`, `application/yaml`) are known.
    pub fn of_media_type(media_type: &str) -> Option<Format> {
        const ALIASES: [(&str, Format); 5] = [
            ("application/msgpack", Format::MessagePack),
            ("application/vnd.msgpack", Format::MessagePack),
            ("application/yaml", Format::Yaml),
            ("application/x-yaml", Format::Yaml),
            ("application/ndjson", Format::Ndjson),
        ];
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        let named = |name: &str| essence.eq_ignore_ascii_case(name);
        Format::ALL
            .into_iter()
            .find(|format| named(format.media_type()))
            .or_else(|| ALIASES.into_iter().find(|(name, _)| named(name)).map(|(_, format)| format))
    }

    /// The format that an extension of a URL chooses (`spec/harper-rest.md` section 1.1).
    pub fn of_extension(extension: &str) -> Option<Format> {
        Some(match extension {
            "json" => Format::Json,
            "cbor" => Format::Cbor,
            "msgpack" => Format::MessagePack,
            "csv" => Format::Csv,
            _ => return None,
        })
    }

    /// Whether what it writes is UTF-8: a WebSocket text message rather than a binary one.
    pub fn is_text(self) -> bool {
        match self {
            Format::Cbor | Format::MessagePack => false,
            Format::Json
            | Format::Yaml
            | Format::Ndjson
            | Format::Csv
            | Format::Text
            | Format::Form => true,
        }
    }

    /// Appends one value.
    pub fn encode(self, value: &Value, out: &mut Vec<u8>) {
        match self {
            Format::Json => json::write(value, out),
            Format::Cbor => cbor::write(value, out),
            Format::MessagePack => msgpack::external::write(value, out),
            Format::Yaml => yaml::write(value, out),
            Format::Ndjson => ndjson::write(value, out),
            Format::Csv => csv::write(value, out),
            Format::Text => match value {
                Value::String(text) => out.extend_from_slice(text.as_bytes()),
                other => json::write(other, out),
            },
            Format::Form => form::write(value, out),
        }
    }

    /// Appends a stored record as one object. JSON is written without building a [`Value`].
    pub fn encode_record(self, record: &Record, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Format::Json | Format::Text => record.write_json(out)?,
            Format::Ndjson => {
                record.write_json(out)?;
                out.push(b'\n');
            }
            Format::Cbor | Format::MessagePack | Format::Yaml | Format::Csv | Format::Form => {
                self.encode(&Value::Object(record.to_map()?), out);
            }
        }
        Ok(())
    }

    /// The value that `bytes` hold, all of them. NDJSON, CSV and several MessagePack values are an
    /// array; cells of CSV and fields of forms are text, see
    /// [`crate::schema::TableSchema::read_text_row`].
    pub fn decode(self, bytes: &[u8]) -> Result<Value, DecodeError> {
        let failed = |problem: String| DecodeError { format: self, problem };
        match self {
            Format::Json => json::parse(bytes).map_err(|error| failed(error.to_string())),
            Format::Cbor => cbor::decode(bytes).map_err(|error| failed(error.to_string())),
            Format::MessagePack => {
                msgpack::external::decode(bytes).map_err(|error| failed(error.to_string()))
            }
            Format::Ndjson => ndjson::parse(bytes).map_err(|error| failed(error.to_string())),
            Format::Form => Ok(form::parse(bytes)),
            Format::Yaml => {
                let text = self.text(bytes)?;
                yaml::parse(text).map_err(|error| failed(error.to_string()))
            }
            Format::Csv => {
                let rows = csv::parse(self.text(bytes)?);
                rows.map_err(|error| failed(error.to_string()))
                    .map(|rows| rows.into_iter().map(Value::Object).collect::<Vec<_>>().into())
            }
            Format::Text => Ok(Value::from(self.text(bytes)?)),
        }
    }

    fn text(self, bytes: &[u8]) -> Result<&str, DecodeError> {
        std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            let line = 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count();
            let problem = format!("expected UTF-8 text at line {line} (byte {at})");
            DecodeError { format: self, problem }
        })
    }
}

/// The media type.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.media_type())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::strategy::{any_value, json_value};

    fn decoded(format: Format, value: &Value) -> Result<Value, DecodeError> {
        let mut out = Vec::new();
        format.encode(value, &mut out);
        format.decode(&out)
    }

    #[test]
    fn media_types_are_known_by_all_their_names() {
        for (name, format) in [
            ("application/json; charset=utf-8", Some(Format::Json)),
            ("Application/CBOR", Some(Format::Cbor)),
            ("application/msgpack", Some(Format::MessagePack)),
            ("application/x-msgpack", Some(Format::MessagePack)),
            ("application/ndjson", Some(Format::Ndjson)),
            ("application/yaml", Some(Format::Yaml)),
            ("text/csv;header=present", Some(Format::Csv)),
            ("image/png", None),
            ("", None),
        ] {
            assert_eq!(Format::of_media_type(name), format, "{name}");
        }
    }

    #[test]
    fn errors_name_the_type_and_the_place() {
        for (format, bytes, message) in [
            (
                Format::Json,
                "{\n x",
                "not application/json: expected a property name in double quotes, found `x` at line 2, column 2",
            ),
            (
                Format::Cbor,
                "\u{61}",
                "not application/cbor: the input ends in the middle of the value at byte 0",
            ),
            (
                Format::MessagePack,
                "\u{1}é",
                "not application/x-msgpack: value 3: ends in the middle of a value at byte 3",
            ),
            (
                Format::Ndjson,
                "{}\n\n{\"a\":}",
                "not application/x-ndjson: expected a value, found `}` at line 3, column 6",
            ),
            (
                Format::Csv,
                "a,b\n1,2\n3\n",
                "not text/csv: 1 field where the header names 2 at line 3",
            ),
            (Format::Yaml, "a: 1\nb: [", "not text/yaml: "),
        ] {
            let error = format.decode(bytes.as_bytes()).expect_err(message).to_string();
            assert!(error.starts_with(message), "{error}");
        }
        let error = Format::Text.decode(b"a\n\xff").expect_err("not UTF-8").to_string();
        assert_eq!(error, "not text/plain: expected UTF-8 text at line 2 (byte 2)");
    }

    proptest! {
        #[test]
        fn binary_formats_keep_every_type(value in any_value()) {
            for format in [Format::Cbor, Format::MessagePack] {
                let value = with_js_dates(value.clone());
                prop_assert_eq!(decoded(format, &value), Ok(value), "{}", format);
            }
        }

        #[test]
        fn text_formats_keep_what_json_has(value in json_value()) {
            for format in [Format::Json, Format::Yaml] {
                prop_assert_eq!(decoded(format, &value), Ok(value.clone()), "{}", format);
            }
            let lines = Value::Array(vec![value; 3]);
            prop_assert_eq!(decoded(Format::Ndjson, &lines), Ok(lines));
        }

        #[test]
        fn garbage_is_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            for format in Format::ALL {
                let _ = format.decode(&bytes);
            }
        }

        #[test]
        fn damaged_values_never_panic(
            value in any_value(), at in any::<prop::sample::Index>(), byte in any::<u8>()
        ) {
            for format in Format::ALL {
                let mut out = Vec::new();
                format.encode(&value, &mut out);
                if !out.is_empty() {
                    let at = at.index(out.len());
                    let _ = format.decode(&out[..at]);
                    out[at] = byte;
                    let _ = format.decode(&out);
                }
            }
        }
    }

    /// Dates as JavaScript has them: whole milliseconds within its range, or invalid (which is not
    /// equal to itself, so left out here).
    fn with_js_dates(value: Value) -> Value {
        match value {
            Value::Date(ms) => Value::Date((ms % 8.64e15).trunc() + 0.0),
            Value::Array(items) => Value::Array(items.into_iter().map(with_js_dates).collect()),
            Value::Object(map) => Value::Object(
                map.into_iter().map(|(name, value)| (name, with_js_dates(value))).collect(),
            ),
            other => other,
        }
    }
}
