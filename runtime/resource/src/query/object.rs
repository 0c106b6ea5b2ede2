//! A query as an object: the body of `QUERY`, or what code hands to `search()`
//! (`spec/harper-resources.md` section 6, "Object form").

use super::{
    Comparator, Compare, Condition, Direction, Execution, Explain, FullScan, Nearest, Operator,
    Query, Select, SelectItem, Sort, Undeclared,
};
use crate::schema::Distance;
use crate::{Error, Result, Value};

/// How deep groups, selections and sort keys may nest.
const MAX_DEPTH: usize = 32;

/// Reads `{conditions, operator, sort, select, limit, offset, explain, allowFullScan,
/// enforceExecutionOrder, allowConditionsOnDynamicAttributes}`; an array is a list of conditions.
/// Values keep the types that they have. 400 for anything that is not such a query.
pub fn from_value(value: &Value) -> Result<Query> {
    let object = match value {
        Value::Array(_) => {
            let conditions = conditions(Some(value), Operator::And, 0)?;
            return Ok(Query { conditions, ..Query::default() });
        }
        Value::Object(object) => object,
        _ => return Err(Error::invalid("A query must be an object or an array of conditions")),
    };
    let operator = operator(object.get("operator"))?;
    Ok(Query {
        conditions: conditions(object.get("conditions"), operator, 0)?,
        operator,
        select: present(object.get("select")).map(|value| select(value, 0)).transpose()?,
        sort: sort(object.get("sort"))?,
        offset: count("offset", object.get("offset"))?.unwrap_or(0),
        limit: count("limit", object.get("limit"))?,
        id_prefix: None,
        explain: choice(object.get("explain"), Explain::Plan, Explain::Results),
        full_scan: match object.get("allowFullScan") {
            Some(Value::Bool(false)) => FullScan::Refused,
            Some(_) | None => FullScan::Allowed,
        },
        undeclared: choice(
            object.get("allowConditionsOnDynamicAttributes"),
            Undeclared::Allowed,
            Undeclared::Refused,
        ),
        execution: choice(
            object.get("enforceExecutionOrder"),
            Execution::AsWritten,
            Execution::Planned,
        ),
    })
}

/// What a flag stands for.
fn choice<T>(flag: Option<&Value>, yes: T, no: T) -> T {
    match flag {
        Some(Value::Bool(true)) => yes,
        Some(_) | None => no,
    }
}

fn present(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null())
}

fn operator(value: Option<&Value>) -> Result<Operator> {
    match present(value) {
        None => Ok(Operator::And),
        Some(value) => match value.as_str() {
            Some("and") => Ok(Operator::And),
            Some("or") => Ok(Operator::Or),
            _ => Err(Error::invalid("The operator of a query must be 'and' or 'or'")),
        },
    }
}

fn count(name: &str, value: Option<&Value>) -> Result<Option<usize>> {
    let Some(value) = present(value) else { return Ok(None) };
    match value {
        Value::Int(n) => usize::try_from(*n).ok(),
        // `limit: Infinity` is no limit.
        Value::Float(n) if *n == f64::INFINITY => return Ok(None),
        _ => None,
    }
    .map(Some)
    .ok_or_else(|| Error::invalid(format!("The {name} of a query must be a whole number from 0")))
}

fn conditions(value: Option<&Value>, operator: Operator, depth: usize) -> Result<Vec<Condition>> {
    if depth > MAX_DEPTH {
        return Err(Error::invalid("The conditions of a query nest too deep"));
    }
    let conditions = match present(value) {
        None => Vec::new(),
        Some(Value::Array(items)) => {
            items.iter().map(|item| condition(item, depth)).collect::<Result<_>>()?
        }
        Some(one) => vec![condition(one, depth)?],
    };
    if operator == Operator::Or && conditions.len() < 2 {
        return Err(Error::invalid("An 'or' operator requires at least two conditions"));
    }
    Ok(conditions)
}

fn condition(value: &Value, depth: usize) -> Result<Condition> {
    if let Value::Array(pair) = value
        && let [name, value] = pair.as_slice()
    {
        let compare = Compare::new(path(name)?, Comparator::Equals, value.clone());
        return Ok(Condition::Compare(compare));
    }
    if let Some(nested) = present(value.get("conditions")) {
        let operator = operator(value.get("operator"))?;
        let conditions = conditions(Some(nested), operator, depth + 1)?;
        return Ok(Condition::Group { operator, conditions });
    }
    let field = |name, alias| value.get(name).or_else(|| value.get(alias));
    let attribute = present(field("attribute", "search_attribute"))
        .ok_or_else(|| Error::invalid("attribute must be specified in a condition"))?;
    let attribute = path(attribute)?;
    let name = match present(field("comparator", "search_type")) {
        None => "equals",
        Some(name) => name.as_str().unwrap_or("not a text"),
    };
    let negated = matches!(value.get("negated"), Some(Value::Bool(true)));
    let target = present(value.get("target")).map(vector).transpose()?;
    let value = field("value", "search_value").ok_or_else(|| {
        let name = attribute.join(".");
        Error::invalid(format!("The condition on {name} must have a value"))
    })?;
    let unknown = || Error::invalid(format!("Unknown query comparator \"{name}\""));
    if let Some([lower, upper]) = Comparator::pair_from_name(name) {
        let Value::Array(ends) = value else { return Err(unfit_pair(name)) };
        let [low, high] = ends.as_slice() else { return Err(unfit_pair(name)) };
        let end = |comparator, value: &Value| {
            Condition::Compare(Compare::new(attribute.clone(), comparator, value.clone()))
        };
        let conditions = vec![end(lower, low), end(upper, high)];
        return Ok(Condition::Group { operator: Operator::And, conditions });
    }
    let mut comparator = Comparator::from_name(name).ok_or_else(unknown)?;
    if negated {
        comparator = comparator.negated().ok_or_else(|| {
            Error::invalid(format!("The comparator \"{name}\" can not be negated"))
        })?;
    }
    Ok(Condition::Compare(Compare { target, ..Compare::new(attribute, comparator, value.clone()) }))
}

fn unfit_pair(name: &str) -> Error {
    Error::invalid(format!("\"{name}\" comparator requires an array of two values"))
}

/// A vector to measure distances from.
fn vector(value: &Value) -> Result<Vec<f32>> {
    let numbers = match value {
        Value::Array(items) if !items.is_empty() => {
            items.iter().map(|item| item.as_f64().map(|n| n as f32)).collect::<Option<Vec<f32>>>()
        }
        _ => None,
    };
    numbers
        .filter(|numbers| numbers.iter().all(|n| n.is_finite()))
        .ok_or_else(|| Error::invalid("A target must be an array of numbers"))
}

/// A name, or an array of names that is a path.
fn path(value: &Value) -> Result<Vec<String>> {
    let names = match value {
        Value::String(name) => Some(vec![name.clone()]),
        Value::Array(names) => names.iter().map(|name| name.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    names
        .filter(|names| !names.is_empty())
        .ok_or_else(|| Error::invalid("An attribute must be a name or an array of names"))
}

/// `{attribute, descending, next}`, the next key inside; a bare name or an array of keys will do.
fn sort(value: Option<&Value>) -> Result<Vec<Sort>> {
    let mut keys = Vec::new();
    let mut pending: Vec<&Value> = match present(value) {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().rev().collect(),
        Some(one) => vec![one],
    };
    while let Some(key) = pending.pop() {
        if keys.len() >= MAX_DEPTH {
            return Err(Error::invalid("Too many sort attributes"));
        }
        let attribute = path(key.get("attribute").unwrap_or(key))?;
        let direction = match key.get("descending") {
            Some(Value::Bool(true)) => Direction::Descending,
            _ => Direction::Ascending,
        };
        keys.push(Sort { attribute, direction, nearest: nearest(key)? });
        pending.extend(present(key.get("next")));
    }
    Ok(keys)
}

/// `{attribute, target, ef, distance}`: the order by distance from a vector.
fn nearest(key: &Value) -> Result<Option<Nearest>> {
    let Some(target) = present(key.get("target")) else { return Ok(None) };
    let distance = match present(key.get("distance")) {
        None => None,
        Some(name) => {
            let known = name.as_str().and_then(Distance::from_name);
            Some(known.ok_or_else(|| {
                Error::invalid("The distance of a sort must be cosine, euclidean or dotProduct")
            })?)
        }
    };
    let ef = count("ef", key.get("ef"))?;
    Ok(Some(Nearest { target: vector(target)?, ef, distance }))
}

/// `{asArray: [..]}` is a tuple; else a name is the bare value, an array of names and `{name, select}` an object.
fn select(value: &Value, depth: usize) -> Result<Select> {
    if depth > MAX_DEPTH {
        return Err(Error::invalid("The selection of a query nests too deep"));
    }
    match value {
        Value::String(name) => Ok(Select::Single(name.clone())),
        Value::Array(items) => Ok(Select::Properties(
            items.iter().map(|item| select_item(item, depth)).collect::<Result<_>>()?,
        )),
        Value::Object(object) => match object.get("asArray") {
            Some(Value::Array(items)) => Ok(Select::Tuple(
                items.iter().map(|item| select_item(item, depth)).collect::<Result<_>>()?,
            )),
            _ => Err(Error::invalid("The selection of a query must be a name or an array")),
        },
        _ => Err(Error::invalid("The selection of a query must be a name or an array")),
    }
}

fn select_item(value: &Value, depth: usize) -> Result<SelectItem> {
    let name = value.as_str().or_else(|| value.get("name").and_then(Value::as_str));
    let name = name.ok_or_else(|| Error::invalid("A selected attribute must have a name"))?;
    let nested = present(value.get("select")).map(|nested| select(nested, depth + 1));
    Ok(SelectItem { name: name.to_owned(), nested: nested.transpose()?.map(Box::new) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::parse;
    use crate::value::json;

    fn read(text: &str) -> Result<Query> {
        from_value(&json::parse(text.as_bytes()).expect("test data is JSON"))
    }

    #[test]
    fn says_the_same_as_the_url() {
        for (object, url) in [
            ("{}", ""),
            (r#"{"conditions":[{"attribute":"a","value":"1"}]}"#, "a=1"),
            (r#"[["a","1"],{"attribute":"b","comparator":"sw","value":"2"}]"#, "a=1&b=sw=string:2"),
            (r#"{"conditions":{"attribute":["a","b"],"value":"1"}}"#, "a.b=1"),
            (
                r#"{"operator":"or","conditions":[["a","1"],{"conditions":[["b","2"],["c","3"]]}]}"#,
                "a=1|(b=2&c=3)",
            ),
            (
                r#"{"sort":{"attribute":"a","next":{"attribute":"b","descending":true}}}"#,
                "sort(a,-b)",
            ),
            (r#"{"select":"a","limit":5,"offset":2}"#, "select(a)&limit(2,7)"),
            (r#"{"select":["a",{"name":"b","select":["c"]}]}"#, "select(a,b{c})"),
            (r#"{"select":{"asArray":["a","b"]}}"#, "select([a,b])"),
            (
                r#"[{"attribute":"a","comparator":"in","negated":true,"value":["1","2"]}]"#,
                "a=not_in=(string:1,string:2)",
            ),
            (
                r#"[["z","0"],{"attribute":"a","comparator":"gelt","value":["1","2"]}]"#,
                "z=0&(a=ge=string:1&a=lt=string:2)",
            ),
        ] {
            let expected = parse(url).expect(url);
            assert_eq!(read(object).expect(object), expected, "{object}");
        }
    }

    #[test]
    fn what_is_no_query() {
        for (text, reason) in [
            ("5", "must be an object"),
            (r#"{"operator":"xor"}"#, "'and' or 'or'"),
            (r#"{"operator":"or","conditions":[["a",1]]}"#, "at least two"),
            (r#"{"limit":-1}"#, "limit"),
            (r#"{"conditions":[{"value":1}]}"#, "attribute must be specified"),
            (r#"{"conditions":[{"attribute":"a"}]}"#, "must have a value"),
            (
                r#"{"conditions":[{"attribute":"a","comparator":"like","value":1}]}"#,
                "Unknown query comparator \"like\"",
            ),
            (r#"{"select":[5]}"#, "must have a name"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.status() == 400 && error.message.contains(reason), "{}", error.message);
        }
    }
}
