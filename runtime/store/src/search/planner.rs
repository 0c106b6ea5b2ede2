//! Which way a search goes: by the primary key, by an index, by several of them, or through the table.
//!
//! Every condition that the order of keys can help is a candidate; groups are candidates of their
//! parts: an `and` of its best, an `or` of all of its together. Where there is a choice, the entries
//! of each are counted up to a bound: that is what an estimate costs, and it is exact below it. The
//! conditions that do not lead filter what is found.

use kora_resource::query::{
    Comparator, Compare, Condition, Direction, Execution, FullScan, Operator,
};
use kora_resource::value::Class;
use kora_resource::{Error, ErrorKind, Query, Result, Value};

use super::access::{Access, Path};
use crate::Table;
use crate::catalog::Progress;
use crate::table::Definition;

/// Up to how many entries candidates are counted.
const ESTIMATE: usize = 1000;

/// How much a condition narrows the search; the least is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    OneKey,
    SomeKeys,
    OneValue,
    SomeValues,
    Range,
    HalfRange,
    Union,
}

/// A way that would do.
struct Candidate {
    rank: Rank,
    paths: Vec<Path>,
}

/// The way that was chosen, and how many entries it has if that was counted.
pub(super) struct Plan {
    pub access: Access,
    pub estimate: Option<usize>,
}

/// The best way for a coerced query; `leads` are conditions that hold for all of its results besides
/// its own. 503 if it needs an index that is not complete, 404 if it is only sorted, by what is not
/// indexed, or if a full scan is needed and refused.
pub(super) fn plan(
    query: &Query,
    leads: &[Compare],
    definition: &Definition,
    table: &Table,
) -> Result<Plan> {
    refuse_incomplete(query, definition)?;
    let planner = Planner { definition, table };
    let primary_key = &definition.schema.primary_key;
    let mut candidates = match (query.operator, query.conditions.len()) {
        (Operator::Or, 2..) => planner.union(&query.conditions).into_iter().collect(),
        _ => planner.candidates(&query.conditions),
    };
    let leading: Vec<&Compare> = leads.iter().collect();
    candidates.extend(leads.iter().filter_map(|lead| planner.candidate(lead, &leading)));
    let sort = query.sort.first().filter(|sort| sort.nearest.is_none());
    let sorted_by = sort.and_then(|sort| match sort.attribute.as_slice() {
        [attribute] => Some((attribute, sort.direction)),
        _ => None,
    });
    let (best, estimate) = planner.best(candidates, query.execution)?;
    // Where a condition leads to much and only the first in an order are wanted, the order leads.
    let ordered = sorted_by.filter(|(attribute, _)| *attribute != primary_key);
    let ordered = ordered.and_then(|(attribute, direction)| {
        Some((Path::in_order(definition, attribute)?, direction))
    });
    let is_large = estimate.is_some_and(|count| count >= ESTIMATE);
    if let Some(best) = best {
        if let (Some((path, direction)), true, true) = (ordered, is_large, query.limit.is_some()) {
            return Ok(Plan {
                access: Access::new(table.id(), vec![path], direction),
                estimate: None,
            });
        }
        let direction = sorted_by.map_or(Direction::Ascending, |(_, direction)| direction);
        let access = Access::new(table.id(), best.paths, direction);
        return Ok(Plan { access, estimate });
    }
    if query.full_scan == FullScan::Refused {
        refuse_scan(query)?;
    }
    if let Some((path, direction)) = ordered {
        let access = Access::new(table.id(), vec![path], direction);
        return Ok(Plan { access, estimate: None });
    }
    if let Some((attribute, _)) = sorted_by
        && attribute != primary_key
        && definition.index(attribute).is_none()
        && query.conditions.is_empty()
        && query.id_prefix.is_none()
    {
        return Err(Error::not_found(format!(
            "{attribute} is not indexed and not combined with any other conditions"
        )));
    }
    let path = Path::records(table.id(), query.id_prefix.as_ref())?;
    let direction = sorted_by
        .filter(|(attribute, _)| *attribute == primary_key)
        .map_or(Direction::Ascending, |(_, direction)| direction);
    Ok(Plan { access: Access::new(table.id(), vec![path], direction), estimate: None })
}

struct Planner<'p> {
    definition: &'p Definition,
    table: &'p Table,
}

impl Planner<'_> {
    /// The candidates of conditions that must all hold.
    fn candidates(&self, conditions: &[Condition]) -> Vec<Candidate> {
        let compares: Vec<&Compare> = conditions.iter().filter_map(top_level).collect();
        let mut seen: Vec<&[String]> = Vec::new();
        let mut candidates = Vec::new();
        for condition in conditions {
            match condition {
                Condition::Compare(compare) => {
                    // Both ends of a range are one way.
                    if !seen.contains(&compare.attribute.as_slice()) {
                        seen.push(&compare.attribute);
                        candidates.extend(self.candidate(compare, &compares));
                    }
                }
                Condition::Group { operator: Operator::Or, conditions } => {
                    candidates.extend(self.union(conditions));
                }
                Condition::Group { operator: Operator::And, conditions } => {
                    candidates.extend(self.candidates(conditions));
                }
            }
        }
        candidates
    }

    /// All ways of conditions of which one must hold; `None` if one has none.
    fn union(&self, conditions: &[Condition]) -> Option<Candidate> {
        let mut paths = Vec::new();
        for condition in conditions {
            let mut candidates = self.candidates(std::slice::from_ref(condition));
            candidates.sort_by_key(|candidate| candidate.rank);
            paths.extend(candidates.into_iter().next()?.paths);
        }
        (!paths.is_empty()).then_some(Candidate { rank: Rank::Union, paths })
    }

    fn candidate(&self, compare: &Compare, compares: &[&Compare]) -> Option<Candidate> {
        let [attribute] = compare.attribute.as_slice() else { return None };
        let is_key = *attribute == self.definition.schema.primary_key;
        if compare.target.is_some() || !is_key && self.definition.index(attribute).is_none() {
            return None;
        }
        let same = compares.iter().copied().filter(|other| other.attribute == compare.attribute);
        let same: Vec<&Compare> = same.collect();
        let ranked = same.iter().filter_map(|same| Some((rank(same, is_key)?, *same)));
        let (rank, best) = ranked.min_by_key(|(rank, _)| *rank)?;
        let path = Path::by(self.table.id(), self.definition, best, &same);
        Some(Candidate { rank, paths: vec![path] })
    }

    /// The candidate with the fewest entries, and how many they are if they were counted.
    fn best(
        &self,
        mut candidates: Vec<Candidate>,
        execution: Execution,
    ) -> Result<(Option<Candidate>, Option<usize>)> {
        if execution == Execution::AsWritten {
            candidates.truncate(1);
        }
        candidates.sort_by_key(|candidate| candidate.rank);
        let few = candidates.first().is_some_and(|first| first.rank <= Rank::OneKey);
        if candidates.len() < 2 || few {
            return Ok((candidates.into_iter().next(), None));
        }
        self.table.owner().environment().read(|txn, trees| {
            let mut best: Option<(usize, Candidate)> = None;
            for candidate in candidates {
                let bound = best.as_ref().map_or(ESTIMATE, |(count, _)| *count);
                if bound == 0 {
                    break;
                }
                let mut count = 0;
                for path in &candidate.paths {
                    count += path.count(txn, trees, bound)?;
                }
                if best.as_ref().is_none_or(|(least, _)| count < *least) {
                    best = Some((count, candidate));
                }
            }
            Ok(match best {
                Some((count, candidate)) => (Some(candidate), Some(count)),
                None => (None, None),
            })
        })
    }
}

/// What is said where only a full scan would do and is not allowed.
fn refuse_scan(query: &Query) -> Result<()> {
    fn first(conditions: &[Condition]) -> Option<&Compare> {
        conditions.iter().find_map(|condition| match condition {
            Condition::Compare(compare) => Some(compare),
            Condition::Group { conditions, .. } => first(conditions),
        })
    }
    let Some(compare) = first(&query.conditions) else { return Ok(()) };
    let name = compare.attribute.join(".");
    match compare.comparator {
        Comparator::Contains | Comparator::EndsWith | Comparator::NotEqual => Err(Error::new(
            ErrorKind::Forbidden,
            format!("The condition on \"{name}\" needs a full table scan, which is not allowed"),
        )),
        _ => Err(Error::not_found(format!(
            "\"{name}\" is not indexed, can not search for this attribute"
        ))),
    }
}

fn top_level(condition: &Condition) -> Option<&Compare> {
    match condition {
        Condition::Compare(compare) => Some(compare),
        Condition::Group { .. } => None,
    }
}

/// How well a path by this condition's attribute would do; `None` if the order of keys is no help.
fn rank(compare: &Compare, is_key: bool) -> Option<Rank> {
    let scalar = |value: &Value| match value.class() {
        Class::Null | Class::Boolean | Class::Number | Class::String | Class::Bytes => true,
        // Elements are indexed, not the array; objects have no order. Keys may be arrays.
        Class::Array => is_key,
        Class::Object => false,
    };
    let list = match &compare.value {
        Value::Array(items) => items.as_slice(),
        _ => &[],
    };
    match compare.comparator {
        Comparator::Equals if scalar(&compare.value) => {
            Some(if is_key { Rank::OneKey } else { Rank::OneValue })
        }
        Comparator::In if list.iter().all(scalar) => {
            Some(if is_key { Rank::SomeKeys } else { Rank::SomeValues })
        }
        Comparator::Between if list.len() == 2 && list.iter().all(scalar) => Some(Rank::Range),
        Comparator::StartsWith if compare.value.as_str().is_some() => Some(Rank::Range),
        Comparator::Less
        | Comparator::LessEqual
        | Comparator::Greater
        | Comparator::GreaterEqual
            if scalar(&compare.value) =>
        {
            Some(Rank::HalfRange)
        }
        Comparator::Equals
        | Comparator::In
        | Comparator::Between
        | Comparator::StartsWith
        | Comparator::Less
        | Comparator::LessEqual
        | Comparator::Greater
        | Comparator::GreaterEqual
        | Comparator::NotEqual
        | Comparator::Contains
        | Comparator::EndsWith
        | Comparator::NotContains
        | Comparator::NotStartsWith
        | Comparator::NotEndsWith
        | Comparator::NotIn
        | Comparator::NotBetween => None,
    }
}

/// 503 for a condition or order on an attribute whose index is being built.
fn refuse_incomplete(query: &Query, definition: &Definition) -> Result<()> {
    fn names<'q>(conditions: &'q [Condition], found: &mut Vec<&'q String>) {
        for condition in conditions {
            match condition {
                Condition::Compare(compare) => found.extend(compare.attribute.first()),
                Condition::Group { conditions, .. } => names(conditions, found),
            }
        }
    }
    let mut named = Vec::new();
    names(&query.conditions, &mut named);
    named.extend(query.sort.iter().filter_map(|sort| sort.attribute.first()));
    for name in named {
        if let Some(index) = definition.index(name)
            && index.progress != Progress::Complete
        {
            return Err(Error::unavailable(format!(
                "\"{name}\" is not indexed yet, can not search for this attribute"
            )));
        }
    }
    Ok(())
}
