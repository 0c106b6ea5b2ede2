//! `limit()`, `sort()` and `select()` (`spec/harper-rest.md` section 3.7).

use super::super::{Direction, Select, SelectItem, Sort};
use super::{MAX_DEPTH, Parser, failure};
use crate::Result;

impl Parser<'_> {
    /// A call at its opening parenthesis; `start` is where its name begins.
    pub(super) fn call(&mut self, name: &str, start: usize) -> Result<()> {
        match name {
            "limit" => self.limit(),
            "sort" => self.sort(),
            "select" => {
                self.at += 1;
                self.query.select = Some(self.select(b')', 0)?);
                self.close(b')')
            }
            "group-by" => Err(failure(self.text, start, "group-by is not implemented")),
            _ => {
                let reason = format_args!("unknown query function call {name}");
                Err(failure(self.text, start, reason))
            }
        }
    }

    fn close(&mut self, closer: u8) -> Result<()> {
        if self.peek() != Some(closer) {
            return Err(self.fail(format_args!("expected '{}'", char::from(closer))));
        }
        self.at += 1;
        Ok(())
    }

    fn limit(&mut self) -> Result<()> {
        self.at += 1;
        let start = self.at;
        let arguments = self.until(|byte| byte == b')');
        self.close(b')')?;
        let numbers: Option<Vec<usize>> =
            arguments.split(',').map(|argument| argument.trim().parse().ok()).collect();
        (self.query.offset, self.query.limit) = match numbers.as_deref() {
            Some([count]) => (0, Some(*count)),
            Some([start, end]) => (*start, Some(end.saturating_sub(*start))),
            _ => {
                let reason = "limit expects a count, or a start and an end";
                return Err(failure(self.text, start, reason));
            }
        };
        Ok(())
    }

    fn sort(&mut self) -> Result<()> {
        self.at += 1;
        let mut keys = Vec::new();
        loop {
            let start = self.at;
            let raw = self.until(|byte| matches!(byte, b',' | b')' | b'&' | b'|' | b'('));
            let (direction, path) = match raw.as_bytes().first() {
                Some(b'-') => (Direction::Descending, &raw[1..]),
                Some(b'+') => (Direction::Ascending, &raw[1..]),
                _ => (Direction::Ascending, raw),
            };
            let attribute =
                path.split('.').map(|name| self.decode(name)).collect::<Result<Vec<_>>>()?;
            if attribute.iter().any(String::is_empty) {
                return Err(failure(self.text, start, "attribute must be specified in sort"));
            }
            keys.push(Sort::new(attribute, direction));
            if self.peek() != Some(b',') {
                break;
            }
            self.at += 1;
        }
        self.close(b')')?;
        self.query.sort = keys;
        Ok(())
    }

    /// What stands between a selection's brackets; the closing one is left for the caller.
    fn select(&mut self, closer: u8, depth: usize) -> Result<Select> {
        if depth > MAX_DEPTH {
            return Err(self.fail("selections nest too deep"));
        }
        if self.eat("[") {
            let (items, _) = self.select_items(b']', depth)?;
            self.close(b']')?;
            return Ok(Select::Tuple(items));
        }
        let (mut items, trailing_comma) = self.select_items(closer, depth)?;
        let bare = items.len() == 1 && !trailing_comma && closer == b')';
        match items.first() {
            Some(only) if bare && only.nested.is_none() && only.name != "*" => {
                Ok(Select::Single(items.swap_remove(0).name))
            }
            _ => Ok(Select::Properties(items)),
        }
    }

    /// The items, and whether a comma follows the last: it makes `select(a,)` an object.
    fn select_items(&mut self, closer: u8, depth: usize) -> Result<(Vec<SelectItem>, bool)> {
        let mut items = Vec::new();
        loop {
            if self.peek() == Some(closer) {
                let trailing_comma = !items.is_empty();
                return if trailing_comma {
                    Ok((items, true))
                } else {
                    Err(self.fail("attribute must be specified in select"))
                };
            }
            let start = self.at;
            let raw = self.until(|byte| {
                matches!(byte, b',' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'&' | b'|' | b'=')
            });
            let name = self.decode(raw)?;
            if name.is_empty() {
                return Err(failure(self.text, start, "attribute must be specified in select"));
            }
            let nested = self.nested_select(depth)?.map(Box::new);
            items.push(SelectItem { name, nested });
            if !self.eat(",") {
                return Ok((items, false));
            }
        }
    }

    /// `{a,b}` or `[select(a,b)]` after a name.
    fn nested_select(&mut self, depth: usize) -> Result<Option<Select>> {
        if self.eat("{") {
            let select = self.select(b'}', depth + 1)?;
            self.close(b'}')?;
            return Ok(Some(select));
        }
        if self.eat("[select(") {
            let select = self.select(b')', depth + 1)?;
            self.close(b')')?;
            self.close(b']')?;
            return Ok(Some(select));
        }
        Ok(None)
    }
}
