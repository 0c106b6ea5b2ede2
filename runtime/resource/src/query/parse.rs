//! The query language of URLs (`spec/harper-rest.md` section 3).
//!
//! A query without any of the language's signs is form data and takes a fast path. The rest is read
//! by a recursive-descent parser over the undecoded text; names and values are percent-decoded where
//! they end, so that an encoded sign is never syntax. Nothing is known of schemas here: text stays
//! text (with [`Casting`] saying what may become of it) until [`Query::coerce`].

mod calls;
mod values;

use std::fmt;

use percent_encoding::percent_decode_str;

use self::values::ListKind;
use super::{Casting, Comparator, Compare, Condition, Operator, Query};
use crate::{Error, Result, Value};

/// How deep groups and selections may nest.
const MAX_DEPTH: usize = 32;

/// Reads the text after `?`. 400 with the reason and its position in characters (section 3.8).
pub fn parse(text: &str) -> Result<Query> {
    if is_form_data(text) {
        return parse_form_data(text);
    }
    let mut parser = Parser { text, at: 0, query: Query::default() };
    let (conditions, operator) = parser.group(Group::Top, 0)?;
    Ok(Query { conditions, operator, ..parser.query })
}

/// Whether the text is `name=value` pairs and nothing else: no sign of the language, no `=word=`.
fn is_form_data(text: &str) -> bool {
    let mut word_since_equals = false;
    text.bytes().all(|byte| match byte {
        b'(' | b')' | b'[' | b']' | b'|' | b'!' | b'<' | b'>' | b'.' => false,
        b'=' => !std::mem::replace(&mut word_since_equals, true),
        byte => {
            word_since_equals &= byte.is_ascii_alphanumeric() || byte == b'_';
            true
        }
    })
}

fn parse_form_data(text: &str) -> Result<Query> {
    let mut conditions = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let position = || pair.as_ptr() as usize - text.as_ptr() as usize;
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if name.is_empty() {
            return Err(failure(text, position(), "attribute must be specified before '='"));
        }
        let decode = |part: &str| match percent_decode_str(&part.replace('+', " ")).decode_utf8() {
            Ok(decoded) => Ok(decoded.into_owned()),
            Err(_) => Err(failure(text, position(), "expected percent-encoded UTF-8")),
        };
        let value = Value::String(decode(value)?);
        let compare = Compare::new(vec![decode(name)?], Comparator::Equals, value);
        conditions.push(Condition::Compare(compare));
    }
    Ok(Query { conditions, ..Query::default() })
}

/// A 400 that says what is wrong and where.
fn failure(text: &str, at: usize, reason: impl fmt::Display) -> Error {
    let position = text.get(..at).map_or(at, |before| before.chars().count());
    Error::invalid(format!("Unable to parse query, {reason} at position {position} in '{text}'"))
}

/// What encloses the conditions being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Top,
    Round,
    Square,
}

impl Group {
    fn closer(self) -> Option<u8> {
        match self {
            Group::Top => None,
            Group::Round => Some(b')'),
            Group::Square => Some(b']'),
        }
    }

    /// Whether a sign ends a value here. In square brackets round ones are ordinary characters.
    fn ends_value(self, byte: u8) -> bool {
        match byte {
            b'&' | b'|' | b'=' | b'<' | b'>' | b'!' | b'[' | b']' => true,
            b'(' | b')' => self != Group::Square,
            _ => false,
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    /// Always at a character boundary: only whole runs between ASCII signs are passed.
    at: usize,
    /// Takes what calls such as `limit()` say.
    query: Query,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = self.text[self.at..].starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    /// Passes and returns what comes before the next byte that `ends`.
    fn until(&mut self, ends: impl Fn(u8) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let len = rest.bytes().position(ends).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    fn fail(&self, reason: impl fmt::Display) -> Error {
        failure(self.text, self.at, reason)
    }

    fn unexpected(&self) -> Error {
        match self.text[self.at..].chars().next() {
            Some(found) => self.fail(format_args!("unexpected token '{found}'")),
            None => self.fail("unexpected end"),
        }
    }

    fn decode(&self, text: &str) -> Result<String> {
        match percent_decode_str(text).decode_utf8() {
            Ok(decoded) => Ok(decoded.into_owned()),
            Err(_) => Err(self.fail("expected percent-encoded UTF-8")),
        }
    }

    /// Conditions up to the end of the group, which is left for the caller.
    fn group(&mut self, group: Group, depth: usize) -> Result<(Vec<Condition>, Operator)> {
        if depth > MAX_DEPTH {
            return Err(self.fail("groups nest too deep"));
        }
        let mut items: Vec<Vec<Condition>> = Vec::new();
        let mut operator = None;
        // The sign before the item being read. Signs beside calls join nothing.
        let mut joiner = None;
        loop {
            let joiner_at = self.at;
            while let Some(sign @ (b'&' | b'|')) = self.peek() {
                joiner = Some(if sign == b'&' { Operator::And } else { Operator::Or });
                self.at += 1;
            }
            let Some(next) = self.peek() else { break };
            if Some(next) == group.closer() {
                break;
            }
            let Some(item) = self.item(group, depth)? else {
                joiner = None;
                self.end_of_item(group)?;
                continue;
            };
            if let (Some(sign), false) = (joiner.take(), items.is_empty()) {
                if *operator.get_or_insert(sign) != sign {
                    let reason = "Can not mix operators within a condition grouping";
                    return Err(failure(self.text, joiner_at, reason));
                }
            } else if !items.is_empty() && operator.is_none() {
                operator = Some(Operator::And);
            }
            items.push(item);
            self.end_of_item(group)?;
        }
        let operator = operator.unwrap_or_default();
        let joined = items.into_iter().flat_map(|item| match operator {
            // Both ends of a chained range belong together.
            Operator::Or if item.len() > 1 => {
                vec![Condition::Group { operator: Operator::And, conditions: item }]
            }
            Operator::Or | Operator::And => item,
        });
        Ok((joined.collect(), operator))
    }

    fn end_of_item(&self, group: Group) -> Result<()> {
        match self.peek() {
            None | Some(b'&' | b'|') => Ok(()),
            found if found == group.closer() => Ok(()),
            Some(b')' | b']') => Err(self.unexpected()),
            Some(_) => {
                let rest = &self.text[self.at..];
                let word = rest.split(['&', '|', ')', ']']).next().unwrap_or(rest);
                Err(self.fail(format_args!("expected operator, but encountered '{word}'")))
            }
        }
    }

    /// A condition (two, if it is a chained range), a group or a call; a call is no condition.
    fn item(&mut self, group: Group, depth: usize) -> Result<Option<Vec<Condition>>> {
        match self.peek() {
            Some(b'(') => return self.nested(Group::Round, depth).map(Some),
            Some(b'[') => return self.nested(Group::Square, depth).map(Some),
            _ => {}
        }
        let start = self.at;
        let name = self.until(|byte| {
            matches!(
                byte,
                b'=' | b'<' | b'>' | b'!' | b'&' | b'|' | b'(' | b')' | b'[' | b']' | b'{' | b'}'
            )
        });
        match self.peek() {
            Some(b'(') if group == Group::Top => {
                self.call(name, start)?;
                return Ok(None);
            }
            Some(b'=' | b'<' | b'>' | b'!') => {}
            Some(b'[') if self.eat("[]=") => {
                self.at -= 1;
            }
            None | Some(b'&' | b'|') => {
                let reason =
                    format_args!("expected operator after '{name}', no attribute comparison");
                return Err(self.fail(reason));
            }
            Some(_) if group.closer() == self.peek() => {
                let reason =
                    format_args!("expected operator after '{name}', no attribute comparison");
                return Err(self.fail(reason));
            }
            Some(_) => return Err(self.unexpected()),
        }
        if name.is_empty() {
            let reason = "attribute must be specified before a comparator";
            return Err(failure(self.text, start, reason));
        }
        let attribute =
            name.split('.').map(|part| self.decode(part)).collect::<Result<Vec<_>>>()?;
        if attribute.iter().any(String::is_empty) {
            return Err(failure(self.text, start, "attribute must be specified beside '.'"));
        }
        self.comparison(attribute, group).map(Some)
    }

    fn nested(&mut self, group: Group, depth: usize) -> Result<Vec<Condition>> {
        self.at += 1;
        let start = self.at;
        let (mut conditions, operator) = self.group(group, depth + 1)?;
        let closer = if group == Group::Square { "]" } else { ")" };
        if !self.eat(closer) {
            return Err(self.fail(format_args!("expected '{closer}'")));
        }
        match conditions.len() {
            0 => Err(failure(self.text, start, "no attribute or comparison in the group")),
            1 => Ok(vec![conditions.swap_remove(0)]),
            _ => Ok(vec![Condition::Group { operator, conditions }]),
        }
    }

    /// The operator, the value and perhaps a chained second end of a range.
    fn comparison(&mut self, attribute: Vec<String>, group: Group) -> Result<Vec<Condition>> {
        let compare = self.operator_and_value(attribute, group)?;
        if !self.text[self.at..].starts_with("&=") {
            return Ok(vec![Condition::Compare(compare)]);
        }
        self.at += 1;
        let chained_at = self.at;
        let chained = self.operator_and_value(compare.attribute.clone(), group)?;
        match (compare.comparator.bound(), chained.comparator.bound()) {
            (Some(one), Some(other)) if one != other => {}
            _ => {
                let reason = "Invalid chained condition, only less than and greater than \
                              conditions can be chained together";
                return Err(failure(self.text, chained_at, reason));
            }
        }
        if self.text[self.at..].starts_with("&=") {
            return Err(self.fail("Multiple chained conditions are not currently supported"));
        }
        Ok(vec![Condition::Compare(compare), Condition::Compare(chained)])
    }

    fn operator_and_value(&mut self, attribute: Vec<String>, group: Group) -> Result<Compare> {
        let (comparator, decoding) = self.operator()?;
        if let Some(list) = ListKind::of(comparator) {
            return self.list_comparison(attribute, comparator, list, group);
        }
        let value_at = self.at;
        let raw = self.until(|byte| group.ends_value(byte));
        let (comparator, value, casting) = match decoding {
            Decoding::Strict => (comparator, Value::String(self.decode(raw)?), Casting::Declared),
            Decoding::Typed => {
                let (value, casting) = self.typed_value(raw, value_at)?;
                (comparator, value, casting)
            }
            Decoding::Wildcard => match raw.strip_suffix('*') {
                Some(start) => {
                    let start = Value::String(self.decode(start)?);
                    (Comparator::StartsWith, start, Casting::Declared)
                }
                None if raw.contains('*') => {
                    let reason = "wildcard can only be used at the end of a string";
                    return Err(failure(self.text, value_at, reason));
                }
                None => {
                    let (value, casting) = self.typed_value(raw, value_at)?;
                    (comparator, value, casting)
                }
            },
        };
        Ok(Compare { casting, ..Compare::new(attribute, comparator, value) })
    }

    /// Symbols first, the longest before its beginnings; then `=name=`; then the strict `=`.
    fn operator(&mut self) -> Result<(Comparator, Decoding)> {
        const SYMBOLS: [(&str, Comparator, Decoding); 8] = [
            ("===", Comparator::Equals, Decoding::Strict),
            ("!==", Comparator::NotEqual, Decoding::Strict),
            ("==", Comparator::Equals, Decoding::Wildcard),
            ("!=", Comparator::NotEqual, Decoding::Typed),
            ("<=", Comparator::LessEqual, Decoding::Typed),
            (">=", Comparator::GreaterEqual, Decoding::Typed),
            ("<", Comparator::Less, Decoding::Typed),
            (">", Comparator::Greater, Decoding::Typed),
        ];
        for (symbol, comparator, decoding) in SYMBOLS {
            if self.eat(symbol) {
                return Ok((comparator, decoding));
            }
        }
        if !self.eat("=") {
            return Err(self.unexpected());
        }
        let start = self.at;
        let name = self.until(|byte| !(byte.is_ascii_alphanumeric() || byte == b'_'));
        if name.is_empty() || !self.eat("=") {
            self.at = start;
            return Ok((Comparator::Equals, Decoding::Strict));
        }
        let Some(comparator) = Comparator::from_name(name) else {
            let reason = format_args!("Unknown query comparator \"{name}\"");
            return Err(failure(self.text, start, reason));
        };
        let decoding =
            if comparator == Comparator::Equals { Decoding::Wildcard } else { Decoding::Typed };
        Ok((comparator, decoding))
    }
}

/// How the text of a value is read (section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decoding {
    /// Percent-decoded, nothing more.
    Strict,
    /// With a type's prefix, or cast later.
    Typed,
    /// Typed, and a `*` at the end asks for what starts with it.
    Wildcard,
}

#[cfg(test)]
mod tests;
