//! What a client wants of a subscription, as the properties of a target in JavaScript and back.

use kora_resource::{Error, Id, Map, Pattern, Result, StreamOptions, Value, query};
use kora_store::Subscribe;

use crate::ops::searches::readable;

/// The properties that a class finds on its target; `None` where there are none. The conditions of a
/// filter are in the target's query already.
pub(crate) fn to_value(options: &StreamOptions) -> Option<Value> {
    let StreamOptions {
        omit_current,
        previous_count,
        start_time,
        resume,
        only_children,
        pattern,
        filter,
    } = options;
    let properties = [
        ("omitCurrent", omit_current.then_some(Value::Bool(true))),
        ("previousCount", previous_count.map(|count| Value::number(count as f64))),
        ("startTime", start_time.map(Value::number)),
        ("resume", resume.map(|position| Value::String(position.to_string()))),
        ("onlyChildren", only_children.then_some(Value::Bool(true))),
        ("filter", filter.is_some().then_some(Value::Bool(true))),
        ("pattern", pattern.as_ref().map(|pattern| Value::String(pattern.to_string()))),
    ];
    let map: Map = properties
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    (!map.is_empty()).then_some(Value::Object(map))
}

/// What code asks `subscribe` for. 400 for a property that is not well formed.
pub(crate) fn subscribe(id: Option<Id>, options: &Value) -> Result<Subscribe> {
    let flag = |name: &str| matches!(options.get(name), Some(Value::Bool(true)));
    let number = |name: &str| options.get(name).and_then(Value::as_f64);
    let text = |name: &str| match options.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(Error::invalid(format!("{name} of a subscription must be a string"))),
    };
    let filter = match options.get("conditions") {
        None | Some(Value::Null) => text("filter")?.map(query::parse).transpose()?,
        Some(conditions) => {
            let operator = options.get("operator").cloned();
            let query = Map::from_iter(
                [("conditions", Some(conditions.clone())), ("operator", operator)]
                    .into_iter()
                    .filter_map(|(name, value)| Some((name.to_owned(), value?))),
            );
            Some(query::from_value(&Value::Object(query))?)
        }
    };
    Ok(Subscribe {
        is_collection: flag("isCollection") || id.is_none(),
        id,
        omit_current: flag("omitCurrent"),
        previous_count: number("previousCount").map(|count| count.max(0.0) as usize),
        start_time: match options.get("startTime") {
            Some(Value::Date(ms)) => Some(*ms),
            _ => number("startTime"),
        },
        resume: text("resume")?.map(str::parse).transpose()?,
        only_children: flag("onlyChildren"),
        pattern: text("pattern")?.map(Pattern::parse).transpose()?,
        filter,
        attributes: readable(options),
    })
}
