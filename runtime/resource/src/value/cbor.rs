//! CBOR (RFC 8949), as Harper's clients write and read it.
//!
//! Every type of the data model has its form: integers within 64 bits are CBOR integers, larger ones
//! bignums (tags 2 and 3), bytes byte strings, dates seconds since the epoch (tag 1) or, where a
//! double of seconds can't hold the millisecond, date texts (tag 0). On reading, `undefined` is null,
//! numbers as map keys become property names, and tags that only describe are passed over.

use bytes::Bytes;
use minicbor::data::{Int, Tag, Type};
use minicbor::decode::{Decoder, Error};
use minicbor::encode::{Encoder, Error as EncodeError};

use super::msgpack::{MAX_DEPTH, MAX_RESERVED};
use super::{Map, Value, date};

const TAG_DATE_TEXT: u64 = 0;
const TAG_DATE_SECONDS: u64 = 1;
const TAG_BIG_POSITIVE: u64 = 2;
const TAG_BIG_NEGATIVE: u64 = 3;
/// Tags whose content is the value: expected conversions (21 to 23), URI (32), `Uint8Array` (64),
/// sets (258), and the mark of a CBOR file (55799).
const TRANSPARENT: [u64; 7] = [21, 22, 23, 32, 64, 258, 55799];

/// What begins an array whose length is not known yet.
pub const ARRAY_START: u8 = 0x9f;
/// What ends one.
pub const BREAK: u8 = 0xff;

/// Why bytes are not CBOR.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {position}")]
pub struct CborError {
    /// From 0.
    pub position: usize,
    pub problem: String,
}

/// Appends `value`.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    let mut encoder = Encoder::new(out);
    sure(write_value(value, &mut encoder));
}

type Out<'o> = Encoder<&'o mut Vec<u8>>;
type Written = Result<(), EncodeError<std::convert::Infallible>>;

/// Writing into memory cannot fail, and the encoder is never asked for what it can't write.
fn sure(written: Written) {
    written.expect("memory takes every byte");
}

fn write_value(value: &Value, out: &mut Out<'_>) -> Written {
    match value {
        Value::Null => out.null()?.ok(),
        Value::Bool(flag) => out.bool(*flag)?.ok(),
        Value::Int(n) => out.i64(*n)?.ok(),
        Value::Float(n) => out.f64(*n)?.ok(),
        Value::BigInt(n) => write_big_int(*n, out),
        Value::String(text) => out.str(text)?.ok(),
        Value::Bytes(bytes) => out.bytes(bytes)?.ok(),
        Value::Date(ms) => write_date(*ms, out),
        Value::Blob(blob) => write_value(&blob.shown(), out),
        Value::Array(items) => {
            out.array(items.len() as u64)?;
            items.iter().try_for_each(|item| write_value(item, out))
        }
        Value::Object(map) => {
            out.map(map.len() as u64)?;
            map.iter().try_for_each(|(name, value)| {
                out.str(name)?;
                write_value(value, out)
            })
        }
    }
}

fn write_big_int(n: i128, out: &mut Out<'_>) -> Written {
    if let Ok(int) = Int::try_from(n) {
        return out.int(int)?.ok();
    }
    // A negative bignum holds -1 - n.
    let (tag, magnitude) = match u128::try_from(n) {
        Ok(magnitude) => (TAG_BIG_POSITIVE, magnitude),
        Err(_) => (TAG_BIG_NEGATIVE, !n as u128),
    };
    let bytes = magnitude.to_be_bytes();
    let zeros = (magnitude.leading_zeros() / 8) as usize;
    out.tag(Tag::new(tag))?.bytes(&bytes[zeros..])?.ok()
}

fn write_date(ms: f64, out: &mut Out<'_>) -> Written {
    let seconds = ms / 1000.0;
    if from_seconds(seconds) == ms || ms.fract() != 0.0 {
        out.tag(Tag::new(TAG_DATE_SECONDS))?;
        return match seconds.fract() == 0.0 && seconds.abs() < 9e15 {
            true => out.i64(seconds as i64)?.ok(),
            false => out.f64(seconds)?.ok(),
        };
    }
    match date::to_iso(ms) {
        Some(text) => out.tag(Tag::new(TAG_DATE_TEXT))?.str(&text)?.ok(),
        None => out.tag(Tag::new(TAG_DATE_SECONDS))?.f64(seconds)?.ok(),
    }
}

/// Milliseconds; a fraction that only the division by 1000 made is taken away.
fn from_seconds(seconds: f64) -> f64 {
    let ms = seconds * 1000.0;
    let whole = ms.round();
    if whole / 1000.0 == seconds { whole } else { ms }
}

/// The one value that `bytes` hold.
pub fn decode(bytes: &[u8]) -> Result<Value, CborError> {
    let mut decoder = Decoder::new(bytes);
    let value = read(&mut decoder, MAX_DEPTH)?;
    match bytes.len() - decoder.position() {
        0 => Ok(value),
        rest => Err(problem(&decoder, format_args!("{rest} bytes follow the value"))),
    }
}

fn read(from: &mut Decoder<'_>, depth: usize) -> Result<Value, CborError> {
    let begins = from.position();
    let failed = |error: Error| describe(&error, begins);
    Ok(match from.datatype().map_err(failed)? {
        Type::Null => from.null().map(|()| Value::Null).map_err(failed)?,
        Type::Undefined => from.undefined().map(|()| Value::Null).map_err(failed)?,
        Type::Bool => Value::Bool(from.bool().map_err(failed)?),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => {
            Value::integer(from.int().map_err(failed)?.into())
        }
        Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
            Value::integer(from.int().map_err(failed)?.into())
        }
        Type::F16 => half(from)?,
        Type::F32 => Value::number(from.f32().map_err(failed)?.into()),
        Type::F64 => Value::number(from.f64().map_err(failed)?),
        Type::Bytes => Value::Bytes(Bytes::copy_from_slice(from.bytes().map_err(failed)?)),
        Type::BytesIndef => {
            let mut all = Vec::new();
            for chunk in from.bytes_iter().map_err(failed)? {
                all.extend_from_slice(chunk.map_err(failed)?);
            }
            Value::Bytes(all.into())
        }
        Type::String | Type::StringIndef => Value::String(text(from)?),
        Type::Array | Type::ArrayIndef => array(from, depth)?,
        Type::Map | Type::MapIndef => map(from, depth)?,
        Type::Tag => tagged(from, depth)?,
        Type::Simple | Type::Break | Type::Unknown(_) => {
            return Err(problem(from, "no value begins"));
        }
    })
}

/// A double of 16 bits. By hand: the decoder brings a crate for it that would be ours for this alone.
fn half(from: &mut Decoder<'_>) -> Result<Value, CborError> {
    let begins = from.position();
    let Some([_, high, low]) = from.input().get(begins..begins + 3) else {
        return Err(problem(from, "the input ends in the middle of the value"));
    };
    from.set_position(begins + 3);
    let bits = u16::from_be_bytes([*high, *low]);
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let fraction = f64::from(bits & 0x3ff);
    let magnitude = match bits >> 10 & 0x1f {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1.0 + fraction / 1024.0) * 2f64.powi(i32::from(exponent) - 15),
    };
    Ok(Value::number(sign * magnitude))
}

fn text(from: &mut Decoder<'_>) -> Result<String, CborError> {
    let begins = from.position();
    let failed = |error: Error| describe(&error, begins);
    if from.datatype().map_err(failed)? == Type::String {
        return from.str().map(str::to_owned).map_err(failed);
    }
    let mut all = String::new();
    for chunk in from.str_iter().map_err(failed)? {
        all.push_str(chunk.map_err(failed)?);
    }
    Ok(all)
}

fn array(from: &mut Decoder<'_>, depth: usize) -> Result<Value, CborError> {
    let depth = deeper(from, depth)?;
    let begins = from.position();
    let length = from.array().map_err(|error| describe(&error, begins))?;
    let mut items = Vec::with_capacity(reserved(from, length));
    while goes_on(from, length, items.len())? {
        items.push(read(from, depth)?);
    }
    Ok(Value::Array(items))
}

fn map(from: &mut Decoder<'_>, depth: usize) -> Result<Value, CborError> {
    let depth = deeper(from, depth)?;
    let begins = from.position();
    let length = from.map().map_err(|error| describe(&error, begins))?;
    let mut map = Map::with_capacity(reserved(from, length));
    let mut pairs = 0;
    while goes_on(from, length, pairs)? {
        // A name may be a tagged integer; it must not begin to count depth anew.
        let name = match read(from, depth.min(1))? {
            Value::String(name) => name,
            Value::Int(n) => n.to_string(),
            Value::BigInt(n) => n.to_string(),
            _ => return Err(problem(from, "a property name is neither a text nor an integer")),
        };
        map.insert(name, read(from, depth)?);
        pairs += 1;
    }
    Ok(Value::Object(map))
}

/// Whether a container has another element; takes the end of one without a length.
fn goes_on(from: &mut Decoder<'_>, length: Option<u64>, read: usize) -> Result<bool, CborError> {
    let Some(length) = length else {
        let begins = from.position();
        let ends = from.datatype().map_err(|error| describe(&error, begins))? == Type::Break;
        if ends {
            from.set_position(begins + 1);
        }
        return Ok(!ends);
    };
    Ok((read as u64) < length)
}

fn tagged(from: &mut Decoder<'_>, depth: usize) -> Result<Value, CborError> {
    let depth = deeper(from, depth)?;
    let begins = from.position();
    let tag = u64::from(from.tag().map_err(|error| describe(&error, begins))?);
    let content = read(from, depth)?;
    let failed = |text: String| Err(CborError { position: begins, problem: text });
    match (tag, content) {
        (TAG_DATE_SECONDS, Value::Int(seconds)) => Ok(Value::Date(seconds as f64 * 1000.0)),
        (TAG_DATE_SECONDS, Value::Float(seconds)) => Ok(Value::Date(from_seconds(seconds))),
        (TAG_DATE_TEXT, Value::String(text)) => match date::parse_iso(&text) {
            Some(ms) => Ok(Value::Date(ms)),
            None => failed(format!("`{}` is no date", text.escape_debug())),
        },
        (TAG_BIG_POSITIVE | TAG_BIG_NEGATIVE, Value::Bytes(bytes)) => {
            let magnitude = magnitude(&bytes).and_then(|n| i128::try_from(n).ok());
            match magnitude {
                Some(n) if tag == TAG_BIG_POSITIVE => Ok(Value::integer(n)),
                Some(n) => Ok(Value::integer(!n)),
                None => failed("a big integer has more than 128 bits".to_owned()),
            }
        }
        (tag, content) if TRANSPARENT.contains(&tag) => Ok(content),
        (tag, _) => failed(format!("tag {tag} is not known, or its content is of a wrong type")),
    }
}

fn magnitude(bytes: &[u8]) -> Option<u128> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = &bytes[zeros..];
    (digits.len() <= 16).then(|| digits.iter().fold(0, |n: u128, byte| n << 8 | u128::from(*byte)))
}

/// How many elements to reserve memory for; see [`MAX_RESERVED`].
fn reserved(from: &Decoder<'_>, length: Option<u64>) -> usize {
    let most = MAX_RESERVED.min(from.input().len() - from.position());
    length.map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX).min(most))
}

fn deeper(from: &Decoder<'_>, depth: usize) -> Result<usize, CborError> {
    depth
        .checked_sub(1)
        .ok_or_else(|| problem(from, format_args!("values nest deeper than {MAX_DEPTH}")))
}

fn problem(from: &Decoder<'_>, problem: impl std::fmt::Display) -> CborError {
    CborError { position: from.position(), problem: problem.to_string() }
}

/// The decoder's error in our words; `begins` is where the value begins, for errors without a place.
fn describe(error: &Error, begins: usize) -> CborError {
    let position = error.position().filter(|_| !error.is_end_of_input()).unwrap_or(begins);
    let problem = match error {
        error if error.is_end_of_input() => "the input ends in the middle of the value",
        error if error.is_type_mismatch() => "a value of another type was expected",
        _ => "a malformed value or a text that is not UTF-8",
    };
    CborError { position, problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_other_encoders_write() {
        for (hex, value) in [
            ("f7", Value::Null),
            ("f93c00", Value::Int(1)),
            ("fa3fc00000", Value::Float(1.5)),
            ("1bffffffffffffffff", Value::BigInt(u64::MAX.into())),
            ("3bffffffffffffffff", Value::BigInt(-1 - i128::from(u64::MAX))),
            ("c249010000000000000000", Value::BigInt(1 << 64)),
            ("c1fb41d9000000000000", Value::Date(1_677_721_600_000.0)),
            ("c074323031332d30332d32315432303a30343a30305a", Value::Date(1_363_896_240_000.0)),
            ("d84043010203", Value::Bytes(vec![1, 2, 3].into())),
            ("9f0102ff", Value::Array(vec![1.into(), 2.into()])),
            ("7f61616162ff", Value::from("ab")),
            ("a10102", Value::Object(Map::from_iter([("1".to_owned(), Value::Int(2))]))),
        ] {
            let bytes: Vec<u8> = (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal"))
                .collect();
            assert_eq!(decode(&bytes), Ok(value), "{hex}");
        }
    }

    #[test]
    fn refuses_depth_and_rests() {
        let deep = decode(&[0x81; 1000]).expect_err("too deep");
        assert!(deep.problem.contains("nest deeper"), "{deep}");
        // Also where it is names that nest.
        for head in [0xa1, 0xbf, 0xc1] {
            let deep = decode(&[head; 100_000]).expect_err("too deep");
            assert!(deep.problem.contains("nest deeper"), "{deep}");
        }
        assert_eq!(decode(&[1, 2]).expect_err("a rest").position, 1);
        // A length that promises more than there is must not be believed.
        assert!(decode(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
    }
}
