//! Finding the line of a key in YAML text, so that a message about a value can name it: the YAML
//! parser reports positions only for syntax errors. And YAML values as values of the data model.

use std::path::Path;

use serde_yaml_ng::{Mapping, Value};

use super::component::ConfigError;

/// A YAML or JSON document that must be a mapping; an empty one is an empty mapping.
pub(super) fn parse_mapping(file: &Path, text: &str) -> Result<Mapping, ConfigError> {
    let error = |line: usize, message: String| ConfigError { file: file.to_owned(), line, message };
    let document: Value = serde_yaml_ng::from_str(text).map_err(|cause| {
        let line = || cause.location().map(|location| location.line());
        error(line_of_repeated(text, &cause).or_else(line).unwrap_or(1), cause.to_string())
    })?;
    match document {
        Value::Mapping(mapping) => Ok(mapping),
        Value::Null => Ok(Mapping::new()),
        _ => Err(error(1, "expected `plugin: options` lines".to_owned())),
    }
}

/// Where a key of the outermost level stands again; the parser tells where the whole begins.
fn line_of_repeated(text: &str, cause: &serde_yaml_ng::Error) -> Option<usize> {
    let message = cause.to_string();
    let key = message.strip_prefix("duplicate entry with key ")?.trim_matches('"');
    let repeats = |line: &str| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'));
    text.lines().enumerate().filter(|(_, line)| repeats(line)).nth(1).map(|(at, _)| at + 1)
}

/// The value as code sees it.
pub(super) fn to_value(value: &Value) -> kora_resource::Value {
    use kora_resource::Value as Data;
    match value {
        Value::Null => Data::Null,
        Value::Bool(value) => Data::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Data::Int(number),
            None => Data::number(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Data::String(text.clone()),
        Value::Sequence(values) => Data::Array(values.iter().map(to_value).collect()),
        Value::Mapping(mapping) => {
            let entry = |(key, value): (&Value, &Value)| {
                let key = match key {
                    Value::String(key) => key.clone(),
                    other => serde_yaml_ng::to_string(other).ok()?.trim().to_owned(),
                };
                Some((key, to_value(value)))
            };
            Data::Object(mapping.iter().filter_map(entry).collect())
        }
        Value::Tagged(tagged) => to_value(&tagged.value),
    }
}

/// A value of the data model as YAML, for options that code has put together.
pub(crate) fn from_value(value: &kora_resource::Value) -> Value {
    use kora_resource::Value as Data;
    match value {
        Data::Bool(value) => Value::Bool(*value),
        Data::Int(number) => Value::Number((*number).into()),
        Data::Float(number) => Value::Number((*number).into()),
        Data::String(text) => Value::String(text.clone()),
        Data::Array(values) => Value::Sequence(values.iter().map(from_value).collect()),
        Data::Object(map) => Value::Mapping(
            map.iter().map(|(key, value)| (key.as_str().into(), from_value(value))).collect(),
        ),
        Data::Null | Data::BigInt(_) | Data::Bytes(_) | Data::Date(_) | Data::Blob(_) => {
            Value::Null
        }
    }
}

/// Puts the environment's values in the place of `${NAME}`; a name that is not set stays as it is:
/// a component's own environment may know it later.
pub(super) fn expand(value: &mut Value) {
    match value {
        Value::String(text) if text.contains("${") => {
            let mut expanded = String::with_capacity(text.len());
            let mut rest = text.as_str();
            while let Some(start) = rest.find("${") {
                let Some(length) = rest[start..].find('}') else { break };
                let name = &rest[start + 2..start + length];
                expanded.push_str(&rest[..start]);
                match std::env::var(name) {
                    Ok(found) => expanded.push_str(&found),
                    Err(_) => expanded.push_str(&rest[start..=start + length]),
                }
                rest = &rest[start + length + 1..];
            }
            expanded.push_str(rest);
            *text = expanded;
        }
        Value::Sequence(values) => values.iter_mut().for_each(expand),
        Value::Mapping(mapping) => mapping.iter_mut().for_each(|(_, value)| expand(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Tagged(_) => {}
    }
}

/// The line, from 1, on which the top-level key `key` stands; 1 where it can't be found.
pub(super) fn line_of_key(text: &str, key: &str) -> usize {
    text.lines()
        .position(|line| {
            let line = line.trim_start_matches(['"', '\'']);
            line.strip_prefix(key).is_some_and(|rest| {
                rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':')
            })
        })
        .map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::line_of_key;

    #[test]
    fn finds_plain_and_quoted_keys() {
        let text = "# c\nrest: true\n'@harperfast/vite':\n  package: x\nrestful: 1\n";
        assert_eq!(line_of_key(text, "rest"), 2);
        assert_eq!(line_of_key(text, "@harperfast/vite"), 3);
        assert_eq!(line_of_key(text, "absent"), 1);
    }
}
