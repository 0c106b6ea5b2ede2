//! URLs and their queries as `RequestTarget` shows them (`spec/harper-resources.md` section 5).

use deno_core::{OpState, op2, v8};
use kora_resource::query::{Condition, Direction, Operator, Query, Select, SelectItem, Sort};
use kora_resource::{Map, Target, Value};

use crate::error::OpError;
use crate::state::WorkerState;
use crate::values::{self, JsValue, id_to_v8};

/// Reads a URL below a resource as a target: what `new RequestTarget(text)` shows.
#[op2]
pub(crate) fn op_kora_parse_target<'s, 'i>(
    state: &mut OpState,
    scope: &mut v8::PinScope<'s, 'i>,
    #[string] url: &str,
    #[smi] table: i32,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
    let schema =
        state.borrow::<WorkerState>().tables.get(table as usize).map(|table| table.schema());
    let target = Target::parse(url, schema.as_deref())?;
    let id = id_to_v8(scope, target.id.as_ref());
    let is_collection = v8::Boolean::new(scope, target.is_collection).into();
    let property = values::optional_string(scope, target.property.as_deref());
    let parts: [v8::Local<v8::Value>; 3] = [id, is_collection, property];
    Ok(v8::Array::new_with_elements(scope, &parts).into())
}

/// The parts of a query's text, in the object form that code writes; 400 where it is no query.
#[op2]
pub(crate) fn op_kora_parse_query(#[string] search: &str) -> Result<JsValue, OpError> {
    Ok(JsValue(Value::Object(parts(&kora_resource::query::parse(search)?))))
}

fn parts(query: &Query) -> Map {
    let mut parts = Map::new();
    let mut put = |name: &str, value| drop(parts.insert(name.to_owned(), value));
    if !query.conditions.is_empty() {
        put("conditions", conditions(&query.conditions));
        put("operator", operator(query.operator));
    }
    if let Some(select) = &query.select {
        put("select", selection(select));
    }
    if let Some(sort) = sort(&query.sort) {
        put("sort", sort);
    }
    if let Some(limit) = query.limit {
        put("limit", Value::Int(limit as i64));
    }
    if query.offset > 0 {
        put("offset", Value::Int(query.offset as i64));
    }
    parts
}

fn object<const N: usize>(properties: [(&str, Value); N]) -> Value {
    Value::Object(properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn operator(operator: Operator) -> Value {
    Value::from(match operator {
        Operator::And => "and",
        Operator::Or => "or",
    })
}

fn conditions(conditions: &[Condition]) -> Value {
    let condition = |condition: &Condition| match condition {
        Condition::Compare(compare) => object([
            ("attribute", path(&compare.attribute)),
            ("comparator", Value::from(compare.comparator.name())),
            ("value", compare.value.clone()),
        ]),
        Condition::Group { operator: inner, conditions: nested } => {
            object([("operator", operator(*inner)), ("conditions", self::conditions(nested))])
        }
    };
    Value::Array(conditions.iter().map(condition).collect())
}

/// A name, or an array of names for a path.
fn path(attribute: &[String]) -> Value {
    match attribute {
        [name] => Value::from(name.as_str()),
        names => Value::Array(names.iter().map(|name| Value::from(name.as_str())).collect()),
    }
}

/// Each key holds the next one.
fn sort(keys: &[Sort]) -> Option<Value> {
    let mut next = None;
    for key in keys.iter().rev() {
        let mut shown = Map::from_iter([
            ("attribute".to_owned(), path(&key.attribute)),
            ("descending".to_owned(), Value::Bool(key.direction == Direction::Descending)),
        ]);
        if let Some(next) = next.take() {
            shown.insert("next".to_owned(), next);
        }
        next = Some(Value::Object(shown));
    }
    next
}

fn selection(select: &Select) -> Value {
    match select {
        Select::Single(name) => Value::from(name.as_str()),
        Select::Properties(items) | Select::Tuple(items) => {
            Value::Array(items.iter().map(selected).collect())
        }
    }
}

fn selected(item: &SelectItem) -> Value {
    let name = Value::from(item.name.as_str());
    match &item.nested {
        None => name,
        Some(nested) => object([("name", name), ("select", selection(nested))]),
    }
}
