//! MessagePack as it goes over the wire, in the dialect of the `msgpackr` package that Harper and its
//! clients use.
//!
//! It differs from the stored form in its extensions: dates are MessagePack's timestamps (an invalid
//! one is a timestamp of one byte), integers beyond 64 bits are extension `0x42` in two's
//! complement, and extension 0 is `undefined`. Several values after each other are the elements of
//! an array, which is how query results are streamed.

use rmp::encode::{self, ByteBuf};

use super::{
    EXT_BIG_INT_PACKR, EXT_TIMESTAMP, MAX_DEPTH, MsgpackError, Reader, length, read, sure,
    write_extension,
};
use crate::Value;

/// Why bytes are not values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("value {number}: {problem} at byte {position}")]
pub struct ExternalError {
    /// Which of the values, from 1.
    pub number: usize,
    /// From 0.
    pub position: usize,
    pub problem: MsgpackError,
}

/// Appends `value`.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    let mut buffer = ByteBuf::from_vec(std::mem::take(out));
    write_value(&mut buffer, value);
    *out = buffer.into_vec();
}

fn write_value(out: &mut ByteBuf, value: &Value) {
    match value {
        Value::Date(ms) => write_date(out, *ms),
        Value::BigInt(n) => write_big_int(out, *n),
        Value::Blob(blob) => write_value(out, &blob.shown()),
        Value::Array(items) => {
            sure(encode::write_array_len(out, length(items.len())));
            items.iter().for_each(|item| write_value(out, item));
        }
        Value::Object(map) => {
            sure(encode::write_map_len(out, length(map.len())));
            for (name, value) in map {
                sure(encode::write_str(out, name));
                write_value(out, value);
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::String(_)
        | Value::Bytes(_) => super::write(out, value),
    }
}

fn write_big_int(out: &mut ByteBuf, n: i128) {
    if let Ok(n) = u64::try_from(n) {
        sure(encode::write_u64(out, n));
    } else if let Ok(n) = i64::try_from(n) {
        sure(encode::write_i64(out, n));
    } else {
        write_extension(out, EXT_BIG_INT_PACKR, &n.to_be_bytes());
    }
}

/// In the shortest of the timestamp's forms.
fn write_date(out: &mut ByteBuf, ms: f64) {
    let mut seconds = (ms / 1000.0).floor();
    // To the nearest: cut off, a date would be earlier each time that it is written and read.
    let mut nanos = ((ms - seconds * 1000.0) * 1e6).round();
    if nanos >= 1e9 {
        (seconds, nanos) = (seconds + 1.0, 0.0);
    }
    if !(i64::MIN as f64..i64::MAX as f64).contains(&seconds) {
        return write_extension(out, EXT_TIMESTAMP, &[0xff]);
    }
    let nanos = nanos as u32;
    let seconds = seconds as i64;
    match (u32::try_from(seconds), u64::try_from(seconds)) {
        (Ok(seconds), _) if nanos == 0 => {
            write_extension(out, EXT_TIMESTAMP, &seconds.to_be_bytes());
        }
        (_, Ok(seconds)) if seconds < 1 << 34 => {
            let packed = u64::from(nanos) << 34 | seconds;
            write_extension(out, EXT_TIMESTAMP, &packed.to_be_bytes());
        }
        _ => {
            let data = [&nanos.to_be_bytes()[..], &seconds.to_be_bytes()].concat();
            write_extension(out, EXT_TIMESTAMP, &data);
        }
    }
}

/// The value that `bytes` hold; an array if there are several.
pub fn decode(bytes: &[u8]) -> Result<Value, ExternalError> {
    let mut reader = Reader::foreign(bytes);
    let mut values = Vec::new();
    loop {
        let value = read(&mut reader, MAX_DEPTH).map_err(|problem| ExternalError {
            number: values.len() + 1,
            position: bytes.len() - reader.rest(),
            problem,
        })?;
        if reader.rest() > 0 || !values.is_empty() {
            values.push(value);
        } else {
            return Ok(value);
        }
        if reader.rest() == 0 {
            return Ok(Value::Array(values));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_the_dialect_of_msgpackr() {
        for (value, bytes) in [
            (Value::Date(1_000.0), &[0xd6, 0xff, 0, 0, 0, 1][..]),
            (
                Value::Date(-1.0),
                &[0xc7, 12, 0xff, 59, 139, 135, 192, 255, 255, 255, 255, 255, 255, 255, 255],
            ),
            (Value::BigInt(u64::MAX.into()), &[0xcf, 255, 255, 255, 255, 255, 255, 255, 255]),
            (Value::BigInt(-(1 << 60)), &[0xd3, 0xf0, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            let mut out = Vec::new();
            write(&value, &mut out);
            assert_eq!(out, bytes, "{value:?}");
            assert_eq!(decode(bytes), Ok(value));
        }
        assert_eq!(decode(&[0xd4, 0, 0]), Ok(Value::Null));
        assert_eq!(decode(&[0xc7, 1, 0x42, 0xff]), Ok(Value::Int(-1)));
        assert!(matches!(decode(&[0xd4, 0xff, 0xff]), Ok(Value::Date(ms)) if ms.is_nan()));
        for (value, own) in [(Value::Date(0.5), 1), (Value::BigInt(0), 2)] {
            let stored = crate::value::msgpack::encode(&value);
            let refused = decode(&stored).expect_err("the store's own extension");
            assert_eq!(refused.problem, MsgpackError::UnknownExtension(own));
        }
        assert_eq!(decode(&[1, 2]), Ok(Value::Array(vec![1.into(), 2.into()])));
    }

    proptest::proptest! {
        /// Found by `fuzz/targets/messagepack.rs`: fractions were cut off, a nanosecond each time.
        #[test]
        fn a_date_is_the_same_however_often_it_is_written(ms in -1e15..1e15) {
            let once = written_and_read(&Value::Date(ms));
            let Value::Date(read) = once else { panic!("{once:?}") };
            assert!((read - ms).abs() <= 5e-7 + ms.abs() * f64::EPSILON, "{read} of {ms}");
            assert_eq!(written_and_read(&once), once);
        }
    }

    fn written_and_read(value: &Value) -> Value {
        let mut out = Vec::new();
        write(value, &mut out);
        decode(&out).unwrap()
    }
}
