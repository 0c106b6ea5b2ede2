//! Queries and subscriptions, as the host reads them.

use serde::Serialize;
use serde_json::{Value, json};

use crate::Id;

/// How an attribute is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparator {
    Equals,
    NotEqual,
    GreaterThan,
    GreaterThanEqual,
    LessThan,
    LessThanEqual,
    Contains,
    StartsWith,
    EndsWith,
}

/// What to search for.
///
/// ```
/// use kora_guest::{Comparator, Query};
/// let puppies = Query::new().filter("age", Comparator::LessThan, 1).sort("name").limit(20);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Query {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conditions: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sort: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    select: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<usize>,
}

impl Query {
    /// All records.
    pub fn new() -> Query {
        Query::default()
    }

    /// Only records whose `attribute` compares so; several filters must all hold.
    #[must_use]
    pub fn filter(
        mut self,
        attribute: &str,
        comparator: Comparator,
        value: impl Into<Value>,
    ) -> Query {
        self.conditions
            .push(json!({"attribute": attribute, "comparator": comparator, "value": value.into()}));
        self
    }

    #[must_use]
    pub fn sort(mut self, attribute: &str) -> Query {
        self.sort = Some(json!({"attribute": attribute}));
        self
    }

    #[must_use]
    pub fn sort_descending(mut self, attribute: &str) -> Query {
        self.sort = Some(json!({"attribute": attribute, "descending": true}));
        self
    }

    /// Only these attributes of each record.
    #[must_use]
    pub fn select(mut self, attributes: &[&str]) -> Query {
        self.select = attributes.iter().map(|&name| name.to_owned()).collect();
        self
    }

    #[must_use]
    pub fn limit(mut self, limit: usize) -> Query {
        self.limit = Some(limit);
        self
    }

    #[must_use]
    pub fn offset(mut self, offset: usize) -> Query {
        self.offset = Some(offset);
        self
    }
}

/// What to listen to: the whole table, unless an id narrows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscribe {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// `id` is a prefix of keys.
    pub is_collection: bool,
    /// Do not begin with the current records.
    pub omit_current: bool,
}

impl Subscribe {
    /// One record, or one topic.
    pub fn to(id: impl Into<Id>) -> Subscribe {
        Subscribe { id: Some(id.into()), ..Subscribe::default() }
    }

    /// Only what happens from now on.
    #[must_use]
    pub fn from_now(mut self) -> Subscribe {
        self.omit_current = true;
        self
    }
}
