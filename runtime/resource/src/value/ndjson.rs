//! NDJSON: one JSON value a line. Reading it gives an array; an array is written as its elements.

use super::Value;
use super::json::{self, JsonError};

/// Appends `value`: each element of an array as a line, anything else as one.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| write_line(item, out)),
        other => write_line(other, out),
    }
}

/// Appends one line.
pub fn write_line(value: &Value, out: &mut Vec<u8>) {
    // JSON text has no line breaks of its own.
    json::write(value, out);
    out.push(b'\n');
}

/// The values of all lines that are not blank, as an array. An error names the line in the whole.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    let mut items = Vec::new();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let item = json::parse(line);
        items.push(item.map_err(|error| JsonError { line: index + error.line, ..error })?);
    }
    Ok(Value::Array(items))
}
