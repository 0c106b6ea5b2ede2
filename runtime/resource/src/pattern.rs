//! Wildcards over record ids: the part of an MQTT topic filter that follows the resource's path.

use std::fmt;

use crate::{Error, Id, Result};

/// One level of a [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Level {
    Text(String),
    /// `+`: any one level.
    Any,
}

/// Whether a [`Pattern`] goes on below its last level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Depth {
    /// Ids of exactly as many levels.
    Exact,
    /// `#`: ids of as many levels or more.
    Below,
}

/// Which ids are meant, by their levels between `/`: `+/x`, `a/+`, `a/b/#`
/// (`spec/harper-realtime.md` section 8, "Wildcards").
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    pub levels: Vec<Level>,
    pub depth: Depth,
}

impl Pattern {
    /// Reads the levels of a topic filter; without any it is the topic of the resource itself. 400 where a wildcard is not a whole level, or `#` not the
    /// last one.
    pub fn parse(text: &str) -> Result<Pattern> {
        let mut pattern = Pattern { levels: Vec::new(), depth: Depth::Exact };
        if text.is_empty() {
            return Ok(pattern);
        }
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            match level {
                "#" if levels.peek().is_none() => pattern.depth = Depth::Below,
                "+" => pattern.levels.push(Level::Any),
                text if text.contains(['+', '#']) => {
                    return Err(Error::invalid(format!(
                        "'{text}' is not a level of a topic filter: + and # stand alone, # at the end"
                    )));
                }
                text => pattern.levels.push(Level::Text(text.to_owned())),
            }
        }
        Ok(pattern)
    }

    /// The direct children of `prefix`, which is empty or ends in `/`.
    pub fn children(prefix: &str) -> Pattern {
        let parents = prefix.split_terminator('/').map(|text| Level::Text(text.to_owned()));
        Pattern { levels: parents.chain([Level::Any]).collect(), depth: Depth::Exact }
    }

    /// The text that all matching ids begin with: empty, or ending in `/` unless it is all.
    pub fn prefix(&self) -> String {
        let mut prefix = String::new();
        for level in &self.levels {
            let Level::Text(text) = level else { break };
            prefix.push_str(text);
            prefix.push('/');
        }
        prefix
    }

    /// Whether an id is meant. `a/#` means what is below `a/`, and not `a` itself, as in Harper.
    pub fn matches(&self, id: &Id) -> bool {
        match id {
            Id::String(text) => self.matches_text(text),
            Id::Null => self.levels.is_empty(),
            id => self.matches_text(&id.to_string()),
        }
    }

    fn matches_text(&self, text: &str) -> bool {
        if self.levels.is_empty() {
            return self.depth == Depth::Below;
        }
        let mut parts = text.split('/');
        for level in &self.levels {
            let Some(part) = parts.next() else { return false };
            match level {
                Level::Text(wanted) if wanted != part => return false,
                Level::Text(_) | Level::Any => {}
            }
        }
        parts.next().is_some() == (self.depth == Depth::Below)
    }
}

/// As [`Pattern::parse`] reads it.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, level) in self.levels.iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            match level {
                Level::Text(text) => f.write_str(text)?,
                Level::Any => f.write_str("+")?,
            }
        }
        match self.depth {
            Depth::Exact => Ok(()),
            Depth::Below if self.levels.is_empty() => f.write_str("#"),
            Depth::Below => f.write_str("/#"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_levels() {
        for (pattern, matching, other) in [
            ("+", &["a", "5", ""][..], &["a/b", "a/"][..]),
            ("a/+", &["a/b", "a/"], &["a", "a/b/c", "b/a"]),
            ("+/x", &["a/x", "/x"], &["x", "a/x/y", "a/b/x"]),
            ("+/x/#", &["a/x/y", "a/x/y/z", "a/x/"], &["a/x", "x/y"]),
            ("a/b/#", &["a/b/c", "a/b/"], &["a/b", "a/bc"]),
            ("a/+/+", &["a/b/c"], &["a/b"]),
            ("#", &["a", "a/b"], &[]),
            ("", &[], &["a", "a/b"]),
        ] {
            let text = pattern;
            let pattern = Pattern::parse(pattern).expect(pattern);
            assert_eq!(pattern.to_string(), text);
            for id in matching {
                assert!(pattern.matches(&Id::from(*id)), "{pattern:?} {id}");
            }
            for id in other {
                assert!(!pattern.matches(&Id::from(*id)), "{pattern:?} {id}");
            }
        }
        assert!(Pattern::parse("+").expect("+").matches(&Id::Number(5.0)));
        assert!(!Pattern::parse("+").expect("+").matches(&Id::Null));
        for wrong in ["+x", "a/#/b", "a#", "#/+"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pattern_knows_where_to_look() {
        for (pattern, prefix) in [("+", ""), ("a/+", "a/"), ("a/b/#", "a/b/"), ("+/x", "")] {
            assert_eq!(Pattern::parse(pattern).expect(pattern).prefix(), prefix);
        }
        assert_eq!(Pattern::children("a/b/"), Pattern::parse("a/b/+").expect("well formed"));
        assert_eq!(Pattern::children(""), Pattern::parse("+").expect("well formed"));
    }
}
