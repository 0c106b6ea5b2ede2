//! Attributes that are not stored: relationships and computed ones
//! (`spec/harper-schema.md` sections 6 and 7).

use std::sync::Arc;

use super::TableSchema;
use super::expression::Expression;
use crate::{Map, Value};

/// Where the value of an attribute comes from that is not stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Derived {
    Relationship(Relationship),
    Computed(Computed),
}

/// Records of a table, this one or another, whose attribute `to` equals this record's `from`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relationship {
    /// The attribute here; `None`: the primary key.
    pub from: Option<String>,
    /// The attribute there; `None`: the primary key.
    pub to: Option<String>,
    pub target: TableName,
    pub span: Span,
    /// `@relationship(filterMissing: true)`: keys that lead to no record leave no gap in the list.
    pub filter_missing: bool,
}

/// How many records a relationship leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    One,
    Many,
}

/// A table's full name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName {
    pub database: String,
    pub table: String,
}

impl Relationship {
    /// The attribute here, given this table's primary key.
    pub fn own_attribute<'a>(&'a self, primary_key: &'a str) -> &'a str {
        self.from.as_deref().unwrap_or(primary_key)
    }

    /// The attribute there, given that table's primary key.
    pub fn target_attribute<'a>(&'a self, primary_key: &'a str) -> &'a str {
        self.to.as_deref().unwrap_or(primary_key)
    }
}

/// A value that is worked out from the record.
#[derive(Debug, Clone, PartialEq)]
pub struct Computed {
    /// `None`: by the function that the application hands to `setComputedAttribute`.
    pub expression: Option<Arc<Expression>>,
    /// A new version makes its index be built anew.
    pub version: Option<String>,
}

impl TableSchema {
    /// The stored properties that the value of `name` is made of: itself, or what its expression
    /// names; at any depth, as expressions may name computed attributes.
    pub fn inputs(&self, name: &str) -> Vec<String> {
        let mut inputs = Vec::new();
        let mut pending = vec![name];
        let mut seen = Vec::new();
        while let Some(name) = pending.pop() {
            if seen.contains(&name) {
                continue;
            }
            seen.push(name);
            match self.computed(name).and_then(|computed| computed.expression.as_ref()) {
                Some(expression) => pending.extend(expression.names().iter().map(String::as_str)),
                None => inputs.push(name.to_owned()),
            }
        }
        inputs
    }

    /// The value of an attribute, stored or computed by an expression, of a record of which at least
    /// its [`TableSchema::inputs`] are at hand. `None` where there is none (`undefined`).
    pub fn value_of(&self, name: &str, record: &Map) -> Option<Value> {
        self.value_within(name, record, MAX_CHAIN)
    }

    fn value_within(&self, name: &str, record: &Map, depth: usize) -> Option<Value> {
        match self.computed(name).and_then(|computed| computed.expression.as_ref()) {
            None => record.get(name).cloned(),
            Some(_) if depth == 0 => None,
            Some(expression) => {
                expression.evaluate(&|input| self.value_within(input, record, depth - 1))
            }
        }
    }
}

/// How many computed attributes may build on each other; a circle of them ends here, undefined.
const MAX_CHAIN: usize = 16;
