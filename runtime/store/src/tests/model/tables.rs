//! The tables as they should be.

use std::collections::{BTreeMap, BTreeSet};

use kora_resource::Query;
use kora_resource::query::{Compare, Condition, Direction, Operator, Sort};

use super::*;

pub(super) type Rows = BTreeMap<String, Map>;

/// What the log should tell of one change of an item: its kind, its id, the record.
pub(super) type Entry = (&'static str, String, Option<Map>);

#[derive(Clone, Default)]
pub(super) struct Model {
    pub items: Rows,
    pub owners: Rows,
    pub visits: Rows,
    /// Items that nobody sees any more and that may still be stored: expired or invalidated.
    pub hidden: BTreeSet<String>,
    /// All changes of items since the beginning.
    pub log: Vec<Entry>,
}

impl Model {
    fn owners_of<'m>(&'m self, item: &Map, by: &str) -> Vec<&'m Map> {
        let ids = match item.get(by) {
            Some(Value::Array(ids)) => ids.as_slice(),
            Some(id) => std::slice::from_ref(id),
            None => &[],
        };
        ids.iter().filter_map(|id| self.owners.get(id.as_str()?)).collect()
    }

    fn items_of(&self, owner: &Map) -> Vec<&Map> {
        self.items.values().filter(|item| item.get("ownerId") == owner.get("id")).collect()
    }

    /// The item with its computed attributes.
    fn whole(item: &Map) -> Map {
        let mut item = item.clone();
        let number = |name: &str| match item.get(name) {
            Some(Value::Int(n)) => *n as f64,
            Some(Value::Null) => 0.0,
            _ => f64::NAN,
        };
        let (n, note) = (number("n"), number("note"));
        item.insert("sum".into(), Value::number(n + note));
        item.insert("even".into(), Value::Bool(n % 2.0 == 0.0));
        item
    }

    fn holds(&self, conditions: &[Condition], operator: Operator, item: &Map) -> bool {
        let mut plain: Vec<bool> = Vec::new();
        // Conditions on one relationship must hold for one related record.
        let mut joined: BTreeMap<&str, Vec<Compare>> = BTreeMap::new();
        for condition in conditions {
            match condition {
                Condition::Group { operator, conditions } => {
                    plain.push(self.holds(conditions, *operator, item));
                }
                Condition::Compare(compare) if compare.attribute.len() == 2 => {
                    let attribute = compare.attribute[1..].to_vec();
                    let inner = Compare { attribute, ..compare.clone() };
                    match operator {
                        Operator::And => {
                            joined.entry(&compare.attribute[0]).or_default().push(inner);
                        }
                        Operator::Or => {
                            plain.push(self.joins(&compare.attribute[0], &[inner], item))
                        }
                    }
                }
                Condition::Compare(compare) => plain.push(compare.matches(item)),
            }
        }
        plain.extend(joined.into_iter().map(|(by, inner)| self.joins(by, &inner, item)));
        match operator {
            Operator::And => plain.iter().all(|holds| *holds),
            Operator::Or => plain.iter().any(|holds| *holds),
        }
    }

    fn joins(&self, by: &str, inner: &[Compare], item: &Map) -> bool {
        let related = match by {
            "owner" => self.owners_of(item, "ownerId"),
            "friends" => self.owners_of(item, "friendIds"),
            _ => self.items_of(item),
        };
        related.iter().any(|record| inner.iter().all(|compare| compare.matches(record)))
    }

    fn sort_value(&self, path: &[String], item: &Map) -> Value {
        let found = match path {
            [one] => item.get(one).cloned(),
            [_, name] => {
                self.owners_of(item, "ownerId").first().and_then(|owner| owner.get(name).cloned())
            }
            _ => None,
        };
        found.unwrap_or_default()
    }

    /// The items that satisfy the query, with their computed attributes, by id.
    pub(super) fn matching(&self, query: &Query) -> Vec<Map> {
        let prefix = query.id_prefix.as_ref().map(ToString::to_string).unwrap_or_default();
        let rows = self.items.iter().filter(|(id, _)| id.starts_with(&prefix));
        let rows = rows.map(|(_, item)| Model::whole(item));
        rows.filter(|row| {
            query.conditions.is_empty() || self.holds(&query.conditions, query.operator, row)
        })
        .collect()
    }

    /// All ids that a query finds, in its order; its bounds are left out.
    pub(super) fn find(&self, query: &Query) -> Vec<String> {
        let mut found = self.matching(query);
        let last = query.sort.last().map_or(Direction::Ascending, |sort| sort.direction);
        found.sort_by(|a, b| {
            let by = |sort: &Sort| {
                let order = self
                    .sort_value(&sort.attribute, a)
                    .key_cmp(&self.sort_value(&sort.attribute, b));
                if sort.direction == Direction::Descending { order.reverse() } else { order }
            };
            let keys = query.sort.iter().map(by).find(|order| order.is_ne());
            keys.unwrap_or_else(|| {
                let order = a["id"].key_cmp(&b["id"]);
                if last == Direction::Descending { order.reverse() } else { order }
            })
        });
        found.iter().filter_map(|row| row["id"].as_str().map(str::to_owned)).collect()
    }

    /// What `select(id,n,sum,owner{name},friends{id})` shows of an item, without what is null.
    pub(super) fn shown(&self, id: &str) -> Map {
        let item = Model::whole(&self.items[id]);
        let only = |map: &Map, name: &str| {
            let mut only = Map::new();
            only.insert(name.into(), map.get(name).cloned().unwrap_or_default());
            Value::Object(without_nulls(only))
        };
        let mut shown = map([("id", id.into())]);
        for name in ["n", "sum"] {
            shown.insert(name.into(), item.get(name).cloned().unwrap_or_default());
        }
        if let Some(owner) = self.owners_of(&item, "ownerId").first() {
            shown.insert("owner".into(), only(owner, "name"));
        }
        let friends = self.owners_of(&item, "friendIds");
        let friends = friends.into_iter().map(|friend| only(friend, "id")).collect();
        shown.insert("friends".into(), Value::Array(friends));
        without_nulls(shown)
    }
}

/// Null and missing are told apart by nobody who asks, nor is what is no number.
pub(super) fn without_nulls(map: Map) -> Map {
    fn is_null(value: &Value) -> bool {
        match value {
            Value::Float(number) => number.is_nan(),
            other => other.is_null(),
        }
    }
    fn cleaned(value: Value) -> Value {
        match value {
            Value::Object(map) => Value::Object(without_nulls(map)),
            Value::Array(items) => {
                let items = items.into_iter().filter(|item| !is_null(item));
                Value::Array(items.map(cleaned).collect())
            }
            other => other,
        }
    }
    let kept = map.into_iter().filter(|(_, value)| !is_null(value));
    kept.map(|(name, value)| (name, cleaned(value))).collect()
}
