//! Whether a record satisfies conditions.
//!
//! A filter works on the stored bytes: it decodes only the properties that its conditions name, so
//! that a scan over wide records costs what it looks at. Semantics, where Harper leaves a choice:
//! a missing property is null, an array matches if it or any of its elements does, and an ordering
//! comparison only holds between values of one class (`spec/harper-rest.md` section 4).

use super::coerce::string_form;
use super::{Comparator, Compare, Condition, Operator, Query};
use crate::value::msgpack;
use crate::{Error, Map, Record, Result, Value};

/// Conditions made ready for many records.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    conditions: Vec<Condition>,
    operator: Operator,
    /// The top-level properties that the conditions look at.
    names: Vec<String>,
}

impl Filter {
    /// The conditions must have been coerced: here `5` and `"5"` are different.
    pub fn new(conditions: Vec<Condition>, operator: Operator) -> Filter {
        let mut names = Vec::new();
        collect_names(&conditions, &mut names);
        names.sort_unstable();
        names.dedup();
        Filter { conditions, operator, names }
    }

    /// Whether there is nothing to check.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Whether a stored record satisfies the conditions. 500 for a damaged record.
    pub fn matches(&self, record: &Record) -> Result<bool> {
        if self.is_empty() {
            return Ok(true);
        }
        let wanted = |name: &str| self.names.iter().any(|wanted| wanted == name);
        let map = msgpack::decode_properties(record.body(), wanted)
            .map_err(|error| Error::internal(format!("damaged record: {error}")))?;
        Ok(self.matches_map(&map))
    }

    /// The same for a record that is at hand decoded.
    pub fn matches_map(&self, record: &Map) -> bool {
        group_matches(&self.conditions, self.operator, record)
    }
}

impl Query {
    /// This query's conditions as a filter.
    pub fn filter(&self) -> Filter {
        Filter::new(self.conditions.clone(), self.operator)
    }
}

fn collect_names(conditions: &[Condition], names: &mut Vec<String>) {
    for condition in conditions {
        match condition {
            Condition::Compare(compare) => names.extend(compare.attribute.first().cloned()),
            Condition::Group { conditions, .. } => collect_names(conditions, names),
        }
    }
}

fn group_matches(conditions: &[Condition], operator: Operator, record: &Map) -> bool {
    let mut each = conditions.iter().map(|condition| match condition {
        Condition::Compare(compare) => compare.matches(record),
        Condition::Group { operator, conditions } => group_matches(conditions, *operator, record),
    });
    match operator {
        Operator::And => each.all(|matches| matches),
        Operator::Or => conditions.is_empty() || each.any(|matches| matches),
    }
}

impl Compare {
    /// Whether a record satisfies this one comparison.
    pub fn matches(&self, record: &Map) -> bool {
        let Some((first, nested)) = self.attribute.split_first() else { return false };
        let found = record.get(first);
        let any = |test: &dyn Fn(&Value) -> bool| any_at(found, nested, test);
        let bound = &self.value;
        let list = || match bound {
            Value::Array(items) => items.as_slice(),
            _ => &[],
        };
        let text = bound.as_str().unwrap_or_default();
        match self.comparator {
            Comparator::Equals => any(&|value| value.key_cmp(bound).is_eq()),
            Comparator::NotEqual => !any(&|value| value.key_cmp(bound).is_eq()),
            Comparator::Less => {
                any(&|value| in_class(value, bound) && value.key_cmp(bound).is_lt())
            }
            Comparator::LessEqual => {
                any(&|value| in_class(value, bound) && value.key_cmp(bound).is_le())
            }
            Comparator::Greater => {
                any(&|value| in_class(value, bound) && value.key_cmp(bound).is_gt())
            }
            Comparator::GreaterEqual => {
                any(&|value| in_class(value, bound) && value.key_cmp(bound).is_ge())
            }
            Comparator::Contains => any(&|value| contains(value, text)),
            Comparator::NotContains => !any(&|value| contains(value, text)),
            Comparator::StartsWith => any(&|value| starts_with(value, text)),
            Comparator::NotStartsWith => !any(&|value| starts_with(value, text)),
            Comparator::EndsWith => any(&|value| ends_with(value, text)),
            Comparator::NotEndsWith => !any(&|value| ends_with(value, text)),
            Comparator::In => any(&|value| is_in(value, list())),
            Comparator::NotIn => !any(&|value| is_in(value, list())),
            Comparator::Between => any(&|value| is_between(value, list())),
            Comparator::NotBetween => !any(&|value| is_between(value, list())),
        }
    }
}

/// Whether the value at the end of a path, or any element of the arrays on the way or at the end,
/// passes. What is missing is null.
fn any_at(value: Option<&Value>, path: &[String], test: &dyn Fn(&Value) -> bool) -> bool {
    let value = value.unwrap_or(&Value::Null);
    let itself = match path.split_first() {
        None => test(value),
        Some((name, rest)) => match value {
            Value::Array(_) => false,
            _ => any_at(value.get(name), rest, test),
        },
    };
    itself
        || match value {
            Value::Array(items) => items.iter().any(|item| any_at(Some(item), path, test)),
            _ => false,
        }
}

fn in_class(value: &Value, bound: &Value) -> bool {
    value.class() == bound.class()
}

fn contains(value: &Value, text: &str) -> bool {
    match value {
        Value::String(value) => value.contains(text),
        other => string_form(other).is_some_and(|value| value.contains(text)),
    }
}

fn starts_with(value: &Value, text: &str) -> bool {
    value.as_str().is_some_and(|value| value.starts_with(text))
}

fn ends_with(value: &Value, text: &str) -> bool {
    match value {
        Value::String(value) => value.ends_with(text),
        other => string_form(other).is_some_and(|value| value.ends_with(text)),
    }
}

fn is_in(value: &Value, list: &[Value]) -> bool {
    list.iter().any(|item| value.key_cmp(item).is_eq())
}

fn is_between(value: &Value, ends: &[Value]) -> bool {
    let [low, high] = ends else { return false };
    in_class(value, low)
        && in_class(value, high)
        && value.key_cmp(low).is_ge()
        && value.key_cmp(high).is_le()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;
    use crate::query::parse;
    use crate::schema::parse_one;
    use crate::value::json;

    const RECORD: &str = r#"{"id":"1","name":"Rex","age":5,"tags":["a","b"],"big":12345678901234567890,
        "home":{"city":"Oslo"},"friends":[{"name":"Bo"},{"name":"Al"}],"nothing":null,"good":true}"#;

    #[test]
    fn conditions_on_a_record() {
        let schema = parse_one(
            "type Dog @table { id: ID @primaryKey name: String age: Int tags: [String] big: BigInt
             home: Any friends: Any nothing: String good: Boolean missing: Int }",
        );
        let map = json::parse(RECORD.as_bytes()).ok().and_then(Value::into_object).expect("JSON");
        let record = Record::new(&map, Version(1.0), Version(1.0), None);
        for (query, expected) in [
            ("name=Rex", true),
            ("name=rex", false),
            ("age=5", true),
            ("age=gt=4&=lt=6", true),
            ("age=gt=5", false),
            ("age=ge=5", true),
            ("age=le=4", false),
            ("age=lt=6", true),
            ("age!=5", false),
            ("missing!=5", true),
            ("missing==null", true),
            ("missing!=null", false),
            ("missing=gt=1", false),
            ("missing=lt=1", false),
            ("nothing==null", true),
            ("name!=null", true),
            ("tags=a", true),
            ("tags=c", false),
            ("tags!=a", false),
            ("big=12345678901234567890", true),
            ("big=gt=5", true),
            ("home.city=Oslo", true),
            ("home.street==null", true),
            ("friends.name=Al", true),
            ("friends.name=Cy", false),
            ("good=true", true),
            ("name=ct=e", true),
            ("age=ct=5", true),
            ("name=sw=R", true),
            ("age=sw=5", false),
            ("name=ew=x", true),
            ("name==R*", true),
            ("name==*", true),
            ("name=not_contains=e", false),
            ("missing=not_contains=e", true),
            ("age=in=(1,5)", true),
            ("age=not_in=(1,5)", false),
            ("age=between=(5,6)", true),
            ("age=not_between=(5,6)", false),
            ("name=Rex&age=4", false),
            ("name=Rex|age=4", true),
            ("age=4|(name=Rex&good=true)", true),
            ("", true),
        ] {
            let mut query = parse(query).map(|parsed| (query, parsed)).expect(query);
            query.1.coerce(&schema).expect(query.0);
            let filter = query.1.filter();
            assert_eq!(filter.matches(&record).ok(), Some(expected), "{}", query.0);
            assert_eq!(filter.matches_map(&map), expected, "{}", query.0);
        }
    }

    #[test]
    fn a_range_stays_within_its_class() {
        let map = Map::from([("a".to_owned(), Value::from("text"))]);
        let above = Compare::new(vec!["a".into()], Comparator::Greater, Value::Int(1));
        assert!(!above.matches(&map), "no string is greater than a number");
    }
}
