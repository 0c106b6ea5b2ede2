//! From the parser's events to a value.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

use super::super::msgpack::MAX_DEPTH;
use super::scalar;
use crate::value::{Map, Value, date};

/// How much memory aliases may add, by [`Value::approximate_size`]: a short text with aliases of
/// aliases would else make a huge value.
const LARGEST_EXPANSION: usize = 8 << 20;

/// Why a text is not YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at line {line}, column {column}")]
pub struct YamlError {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    pub problem: String,
}

/// Reads one document; an empty text is null.
pub fn parse(text: &str) -> Result<Value, YamlError> {
    Reader::new(text).document()
}

/// The lines, from 1, on which the elements of the list under the top-level key `key` begin. Empty
/// where there is no such list or the text is not YAML: for messages about elements that were read.
pub fn item_lines(text: &str, key: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    let mut depth = 0;
    // Inside the list from the element after the key on, at depth 2.
    let (mut is_key, mut in_list) = (true, false);
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else { break };
        let begins_item = in_list && depth == 2;
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                if begins_item {
                    lines.push(span.start.line());
                }
                depth += 1;
            }
            Event::MappingEnd | Event::SequenceEnd => {
                depth -= 1;
                if depth == 1 {
                    (in_list, is_key) = (false, true);
                }
            }
            Event::Scalar(..) | Event::Alias(_) if begins_item => lines.push(span.start.line()),
            Event::Scalar(name, ..) if depth == 1 => {
                in_list = is_key && name == key;
                is_key = !is_key;
            }
            _ => {}
        }
    }
    lines
}

struct Reader<'t> {
    events: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Value>,
    /// What aliases may still add.
    expansion: usize,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Reader<'t> {
        let events = Parser::new_from_str(text);
        Reader { events, anchors: HashMap::new(), expansion: LARGEST_EXPANSION }
    }

    fn document(&mut self) -> Result<Value, YamlError> {
        let mut found = None;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Nothing => {}
                event if found.is_none() => found = Some(self.value(event, &span, MAX_DEPTH)?),
                _ => return Err(error(&span, "a second document begins; one is expected")),
            }
        }
        Ok(found.unwrap_or_default())
    }

    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, YamlError> {
        self.events.next().transpose().map_err(|error| YamlError {
            line: error.marker().line(),
            column: error.marker().col() + 1,
            problem: error.info().to_owned(),
        })
    }

    /// The value that `event` begins, to its end.
    fn value(&mut self, event: Event<'t>, span: &Span, depth: usize) -> Result<Value, YamlError> {
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (anchor, scalar_value(&text, style, tag.as_deref(), span)?)
            }
            Event::SequenceStart(anchor, _) => (anchor, self.array(span, depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.object(span, depth)?),
            Event::Alias(anchor) => return self.alias(anchor, span, depth),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return Err(error(span, "expected a value")),
        };
        // 0 is no anchor.
        if anchor != 0 {
            self.spend(&value, span)?;
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn alias(&mut self, anchor: usize, span: &Span, depth: usize) -> Result<Value, YamlError> {
        let value = self.anchors.get(&anchor).cloned();
        let value = value.ok_or_else(|| error(span, "an alias of a value that contains it"))?;
        self.spend(&value, span)?;
        if !value.nests_within(depth) {
            return Err(too_deep(span));
        }
        Ok(value)
    }

    fn spend(&mut self, value: &Value, span: &Span) -> Result<(), YamlError> {
        let left = self.expansion.checked_sub(value.approximate_size());
        self.expansion = left.ok_or_else(|| error(span, "aliases make the value too large"))?;
        Ok(())
    }

    fn array(&mut self, span: &Span, depth: usize) -> Result<Value, YamlError> {
        let depth = depth.checked_sub(1).ok_or_else(|| too_deep(span))?;
        let mut items = Vec::new();
        while let Some((event, span)) = self.next()? {
            if event == Event::SequenceEnd {
                return Ok(Value::Array(items));
            }
            items.push(self.value(event, &span, depth)?);
        }
        Err(error(span, "a list has no end"))
    }

    fn object(&mut self, span: &Span, depth: usize) -> Result<Value, YamlError> {
        let depth = depth.checked_sub(1).ok_or_else(|| too_deep(span))?;
        let mut map = Map::new();
        while let Some((event, span)) = self.next()? {
            if event == Event::MappingEnd {
                return Ok(Value::Object(map));
            }
            let (name, is_merge) = match &event {
                Event::Scalar(text, style, ..) => {
                    (text.clone().into_owned(), text == "<<" && *style == ScalarStyle::Plain)
                }
                _ => return Err(error(&span, "a property name must be a plain text or number")),
            };
            let Some((event, span)) = self.next()? else { break };
            let value = self.value(event, &span, depth)?;
            if is_merge {
                merge(&mut map, value, &span)?;
            } else {
                map.insert(name, value);
            }
        }
        Err(error(span, "an object has no end"))
    }
}

/// `<<: *defaults`: the properties that are not there yet.
fn merge(map: &mut Map, from: Value, span: &Span) -> Result<(), YamlError> {
    match from {
        Value::Object(defaults) => {
            for (name, value) in defaults {
                map.entry(name).or_insert(value);
            }
            Ok(())
        }
        Value::Array(several) => several.into_iter().try_for_each(|one| merge(map, one, span)),
        _ => Err(error(span, "`<<` must be given an object")),
    }
}

fn scalar_value(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    span: &Span,
) -> Result<Value, YamlError> {
    let core = tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.as_str());
    let unfit = |what: &str| error(span, format!("`{}` is no {what}", text.escape_debug()));
    Ok(match core {
        Some("binary") => {
            let compact: String = text.split_ascii_whitespace().collect();
            let bytes = STANDARD.decode(compact).map_err(|_| unfit("base64 text"))?;
            Value::Bytes(bytes.into())
        }
        Some("timestamp") => Value::Date(date::parse_iso(text).ok_or_else(|| unfit("ISO date"))?),
        Some("int") => scalar::integer(text).ok_or_else(|| unfit("integer"))?,
        Some("float") => scalar::integer(text)
            .or_else(|| scalar::float(text))
            .or_else(|| Some(scalar::resolve(text)).filter(|v| matches!(v, Value::Float(_))))
            .ok_or_else(|| unfit("number"))?,
        Some("str") => Value::from(text),
        Some("null") => Value::Null,
        Some("bool") => match scalar::resolve(text) {
            value @ Value::Bool(_) => value,
            _ => return Err(unfit("boolean")),
        },
        // Tags of an application's own: the scalar as it stands.
        Some(_) | None if style == ScalarStyle::Plain => scalar::resolve(text),
        Some(_) | None => Value::from(text),
    })
}

fn too_deep(span: &Span) -> YamlError {
    error(span, format!("values nest deeper than {MAX_DEPTH}"))
}

fn error(span: &Span, problem: impl Into<String>) -> YamlError {
    let start = &span.start;
    YamlError { line: start.line(), column: start.col() + 1, problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::json;

    #[test]
    fn reads_the_forms_of_yaml() {
        for (text, expected) in [
            ("", "null"),
            ("# only a comment\n", "null"),
            ("a: 1\nb:\n- x\n- 'y'\n", r#"{"a":1,"b":["x","y"]}"#),
            ("{\"a\": [1, null, \"2\"]}", r#"{"a":[1,null,"2"]}"#),
            (
                "a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}\n",
                r#"{"a":{"b":1},"c":{"b":1},"d":{"b":1,"e":2}}"#,
            ),
            ("text: |\n  two\n  lines\n", r#"{"text":"two\nlines\n"}"#),
            (
                "d: 2024-01-05\ne: !!timestamp 2024-01-05\n1: !!str 5\n",
                r#"{"d":"2024-01-05","e":"2024-01-05T00:00:00.000Z","1":"5"}"#,
            ),
        ] {
            let mut out = Vec::new();
            json::write(&parse(text).expect(text), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{text}");
        }
    }

    #[test]
    fn errors_know_their_line() {
        for (text, line, problem) in [
            ("a: 1\nb: [1,\n", 3, ""),
            ("a: 1\nb: !!binary '*'\n", 2, "is no base64 text"),
            ("a: 1\n---\nb: 2\n", 3, "a second document"),
            ("? [1]\n: 2\n", 1, "a property name"),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.line, line, "{error}");
            assert!(error.problem.contains(problem), "{error}");
        }
    }

    #[test]
    fn depth_and_aliases_are_bounded() {
        assert!(parse(&"[".repeat(300)).is_err());
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            bomb += &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 8].join(", "));
        }
        let error = parse(&bomb).expect_err("a bomb");
        assert!(error.problem.contains("too large"), "{error}");
    }

    #[test]
    fn items_have_lines() {
        let yaml =
            "table: Dog\nrecords:\n  - id: 1\n    name: x\n  - {id: 2}\n\n  - id: 3\nother: [1]\n";
        assert_eq!(item_lines(yaml, "records"), [3, 5, 7]);
        let json = "{\"records\": [\n {\"id\": 1, \"records\": [1]},\n {\"id\": 2}]}";
        assert_eq!(item_lines(json, "records"), [2, 3]);
        assert!(item_lines("a: 1", "records").is_empty());
    }
}
