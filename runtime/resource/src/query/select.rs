//! What is left of a record after `select()` (`spec/harper-rest.md` section 3.7).

use super::{Select, SelectItem};
use crate::value::msgpack;
use crate::{Error, Id, Map, Record, Result, Value};

impl Select {
    /// The selected part of a stored record whose key is the property `primary_key`; `None` where
    /// a single property is selected that it does not have (`undefined`). Only selected properties
    /// are decoded. 500 for a damaged record.
    pub fn project(&self, record: &Record, primary_key: &str) -> Result<Option<Value>> {
        let map = if self.wants_whole_record() {
            record.to_map()
        } else {
            let wanted = |name: &str| {
                self.names()
                    .any(|selected| selected == name || selected == "$id" && name == primary_key)
            };
            msgpack::decode_properties(record.body(), wanted)
                .map_err(|error| Error::internal(format!("damaged record: {error}")))
        }?;
        let special = |name: &str| match name {
            "$id" => map.get(primary_key).cloned(),
            "$updatedtime" | "$updatedTime" => Some(Value::number(record.version().0)),
            "$expiresAt" => record.expires().map(Value::number),
            "$record" => Some(Value::Object(map.clone())),
            _ => None,
        };
        Ok(self.of_object(&map, &special))
    }

    /// The selected part of an object that is no stored record (an event's value, a reply of user
    /// code): it has no version and no expiry, and its key is `id`.
    pub fn project_value(&self, value: &Value, id: Option<&Id>) -> Option<Value> {
        let special = |name: &str| match name {
            "$id" => id.map(Id::to_value),
            "$record" => Some(value.clone()),
            _ => None,
        };
        match value {
            Value::Object(map) => self.of_object(map, &special),
            other => Some(other.clone()),
        }
    }

    /// The selected part of a record that is at hand decoded, with all that the selection needs
    /// (metadata such as `$distance`, related records) among its properties.
    pub fn project_map(&self, map: &Map) -> Option<Value> {
        self.of_object(map, &|_| None)
    }

    /// What is wanted of each record's properties, by name; `*` is all that are stored.
    pub fn items(&self) -> impl Iterator<Item = (&str, Option<&Select>)> {
        let (single, items): (_, &[SelectItem]) = match self {
            Select::Single(name) => (Some((name.as_str(), None)), &[]),
            Select::Properties(items) | Select::Tuple(items) => (None, items),
        };
        let items = items.iter().map(|item| (item.name.as_str(), item.nested.as_deref()));
        single.into_iter().chain(items)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.items().map(|(name, _)| name)
    }

    fn wants_whole_record(&self) -> bool {
        self.names().any(|name| matches!(name, "*" | "$record"))
    }

    fn of_object(&self, map: &Map, special: &dyn Fn(&str) -> Option<Value>) -> Option<Value> {
        match self {
            Select::Single(name) if name == "*" => Some(Value::Object(map.clone())),
            Select::Single(name) => property(map, name, special),
            Select::Properties(items) => {
                let mut selected = Map::with_capacity(items.len());
                for item in items {
                    if item.name == "*" {
                        let rest = map.iter().map(|(name, value)| (name.clone(), value.clone()));
                        selected.extend(rest);
                    } else if let Some(value) = item.of_object(map, special) {
                        selected.insert(item.name.clone(), value);
                    }
                }
                Some(Value::Object(selected))
            }
            Select::Tuple(items) => {
                let values =
                    items.iter().map(|item| item.of_object(map, special).unwrap_or_default());
                Some(Value::Array(values.collect()))
            }
        }
    }

    /// The selection within a property: of an object, or of each object of a list.
    fn of_nested(&self, value: Value) -> Option<Value> {
        match value {
            Value::Object(map) => self.of_object(&map, &|_| None),
            Value::Array(items) => {
                let each = items.into_iter().map(|item| self.of_nested(item).unwrap_or_default());
                Some(Value::Array(each.collect()))
            }
            other => Some(other),
        }
    }
}

impl SelectItem {
    fn of_object(&self, map: &Map, special: &dyn Fn(&str) -> Option<Value>) -> Option<Value> {
        if self.name == "*" {
            return Some(Value::Object(map.clone()));
        }
        let value = property(map, &self.name, special)?;
        match &self.nested {
            Some(select) => select.of_nested(value),
            None => Some(value),
        }
    }
}

fn property(map: &Map, name: &str, special: &dyn Fn(&str) -> Option<Value>) -> Option<Value> {
    match map.get(name) {
        Some(value) => Some(value.clone()),
        None if name.starts_with('$') => special(name),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::query::parse;
    use crate::value::json;
    use crate::{Record, Value, Version};

    #[test]
    fn projections() {
        let text = r#"{"key":7,"a":1,"b":{"x":1,"y":2},"c":[{"x":3,"y":4},{"y":5}],"n":null}"#;
        let map = json::parse(text.as_bytes()).ok().and_then(Value::into_object).expect("JSON");
        let record = Record::new(&map, Version(12.5), Version(1.0), Some(99.0));
        for (select, expected) in [
            ("select(a)", Some("1")),
            ("select(n)", Some("null")),
            ("select(missing)", None),
            ("select(a,)", Some(r#"{"a":1}"#)),
            ("select(n,a,missing)", Some(r#"{"n":null,"a":1}"#)),
            ("select([a,missing,n])", Some("[1,null,null]")),
            ("select(b{x})", Some(r#"{"b":{"x":1}}"#)),
            ("select(a,b[select(x)])", Some(r#"{"a":1,"b":1}"#)),
            ("select(a,c{x,})", Some(r#"{"a":1,"c":[{"x":3},{}]}"#)),
            ("select(c{[x,y]})", Some(r#"{"c":[[3,4],[null,5]]}"#)),
            ("select(a{x},n{x})", Some(r#"{"a":1,"n":null}"#)),
            ("select($id)", Some("7")),
            (
                "select($id,$updatedtime,$expiresAt,$distance)",
                Some(r#"{"$id":7,"$updatedtime":12.5,"$expiresAt":99}"#),
            ),
            ("select(*)", Some(text)),
            ("select($record)", Some(text)),
        ] {
            let query = parse(select).expect(select);
            let projected = query.select.expect(select).project(&record, "key").expect("decodes");
            let projected = projected.map(|value| {
                let mut out = Vec::new();
                json::write(&value, &mut out);
                String::from_utf8(out).expect("JSON is UTF-8")
            });
            assert_eq!(projected.as_deref(), expected, "{select}");
        }
    }
}
