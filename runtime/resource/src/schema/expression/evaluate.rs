//! The value of a tree.

use super::methods;
use super::operators::{binary, is_truthy, text, to_number};
use super::parse::{Callee, Missing, Node, Spread};
use super::scope::{Evaluated, Scope, Threw};
use crate::{Map, Value};

impl Node {
    pub(super) fn evaluate(&self, scope: Scope<'_>) -> Evaluated {
        let value = self.value(scope)?;
        scope.spend(value.as_ref().map_or(1, Value::approximate_size))?;
        Ok(value)
    }

    fn value(&self, scope: Scope<'_>) -> Evaluated {
        Ok(match self {
            Node::Literal(value) => value.clone(),
            Node::Name(name) => scope.value(name),
            Node::Member(object, index, missing) => {
                let Some(object) = object.present(scope, *missing)? else { return Ok(None) };
                let index = index.evaluate(scope)?;
                member(&object, &text(index.as_ref()))
            }
            Node::Call(Callee::Function(name), arguments) => {
                let arguments = values(arguments, scope)?;
                methods::function(name, &arguments)?
            }
            Node::Call(Callee::Method(object, name, missing), arguments) => {
                let Some(object) = object.present(scope, *missing)? else { return Ok(None) };
                methods::method(&object, name, arguments, scope)?
            }
            // Only a method calls a function; by itself it is no value of the data model.
            Node::Arrow(..) => None,
            Node::Unary(sign, operand) => {
                let value = operand.evaluate(scope)?;
                Some(match *sign {
                    "!" => Value::Bool(!is_truthy(value.as_ref())),
                    "-" => Value::number(-to_number(value.as_ref())),
                    "typeof" => Value::from(type_of(value.as_ref())),
                    _ => Value::number(to_number(value.as_ref())),
                })
            }
            Node::Binary("&&", left, right) => {
                let left = left.evaluate(scope)?;
                if is_truthy(left.as_ref()) { right.evaluate(scope)? } else { left }
            }
            Node::Binary("||", left, right) => {
                let left = left.evaluate(scope)?;
                if is_truthy(left.as_ref()) { left } else { right.evaluate(scope)? }
            }
            Node::Binary("??", left, right) => match left.evaluate(scope)? {
                None | Some(Value::Null) => right.evaluate(scope)?,
                present => present,
            },
            Node::Binary(sign, left, right) => {
                let (left, right) = (left.evaluate(scope)?, right.evaluate(scope)?);
                Some(binary(sign, left.as_ref(), right.as_ref()))
            }
            Node::Conditional(condition, then, otherwise) => {
                let chosen = is_truthy(condition.evaluate(scope)?.as_ref());
                if chosen { then.evaluate(scope)? } else { otherwise.evaluate(scope)? }
            }
            Node::Array(elements) => {
                let mut items = Vec::with_capacity(elements.len());
                for (element, spread) in elements {
                    let value = element.evaluate(scope)?;
                    match (spread, value) {
                        (Spread::Each, Some(Value::Array(each))) => items.extend(each),
                        (Spread::Each, _) => return Err(Threw),
                        (Spread::One, value) => items.push(value.unwrap_or_default()),
                    }
                }
                Some(Value::Array(items))
            }
            Node::Object(properties) => {
                let mut map = Map::with_capacity(properties.len());
                for (name, value) in properties {
                    if let Some(value) = value.evaluate(scope)? {
                        map.insert(name.clone(), value);
                    }
                }
                Some(Value::Object(map))
            }
            Node::Template(texts, parts) => {
                let mut out = String::new();
                for (index, piece) in texts.iter().enumerate() {
                    out.push_str(piece);
                    if let Some(part) = parts.get(index) {
                        out.push_str(&text(part.evaluate(scope)?.as_ref()));
                    }
                }
                Some(Value::String(out))
            }
        })
    }

    /// The value that a member is asked of; `None` where `?.` makes that `undefined`.
    fn present(&self, scope: Scope<'_>, missing: Missing) -> Evaluated {
        match (self.evaluate(scope)?, missing) {
            (None | Some(Value::Null), Missing::Throws) => Err(Threw),
            (None | Some(Value::Null), Missing::Undefined) => Ok(None),
            (present, _) => Ok(present),
        }
    }

    /// Calls an arrow function, or the name of a function.
    pub(super) fn call(&self, arguments: &[Value], scope: Scope<'_>) -> Evaluated {
        match self {
            Node::Arrow(parameters, body) => {
                let lookup =
                    |name: &str| match parameters.iter().position(|parameter| parameter == name) {
                        Some(at) => arguments.get(at).cloned(),
                        None => scope.value(name),
                    };
                body.evaluate(scope.with(&lookup))
            }
            Node::Name(name) if methods::is_function(name) => {
                methods::function(name, &[arguments.first().cloned()])
            }
            _ => Err(Threw),
        }
    }
}

pub(super) fn values(nodes: &[Node], scope: Scope<'_>) -> Result<Vec<Option<Value>>, Threw> {
    nodes.iter().map(|node| node.evaluate(scope)).collect()
}

fn member(object: &Value, name: &str) -> Option<Value> {
    match object {
        Value::Object(map) => map.get(name).cloned(),
        Value::Array(items) if name == "length" => Some(Value::from(items.len() as i64)),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?).cloned(),
        Value::String(text) if name == "length" => {
            Some(Value::from(text.encode_utf16().count() as i64))
        }
        Value::String(text) => {
            text.chars().nth(name.parse().ok()?).map(|c| Value::String(c.to_string()))
        }
        Value::Bytes(bytes) if name == "length" => Some(Value::from(bytes.len() as i64)),
        _ => None,
    }
}

fn type_of(value: Option<&Value>) -> &'static str {
    match value {
        None => "undefined",
        Some(Value::Bool(_)) => "boolean",
        Some(Value::Int(_) | Value::Float(_)) => "number",
        Some(Value::BigInt(_)) => "bigint",
        Some(Value::String(_)) => "string",
        Some(
            Value::Null
            | Value::Date(_)
            | Value::Bytes(_)
            | Value::Array(_)
            | Value::Object(_)
            | Value::Blob(_),
        ) => "object",
    }
}
