//! A record's primary key, or a topic's name below its table.

use std::fmt;

use crate::Value;

/// A primary key: a string, a number, a big integer, or an array of those
/// (`spec/harper-resources.md` section 5, "Id kinds"). `Null` is legal inside an array and as the
/// root topic, never as a record's key. How it is ordered on disk is `kora-store`'s affair.
#[derive(Debug, Clone, PartialEq)]
pub enum Id {
    Null,
    Bool(bool),
    /// A finite number; integral ones are held without a fraction.
    Number(f64),
    BigInt(i128),
    String(String),
    Array(Vec<Id>),
}

impl Id {
    /// The id as a value of the data model, as it stands in the record's primary key attribute.
    pub fn to_value(&self) -> Value {
        match self {
            Id::Null => Value::Null,
            Id::Bool(b) => Value::Bool(*b),
            Id::Number(n) => Value::number(*n),
            Id::BigInt(n) => Value::integer(*n),
            Id::String(s) => Value::String(s.clone()),
            Id::Array(parts) => Value::Array(parts.iter().map(Id::to_value).collect()),
        }
    }

    /// The id that a value stands for; `None` where no key can be made of it (objects, bytes, NaN).
    pub fn from_value(value: &Value) -> Option<Id> {
        Some(match value {
            Value::Null => Id::Null,
            Value::Bool(b) => Id::Bool(*b),
            Value::Int(n) => Id::Number(*n as f64),
            Value::Float(n) if n.is_finite() => Id::Number(*n),
            Value::Date(ms) if ms.is_finite() => Id::Number(*ms),
            Value::BigInt(n) => Id::BigInt(*n),
            Value::String(s) => Id::String(s.clone()),
            Value::Array(items) => {
                Id::Array(items.iter().map(Id::from_value).collect::<Option<_>>()?)
            }
            Value::Float(_)
            | Value::Date(_)
            | Value::Bytes(_)
            | Value::Object(_)
            | Value::Blob(_) => {
                return None;
            }
        })
    }
}

/// As it stands in a URL or a `Location` header: array parts joined by `/`.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Null => Ok(()),
            Id::Bool(b) => write!(f, "{b}"),
            Id::Number(n) => f.write_str(ryu_js::Buffer::new().format(*n)),
            Id::BigInt(n) => write!(f, "{n}"),
            Id::String(s) => f.write_str(s),
            Id::Array(parts) => {
                for (index, part) in parts.iter().enumerate() {
                    if index > 0 {
                        f.write_str("/")?;
                    }
                    write!(f, "{part}")?;
                }
                Ok(())
            }
        }
    }
}

impl From<&str> for Id {
    fn from(s: &str) -> Id {
        Id::String(s.to_owned())
    }
}
