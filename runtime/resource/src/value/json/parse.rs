//! Reading JSON.
//!
//! Written here and not taken from serde_json because integers must stay exact past 64 bits (ids and
//! big integers travel as bare digits); serde_json does that only with `arbitrary_precision`, a
//! feature that changes its behaviour for every crate of the process. It also lets errors say where
//! they are and what was expected, in the words that a client sees.

use std::fmt;

use super::super::msgpack::MAX_DEPTH;
use super::super::{Map, Value};

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at line {line}, column {column}")]
pub struct JsonError {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What was expected and what was found.
    pub problem: String,
}

/// Reads one JSON value. Integers that a double does not hold become [`Value::BigInt`], exactly up
/// to 128 bits, doubles beyond. A property that comes twice has its last value; half a surrogate
/// pair becomes U+FFFD. Containers may nest [`MAX_DEPTH`] deep.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    let mut parser = Parser { text, at: 0 };
    parser.space();
    let value = parser.value(MAX_DEPTH)?;
    parser.space();
    match parser.peek() {
        None => Ok(value),
        Some(_) => Err(parser.expected("the end of the text")),
    }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.expected("a value")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, JsonError> {
        if !self.text[self.at..].starts_with(word.as_bytes()) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn deeper(&self, depth: usize) -> Result<usize, JsonError> {
        depth
            .checked_sub(1)
            .ok_or_else(|| self.error(self.at, format_args!("values nest deeper than {MAX_DEPTH}")))
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        let depth = self.deeper(depth)?;
        self.at += 1;
        self.space();
        let mut map = Map::new();
        if self.eat(b'}') {
            return Ok(Value::Object(map));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.expected("a property name in double quotes"));
            }
            let name = self.string()?;
            self.space();
            if !self.eat(b':') {
                return Err(self.expected("`:`"));
            }
            self.space();
            let value = self.value(depth)?;
            map.insert(name, value);
            self.space();
            if self.eat(b'}') {
                return Ok(Value::Object(map));
            }
            if !self.eat(b',') {
                return Err(self.expected("`,` or `}`"));
            }
            self.space();
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        let depth = self.deeper(depth)?;
        self.at += 1;
        self.space();
        let mut items = Vec::new();
        if self.eat(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.space();
            if self.eat(b']') {
                return Ok(Value::Array(items));
            }
            if !self.eat(b',') {
                return Err(self.expected("`,` or `]`"));
            }
            self.space();
        }
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        let mut integral = true;
        if self.eat(b'.') {
            integral = false;
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            integral = false;
            let _sign = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        let text = std::str::from_utf8(&self.text[start..self.at])
            .expect("only ASCII bytes were taken as part of the number");
        if integral && let Ok(n) = text.parse() {
            return Ok(Value::integer(n));
        }
        match text.parse() {
            Ok(n) => Ok(Value::number(n)),
            Err(_) => Err(self.error(start, "expected a number")),
        }
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.expected("a digit")) } else { Ok(()) }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        let open = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = super::plain_prefix(rest);
            let piece = std::str::from_utf8(&rest[..plain]).map_err(|error| {
                self.error(self.at + error.valid_up_to(), "expected UTF-8 text")
            })?;
            text.push_str(piece);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => {
                    return Err(self.error(self.at, "expected an escape for a control character"));
                }
                None => return Err(self.error(open, "expected an end to this string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        self.at += 2;
        Ok(match self.text.get(start + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => self.unicode()?,
            _ => return Err(self.error(start, "expected an escape such as `\\n` or `\\u0041`")),
        })
    }

    /// What follows `\u`: one code unit, or two that are a surrogate pair.
    fn unicode(&mut self) -> Result<char, JsonError> {
        let high = self.hex4()?;
        if (0xd800..0xdc00).contains(&high) && self.text[self.at..].starts_with(b"\\u") {
            let after_high = self.at;
            self.at += 2;
            let low = self.hex4()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = after_high;
        }
        Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let digits = self.text[self.at..].first_chunk::<4>();
        let code = digits.and_then(|digits| {
            digits.iter().try_fold(0, |code, digit| {
                char::from(*digit).to_digit(16).map(|digit| code << 4 | digit)
            })
        });
        let code = code.ok_or_else(|| self.error(self.at, "expected four hexadecimal digits"))?;
        self.at += 4;
        Ok(code)
    }

    fn expected(&self, what: &str) -> JsonError {
        // Four bytes hold any one character.
        let end = self.text.len().min(self.at + 4);
        let found = String::from_utf8_lossy(&self.text[self.at.min(end)..end]);
        match found.chars().next() {
            Some(found) => self
                .error(self.at, format_args!("expected {what}, found `{}`", found.escape_debug())),
            None => self.error(self.at, format_args!("expected {what}, found the end of the text")),
        }
    }

    fn error(&self, at: usize, problem: impl fmt::Display) -> JsonError {
        let before = &self.text[..at.min(self.text.len())];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |nl| nl + 1);
        JsonError {
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            column: 1 + String::from_utf8_lossy(&before[line_start..]).chars().count(),
            problem: problem.to_string(),
        }
    }
}
