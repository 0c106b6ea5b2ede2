//! JSON text as Harper writes and reads it (`spec/harper-rest.md` sections 4 and 6.1).
//!
//! Writing comes in two forms with one result: [`write`] from a [`Value`], and [`transcode`] straight
//! from a stored record's MessagePack, which is how a GET is answered. Dates are ISO strings (an
//! invalid one is `null`), bytes base64, big integers bare digits, doubles as JavaScript prints them
//! and `null` where they are not finite. Reading is in [`parse`].

mod parse;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub use parse::{JsonError, parse};

use super::msgpack::{MAX_DEPTH, MsgpackError, Reader, Token};
use super::{Value, blob, date};

/// Appends `value`.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(flag) => write_bool(*flag, out),
        Value::Int(n) => write_integer(*n, out),
        Value::Float(n) => write_double(*n, out),
        Value::BigInt(n) => write_integer(*n, out),
        Value::String(text) => write_string(text, out),
        Value::Bytes(bytes) => write_bytes(bytes, out),
        Value::Date(ms) => write_date(*ms, out),
        Value::Blob(blob) => write(&blob.shown(), out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Value::Object(map) => {
            out.push(b'{');
            for (index, (name, value)) in map.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(name, out);
                out.push(b':');
                write(value, out);
            }
            out.push(b'}');
        }
    }
}

/// Appends the one MessagePack value that `msgpack` holds. On damage nothing is appended.
pub fn transcode(msgpack: &[u8], out: &mut Vec<u8>) -> Result<(), MsgpackError> {
    let start = out.len();
    out.reserve(msgpack.len() + msgpack.len() / 4);
    let mut reader = Reader::new(msgpack);
    let done = transcode_value(&mut reader, MAX_DEPTH, out).and_then(|()| match reader.rest() {
        0 => Ok(()),
        rest => Err(MsgpackError::TrailingBytes(rest)),
    });
    if done.is_err() {
        out.truncate(start);
    }
    done
}

fn transcode_value(
    reader: &mut Reader<'_>,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), MsgpackError> {
    match reader.next()? {
        Token::Nil => out.extend_from_slice(b"null"),
        Token::Bool(flag) => write_bool(flag, out),
        Token::Int(n) => write_integer(n, out),
        Token::UInt(n) => write_integer(n, out),
        Token::Float(n) => write_double(n, out),
        Token::Date(ms) => write_date(ms, out),
        Token::BigInt(n) => write_integer(n, out),
        Token::Str(text) => write_string(text, out),
        Token::Bin(bytes) => write_bytes(bytes, out),
        Token::Blob(bytes) => match blob::read(bytes) {
            Some(blob) => write(&blob.shown(), out),
            None => return Err(MsgpackError::DamagedBlob),
        },
        Token::Array(len) => {
            let depth = depth.checked_sub(1).ok_or(MsgpackError::TooDeep)?;
            out.push(b'[');
            for index in 0..len {
                if index > 0 {
                    out.push(b',');
                }
                transcode_value(reader, depth, out)?;
            }
            out.push(b']');
        }
        Token::Map(len) => {
            let depth = depth.checked_sub(1).ok_or(MsgpackError::TooDeep)?;
            out.push(b'{');
            for index in 0..len {
                if index > 0 {
                    out.push(b',');
                }
                write_string(reader.name()?, out);
                out.push(b':');
                transcode_value(reader, depth, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn write_bool(flag: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if flag { b"true" } else { b"false" });
}

fn write_integer(n: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

fn write_double(n: f64, out: &mut Vec<u8>) {
    if n.is_finite() {
        out.extend_from_slice(ryu_js::Buffer::new().format_finite(n).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

fn write_date(ms: f64, out: &mut Vec<u8>) {
    out.push(b'"');
    if date::write_iso(ms, out) {
        out.push(b'"');
    } else {
        out.pop();
        out.extend_from_slice(b"null");
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
    out.push(b'"');
}

/// Appends a quoted string with what JSON requires escaped, nothing else.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let plain = plain_prefix(rest);
        out.extend_from_slice(&rest[..plain]);
        let Some(byte) = rest.get(plain) else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            control => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
        }
        rest = &rest[plain + 1..];
    }
    out.push(b'"');
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// How many bytes from the start need no escape. Eight at a time while none of them does.
fn plain_prefix(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(chunk) = bytes[at..].first_chunk::<8>() {
        if any_needs_escape(u64::from_le_bytes(*chunk)) {
            break;
        }
        at += 8;
    }
    bytes[at..].iter().position(|byte| needs_escape(*byte)).map_or(bytes.len(), |more| at + more)
}

/// Whether one of eight bytes is below 0x20, a quote or a backslash: the usual "has a byte less
/// than" trick, which borrows from a byte's top bit only if the byte was smaller.
fn any_needs_escape(bytes: u64) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const TOP: u64 = EACH << 7;
    let less = |bytes: u64, bound: u64| bytes.wrapping_sub(EACH * bound) & !bytes & TOP;
    let equal = |byte: u8| less(bytes ^ (EACH * u64::from(byte)), 1);
    (less(bytes, 0x20) | equal(b'"') | equal(b'\\')) != 0
}

#[cfg(test)]
mod tests;
