//! What a plain scalar stands for: the core schema of YAML 1.2 (section 10.3.2).

use crate::Value;

/// The value of a scalar without quotes and without a tag.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    integer(text).or_else(|| float(text)).unwrap_or_else(|| Value::from(text))
}

/// `12`, `0o14` or `0xC`. What has more than 128 bits is a double.
pub(super) fn integer(text: &str) -> Option<Value> {
    let radix = |digits: &str, radix| i128::from_str_radix(digits, radix).ok().map(Value::integer);
    let is_made_of =
        |digits: &str, of: fn(&u8) -> bool| !digits.is_empty() && digits.as_bytes().iter().all(of);
    if let Some(digits) = text.strip_prefix("0o") {
        return is_made_of(digits, u8::is_ascii_digit).then(|| radix(digits, 8))?;
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return is_made_of(digits, u8::is_ascii_hexdigit).then(|| radix(digits, 16))?;
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    is_made_of(digits, u8::is_ascii_digit).then(|| radix(text, 10))?
}

/// `1.5`, `.5`, `1e3`, `-.inf`.
pub(super) fn float(text: &str) -> Option<Value> {
    let (negative, number) = match text.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if matches!(number, ".inf" | ".Inf" | ".INF") {
        return Some(Value::Float(if negative { f64::NEG_INFINITY } else { f64::INFINITY }));
    }
    let is_number = number.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && number.contains(|c: char| c.is_ascii_digit())
        && number.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
    is_number.then(|| text.parse().ok().map(Value::number))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_what_they_look_like() {
        for (text, value) in [
            ("", Value::Null),
            ("~", Value::Null),
            ("True", Value::Bool(true)),
            ("-12", Value::Int(-12)),
            ("0x1F", Value::Int(31)),
            ("0o17", Value::Int(15)),
            ("123456789012345678901234567890", Value::BigInt(123456789012345678901234567890)),
            ("1.5", Value::Float(1.5)),
            (".5", Value::Float(0.5)),
            ("1e3", Value::Int(1000)),
            ("-.inf", Value::Float(f64::NEG_INFINITY)),
        ] {
            assert_eq!(resolve(text), value, "{text}");
        }
        for text in ["yes", "1.2.3", "2024-01-05", "0x", "-", "+", ".", "1-2", "e5", "nan", "12:30"]
        {
            assert_eq!(resolve(text), Value::from(text), "{text}");
        }
    }
}
