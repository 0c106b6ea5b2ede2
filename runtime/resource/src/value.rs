//! The data model: what a record, a message or a reply is made of.
//!
//! It is JSON's model plus the types that Harper's schema has and JSON has not: bytes, dates and
//! integers past 2^53 (`spec/harper-schema.md` section 4). Numbers that came as JavaScript doubles
//! with an integral value are held as [`Value::Int`] so that `5` and `5.0` are one number everywhere.

pub mod blob;
pub mod cbor;
pub mod csv;
pub mod date;
pub mod form;
pub mod format;
pub mod json;
pub mod msgpack;
pub mod ndjson;
mod order;
pub mod yaml;

#[cfg(test)]
pub(crate) mod strategy;

pub use blob::{Blob, BlobContent, BlobFile, BlobId};
pub use format::Format;
pub use order::Class;

/// An object's properties, in the order in which they were written.
pub type Map = indexmap::IndexMap<String, Value>;

/// One value of the data model.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    /// An integral number within ±2^53: JavaScript's safe integers.
    Int(i64),
    /// Any other finite or non-finite double.
    Float(f64),
    /// An integer outside ±2^53 (`BigInt` in JavaScript, bare digits in JSON).
    BigInt(i128),
    String(String),
    Bytes(bytes::Bytes),
    /// Milliseconds since the Unix epoch, perhaps with a fraction.
    Date(f64),
    Array(Vec<Value>),
    Object(Map),
    /// Content that is no part of its record. Boxed: it is rare, and every value is as large as the
    /// largest.
    Blob(Box<Blob>),
}

/// The largest integer that a double holds exactly with all its neighbours: 2^53.
pub const MAX_SAFE_INTEGER: i64 = 1 << 53;

impl Value {
    /// A number as JavaScript would hold it: integral doubles within ±2^53 become [`Value::Int`].
    pub fn number(n: f64) -> Value {
        if n.fract() == 0.0 && n.abs() <= MAX_SAFE_INTEGER as f64 {
            Value::Int(n as i64)
        } else {
            Value::Float(n)
        }
    }

    /// An integer: [`Value::Int`] where a double holds it exactly, else [`Value::BigInt`].
    pub fn integer(n: i128) -> Value {
        match i64::try_from(n) {
            Ok(small) if small.unsigned_abs() <= MAX_SAFE_INTEGER as u64 => Value::Int(small),
            _ => Value::BigInt(n),
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(s) => Some(s),
            _ => None,
        }
    }

    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(n) => Some(*n as f64),
            Value::Float(n) => Some(*n),
            _ => None,
        }
    }

    pub fn as_object(&self) -> Option<&Map> {
        match self {
            Value::Object(map) => Some(map),
            _ => None,
        }
    }

    pub fn into_object(self) -> Option<Map> {
        match self {
            Value::Object(map) => Some(map),
            _ => None,
        }
    }

    /// About how many bytes this value takes in memory: what byte bounds count. Strings and bytes
    /// count by their content, every value by a flat share for its place in its container.
    pub fn approximate_size(&self) -> usize {
        const SLOT: usize = size_of::<Value>();
        SLOT + match self {
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::BigInt(_)
            | Value::Date(_) => 0,
            Value::String(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Blob(blob) => {
                size_of::<Blob>()
                    + match &blob.content {
                        BlobContent::Inline(bytes) => bytes.len(),
                        BlobContent::File(_) => 0,
                    }
            }
            Value::Array(items) => items.iter().map(Value::approximate_size).sum(),
            Value::Object(map) => {
                map.iter().map(|(name, value)| SLOT + name.len() + value.approximate_size()).sum()
            }
        }
    }

    /// Whether containers nest at most `depth` deep; a scalar nests 0 deep.
    pub fn nests_within(&self, depth: usize) -> bool {
        match depth.checked_sub(1) {
            Some(depth) => self.children().all(|child| child.nests_within(depth)),
            None => !matches!(self, Value::Array(_) | Value::Object(_)),
        }
    }

    /// The values directly in it: the elements of an array, the properties of an object.
    pub fn children(&self) -> impl Iterator<Item = &Value> {
        let items = if let Value::Array(items) = self { items.as_slice() } else { &[] };
        items.iter().chain(self.as_object().into_iter().flat_map(Map::values))
    }

    pub fn children_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        let (items, map) = match self {
            Value::Array(items) => (Some(items), None),
            Value::Object(map) => (None, Some(map)),
            _scalar => (None, None),
        };
        items.into_iter().flatten().chain(map.into_iter().flat_map(Map::values_mut))
    }

    /// The property `name` of an object; `None` for anything else.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_object().and_then(|map| map.get(name))
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Value {
        Value::String(s.to_owned())
    }
}

impl From<String> for Value {
    fn from(s: String) -> Value {
        Value::String(s)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Value {
        Value::Bool(b)
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Value {
        Value::integer(n.into())
    }
}

impl From<f64> for Value {
    fn from(n: f64) -> Value {
        Value::number(n)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Value {
        Value::Object(map)
    }
}

impl From<Blob> for Value {
    fn from(blob: Blob) -> Value {
        Value::Blob(Box::new(blob))
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Value {
        Value::Array(items)
    }
}
