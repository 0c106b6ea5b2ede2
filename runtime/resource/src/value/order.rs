//! The order of values in keys, indexes and `sort()`: null < booleans < numbers < strings < arrays
//! (`spec/harper-rest.md` section 4). Dates are numbers here, and so are big integers, compared
//! exactly. Bytes and objects come last; Harper does not order them.

use std::cmp::Ordering;

use super::Value;

/// The class of a value: values of different classes are never equal, and a range such as `a > 5`
/// only finds values of the class of its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Bytes,
    Object,
}

impl Value {
    pub fn class(&self) -> Class {
        match self {
            Value::Null => Class::Null,
            Value::Bool(_) => Class::Boolean,
            Value::Int(_) | Value::Float(_) | Value::BigInt(_) | Value::Date(_) => Class::Number,
            Value::String(_) => Class::String,
            Value::Array(_) => Class::Array,
            Value::Bytes(_) => Class::Bytes,
            Value::Object(_) | Value::Blob(_) => Class::Object,
        }
    }

    /// The order of two values as keys. Total: NaN is before all other numbers.
    pub fn key_cmp(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::String(a), Value::String(b)) => a.cmp(b),
            (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
            (Value::Array(a), Value::Array(b)) => {
                let pairs = a.iter().zip(b);
                let unequal = pairs.map(|(a, b)| a.key_cmp(b)).find(|order| order.is_ne());
                unequal.unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (Value::Object(a), Value::Object(b)) => {
                let pairs = a.iter().zip(b);
                let unequal = pairs
                    .map(|((a, x), (b, y))| a.cmp(b).then_with(|| x.key_cmp(y)))
                    .find(|order| order.is_ne());
                unequal.unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (a, b) => match (Number::of(a), Number::of(b)) {
                (Some(a), Some(b)) => a.cmp(b),
                _ => a.class().cmp(&b.class()),
            },
        }
    }
}

/// A number without the distinction of how it came.
#[derive(Clone, Copy)]
enum Number {
    Integer(i128),
    Float(f64),
}

impl Number {
    fn of(value: &Value) -> Option<Number> {
        match value {
            Value::Int(n) => Some(Number::Integer((*n).into())),
            Value::BigInt(n) => Some(Number::Integer(*n)),
            Value::Float(n) | Value::Date(n) => Some(Number::Float(*n)),
            Value::Null
            | Value::Bool(_)
            | Value::String(_)
            | Value::Bytes(_)
            | Value::Array(_)
            | Value::Object(_)
            | Value::Blob(_) => None,
        }
    }

    fn cmp(self, other: Number) -> Ordering {
        match (self, other) {
            (Number::Integer(a), Number::Integer(b)) => a.cmp(&b),
            (Number::Float(a), Number::Float(b)) => {
                a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
            }
            (Number::Integer(a), Number::Float(b)) => integer_cmp(a, b),
            (Number::Float(a), Number::Integer(b)) => integer_cmp(b, a).reverse(),
        }
    }
}

/// Exact: no integer is rounded to a double on the way.
fn integer_cmp(integer: i128, float: f64) -> Ordering {
    if float.is_nan() {
        return Ordering::Greater;
    }
    // The conversion saturates, so that doubles past 128 bits still compare on the right side.
    let whole = float.trunc();
    integer.cmp(&(whole as i128)).then_with(|| {
        let beyond = !(-(2f64.powi(127))..2f64.powi(127)).contains(&whole);
        let fraction = if beyond { whole } else { float - whole };
        0.0.partial_cmp(&fraction).unwrap_or(Ordering::Equal)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn classes_and_numbers_are_ordered() {
        let ascending = [
            Value::Null,
            Value::Bool(false),
            Value::Bool(true),
            Value::Float(f64::NAN),
            Value::Float(f64::NEG_INFINITY),
            Value::BigInt(-(1 << 100)),
            Value::Int(-1),
            Value::Float(0.5),
            Value::Date(1.0),
            Value::Int(2),
            Value::Float(2.5),
            Value::Float((1i64 << 53) as f64),
            Value::BigInt((1 << 53) + 1),
            Value::BigInt(i128::MAX),
            Value::Float(2f64.powi(127)),
            Value::Float(f64::INFINITY),
            Value::from(""),
            Value::from("a"),
            Value::from("b"),
            Value::Array(vec![]),
            Value::Array(vec![Value::Null]),
            Value::Array(vec![Value::Int(1), Value::Int(2)]),
            Value::Array(vec![Value::Int(2)]),
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(a.key_cmp(b), i.cmp(&j), "{a:?} {b:?}");
            }
        }
        assert_eq!(Value::Date(5.0).key_cmp(&Value::Int(5)), Ordering::Equal);
        assert_eq!(Value::BigInt(5).key_cmp(&Value::Float(5.0)), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn integers_and_doubles_agree(a in any::<i32>(), b in any::<f32>()) {
            let order = Value::Int(a.into()).key_cmp(&Value::Float(b.into()));
            prop_assert_eq!(Some(order), f64::from(a).partial_cmp(&f64::from(b)).or(Some(Ordering::Greater)));
        }
    }
}
