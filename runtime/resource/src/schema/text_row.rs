//! Rows of text as records: what CSV files and forms hold (`spec/harper-schema.md` section 5: unlike
//! in JSON, a text becomes the type that its attribute has).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{AttributeType, TableSchema, auto_cast, coerce_text};
use crate::value::json;
use crate::{Error, Map, Result, Value};

impl TableSchema {
    /// Turns the texts of a row into what their attributes' types ask for: numbers, booleans, dates;
    /// base64 for bytes; JSON for objects, lists and untyped attributes that look like it. Columns
    /// that are not declared become what they look like; null is absent. 400 with the attribute's
    /// name where a text does not fit.
    pub fn read_text_row(&self, row: Map) -> Result<Map> {
        let mut record = Map::with_capacity(row.len());
        for (name, value) in row {
            let value = match value {
                Value::Null => continue,
                Value::String(text) => self.read_cell(&name, text)?,
                Value::Array(texts) => {
                    let read = |value| match value {
                        Value::String(text) => self.read_element(&name, text),
                        other => Ok(other),
                    };
                    Value::Array(texts.into_iter().map(read).collect::<Result<_>>()?)
                }
                other => other,
            };
            record.insert(name, value);
        }
        Ok(record)
    }

    fn read_cell(&self, name: &str, text: String) -> Result<Value> {
        match self.attribute(name).map(|attribute| &attribute.ty) {
            Some(AttributeType::Array(..)) => Ok(match nested(&text) {
                Some(value) => value,
                None if text.is_empty() => Value::Null,
                None => Value::Array(vec![self.read_element(name, text)?]),
            }),
            Some(ty) => read(name, ty, text),
            None => Ok(nested(&text).unwrap_or_else(|| auto_cast(&text))),
        }
    }

    /// One of several fields of the same name.
    fn read_element(&self, name: &str, text: String) -> Result<Value> {
        match self.attribute(name).map(|attribute| &attribute.ty) {
            Some(AttributeType::Array(element, _)) => read(name, element, text),
            Some(ty) => read(name, ty, text),
            None => Ok(nested(&text).unwrap_or_else(|| auto_cast(&text))),
        }
    }
}

fn read(name: &str, ty: &AttributeType, text: String) -> Result<Value> {
    match ty {
        AttributeType::String | AttributeType::Id | AttributeType::Blob => Ok(Value::String(text)),
        AttributeType::Bytes => {
            let bytes = STANDARD.decode(&text).map_err(|_| {
                Error::invalid(format!("Invalid value for attribute {name}: expecting base64"))
            })?;
            Ok(Value::Bytes(bytes.into()))
        }
        AttributeType::Object(_) | AttributeType::Array(..) => {
            Ok(nested(&text).unwrap_or_else(|| match text.is_empty() {
                true => Value::Null,
                false => Value::String(text),
            }))
        }
        AttributeType::Any | AttributeType::Unknown(_) => {
            Ok(nested(&text).unwrap_or_else(|| auto_cast(&text)))
        }
        AttributeType::Int
        | AttributeType::Long
        | AttributeType::BigInt
        | AttributeType::Float
        | AttributeType::Boolean
        | AttributeType::Date => coerce_text(name, ty, &text),
    }
}

/// An object or a list in JSON.
fn nested(text: &str) -> Option<Value> {
    text.starts_with(['{', '[']).then(|| json::parse(text.as_bytes()).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::parse_one;
    use crate::value::csv;

    #[test]
    fn cells_have_the_types_of_their_attributes() {
        let schema = parse_one(
            "type T @table { id: ID @primaryKey n: Int f: Float d: Date b: Boolean y: Bytes \
             l: [Int] s: String big: BigInt any: Any }",
        );
        let text = "id,n,f,d,b,y,l,s,big,any,more\n5,5,1.5,1970-01-01T00:00:00Z,true,AP8=,\"[1,2]\",\
                    7,12345678901234567890,\"{\"\"a\"\":1}\",7\n6,,,,,,,,,,\n";
        let rows = csv::parse(text).expect("CSV");
        let mut rows = rows.into_iter().map(|row| schema.read_text_row(row).expect("fits"));
        let mut out = Vec::new();
        json::write(&Value::Object(rows.next().expect("a row")), &mut out);
        assert_eq!(
            String::from_utf8_lossy(&out),
            r#"{"id":"5","n":5,"f":1.5,"d":"1970-01-01T00:00:00.000Z","b":true,"y":"AP8=","l":[1,2],"s":"7","big":12345678901234567890,"any":{"a":1},"more":7}"#
        );
        assert_eq!(rows.next().expect("a row").len(), 1);
        for text in ["n\nx\n", "d\ntomorrow\n", "y\n*\n", "b\nyes\n"] {
            let row = csv::parse(text).expect("CSV").remove(0);
            let error = schema.read_text_row(row).expect_err(text);
            assert!(error.message.starts_with("Invalid value for attribute "), "{}", error.message);
        }
    }
}
