//! JavaScript's conversions and operators on values of the data model; `None` is `undefined`.

use std::cmp::Ordering;

use crate::Value;
use crate::value::date;

pub(super) fn is_truthy(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Bool(flag)) => *flag,
        Some(Value::Int(n)) => *n != 0,
        Some(Value::Float(n)) => *n != 0.0 && !n.is_nan(),
        Some(Value::BigInt(n)) => *n != 0,
        Some(Value::String(text)) => !text.is_empty(),
        Some(
            Value::Date(_) | Value::Bytes(_) | Value::Array(_) | Value::Object(_) | Value::Blob(_),
        ) => true,
    }
}

pub(super) fn to_number(value: Option<&Value>) -> f64 {
    match value {
        None => f64::NAN,
        Some(Value::Null) => 0.0,
        Some(Value::Bool(flag)) => f64::from(*flag),
        Some(Value::Int(n)) => *n as f64,
        Some(Value::Float(n) | Value::Date(n)) => *n,
        Some(Value::BigInt(n)) => *n as f64,
        Some(Value::String(text)) => match text.trim() {
            "" => 0.0,
            "Infinity" | "+Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            // Rust reads `inf` and `nan`, JavaScript does not.
            text if text.contains(['i', 'n', 'I', 'N', '_']) => f64::NAN,
            text => text.parse().unwrap_or(f64::NAN),
        },
        Some(Value::Array(items)) => match items.as_slice() {
            [] => 0.0,
            [one] => to_number(Some(&Value::String(text(Some(one))))),
            _ => f64::NAN,
        },
        Some(Value::Bytes(_) | Value::Object(_) | Value::Blob(_)) => f64::NAN,
    }
}

/// As in a template or a concatenation.
pub(super) fn text(value: Option<&Value>) -> String {
    match value {
        None => "undefined".to_owned(),
        Some(Value::Null) => "null".to_owned(),
        Some(Value::Bool(flag)) => flag.to_string(),
        Some(Value::Int(n)) => n.to_string(),
        Some(Value::BigInt(n)) => n.to_string(),
        Some(Value::Float(n)) => ryu_js::Buffer::new().format(*n).to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Date(ms)) => date::to_iso(*ms).unwrap_or_else(|| "Invalid Date".to_owned()),
        Some(Value::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some(Value::Array(items)) => {
            let each = items.iter().map(|item| match item {
                Value::Null => String::new(),
                item => text(Some(item)),
            });
            each.collect::<Vec<_>>().join(",")
        }
        Some(Value::Object(_)) => "[object Object]".to_owned(),
        Some(Value::Blob(_)) => "[object Blob]".to_owned(),
    }
}

/// The operators that evaluate both sides.
pub(super) fn binary(sign: &str, left: Option<&Value>, right: Option<&Value>) -> Value {
    if let (Some(Value::BigInt(a)), Some(Value::BigInt(b))) = (left, right)
        && let Some(n) = big(sign, *a, *b)
    {
        return Value::BigInt(n);
    }
    let numbers = || (to_number(left), to_number(right));
    let arithmetic = |operate: fn(f64, f64) -> f64| {
        let (a, b) = numbers();
        Value::number(operate(a, b))
    };
    match sign {
        "+" => match (left, right) {
            (Some(a), _) | (_, Some(a)) if is_textual(a) => {
                Value::String(text(left) + &text(right))
            }
            (_, Some(b)) if is_textual(b) => Value::String(text(left) + &text(right)),
            _ => arithmetic(|a, b| a + b),
        },
        "-" => arithmetic(|a, b| a - b),
        "*" => arithmetic(|a, b| a * b),
        "/" => arithmetic(|a, b| a / b),
        "%" => arithmetic(|a, b| a % b),
        "**" => arithmetic(f64::powf),
        "===" => Value::Bool(strictly_equal(left, right)),
        "!==" => Value::Bool(!strictly_equal(left, right)),
        "==" => Value::Bool(loosely_equal(left, right)),
        "!=" => Value::Bool(!loosely_equal(left, right)),
        "<" => Value::Bool(compare(left, right) == Some(Ordering::Less)),
        ">" => Value::Bool(compare(left, right) == Some(Ordering::Greater)),
        "<=" => Value::Bool(compare(left, right).is_some_and(Ordering::is_le)),
        _ => Value::Bool(compare(left, right).is_some_and(Ordering::is_ge)),
    }
}

fn big(sign: &str, a: i128, b: i128) -> Option<i128> {
    match sign {
        "+" => a.checked_add(b),
        "-" => a.checked_sub(b),
        "*" => a.checked_mul(b),
        "/" => a.checked_div(b),
        "%" => a.checked_rem(b),
        _ => None,
    }
}

/// What makes `+` a concatenation.
fn is_textual(value: &Value) -> bool {
    matches!(
        value,
        Value::String(_) | Value::Date(_) | Value::Bytes(_) | Value::Array(_) | Value::Object(_)
    )
}

pub(super) fn strictly_equal(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => match (a, b) {
            (Value::Float(x), _) | (_, Value::Float(x)) if x.is_nan() => false,
            _ => a.class() == b.class() && a.key_cmp(b).is_eq(),
        },
        (None, Some(_)) | (Some(_), None) => false,
    }
}

fn loosely_equal(a: Option<&Value>, b: Option<&Value>) -> bool {
    let missing = |value: Option<&Value>| matches!(value, None | Some(Value::Null));
    match (a, b) {
        (a, b) if missing(a) || missing(b) => missing(a) && missing(b),
        (Some(x), Some(y)) if x.class() == y.class() => strictly_equal(a, b),
        _ => to_number(a) == to_number(b),
    }
}

/// `None` where either is not a number.
fn compare(a: Option<&Value>, b: Option<&Value>) -> Option<Ordering> {
    match (a, b) {
        (Some(Value::String(a)), Some(Value::String(b))) => Some(a.cmp(b)),
        _ => to_number(a).partial_cmp(&to_number(b)),
    }
}
