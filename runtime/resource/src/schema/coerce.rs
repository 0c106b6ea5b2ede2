//! Text from a URL as the value that an attribute's type asks for
//! (`spec/harper-rest.md` sections 1.2 and 3.4).

use std::fmt;

use super::{AttributeType, TableSchema};
use crate::value::{MAX_SAFE_INTEGER, date, json};
use crate::{Error, Id, Result, Value};

/// The value of an attribute of type `ty` that `text` stands for; 400 with the attribute's name
/// where there is none. An empty text and `null` are null, except for strings.
pub fn coerce_text(name: &str, ty: &AttributeType, text: &str) -> Result<Value> {
    let value = match ty {
        AttributeType::String | AttributeType::Id | AttributeType::Blob => {
            return Ok(Value::from(text));
        }
        AttributeType::Any | AttributeType::Unknown(_) => return Ok(auto_cast(text)),
        AttributeType::Object(_) => return Ok(Value::from(text)),
        AttributeType::Array(element, _) => return coerce_text(name, element, text),
        AttributeType::Int
        | AttributeType::Long
        | AttributeType::BigInt
        | AttributeType::Float
        | AttributeType::Boolean
        | AttributeType::Date
        | AttributeType::Bytes
            if matches!(text, "" | "null") =>
        {
            return Ok(Value::Null);
        }
        AttributeType::Int => integer(text, i32::MIN.into(), i32::MAX.into()),
        AttributeType::Long => integer(text, -MAX_SAFE_INTEGER, MAX_SAFE_INTEGER),
        AttributeType::BigInt => text.parse().ok().map(Value::BigInt),
        AttributeType::Float => {
            text.parse().ok().filter(|n: &f64| n.is_finite()).map(Value::number)
        }
        AttributeType::Boolean => text.parse().ok().map(Value::Bool),
        AttributeType::Date => date(text),
        AttributeType::Bytes => Some(Value::Bytes(text.to_owned().into())),
    };
    value.ok_or_else(|| unfit(name, ty, text))
}

impl TableSchema {
    /// The record's key that one decoded URL path stands for.
    pub fn coerce_id(&self, text: &str) -> Result<Id> {
        let value = coerce_text(&self.primary_key, self.key_type(), text)?;
        Id::from_value(&value).ok_or_else(|| unfit(&self.primary_key, self.key_type(), text))
    }
}

/// The value that an untyped text looks like: `true`, `false`, `null`, a decimal number without
/// leading zeros, a date with a time; else the text itself.
pub(crate) fn auto_cast(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        _ => match number(text) {
            Some(value) => value,
            None if text.contains('T') && text.starts_with(|c: char| c.is_ascii_digit()) => {
                date::parse_iso(text).map_or_else(|| Value::from(text), Value::Date)
            }
            None => Value::from(text),
        },
    }
}

/// An ISO date or a count of milliseconds.
pub(crate) fn date(text: &str) -> Option<Value> {
    // A year alone is a count of milliseconds, as in Harper: `date:2024` is early in 1970.
    let ms = text.parse().ok().filter(|ms: &f64| ms.is_finite());
    ms.or_else(|| date::parse_iso(text)).map(Value::Date)
}

/// Digits within bounds, or base 36 after a `$`.
fn integer(text: &str, min: i64, max: i64) -> Option<Value> {
    let n = match text.strip_prefix('$') {
        Some(digits) => i64::from_str_radix(digits, 36),
        None => text.parse::<i64>(),
    };
    n.ok().filter(|n| !text.contains('+') && (min..=max).contains(n)).map(Value::from)
}

/// `-12` or `12.5`, exactly as a number is usually written.
fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || whole.len() > 1 && whole.starts_with('0') {
        return None;
    }
    match fraction {
        None => text.parse().ok().map(Value::integer),
        Some(fraction) => all_digits(fraction).then(|| text.parse().ok().map(Value::number))?,
    }
}

fn unfit(name: &str, ty: &AttributeType, text: &str) -> Error {
    let mut quoted = Vec::new();
    json::write_string(text, &mut quoted);
    let quoted = String::from_utf8_lossy(&quoted);
    Error::invalid(format!("Invalid value for attribute {name}: {quoted}, expecting {ty}"))
}

/// As it is written in a schema.
impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttributeType::Id => f.write_str("ID"),
            AttributeType::String => f.write_str("String"),
            AttributeType::Int => f.write_str("Int"),
            AttributeType::Long => f.write_str("Long"),
            AttributeType::BigInt => f.write_str("BigInt"),
            AttributeType::Float => f.write_str("Float"),
            AttributeType::Boolean => f.write_str("Boolean"),
            AttributeType::Date => f.write_str("Date"),
            AttributeType::Bytes => f.write_str("Bytes"),
            AttributeType::Blob => f.write_str("Blob"),
            AttributeType::Any => f.write_str("Any"),
            AttributeType::Array(element, super::ElementNulls::Allowed) => write!(f, "[{element}]"),
            AttributeType::Array(element, super::ElementNulls::Refused) => {
                write!(f, "[{element}!]")
            }
            AttributeType::Object(object) => f.write_str(&object.name),
            AttributeType::Unknown(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_type() {
        use AttributeType::*;
        for (ty, text, value) in [
            (String, "5", Value::from("5")),
            (Id, "null", Value::from("null")),
            (Int, "-5", Value::Int(-5)),
            (Int, "$zz", Value::Int(1295)),
            (Int, "", Value::Null),
            (Long, "9007199254740992", Value::Int(1 << 53)),
            (BigInt, "12345678901234567890", Value::BigInt(12345678901234567890)),
            (Float, "1e3", Value::Int(1000)),
            (Float, "null", Value::Null),
            (Boolean, "true", Value::Bool(true)),
            (Date, "2024-01-05", Value::Date(1_704_412_800_000.0)),
            (Date, "1704412800000", Value::Date(1_704_412_800_000.0)),
            (Bytes, "hi", Value::Bytes("hi".into())),
            (Array(Box::new(Int), crate::schema::ElementNulls::Allowed), "5", Value::Int(5)),
            (Any, "5", Value::Int(5)),
            (Any, "", Value::from("")),
        ] {
            assert_eq!(coerce_text("a", &ty, text).ok(), Some(value), "{ty} {text}");
        }
        for (ty, text) in [
            (Int, "x"),
            (Int, "+5"),
            (Int, "2147483648"),
            (Int, "1.5"),
            (Long, "9007199254740993"),
            (BigInt, "1.5"),
            (Float, "12abc"),
            (Float, "inf"),
            (Boolean, "yes"),
            (Date, "tomorrow"),
        ] {
            let error = coerce_text("a", &ty, text).expect_err(text);
            assert_eq!(
                error.message,
                format!("Invalid value for attribute a: \"{text}\", expecting {ty}")
            );
        }
    }

    #[test]
    fn untyped_text_is_what_it_looks_like() {
        for (text, value) in [
            ("true", Value::Bool(true)),
            ("null", Value::Null),
            ("12", Value::Int(12)),
            ("-0.5", Value::Float(-0.5)),
            ("12345678901234567890", Value::BigInt(12345678901234567890)),
            ("2024-01-05T00:00:00Z", Value::Date(1_704_412_800_000.0)),
        ] {
            assert_eq!(auto_cast(text), value, "{text}");
        }
        for text in ["", "007", "1e5", "1.", ".5", "-", "2024-01-05", "True", "5 "] {
            assert_eq!(auto_cast(text), Value::from(text), "{text}");
        }
    }
}
