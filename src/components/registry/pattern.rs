//! Paths with parameters: `widget/:id`, `files/*rest` (`spec/harper-resources.md` section 2).

use std::cmp::Ordering;

use kora_resource::Params;
use percent_encoding::percent_decode_str;

/// What one segment of a path matches. In the order of precedence.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// This text, decoded or not.
    Literal(String),
    /// Any one segment, by this name.
    Param(String),
    /// All that is left, by this name.
    Rest(String),
}

/// A path of which some segments are parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Segment>);

impl Pattern {
    /// Reads a path (without a leading `/`); `None` for one without parameters.
    pub(super) fn parse(path: &str) -> Option<Pattern> {
        let is_parameter = |segment: &str| segment.starts_with([':', '*']);
        if !path.split('/').any(is_parameter) {
            return None;
        }
        let count = path.split('/').count();
        let segments = path.split('/').enumerate().map(|(at, segment)| {
            if let Some(name) = segment.strip_prefix(':') {
                Segment::Param(name.to_owned())
            } else if let Some(name) = segment.strip_prefix('*').filter(|_| at + 1 == count) {
                Segment::Rest(if name.is_empty() { "wildcard" } else { name }.to_owned())
            } else {
                Segment::Literal(segment.to_owned())
            }
        });
        Some(Pattern(segments.collect()))
    }

    /// The names and decoded values of the parameters, if `path` matches.
    pub(super) fn matches(&self, path: &str) -> Option<Params> {
        let mut params = Params::new();
        let mut left = Some(path);
        for segment in &self.0 {
            let rest = left?;
            if let Segment::Rest(name) = segment {
                params.push((name.clone(), decode(rest)?));
                return Some(params);
            }
            let (part, after) = match rest.split_once('/') {
                Some((part, after)) => (part, Some(after)),
                None => (rest, None),
            };
            match segment {
                Segment::Literal(text) if part == text || decode(part)? == *text => {}
                Segment::Param(name) if !part.is_empty() => {
                    params.push((name.clone(), decode(part)?));
                }
                Segment::Literal(_) | Segment::Param(_) | Segment::Rest(_) => return None,
            }
            left = after;
        }
        left.is_none().then_some(params)
    }

    /// Which of two patterns is asked first: compared from the left, a literal goes before a
    /// parameter and that before the rest; then the longer one.
    pub(super) fn precedence(&self, other: &Pattern) -> Ordering {
        let rank = |segment: &Segment| match segment {
            Segment::Literal(_) => 0,
            Segment::Param(_) => 1,
            Segment::Rest(_) => 2,
        };
        let ranks = self.0.iter().map(rank).zip(other.0.iter().map(rank));
        ranks
            .map(|(own, theirs)| own.cmp(&theirs))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| other.0.len().cmp(&self.0.len()))
    }
}

/// `None` for what is not UTF-8: it is the value of no parameter.
fn decode(text: &str) -> Option<String> {
    Some(percent_decode_str(text).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, path: &str) -> Option<String> {
        let params = Pattern::parse(pattern).expect(pattern).matches(path)?;
        let shown = params.iter().map(|(name, value)| format!("{name}={value}"));
        Some(shown.collect::<Vec<_>>().join(","))
    }

    #[test]
    fn parameters_are_found_and_decoded() {
        for (pattern, path, expected) in [
            ("widget/:id", "widget/5", Some("id=5")),
            ("widget/:id", "widget/a%2Fb%20c", Some("id=a/b c")),
            ("widget/:id", "widget/", None),
            ("widget/:id", "widget", None),
            ("widget/:id", "widget/5/x", None),
            ("widget/:id", "gadget/5", None),
            ("widget/:id", "widget/%ff", None),
            (":a/x/:b", "1/x/2", Some("a=1,b=2")),
            ("files/*rest", "files/a/b%20c", Some("rest=a/b c")),
            ("files/*rest", "files/", Some("rest=")),
            ("files/*rest", "files", None),
            ("files/*", "files/a", Some("wildcard=a")),
            ("*all", "a/b", Some("all=a/b")),
        ] {
            assert_eq!(found(pattern, path).as_deref(), expected, "{pattern} {path}");
        }
        assert_eq!(Pattern::parse("widget/5"), None);
    }

    #[test]
    fn the_most_literal_pattern_is_first() {
        let mut patterns: Vec<_> = ["*rest", "a/*rest", ":a/:b", "a/:b", ":a/b", "a/:b/c"]
            .into_iter()
            .map(|text| (Pattern::parse(text).expect(text), text))
            .collect();
        patterns.sort_by(|(a, _), (b, _)| a.precedence(b));
        let order: Vec<_> = patterns.iter().map(|(_, text)| *text).collect();
        assert_eq!(order, ["a/:b/c", "a/:b", "a/*rest", ":a/b", ":a/:b", "*rest"]);
    }
}
