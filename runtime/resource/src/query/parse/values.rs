//! Typed values (`spec/harper-rest.md` section 3.3) and lists of them (section 3.2).

use super::{Casting, Comparator, Compare, Group, Parser, failure};
use crate::schema::coerce_date;
use crate::{Result, Value};

/// What the values in parentheses are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListKind {
    /// Any number of values, one of which is looked for.
    Choices,
    /// The two ends of a range.
    Ends,
}

impl ListKind {
    /// `None` for a comparator whose value is no list.
    pub(super) fn of(comparator: Comparator) -> Option<ListKind> {
        match comparator {
            Comparator::In | Comparator::NotIn => Some(ListKind::Choices),
            Comparator::Between | Comparator::NotBetween => Some(ListKind::Ends),
            Comparator::Equals
            | Comparator::NotEqual
            | Comparator::Less
            | Comparator::LessEqual
            | Comparator::Greater
            | Comparator::GreaterEqual
            | Comparator::Contains
            | Comparator::StartsWith
            | Comparator::EndsWith
            | Comparator::NotContains
            | Comparator::NotStartsWith
            | Comparator::NotEndsWith => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            ListKind::Choices => "in",
            ListKind::Ends => "between",
        }
    }
}

impl Parser<'_> {
    /// A value after a typed operator: `number:5`, or bare text that may be cast later.
    pub(super) fn typed_value(&self, raw: &str, at: usize) -> Result<(Value, Casting)> {
        if raw == "null" {
            return Ok((Value::Null, Casting::Declared));
        }
        let Some((ty, literal)) = raw.split_once(':') else {
            return Ok((Value::String(self.decode(raw)?), Casting::Auto));
        };
        let literal = self.decode(literal)?;
        let value = match ty {
            "number" => number(&literal),
            "boolean" => Some(Value::Bool(literal == "true")),
            "date" => coerce_date(&literal),
            "string" => Some(Value::String(literal)),
            _ => return Err(failure(self.text, at, format_args!("Unknown type {ty}"))),
        };
        match value {
            Some(value) => Ok((value, Casting::Declared)),
            None => Err(failure(self.text, at, format_args!("'{raw}' is not a {ty}"))),
        }
    }

    /// The values of `=in=(a,b)` and `=between=(lo,hi)`.
    pub(super) fn list_comparison(
        &mut self,
        attribute: Vec<String>,
        comparator: Comparator,
        list: ListKind,
        group: Group,
    ) -> Result<Compare> {
        let start = self.at;
        if !self.eat("(") {
            let name = list.name();
            let reason = format_args!("\"{name}\" comparator requires an array value");
            return Err(failure(self.text, start, reason));
        }
        let mut values = Vec::new();
        let mut casting = Casting::Declared;
        while !self.eat(")") {
            let at = self.at;
            let raw = self.until(|byte| matches!(byte, b',' | b')') || group.ends_value(byte));
            let (value, cast) = self.typed_value(raw, at)?;
            if cast == Casting::Auto {
                casting = cast;
            }
            values.push(value);
            if !self.eat(",") && !self.text[self.at..].starts_with(')') {
                return Err(self.fail("expected ')'"));
            }
        }
        if list == ListKind::Ends && values.len() != 2 {
            let reason = "\"between\" comparator requires an array of two values";
            return Err(failure(self.text, start, reason));
        }
        Ok(Compare { casting, ..Compare::new(attribute, comparator, Value::Array(values)) })
    }
}

/// `12.5`, or base 36 after a `$`.
fn number(literal: &str) -> Option<Value> {
    match literal.strip_prefix('$') {
        Some(digits) => i128::from_str_radix(digits, 36).ok().map(Value::integer),
        None => match literal.parse() {
            Ok(integer) => Some(Value::integer(integer)),
            Err(_) => literal.parse().ok().filter(|n: &f64| n.is_finite()).map(Value::number),
        },
    }
}
