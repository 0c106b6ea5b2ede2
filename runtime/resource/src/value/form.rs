//! `application/x-www-form-urlencoded`: names and texts. A name that comes again makes an array; what
//! is no text is written as JSON.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

use super::{Map, Value, json};

/// What the WHATWG URL standard encodes in a form, apart from the space.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

/// Reads the fields. Never fails: whatever is there is a name or a text.
pub fn parse(bytes: &[u8]) -> Value {
    let mut fields = Map::new();
    for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let split = pair.iter().position(|byte| *byte == b'=');
        let (name, value) = match split {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        };
        add(&mut fields, decode(name), Value::String(decode(value)));
    }
    Value::Object(fields)
}

/// Adds a field of a form; the second of a name makes an array of it.
pub fn add(fields: &mut Map, name: String, value: Value) {
    match fields.entry(name) {
        indexmap::map::Entry::Vacant(entry) => {
            entry.insert(value);
        }
        indexmap::map::Entry::Occupied(mut entry) => match entry.get_mut() {
            Value::Array(values) => values.push(value),
            first => *first = Value::Array(vec![std::mem::take(first), value]),
        },
    }
}

/// Appends an object's properties as fields; another value as the one field `value`.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    let begins = out.len();
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match value {
                    Value::Array(items) if !items.is_empty() => {
                        items.iter().for_each(|item| write_field(name, item, begins, out));
                    }
                    value => write_field(name, value, begins, out),
                }
            }
        }
        other => write_field("value", other, begins, out),
    }
}

fn write_field(name: &str, value: &Value, begins: usize, out: &mut Vec<u8>) {
    if out.len() > begins {
        out.push(b'&');
    }
    encode(name.as_bytes(), out);
    out.push(b'=');
    write_value(value, out);
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::String(text) => encode(text.as_bytes(), out),
        Value::Blob(blob) => write_value(&blob.shown(), out),
        other => {
            let mut text = Vec::new();
            json::write(other, &mut text);
            // Dates and bytes are quoted in JSON, and plain here.
            encode(
                text.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\"")).unwrap_or(&text),
                out,
            );
        }
    }
}

fn encode(text: &[u8], out: &mut Vec<u8>) {
    for (index, word) in text.split(|byte| *byte == b' ').enumerate() {
        if index > 0 {
            out.push(b'+');
        }
        percent_encode(word, ENCODED).for_each(|piece| out.extend_from_slice(piece.as_bytes()));
    }
}

fn decode(field: &[u8]) -> String {
    let spaced: Cow<'_, [u8]> = match field.contains(&b'+') {
        true => field.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect(),
        false => field.into(),
    };
    percent_decode(&spaced).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_come_again_and_texts_are_decoded() {
        let parsed = parse("a=1+2&b=%C3%A4&a=3&c&=x&&".as_bytes());
        let mut out = Vec::new();
        json::write(&parsed, &mut out);
        assert_eq!(out, r#"{"a":["1 2","3"],"b":"ä","c":"","":"x"}"#.as_bytes());
        let mut out = Vec::new();
        write(&parsed, &mut out);
        assert_eq!(out, b"a=1+2&a=3&b=%C3%A4&c=&=x");
    }

    proptest! {
        #[test]
        fn texts_survive(map in prop::collection::hash_map(any::<String>(), any::<String>(), 0..5)) {
            let map = map.into_iter().map(|(name, text)| (name, Value::String(text))).collect();
            let value = Value::Object(map);
            let mut out = Vec::new();
            write(&value, &mut out);
            prop_assert_eq!(parse(&out), value);
        }
    }
}
