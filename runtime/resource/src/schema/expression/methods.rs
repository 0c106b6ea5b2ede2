//! The functions and methods that expressions know.

use super::evaluate::values;
use super::operators::{is_truthy, strictly_equal, text, to_number};
use super::parse::Node;
use super::scope::{Evaluated, Scope, Threw};
use crate::Value;
use crate::value::json;

/// How long a text may be made by repeating or padding.
const MAX_TEXT: usize = 1 << 20;

pub(super) fn is_function(name: &str) -> bool {
    matches!(
        name,
        "Number"
            | "String"
            | "Boolean"
            | "parseInt"
            | "parseFloat"
            | "Number.isInteger"
            | "Number.parseFloat"
            | "Number.parseInt"
            | "Array.isArray"
            | "Object.keys"
            | "Object.values"
            | "JSON.stringify"
            | "Math.round"
            | "Math.floor"
            | "Math.ceil"
            | "Math.trunc"
            | "Math.abs"
            | "Math.sqrt"
            | "Math.sign"
            | "Math.log"
            | "Math.log2"
            | "Math.log10"
            | "Math.exp"
            | "Math.pow"
            | "Math.min"
            | "Math.max"
            | "Math.hypot"
            | "Math.sin"
            | "Math.cos"
            | "Date.parse"
    )
}

pub(super) fn is_method(name: &str) -> bool {
    matches!(
        name,
        "toLowerCase"
            | "toUpperCase"
            | "trim"
            | "trimStart"
            | "trimEnd"
            | "includes"
            | "startsWith"
            | "endsWith"
            | "indexOf"
            | "slice"
            | "substring"
            | "split"
            | "replace"
            | "replaceAll"
            | "charAt"
            | "concat"
            | "repeat"
            | "padStart"
            | "padEnd"
            | "toString"
            | "toFixed"
            | "join"
            | "at"
            | "map"
            | "filter"
            | "find"
            | "some"
            | "every"
            | "reduce"
            | "flat"
            | "reverse"
            | "getTime"
            | "valueOf"
            | "toISOString"
            | "getFullYear"
            | "getUTCFullYear"
    )
}

pub(super) fn function(name: &str, arguments: &[Option<Value>]) -> Evaluated {
    let first = arguments.first().and_then(Option::as_ref);
    let number = || to_number(first);
    let numbers = || arguments.iter().map(|argument| to_number(argument.as_ref()));
    let any_nan = || numbers().any(f64::is_nan);
    let n = match name {
        "String" => return Ok(Some(Value::String(text(first)))),
        "Boolean" => return Ok(Some(Value::Bool(is_truthy(first)))),
        "Array.isArray" => return Ok(Some(Value::Bool(matches!(first, Some(Value::Array(_)))))),
        "Number.isInteger" => {
            return Ok(Some(Value::Bool(matches!(first, Some(Value::Int(_))))));
        }
        "Object.keys" => {
            let Some(Value::Object(map)) = first else { return Err(Threw) };
            return Ok(Some(
                map.keys().map(|key| Value::from(key.as_str())).collect::<Vec<_>>().into(),
            ));
        }
        "Object.values" => {
            let Some(Value::Object(map)) = first else { return Err(Threw) };
            return Ok(Some(map.values().cloned().collect::<Vec<_>>().into()));
        }
        "JSON.stringify" => {
            return Ok(first.map(|value| {
                let mut out = Vec::new();
                json::write(value, &mut out);
                Value::String(String::from_utf8_lossy(&out).into_owned())
            }));
        }
        "Date.parse" => match crate::schema::coerce_date(&text(first)) {
            Some(Value::Date(ms)) => ms,
            _ => f64::NAN,
        },
        "parseInt" | "Number.parseInt" => leading_number(&text(first), false).trunc(),
        "parseFloat" | "Number.parseFloat" => leading_number(&text(first), true),
        // Halves go up, also below zero.
        "Math.round" => (number() + 0.5).floor(),
        "Math.floor" => number().floor(),
        "Math.ceil" => number().ceil(),
        "Math.trunc" => number().trunc(),
        "Math.abs" => number().abs(),
        "Math.sqrt" => number().sqrt(),
        "Math.sign" if number() == 0.0 => 0.0,
        "Math.sign" => number().signum(),
        "Math.log" => number().ln(),
        "Math.log2" => number().log2(),
        "Math.log10" => number().log10(),
        "Math.exp" => number().exp(),
        "Math.sin" => number().sin(),
        "Math.cos" => number().cos(),
        "Math.pow" => number().powf(numbers().nth(1).unwrap_or(f64::NAN)),
        "Math.hypot" => numbers().map(|n| n * n).sum::<f64>().sqrt(),
        "Math.min" | "Math.max" if any_nan() => f64::NAN,
        "Math.min" => numbers().fold(f64::INFINITY, f64::min),
        "Math.max" => numbers().fold(f64::NEG_INFINITY, f64::max),
        _ => number(),
    };
    Ok(Some(Value::number(n)))
}

/// The number that a text begins with.
fn leading_number(text: &str, fraction: bool) -> f64 {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut dots = usize::from(!fraction);
    let length = digits
        .bytes()
        .take_while(|byte| {
            dots += usize::from(*byte == b'.');
            byte.is_ascii_digit() || *byte == b'.' && dots == 1
        })
        .count();
    text[..text.len() - digits.len() + length].parse().unwrap_or(f64::NAN)
}

pub(super) fn method(object: &Value, name: &str, nodes: &[Node], scope: Scope<'_>) -> Evaluated {
    if let (Value::Array(items), Some(function @ (Node::Arrow(..) | Node::Name(_)))) =
        (object, nodes.first())
        && matches!(name, "map" | "filter" | "find" | "some" | "every" | "reduce")
    {
        return with_function(items, name, function, nodes.get(1), scope);
    }
    let arguments = values(nodes, scope)?;
    let argument = |at: usize| arguments.get(at).and_then(Option::as_ref);
    match (object, name) {
        (Value::Array(items), _) => array_method(items, name, &arguments, scope),
        (Value::Date(ms), "getTime" | "valueOf") => Ok(Some(Value::number(*ms))),
        (Value::Date(_), "toISOString" | "toString") => Ok(Some(Value::String(text(Some(object))))),
        (Value::Date(_), "getFullYear" | "getUTCFullYear") => {
            let shown = text(Some(object));
            Ok(shown.get(..4).and_then(|year| year.parse().ok()).map(Value::Int))
        }
        (Value::Int(_) | Value::Float(_), "toFixed") => {
            let digits = argument(0).map_or(0.0, |digits| to_number(Some(digits)));
            let n = to_number(Some(object));
            Ok(Some(Value::String(format!("{n:.0$}", digits.clamp(0.0, 100.0) as usize))))
        }
        (_, "toString" | "valueOf") => Ok(Some(Value::String(text(Some(object))))),
        (Value::String(held), _) => text_method(held, name, &arguments, scope),
        _ => Err(Threw),
    }
}

fn with_function(
    items: &[Value],
    name: &str,
    function: &Node,
    start: Option<&Node>,
    scope: Scope<'_>,
) -> Evaluated {
    let call = |index: usize, item: &Value| {
        function.call(&[item.clone(), Value::from(index as i64)], scope)
    };
    let holds = |index: usize, item: &Value| Ok(is_truthy(call(index, item)?.as_ref()));
    let each = items.iter().enumerate();
    Ok(match name {
        "map" => {
            let mapped: Result<Vec<Value>, Threw> =
                each.map(|(index, item)| Ok(call(index, item)?.unwrap_or_default())).collect();
            Some(Value::Array(mapped?))
        }
        "reduce" => {
            let mut rest = each;
            let mut held = match start {
                Some(start) => start.evaluate(scope)?,
                None => Some(rest.next().ok_or(Threw)?.1.clone()),
            };
            for (index, item) in rest {
                let arguments = [held.unwrap_or_default(), item.clone(), Value::from(index as i64)];
                held = function.call(&arguments, scope)?;
            }
            held
        }
        _ => {
            let mut kept = Vec::new();
            for (index, item) in each {
                match (name, holds(index, item)?) {
                    ("find", true) => return Ok(Some(item.clone())),
                    ("some", true) => return Ok(Some(Value::Bool(true))),
                    ("every", false) => return Ok(Some(Value::Bool(false))),
                    ("filter", true) => kept.push(item.clone()),
                    _ => {}
                }
            }
            match name {
                "find" => None,
                "some" => Some(Value::Bool(false)),
                "every" => Some(Value::Bool(true)),
                _ => Some(Value::Array(kept)),
            }
        }
    })
}

/// `slice`'s and `at`'s places count from the end if they are negative.
fn place(value: Option<&Value>, length: usize, otherwise: usize) -> usize {
    let Some(value) = value else { return otherwise };
    let n = to_number(Some(value)).trunc();
    let n = if n.is_nan() { 0.0 } else { n };
    let from_start = if n < 0.0 { n + length as f64 } else { n };
    from_start.clamp(0.0, length as f64) as usize
}

fn array_method(
    items: &[Value],
    name: &str,
    arguments: &[Option<Value>],
    scope: Scope<'_>,
) -> Evaluated {
    let argument = |at: usize| arguments.get(at).and_then(Option::as_ref);
    let position = || items.iter().position(|item| strictly_equal(Some(item), argument(0)));
    Ok(Some(match name {
        "includes" => Value::Bool(position().is_some()),
        "indexOf" => Value::Int(position().map_or(-1, |at| at as i64)),
        "join" => {
            let separator = argument(0).map_or_else(|| ",".to_owned(), |given| text(Some(given)));
            scope.spend(separator.len().saturating_mul(items.len()))?;
            let each = items.iter().map(|item| match item {
                Value::Null => String::new(),
                item => text(Some(item)),
            });
            Value::String(each.collect::<Vec<_>>().join(&separator))
        }
        "slice" => {
            let start = place(argument(0), items.len(), 0);
            let end = place(argument(1), items.len(), items.len());
            Value::Array(items.get(start..end).unwrap_or_default().to_vec())
        }
        "at" => {
            let n = to_number(argument(0));
            let at = if n < 0.0 { n + items.len() as f64 } else { n };
            return Ok((at >= 0.0).then(|| items.get(at as usize).cloned()).flatten());
        }
        "concat" => {
            let mut all = items.to_vec();
            for argument in arguments.iter().flatten() {
                match argument {
                    Value::Array(more) => all.extend(more.iter().cloned()),
                    one => all.push(one.clone()),
                }
            }
            Value::Array(all)
        }
        "flat" => Value::Array(
            items
                .iter()
                .flat_map(|item| match item {
                    Value::Array(inner) => inner.clone(),
                    item => vec![item.clone()],
                })
                .collect(),
        ),
        "reverse" => Value::Array(items.iter().rev().cloned().collect()),
        "toString" => Value::String(text(Some(&Value::Array(items.to_vec())))),
        _ => return Err(Threw),
    }))
}

fn text_method(held: &str, name: &str, arguments: &[Option<Value>], scope: Scope<'_>) -> Evaluated {
    let argument = |at: usize| arguments.get(at).and_then(Option::as_ref);
    let first = || text(argument(0));
    let chars = || held.chars().collect::<Vec<_>>();
    let cut = |start: usize, end: usize| {
        Value::String(held.chars().skip(start).take(end.saturating_sub(start)).collect())
    };
    let padding = || {
        let wanted = to_number(argument(0)).clamp(0.0, MAX_TEXT as f64) as usize;
        let with = argument(1).map_or_else(|| " ".to_owned(), |with| text(Some(with)));
        with.chars().cycle().take(wanted.saturating_sub(held.chars().count())).collect::<String>()
    };
    Ok(Some(match name {
        "toLowerCase" => Value::String(held.to_lowercase()),
        "toUpperCase" => Value::String(held.to_uppercase()),
        "trim" => Value::from(held.trim()),
        "trimStart" => Value::from(held.trim_start()),
        "trimEnd" => Value::from(held.trim_end()),
        "includes" => Value::Bool(held.contains(&first())),
        "startsWith" => Value::Bool(held.starts_with(&first())),
        "endsWith" => Value::Bool(held.ends_with(&first())),
        "indexOf" => {
            let found = held.find(&first()).map(|at| held[..at].encode_utf16().count() as i64);
            Value::Int(found.unwrap_or(-1))
        }
        "slice" => {
            let length = chars().len();
            cut(place(argument(0), length, 0), place(argument(1), length, length))
        }
        "substring" => {
            let length = chars().len();
            let end = |at| to_number(argument(at)).max(0.0).min(length as f64) as usize;
            let (a, b) = (end(0), argument(1).map_or(length, |_| end(1)));
            cut(a.min(b), a.max(b))
        }
        "split" => match argument(0) {
            None => Value::Array(vec![Value::from(held)]),
            Some(Value::String(by)) if by.is_empty() => {
                scope.spend(size_of::<Value>() * held.len())?;
                held.chars().map(|c| Value::String(c.to_string())).collect::<Vec<_>>().into()
            }
            Some(by) => {
                held.split(text(Some(by)).as_str()).map(Value::from).collect::<Vec<_>>().into()
            }
        },
        "replace" => Value::String(held.replacen(&first(), &text(argument(1)), 1)),
        "replaceAll" => {
            let (from, to) = (first(), text(argument(1)));
            scope.spend(held.matches(from.as_str()).count().saturating_mul(to.len()))?;
            Value::String(held.replace(&from, &to))
        }
        "charAt" => {
            let at = to_number(argument(0)).max(0.0) as usize;
            cut(at, at.saturating_add(1))
        }
        "at" => {
            let at = place(argument(0), chars().len(), 0);
            cut(at, at.saturating_add(1))
        }
        "concat" => {
            let more = arguments.iter().map(|argument| text(argument.as_ref()));
            Value::String(std::iter::once(held.to_owned()).chain(more).collect())
        }
        "repeat" => {
            let count = to_number(argument(0));
            if count.is_nan() || count < 0.0 || held.len() as f64 * count > MAX_TEXT as f64 {
                return Err(Threw);
            }
            Value::String(held.repeat(count as usize))
        }
        "padStart" => Value::String(padding() + held),
        "padEnd" => Value::String(held.to_owned() + &padding()),
        _ => return Err(Threw),
    }))
}
