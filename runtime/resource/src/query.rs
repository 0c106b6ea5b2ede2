//! What is asked of a collection: conditions, order, projection and bounds
//! (`spec/harper-rest.md` section 3, `spec/harper-resources.md` section 6).

mod coerce;
mod comparator;
mod matches;
mod object;
mod parse;
mod select;

pub use comparator::Bound;
pub use matches::Filter;
pub use object::from_value;
pub use parse::parse;

use crate::schema::Distance;
use crate::{Id, Value};

/// One query over one table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    pub conditions: Vec<Condition>,
    pub operator: Operator,
    pub select: Option<Select>,
    pub sort: Vec<Sort>,
    pub offset: usize,
    pub limit: Option<usize>,
    /// Only records whose key is a string that starts with this (`/T/a/`).
    pub id_prefix: Option<Id>,
    /// `explain: true`: how it would be run is the answer.
    pub explain: Explain,
    pub full_scan: FullScan,
    pub undeclared: Undeclared,
    /// `enforceExecutionOrder: true`: the first condition that an index can answer leads.
    pub execution: Execution,
}

/// What a query is to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Explain {
    #[default]
    Results,
    Plan,
}

/// Whether a query may look through a whole table (`allowFullScan`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FullScan {
    #[default]
    Allowed,
    /// 404 where no index helps, 403 for comparators that no index can help.
    Refused,
}

/// What of conditions on attributes that are not declared (`allowConditionsOnDynamicAttributes`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Undeclared {
    /// 404.
    #[default]
    Refused,
    Allowed,
}

/// Who decides which condition leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Execution {
    #[default]
    Planned,
    AsWritten,
}

/// How the conditions of a group combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Operator {
    #[default]
    And,
    Or,
}

/// One condition, or a group of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    Compare(Compare),
    Group { operator: Operator, conditions: Vec<Condition> },
}

/// `attribute comparator value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Compare {
    /// The attribute's name; more than one segment is a path into nested objects.
    pub attribute: Vec<String>,
    pub comparator: Comparator,
    pub value: Value,
    pub casting: Casting,
    /// Compares the distance of the attribute's vector from this one, not the attribute.
    pub target: Option<Vec<f32>>,
}

impl Compare {
    /// A comparison whose value already has its type (or gets that of the declared attribute).
    pub fn new(attribute: Vec<String>, comparator: Comparator, value: Value) -> Compare {
        Compare { attribute, comparator, value, casting: Casting::Declared, target: None }
    }
}

/// What may become of a value that came as text when its attribute has no declared type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Casting {
    /// It stays as it is: `a=5` on an untyped attribute looks for the string.
    #[default]
    Declared,
    /// It is read as the literal that it looks like: `a==5` looks for the number.
    Auto,
}

/// How a value is compared (`spec/harper-rest.md` sections 3.1 and 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparator {
    Equals,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Contains,
    StartsWith,
    EndsWith,
    /// The value is a list; one of them must be equal.
    In,
    /// The value is a pair, both ends included.
    Between,
    /// The negations of the above match records without the attribute too and never use an index.
    NotContains,
    NotStartsWith,
    NotEndsWith,
    NotIn,
    NotBetween,
}

/// Which part of each record is wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum Select {
    /// `select(a)`: the bare value.
    Single(String),
    /// `select(a,b)`: objects with these properties.
    Properties(Vec<SelectItem>),
    /// `select([a,b])`: arrays in this order.
    Tuple(Vec<SelectItem>),
}

/// One selected property, with what is wanted of it if it is an object.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectItem {
    pub name: String,
    pub nested: Option<Box<Select>>,
}

/// One key of the order.
#[derive(Debug, Clone, PartialEq)]
pub struct Sort {
    pub attribute: Vec<String>,
    pub direction: Direction,
    /// The order is by distance from a vector, not by value.
    pub nearest: Option<Nearest>,
}

impl Sort {
    pub fn new(attribute: Vec<String>, direction: Direction) -> Sort {
        Sort { attribute, direction, nearest: None }
    }
}

/// Distance from a vector (`spec/harper-schema.md` section 12).
#[derive(Debug, Clone, PartialEq)]
pub struct Nearest {
    pub target: Vec<f32>,
    /// How many candidates to weigh; else the index's own choice.
    pub ef: Option<usize>,
    /// Else that of the index.
    pub distance: Option<Distance>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    Descending,
}
