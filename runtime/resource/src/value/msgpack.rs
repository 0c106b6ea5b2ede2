//! How records, messages and log entries are kept: MessagePack.
//!
//! Every value of the data model survives unchanged. What MessagePack has no type for is an
//! extension: a date is its milliseconds as a double (MessagePack's own timestamp would lose
//! fractions and invalid dates; it is understood on reading), a big integer its 128 bits. Reading
//! checks everything: damaged input is an error, never a panic and never a large allocation.

pub mod external;
mod reader;

use bytes::Bytes;
use rmp::encode::{self, ByteBuf, ValueWriteError};

pub(super) use reader::MAX_RESERVED;
pub(crate) use reader::{Reader, Token};

use super::{Map, Value, blob};

/// How deep values may nest, here and in every text format. Deeper input is refused, so that no client can use
/// up a thread's stack.
pub const MAX_DEPTH: usize = 128;

const EXT_DATE: i8 = 1;
const EXT_BIG_INT: i8 = 2;
const EXT_BLOB: i8 = 3;
const EXT_TIMESTAMP: i8 = -1;
/// `undefined` and a big integer as the `msgpackr` package writes them; never stored.
const EXT_UNDEFINED: i8 = 0;
const EXT_BIG_INT_PACKR: i8 = 0x42;

/// Why bytes are not a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MsgpackError {
    #[error("ends in the middle of a value")]
    Truncated,
    #[error("byte {0} begins no MessagePack value")]
    Reserved(usize),
    #[error("a text is not UTF-8")]
    NotUtf8,
    #[error("a property name is not a text")]
    NameNotText,
    #[error("extension type {0} is not known or has a wrong length")]
    UnknownExtension(i8),
    #[error("a blob is damaged")]
    DamagedBlob,
    #[error("values nest deeper than {MAX_DEPTH}")]
    TooDeep,
    #[error("{0} bytes follow the value")]
    TrailingBytes(usize),
    #[error("the value is not an object")]
    NotAnObject,
}

/// An object as one MessagePack map.
pub fn encode_map(map: &Map) -> Vec<u8> {
    let mut out = ByteBuf::with_capacity(map.len() * 16);
    write_map(&mut out, map);
    out.into_vec()
}

/// A value as MessagePack.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut out = ByteBuf::with_capacity(32);
    write(&mut out, value);
    out.into_vec()
}

/// The object that `bytes` hold, all of them.
pub fn decode_map(bytes: &[u8]) -> Result<Map, MsgpackError> {
    decode(bytes)?.into_object().ok_or(MsgpackError::NotAnObject)
}

/// The value that `bytes` hold, all of them.
pub fn decode(bytes: &[u8]) -> Result<Value, MsgpackError> {
    let mut reader = Reader::new(bytes);
    let value = read(&mut reader, MAX_DEPTH)?;
    match reader.rest() {
        0 => Ok(value),
        rest => Err(MsgpackError::TrailingBytes(rest)),
    }
}

/// Whether `bytes` are one whole map that may stand for the object that [`decode`] would make of it, without being
/// decoded: no name occurs twice, and no blob.
pub fn is_plain_map(bytes: &[u8]) -> bool {
    plain_map(bytes).is_ok_and(|is_plain| is_plain)
}

fn plain_map(bytes: &[u8]) -> Result<bool, MsgpackError> {
    let mut reader = Reader::new(bytes);
    let token = reader.next()?;
    Ok(matches!(token, Token::Map(_))
        && is_plain(&mut reader, token, MAX_DEPTH)?
        && reader.rest() == 0)
}

/// Whether the value that begins with `token` has neither blobs nor names that occur twice.
fn is_plain<'a>(
    reader: &mut Reader<'a>,
    token: Token<'a>,
    depth: usize,
) -> Result<bool, MsgpackError> {
    /// Names are compared each with each: past this many, decoding is quicker.
    const MAX_NAMES: usize = 16;
    let inner = || depth.checked_sub(1).ok_or(MsgpackError::TooDeep);
    match token {
        Token::Array(len) => {
            let inner = inner()?;
            for _ in 0..len {
                let token = reader.next()?;
                if !is_plain(reader, token, inner)? {
                    return Ok(false);
                }
            }
        }
        Token::Map(len) => {
            let inner = inner()?;
            let mut names = [""; MAX_NAMES];
            if len > MAX_NAMES {
                return Ok(false);
            }
            for at in 0..len {
                let name = reader.name()?;
                if names[..at].contains(&name) {
                    return Ok(false);
                }
                names[at] = name;
                let token = reader.next()?;
                if !is_plain(reader, token, inner)? {
                    return Ok(false);
                }
            }
        }
        Token::Blob(_) => return Ok(false),
        Token::Nil
        | Token::Bool(_)
        | Token::Int(_)
        | Token::UInt(_)
        | Token::Float(_)
        | Token::Date(_)
        | Token::BigInt(_)
        | Token::Str(_)
        | Token::Bin(_) => {}
    }
    Ok(true)
}

/// Only the properties that `wanted` names, in the order of the map; the others are skipped undecoded.
pub fn decode_properties(bytes: &[u8], wanted: impl Fn(&str) -> bool) -> Result<Map, MsgpackError> {
    let mut reader = Reader::new(bytes);
    let Token::Map(len) = reader.next()? else { return Err(MsgpackError::NotAnObject) };
    let mut map = Map::new();
    for _ in 0..len {
        let name = reader.name()?;
        if wanted(name) {
            map.insert(name.to_owned(), read(&mut reader, MAX_DEPTH - 1)?);
        } else {
            reader.skip()?;
        }
    }
    Ok(map)
}

fn write(out: &mut ByteBuf, value: &Value) {
    match value {
        Value::Null => sure(encode::write_nil(out).map_err(ValueWriteError::InvalidMarkerWrite)),
        Value::Bool(flag) => {
            sure(encode::write_bool(out, *flag).map_err(ValueWriteError::InvalidMarkerWrite));
        }
        Value::Int(n) => {
            sure(encode::write_sint(out, *n));
        }
        Value::Float(n) => sure(encode::write_f64(out, *n)),
        Value::BigInt(n) => write_extension(out, EXT_BIG_INT, &n.to_be_bytes()),
        Value::String(text) => sure(encode::write_str(out, text)),
        Value::Bytes(bytes) => sure(encode::write_bin(out, bytes)),
        Value::Date(ms) => write_extension(out, EXT_DATE, &ms.to_be_bytes()),
        Value::Blob(blob) => write_extension(out, EXT_BLOB, &blob::write(blob)),
        Value::Array(items) => {
            sure(encode::write_array_len(out, length(items.len())));
            items.iter().for_each(|item| write(out, item));
        }
        Value::Object(map) => write_map(out, map),
    }
}

fn write_map(out: &mut ByteBuf, map: &Map) {
    sure(encode::write_map_len(out, length(map.len())));
    for (name, value) in map {
        sure(encode::write_str(out, name));
        write(out, value);
    }
}

fn write_extension(out: &mut ByteBuf, kind: i8, data: &[u8]) {
    sure(encode::write_ext_meta(out, length(data.len()), kind));
    out.as_mut_vec().extend_from_slice(data);
}

fn length(len: usize) -> u32 {
    u32::try_from(len).expect("bodies are limited far below 2^32 elements")
}

/// Writing into memory cannot fail; the type says so.
fn sure<T>(result: Result<T, ValueWriteError<std::convert::Infallible>>) -> T {
    match result {
        Ok(done) => done,
        Err(
            ValueWriteError::InvalidMarkerWrite(never) | ValueWriteError::InvalidDataWrite(never),
        ) => match never {},
    }
}

fn read(reader: &mut Reader<'_>, depth: usize) -> Result<Value, MsgpackError> {
    let deeper = || depth.checked_sub(1).ok_or(MsgpackError::TooDeep);
    Ok(match reader.next()? {
        Token::Nil => Value::Null,
        Token::Bool(flag) => Value::Bool(flag),
        Token::Int(n) => Value::integer(n.into()),
        Token::UInt(n) => Value::integer(n.into()),
        Token::Float(n) => Value::number(n),
        Token::Date(ms) => Value::Date(ms),
        Token::BigInt(n) => Value::BigInt(n),
        Token::Str(text) => Value::String(text.to_owned()),
        Token::Bin(bytes) => Value::Bytes(Bytes::copy_from_slice(bytes)),
        Token::Blob(bytes) => blob::read(bytes).ok_or(MsgpackError::DamagedBlob)?.into(),
        Token::Array(len) => {
            let depth = deeper()?;
            let mut items = Vec::with_capacity(reader.reserved(len));
            for _ in 0..len {
                items.push(read(reader, depth)?);
            }
            Value::Array(items)
        }
        Token::Map(len) => {
            let depth = deeper()?;
            let mut map = Map::with_capacity(reader.reserved(len));
            for _ in 0..len {
                let name = reader.name()?.to_owned();
                map.insert(name, read(reader, depth)?);
            }
            Value::Object(map)
        }
    })
}

#[cfg(test)]
mod tests;
