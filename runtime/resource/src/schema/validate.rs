//! Records against a table's schema (`spec/harper-schema.md` section 5).
//!
//! Every problem is found and all are told at once, in Harper's words. Dates, big integers and bytes
//! that came in another type's form are changed in place; nothing else is.

use super::{Assigned, Attribute, AttributeType, ElementNulls, TableSchema, coerce_date};
use crate::value::msgpack::MAX_DEPTH;
use crate::value::{Blob, BlobContent, json};
use crate::{Error, Map, Result, Value};

/// How much of a record is at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidateMode {
    /// The whole record: required attributes must be there.
    Full,
    /// Only what is to be changed: what is not there stays as it is.
    Partial,
}

impl TableSchema {
    /// Checks a record and coerces its values. 400 with all problems joined by `. `.
    ///
    /// The primary key and the attributes that the host assigns may be missing in either mode:
    /// they are the store's to fill in.
    pub fn validate(&self, record: &mut Map, mode: ValidateMode) -> Result<()> {
        let mut problems = Vec::new();
        for attribute in self.attributes.iter().filter(|attribute| attribute.derived.is_none()) {
            let filled_in = attribute.name == self.primary_key || attribute.assigned.is_some();
            let mode = if filled_in { ValidateMode::Partial } else { mode };
            check_attribute(attribute, record, &attribute.name, mode, &mut problems);
        }
        for attribute in self.attributes.iter().filter(|attribute| attribute.derived.is_some()) {
            if record.contains_key(&attribute.name) {
                problems.push(format!(
                    "Computed property {} may not be directly assigned a value",
                    attribute.name
                ));
            }
        }
        if self.sealed {
            let extra = record
                .keys()
                .filter(|name| self.attribute(name).is_none() && **name != self.primary_key);
            problems.extend(extra.map(|name| format!("Property {name} is not allowed")));
        }
        if !record.values().all(|value| value.nests_within(MAX_DEPTH - 1)) {
            problems.push(format!("Values nest deeper than {MAX_DEPTH}"));
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::invalid(problems.join(". "))) }
    }
}

fn check_attribute(
    attribute: &Attribute,
    object: &mut Map,
    path: &str,
    mode: ValidateMode,
    problems: &mut Vec<String>,
) {
    match (object.get_mut(&attribute.name), mode) {
        (Some(value), _) if !value.is_null() => match attribute.assigned {
            // Whatever the client says is overwritten.
            Some(Assigned::CreatedTime | Assigned::UpdatedTime) => {}
            None => check(&attribute.ty, value, path, problems),
        },
        (Some(_), _) | (None, ValidateMode::Full) => {
            if attribute.required && attribute.assigned.is_none() {
                problems.push(missing(path));
            }
        }
        (None, ValidateMode::Partial) => {}
    }
}

/// Harper's text, word for word.
fn missing(path: &str) -> String {
    format!("Property {path} is required (and not does not allow null values)")
}

/// Checks a value that is not null.
fn check(ty: &AttributeType, value: &mut Value, path: &str, problems: &mut Vec<String>) {
    match ty {
        AttributeType::Array(element, nulls) => {
            let Value::Array(items) = value else { return problems.push(wrong(ty, value, path)) };
            let path = format!("{path}[*]");
            for item in items {
                if !item.is_null() {
                    check(element, item, &path, problems);
                } else if *nulls == ElementNulls::Refused {
                    problems.push(missing(&path));
                }
            }
        }
        AttributeType::Object(object) => {
            let Value::Object(map) = value else { return problems.push(wrong(ty, value, path)) };
            for attribute in &object.attributes {
                let path = format!("{path}.{}", attribute.name);
                check_attribute(attribute, map, &path, ValidateMode::Full, problems);
            }
            if object.sealed {
                let known = |name: &str| object.attributes.iter().any(|known| known.name == name);
                let extra = map.keys().filter(|name| !known(name));
                problems.extend(extra.map(|name| {
                    format!("Property {name} is not allowed within object in property {path}")
                }));
            }
        }
        scalar => {
            if let Some(coerced) = coerced(scalar, value) {
                *value = coerced;
            }
            if !fits(scalar, value) {
                problems.push(wrong(scalar, value, path));
            }
        }
    }
}

/// The value in the type's own form, where Harper changes it: strings stay strings for numbers and
/// booleans.
fn coerced(ty: &AttributeType, value: &Value) -> Option<Value> {
    match (ty, value) {
        (AttributeType::Date, Value::String(text)) => coerce_date(text),
        (AttributeType::Date, Value::Int(ms)) => Some(Value::Date(*ms as f64)),
        (AttributeType::Date, Value::Float(ms)) => Some(Value::Date(*ms)),
        (AttributeType::BigInt, Value::Int(n)) => Some(Value::BigInt((*n).into())),
        (AttributeType::BigInt, Value::String(text)) => text.parse().ok().map(Value::BigInt),
        // Digits past 2^53 in a JSON body arrive as a big integer.
        (AttributeType::Float, Value::BigInt(n)) => Some(Value::number(*n as f64)),
        (AttributeType::Bytes, Value::String(text)) => Some(Value::Bytes(text.clone().into())),
        (AttributeType::Bytes, Value::Blob(blob)) => match &blob.content {
            BlobContent::Inline(bytes) => Some(Value::Bytes(bytes.clone())),
            BlobContent::File(_) => None,
        },
        // As in Harper, what is given as a string or bytes is text.
        (AttributeType::Blob, Value::String(text)) => {
            Some(Blob::inline("text/plain", text.clone()).into())
        }
        (AttributeType::Blob, Value::Bytes(bytes)) => {
            Some(Blob::inline("text/plain", bytes.clone()).into())
        }
        _ => None,
    }
}

fn fits(ty: &AttributeType, value: &Value) -> bool {
    match ty {
        AttributeType::Id => match value {
            Value::String(_) => true,
            Value::Array(parts) => parts.iter().all(|part| matches!(part, Value::String(_))),
            _ => false,
        },
        AttributeType::String => matches!(value, Value::String(_)),
        AttributeType::Int => matches!(value, Value::Int(n) if i32::try_from(*n).is_ok()),
        AttributeType::Long => matches!(value, Value::Int(_)),
        AttributeType::BigInt => matches!(value, Value::BigInt(_)),
        AttributeType::Float => matches!(value, Value::Int(_) | Value::Float(_)),
        AttributeType::Boolean => matches!(value, Value::Bool(_)),
        AttributeType::Date => matches!(value, Value::Date(_)),
        AttributeType::Bytes => matches!(value, Value::Bytes(_)),
        AttributeType::Blob => matches!(value, Value::Blob(_)),
        AttributeType::Array(..) => matches!(value, Value::Array(_)),
        AttributeType::Object(_) => matches!(value, Value::Object(_)),
        AttributeType::Any | AttributeType::Unknown(_) => true,
    }
}

fn wrong(ty: &AttributeType, value: &Value, path: &str) -> String {
    let what = match ty {
        AttributeType::Id => "a string, or an array of strings",
        AttributeType::String => "a string",
        AttributeType::Int => "an integer (from -2147483648 to 2147483647)",
        AttributeType::Long => "an integer (from -9007199254740992 to 9007199254740992)",
        AttributeType::BigInt => "a bigint",
        AttributeType::Float => "a number",
        AttributeType::Boolean => "a boolean",
        AttributeType::Date => "a Date",
        AttributeType::Bytes => "a Buffer or Uint8Array",
        AttributeType::Blob => "a Blob",
        AttributeType::Array(..) => "an Array",
        AttributeType::Object(object) => &format!("an object ({})", object.name),
        AttributeType::Any | AttributeType::Unknown(_) => "anything",
    };
    let mut shown = Vec::new();
    json::write(value, &mut shown);
    format!("Value {} in property {path} must be {what}", String::from_utf8_lossy(&shown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::parse_one;

    const DOG: &str = "type Dog @table { id: ID! @primaryKey name: String! age: Int long: Long
        big: BigInt weight: Float good: Boolean born: Date raw: Bytes file: Blob any: Any
        tags: [String!] loose: [Int] home: Address homes: [Address] odd: Strange
        created: Date! @createdTime }
        type Address { city: String! zip: Int }";

    fn object(text: &str) -> Map {
        json::parse(text.as_bytes()).ok().and_then(Value::into_object).expect("JSON")
    }

    fn validated(schema: &str, mode: ValidateMode, text: &str) -> Result<Map, String> {
        let mut record = object(text);
        match parse_one(schema).validate(&mut record, mode) {
            Ok(()) => Ok(record),
            Err(error) => {
                assert_eq!(error.status(), 400);
                Err(error.message)
            }
        }
    }

    #[test]
    fn messages_word_for_word() {
        const REQUIRED: &str = "is required (and not does not allow null values)";
        for (record, message) in [
            (r#"{}"#, format!("Property name {REQUIRED}")),
            (r#"{"name":null}"#, format!("Property name {REQUIRED}")),
            (r#"{"name":5}"#, "Value 5 in property name must be a string".into()),
            (
                r#"{"name":"x","age":"5"}"#,
                "Value \"5\" in property age must be an integer (from -2147483648 to 2147483647)".into(),
            ),
            (
                r#"{"name":"x","age":2147483648}"#,
                "Value 2147483648 in property age must be an integer (from -2147483648 to 2147483647)"
                    .into(),
            ),
            (
                r#"{"name":"x","long":1.5}"#,
                "Value 1.5 in property long must be an integer (from -9007199254740992 to \
                 9007199254740992)"
                    .into(),
            ),
            (r#"{"name":"x","big":"y"}"#, "Value \"y\" in property big must be a bigint".into()),
            (r#"{"name":"x","weight":"1"}"#, "Value \"1\" in property weight must be a number".into()),
            (r#"{"name":"x","good":1}"#, "Value 1 in property good must be a boolean".into()),
            (r#"{"name":"x","born":"soon"}"#, "Value \"soon\" in property born must be a Date".into()),
            (r#"{"name":"x","raw":5}"#, "Value 5 in property raw must be a Buffer or Uint8Array".into()),
            (r#"{"name":"x","file":5}"#, "Value 5 in property file must be a Blob".into()),
            (r#"{"name":"x","tags":"y"}"#, "Value \"y\" in property tags must be an Array".into()),
            (r#"{"name":"x","tags":[1]}"#, "Value 1 in property tags[*] must be a string".into()),
            (r#"{"name":"x","tags":[null]}"#, format!("Property tags[*] {REQUIRED}")),
            (r#"{"name":"x","home":5}"#, "Value 5 in property home must be an object (Address)".into()),
            (r#"{"name":"x","home":{}}"#, format!("Property home.city {REQUIRED}")),
            (
                r#"{"name":"x","homes":[{"city":1}]}"#,
                "Value 1 in property homes[*].city must be a string".into(),
            ),
            (
                r#"{"name":"x","id":5}"#,
                "Value 5 in property id must be a string, or an array of strings".into(),
            ),
            (
                r#"{"name":5,"good":"y"}"#,
                "Value 5 in property name must be a string. \
                 Value \"y\" in property good must be a boolean"
                    .into(),
            ),
        ] {
            assert_eq!(validated(DOG, ValidateMode::Full, record), Err(message), "{record}");
        }
    }

    #[test]
    fn fitting_records_are_coerced() {
        let record = validated(
            DOG,
            ValidateMode::Full,
            r#"{"id":"1","name":"x","age":5,"long":9007199254740992,"big":5,"weight":1.5,
                "good":false,"born":"2024-01-05","raw":"hi","file":"text","any":[1],"tags":[],
                "loose":[null,1],"home":{"city":"Oslo","more":1},"odd":{},"extra":null,"created":"x"}"#,
        )
        .expect("fits");
        assert_eq!(record["big"], Value::BigInt(5));
        assert_eq!(record["born"], Value::Date(1_704_412_800_000.0));
        assert_eq!(record["raw"], Value::Bytes("hi".into()));
        assert_eq!(record["file"], Blob::inline("text/plain", "text").into());
        let number =
            validated(DOG, ValidateMode::Partial, r#"{"born":5,"big":"7"}"#).expect("fits");
        assert_eq!((&number["born"], &number["big"]), (&Value::Date(5.0), &Value::BigInt(7)));
        let wide = validated(DOG, ValidateMode::Partial, r#"{"weight":12345678901234567890}"#);
        assert_eq!(wide.expect("fits")["weight"], Value::Float(12345678901234567890.0));
    }

    #[test]
    fn a_part_of_a_record() {
        assert!(validated(DOG, ValidateMode::Partial, "{}").is_ok());
        assert!(validated(DOG, ValidateMode::Partial, r#"{"name":null}"#).is_err());
        assert!(validated(DOG, ValidateMode::Partial, r#"{"home":{}}"#).is_err());
    }

    #[test]
    fn sealed_tables_refuse_more() {
        let schema = "type Dog @table @sealed { name: String }";
        assert!(validated(schema, ValidateMode::Full, r#"{"id":1,"name":"x"}"#).is_ok());
        let refused = validated(schema, ValidateMode::Full, r#"{"name":"x","a":1,"b":2}"#);
        assert_eq!(refused, Err("Property a is not allowed. Property b is not allowed".to_owned()));
    }

    #[test]
    fn sealed_objects_refuse_more() {
        let schema = "type Dog @table { id: ID @primaryKey home: Home homes: [Home] }
            type Home @sealed { city: String }";
        for (record, expected) in [
            (r#"{"home":{"city":"Oslo"},"extra":1}"#, Ok(())),
            (
                r#"{"home":{"city":"Oslo","zip":1}}"#,
                Err("Property zip is not allowed within object in property home".to_owned()),
            ),
            (
                r#"{"homes":[{"zip":1}]}"#,
                Err("Property zip is not allowed within object in property homes[*]".to_owned()),
            ),
        ] {
            let validated = validated(schema, ValidateMode::Full, record).map(drop);
            assert_eq!(validated, expected, "{record}");
        }
    }

    #[test]
    fn derived_attributes_are_not_assigned() {
        let schema = "type Dog @table { id: ID @primaryKey ownerId: ID
            owner: Owner @relationship(from: ownerId) size: Int @computed(from: \"1\") }
            type Owner @table { id: ID @primaryKey }";
        let mut file = crate::schema::parse(schema, std::path::Path::new("s")).expect("a schema");
        let dog = file.tables.remove(0);
        for mode in [ValidateMode::Full, ValidateMode::Partial] {
            let error = dog.validate(&mut object(r#"{"owner":{},"size":1}"#), mode);
            assert_eq!(
                error.expect_err("derived").message,
                "Computed property owner may not be directly assigned a value. \
                 Computed property size may not be directly assigned a value"
            );
            assert!(dog.validate(&mut object(r#"{"ownerId":"1"}"#), mode).is_ok());
        }
    }

    #[test]
    fn depth_is_limited() {
        let deep = (0..200).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
        let mut record = Map::from([("a".to_owned(), deep)]);
        let schema = parse_one("type T @table { id: ID @primaryKey }");
        assert!(schema.validate(&mut record, ValidateMode::Full).is_err());
    }
}
