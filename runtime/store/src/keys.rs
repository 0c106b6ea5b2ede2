//! Keys that sort as Harper sorts: null < booleans < numbers < strings < arrays (< bytes, which only
//! indexes hold), so that LMDB's byte order is the order of ids and of indexed values.
//!
//! A key is a tag and a payload that ends by itself, so that keys can follow one another:
//! - numbers: the largest double that is not above the number (its bits mapped to ascend), then what
//!   is left as a count and big-endian digits: doubles and big integers share one order exactly;
//! - strings, bytes: `00` becomes `00 FF`, then a terminating `00`, which sorts before everything
//!   that can stand in its place;
//! - arrays: their elements, then a `00`.

mod index_entry;
mod number;

use kora_resource::{Error, Id, Result, Value};
use smallvec::SmallVec;

pub(crate) use index_entry::{Cut, IndexEntry, ValueRange, entry_id};

/// An encoded key. Most fit without an allocation.
pub(crate) type Key = SmallVec<[u8; 64]>;

/// The longest key of a record, without the number of its table (`spec/harper-rest.md` 1.2).
pub(crate) const MAX_ID: usize = 1978;

const END: u8 = 0x00;
const ESCAPE: u8 = 0xFF;
const NULL: u8 = 0x02;
const FALSE: u8 = 0x04;
const TRUE: u8 = 0x05;
const NUMBER: u8 = 0x10;
const STRING: u8 = 0x20;
const ARRAY: u8 = 0x30;
const BYTES: u8 = 0x38;
const ABOVE_TAGS: u8 = 0x40;

/// The key of an id. 400 if it is too long.
pub(crate) fn encode_id(id: &Id) -> Result<Key> {
    let mut key = Key::new();
    write_id(&mut key, id)?;
    if key.len() > MAX_ID {
        return Err(Error::invalid(format!(
            "Primary key is too long: {} bytes, the maximum is {MAX_ID}",
            key.len()
        )));
    }
    Ok(key)
}

/// The id that a key encodes: numbers in their simplest form. `None` for bytes that are no key.
pub(crate) fn decode_id(key: &[u8]) -> Option<Id> {
    let mut rest = key;
    let id = read_id(&mut rest)?;
    rest.is_empty().then_some(id)
}

/// The first bytes of the keys of all strings that start with `prefix`.
pub(crate) fn string_prefix(prefix: &str) -> Key {
    let mut key = Key::new();
    key.push(STRING);
    write_escaped(&mut key, prefix.as_bytes());
    key
}

/// The key of a value in an index. What has no order (objects) is where null is.
pub(crate) fn write_value(key: &mut Key, value: &Value) {
    match value {
        Value::Null | Value::Object(_) | Value::Blob(_) => key.push(NULL),
        Value::Bool(flag) => key.push(if *flag { TRUE } else { FALSE }),
        Value::Int(n) => write_number(key, number::Number::from_integer((*n).into())),
        Value::BigInt(n) => write_number(key, number::Number::from_integer(*n)),
        Value::Float(n) | Value::Date(n) => write_number(key, number::Number::from_double(*n)),
        Value::String(text) => {
            key.push(STRING);
            write_escaped(key, text.as_bytes());
            key.push(END);
        }
        Value::Bytes(bytes) => {
            key.push(BYTES);
            write_escaped(key, bytes);
            key.push(END);
        }
        Value::Array(items) => {
            key.push(ARRAY);
            items.iter().for_each(|item| write_value(key, item));
            key.push(END);
        }
    }
}

fn write_id(key: &mut Key, id: &Id) -> Result<()> {
    match id {
        Id::Null => key.push(NULL),
        Id::Bool(flag) => key.push(if *flag { TRUE } else { FALSE }),
        Id::Number(n) if n.is_finite() => write_number(key, number::Number::from_double(*n)),
        Id::Number(n) => return Err(Error::invalid(format!("{n} can not be a primary key"))),
        Id::BigInt(n) => write_number(key, number::Number::from_integer(*n)),
        Id::String(text) => {
            key.push(STRING);
            write_escaped(key, text.as_bytes());
            key.push(END);
        }
        Id::Array(parts) => {
            key.push(ARRAY);
            for part in parts {
                write_id(key, part)?;
            }
            key.push(END);
        }
    }
    Ok(())
}

fn write_number(key: &mut Key, n: number::Number) {
    key.push(NUMBER);
    n.write(key);
}

fn write_escaped(key: &mut Key, bytes: &[u8]) {
    for part in bytes.split_inclusive(|byte| *byte == END) {
        key.extend_from_slice(part);
        if part.last() == Some(&END) {
            key.push(ESCAPE);
        }
    }
}

fn read_id(rest: &mut &[u8]) -> Option<Id> {
    let (tag, after) = rest.split_first()?;
    *rest = after;
    Some(match *tag {
        NULL => Id::Null,
        FALSE => Id::Bool(false),
        TRUE => Id::Bool(true),
        NUMBER => number::Number::read(rest)?.to_id(),
        STRING => Id::String(String::from_utf8(read_escaped(rest)?).ok()?),
        ARRAY => {
            let mut parts = Vec::new();
            while *rest.first()? != END {
                parts.push(read_id(rest)?);
            }
            *rest = &rest[1..];
            Id::Array(parts)
        }
        _ => return None,
    })
}

fn read_escaped(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let end = rest.iter().position(|byte| *byte == END)?;
        bytes.extend_from_slice(&rest[..end]);
        *rest = &rest[end + 1..];
        if rest.first() != Some(&ESCAPE) {
            return Some(bytes);
        }
        bytes.push(END);
        *rest = &rest[1..];
    }
}

/// Moves past one encoded value; `None` if it does not end within `rest`.
fn skip_value(rest: &mut &[u8]) -> Option<()> {
    let (tag, after) = rest.split_first()?;
    *rest = after;
    match *tag {
        NUMBER => number::Number::read(rest).map(drop),
        STRING | BYTES => read_escaped(rest).map(drop),
        ARRAY => {
            while *rest.first()? != END {
                skip_value(rest)?;
            }
            *rest = &rest[1..];
            Some(())
        }
        NULL | FALSE | TRUE => Some(()),
        _ => None,
    }
}

/// The first key after all keys that begin with `prefix`; `None` if there is none.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Key> {
    let last = prefix.iter().rposition(|byte| *byte != 0xFF)?;
    let mut end = Key::from_slice(&prefix[..=last]);
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests;
