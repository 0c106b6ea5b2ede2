//! How a PATCH changes a record: properties replace properties, one level deep, and
//! `{"__op__": "add", "value": n}` adds to a number (`spec/harper-resources.md` section 9).

use kora_resource::{Map, Value};

/// Merges `changes` into `record`.
pub(crate) fn merge(record: &mut Map, changes: Map) {
    for (name, change) in changes {
        let value = match increment(&change) {
            None => change,
            Some(by) => match record.get(&name) {
                // Two increments of a record that is not read yet are one.
                Some(held) if let Some(before) = increment(held) => operation(add(before, by)),
                Some(held @ (Value::Int(_) | Value::Float(_) | Value::BigInt(_))) => add(held, by),
                Some(_) | None => by.clone(),
            },
        };
        record.insert(name, value);
    }
}

/// Merges `later` changes into those that came before, of a record that is not at hand: what is added
/// to a property that they do not name is added to the record's.
pub(crate) fn fold(changes: &mut Map, later: Map) {
    for (name, change) in later {
        if increment(&change).is_some() && !changes.contains_key(&name) {
            changes.insert(name, change);
        } else {
            merge(changes, Map::from_iter([(name, change)]));
        }
    }
}

/// The number that an `add` operation adds; `None` for any other value.
pub(crate) fn increment(value: &Value) -> Option<&Value> {
    let object = value.as_object()?;
    if object.len() != 2 || object.get("__op__")?.as_str()? != "add" {
        return None;
    }
    object
        .get("value")
        .filter(|by| matches!(by, Value::Int(_) | Value::Float(_) | Value::BigInt(_)))
}

fn operation(by: Value) -> Value {
    Value::Object(Map::from_iter([
        ("__op__".to_owned(), Value::from("add")),
        ("value".to_owned(), by),
    ]))
}

/// Integers stay exact; with a double it is a double's sum.
fn add(a: &Value, b: &Value) -> Value {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => Value::integer(a.saturating_add(b)),
        _ => Value::number(double(a) + double(b)),
    }
}

fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Int(n) => Some((*n).into()),
        Value::BigInt(n) => Some(*n),
        _ => None,
    }
}

fn double(value: &Value) -> f64 {
    value.as_f64().or_else(|| integer(value).map(|n| n as f64)).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, Value)]) -> Map {
        entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn properties_are_replaced_whole() {
        let mut record =
            map(&[("a", Value::Int(1)), ("b", Value::Object(map(&[("x", 1.into())])))]);
        merge(
            &mut record,
            map(&[("b", Value::Object(map(&[("y", 2.into())]))), ("c", Value::Null)]),
        );
        let expected = [
            ("a", Value::Int(1)),
            ("b", Value::Object(map(&[("y", Value::Int(2))]))),
            ("c", Value::Null),
        ];
        assert_eq!(record, map(&expected));
    }

    #[test]
    fn increments_add_up() {
        let mut record = map(&[("n", Value::Int(5)), ("text", Value::from("x"))]);
        let changes = map(&[("n", operation(2.into())), ("new", operation(3.into()))]);
        merge(&mut record, changes);
        merge(&mut record, map(&[("text", operation(1.into())), ("n", operation(0.5.into()))]));
        assert_eq!(record["n"], Value::Float(7.5));
        assert_eq!(record["new"], Value::Int(3));
        assert_eq!(record["text"], Value::Int(1));
    }

    #[test]
    fn folded_changes_do_what_they_do_one_after_the_other() {
        let steps = [
            map(&[("a", Value::Int(1))]),
            map(&[("n", operation(2.into())), ("a", operation(1.into()))]),
            map(&[("n", operation(3.into())), ("text", operation(1.into()))]),
            map(&[("text", Value::from("y"))]),
        ];
        let mut record = map(&[("n", Value::Int(5)), ("a", Value::Int(9))]);
        let mut folded = Map::new();
        for step in &steps {
            fold(&mut folded, step.clone());
        }
        let mut at_once = record.clone();
        merge(&mut at_once, folded);
        steps.into_iter().for_each(|step| merge(&mut record, step));
        assert_eq!(at_once, record);
        assert_eq!(record["n"], Value::Int(10));
    }
}
