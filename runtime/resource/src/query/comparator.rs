//! The names of comparators, in URLs and in code
//! (`spec/harper-rest.md` sections 3.1 and 3.2, `spec/harper-resources.md` section 6).

use super::Comparator;

impl Comparator {
    /// The comparator that a name or symbol stands for: `gt`, `greater_than`, `greaterThan`, `>`.
    pub fn from_name(name: &str) -> Option<Comparator> {
        Some(match name {
            "equals" | "equal" | "eq" | "=" | "==" | "===" => Comparator::Equals,
            "not_equal" | "not_equals" | "notEqual" | "ne" | "!=" | "!==" => Comparator::NotEqual,
            "less_than" | "lessThan" | "lt" | "<" => Comparator::Less,
            "less_than_equal" | "lessThanEqual" | "le" | "lte" | "<=" => Comparator::LessEqual,
            "greater_than" | "greaterThan" | "gt" | ">" => Comparator::Greater,
            "greater_than_equal" | "greaterThanEqual" | "ge" | "gte" | ">=" => {
                Comparator::GreaterEqual
            }
            "contains" | "ct" => Comparator::Contains,
            "starts_with" | "startsWith" | "sw" => Comparator::StartsWith,
            "ends_with" | "endsWith" | "ew" => Comparator::EndsWith,
            "in" | "includes" => Comparator::In,
            "between" => Comparator::Between,
            _ => return Comparator::from_name(name.strip_prefix("not_")?)?.negated(),
        })
    }

    /// The name by which code knows it.
    pub fn name(self) -> &'static str {
        match self {
            Comparator::Equals => "equals",
            Comparator::NotEqual => "not_equal",
            Comparator::Less => "less_than",
            Comparator::LessEqual => "less_than_equal",
            Comparator::Greater => "greater_than",
            Comparator::GreaterEqual => "greater_than_equal",
            Comparator::Contains => "contains",
            Comparator::StartsWith => "starts_with",
            Comparator::EndsWith => "ends_with",
            Comparator::In => "in",
            Comparator::Between => "between",
            Comparator::NotContains => "not_contains",
            Comparator::NotStartsWith => "not_starts_with",
            Comparator::NotEndsWith => "not_ends_with",
            Comparator::NotIn => "not_in",
            Comparator::NotBetween => "not_between",
        }
    }

    /// The two ends of a range that one name bounds: `gele`, `gelt`, `gtlt`, `gtle`.
    pub(super) fn pair_from_name(name: &str) -> Option<[Comparator; 2]> {
        Some(match name {
            "gele" => [Comparator::GreaterEqual, Comparator::LessEqual],
            "gelt" => [Comparator::GreaterEqual, Comparator::Less],
            "gtle" => [Comparator::Greater, Comparator::LessEqual],
            "gtlt" => [Comparator::Greater, Comparator::Less],
            _ => return None,
        })
    }

    /// The comparator that finds all that this one does not; `None` where the language has none.
    pub(super) fn negated(self) -> Option<Comparator> {
        match self {
            Comparator::Equals => Some(Comparator::NotEqual),
            Comparator::Contains => Some(Comparator::NotContains),
            Comparator::StartsWith => Some(Comparator::NotStartsWith),
            Comparator::EndsWith => Some(Comparator::NotEndsWith),
            Comparator::In => Some(Comparator::NotIn),
            Comparator::Between => Some(Comparator::NotBetween),
            Comparator::NotEqual
            | Comparator::Less
            | Comparator::LessEqual
            | Comparator::Greater
            | Comparator::GreaterEqual
            | Comparator::NotContains
            | Comparator::NotStartsWith
            | Comparator::NotEndsWith
            | Comparator::NotIn
            | Comparator::NotBetween => None,
        }
    }

    /// Which end of a range this comparator bounds.
    pub fn bound(self) -> Option<Bound> {
        match self {
            Comparator::Greater | Comparator::GreaterEqual => Some(Bound::Lower),
            Comparator::Less | Comparator::LessEqual => Some(Bound::Upper),
            Comparator::Equals
            | Comparator::NotEqual
            | Comparator::Contains
            | Comparator::StartsWith
            | Comparator::EndsWith
            | Comparator::In
            | Comparator::Between
            | Comparator::NotContains
            | Comparator::NotStartsWith
            | Comparator::NotEndsWith
            | Comparator::NotIn
            | Comparator::NotBetween => None,
        }
    }
}

/// An end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    Lower,
    Upper,
}
