//! YAML: what clients ask for as `text/yaml`, and what `dataLoader` files are written in.
//!
//! Reading follows the core schema of YAML 1.2, to which `!!binary` and `!!timestamp` are added; a
//! plain date stays a text, as it does in Harper, and becomes a date by the attribute that it is
//! written to. It works on the parser's events rather than through serde, because integers must stay
//! exact past 64 bits and errors must know their line.

mod parse;
mod scalar;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub use parse::{YamlError, item_lines, parse};

use super::{Map, Value, json};

/// Property names of more bytes are written in the explicit form, which has no limit. The simple one
/// ends at 1024 characters, of which an escaped one takes ten.
const LONGEST_SIMPLE_KEY: usize = 100;
/// Texts of more bytes are quoted.
const LONGEST_PLAIN_TEXT: usize = 256;

/// Appends one document in block style.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Blob(blob) => write(&blob.shown(), out),
        Value::Object(map) if !map.is_empty() => write_map(map, 0, Indent::Full, out),
        Value::Array(items) if !items.is_empty() => write_array(items, 0, Indent::Full, out),
        other => {
            write_scalar(other, out);
            out.push(b'\n');
        }
    }
}

/// Appends one element of a top-level array.
pub fn write_item(value: &Value, out: &mut Vec<u8>) {
    write_array(std::slice::from_ref(value), 0, Indent::Full, out);
}

/// Whether the first line of a block stands behind something already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Indent {
    Full,
    FirstLineDone,
}

fn write_map(map: &Map, depth: usize, indent: Indent, out: &mut Vec<u8>) {
    for (index, (name, value)) in map.iter().enumerate() {
        if index > 0 || indent == Indent::Full {
            write_indent(depth, out);
        }
        if name.len() > LONGEST_SIMPLE_KEY {
            out.extend_from_slice(b"? ");
            write_text(name, out);
            out.push(b'\n');
            write_indent(depth, out);
        } else {
            write_text(name, out);
        }
        out.push(b':');
        write_nested(value, depth + 1, Parent::Map, out);
    }
}

fn write_array(items: &[Value], depth: usize, indent: Indent, out: &mut Vec<u8>) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 || indent == Indent::Full {
            write_indent(depth, out);
        }
        out.push(b'-');
        write_nested(item, depth + 1, Parent::Array, out);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Parent {
    Map,
    Array,
}

/// What stands behind `name:` or `-`.
fn write_nested(value: &Value, depth: usize, parent: Parent, out: &mut Vec<u8>) {
    let indent = match parent {
        Parent::Map => Indent::Full,
        Parent::Array => Indent::FirstLineDone,
    };
    match value {
        Value::Blob(blob) => write_nested(&blob.shown(), depth, parent, out),
        Value::Object(map) if !map.is_empty() => {
            out.push(if parent == Parent::Map { b'\n' } else { b' ' });
            write_map(map, depth, indent, out);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push(if parent == Parent::Map { b'\n' } else { b' ' });
            write_array(items, depth, indent, out);
        }
        scalar => {
            out.push(b' ');
            write_scalar(scalar, out);
            out.push(b'\n');
        }
    }
}

fn write_indent(depth: usize, out: &mut Vec<u8>) {
    out.resize(out.len() + 2 * depth, b' ');
}

fn write_scalar(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => write_text(text, out),
        Value::Bytes(bytes) => {
            out.extend_from_slice(b"!!binary \"");
            out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
            out.push(b'"');
        }
        Value::Float(n) if !n.is_finite() => out.extend_from_slice(match n {
            n if n.is_nan() => b".nan",
            n if *n > 0.0 => b".inf",
            _ => b"-.inf",
        }),
        Value::Date(_) => {
            // Plain: an ISO date is no other kind of scalar.
            let mut quoted = Vec::with_capacity(26);
            json::write(value, &mut quoted);
            out.extend(quoted.iter().filter(|byte| **byte != b'"'));
        }
        Value::Array(_) => out.extend_from_slice(b"[]"),
        Value::Object(_) => out.extend_from_slice(b"{}"),
        // A blob never comes here: it is written as what it shows.
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::BigInt(_)
        | Value::Blob(_) => {
            json::write(value, out);
        }
    }
}

/// Plain where nobody can read it as anything else, else in double quotes.
fn write_text(text: &str, out: &mut Vec<u8>) {
    if is_plain(text) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c if !is_printable(c) => {
                out.extend_from_slice(format!("\\U{:08x}", u32::from(c)).as_bytes());
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// What a quoted text may hold as it is; narrower than YAML's own rule.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn is_plain(text: &str) -> bool {
    /// What YAML 1.1 readers take for something else than a text.
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.len() <= LONGEST_PLAIN_TEXT
        && !text.ends_with(' ')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b" _-./".contains(&b))
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(json_text: &str) -> String {
        let mut out = Vec::new();
        write(&json::parse(json_text.as_bytes()).expect("JSON"), &mut out);
        String::from_utf8(out).expect("YAML is UTF-8")
    }

    #[test]
    fn writes_blocks() {
        for (value, text) in [
            ("5", "5\n"),
            ("\"yes\"", "\"yes\"\n"),
            ("[]", "[]\n"),
            (
                r#"{"a":[1,{"b":"x y","c":[]},[2,3]],"1":{"d":null,"e":{}}}"#,
                "a:\n  - 1\n  - b: x y\n    c: []\n  - - 2\n    - 3\n\"1\":\n  d: null\n  e: {}\n",
            ),
        ] {
            assert_eq!(written(value), text);
            let read = parse(text).expect(text);
            assert_eq!(read, json::parse(value.as_bytes()).expect("JSON"));
        }
    }

    #[test]
    fn names_of_any_length_survive() {
        for name in ["a".repeat(300), "\u{5}".repeat(101), "\u{5}".repeat(100), "\u{5}".repeat(256)]
        {
            let value = Value::Object([(name, Value::Int(1))].into_iter().collect());
            let mut out = Vec::new();
            write(&value, &mut out);
            assert_eq!(parse(std::str::from_utf8(&out).expect("UTF-8")), Ok(value));
        }
    }

    #[test]
    fn bytes_survive_and_dates_are_texts() {
        let value = Value::Array(vec![Value::Bytes(b"\x00\xff".as_ref().into()), Value::Date(0.0)]);
        let mut out = Vec::new();
        write(&value, &mut out);
        let text = String::from_utf8(out).expect("YAML is UTF-8");
        assert_eq!(text, "- !!binary \"AP8=\"\n- 1970-01-01T00:00:00.000Z\n");
        let Value::Array(items) = parse(&text).expect("YAML") else { panic!("an array") };
        assert_eq!(items[0], Value::Bytes(b"\x00\xff".as_ref().into()));
        assert_eq!(items[1], Value::from("1970-01-01T00:00:00.000Z"));
    }
}
