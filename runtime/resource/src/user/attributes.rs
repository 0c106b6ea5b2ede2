//! Which attributes of a table somebody may see or write, and keeping the others from them
//! (`spec/harper-resources.md` section 11).
//!
//! On reads, what may not be seen is left out of answers, and whatever would tell of it all the same
//! is refused: a condition or an order on it, its bare value. On writes naming it is refused, and a
//! whole record keeps what its writer may not change.

use std::sync::Arc;

use crate::query::{Condition, Select, SelectItem};
use crate::{Error, ErrorKind, Map, Query, Record, Result};

/// The attributes that an access covers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Attributes {
    #[default]
    All,
    Only(Arc<[String]>),
}

/// Stands in a tuple for what may not be seen: a special that no record has, so it is null.
const WITHHELD: &str = "$withheld";

/// What a selection can ask for that is about no attribute.
const HARMLESS: [&str; 4] = ["$updatedtime", "$updatedTime", "$expiresAt", "$distance"];

impl SelectItem {
    /// The item of a tuple that stands in the place of what may not be seen: its value is null.
    pub fn withheld() -> SelectItem {
        SelectItem { name: WITHHELD.to_owned(), nested: None }
    }
}

impl Attributes {
    /// Not a single one.
    pub fn none() -> Attributes {
        Attributes::Only([].into())
    }

    /// The 403 for asking for an attribute that is not covered.
    pub fn refusal(name: &str) -> Error {
        let mut error = Error::new(ErrorKind::Forbidden, "Unauthorized access to resource");
        error.detail = Some(Box::new(format!("no permission for the attribute {name}").into()));
        error
    }

    pub fn contains(&self, name: &str) -> bool {
        match self {
            Attributes::All => true,
            Attributes::Only(names) => names.iter().any(|covered| covered == name),
        }
    }

    /// Leaves only what is covered.
    pub fn retain(&self, map: &mut Map) {
        if *self != Attributes::All {
            map.retain(|name, _| self.contains(name));
        }
    }

    /// The record with only what is covered. 500 for a damaged record.
    pub fn of_record(&self, record: &Record) -> Result<Record> {
        if *self == Attributes::All {
            return Ok(record.clone());
        }
        let mut map = record.to_map()?;
        self.retain(&mut map);
        Ok(Record::new(&map, record.version(), record.created(), record.expires()))
    }

    /// 403 if `name` is not covered.
    pub fn require(&self, name: &str) -> Result<()> {
        if self.contains(name) { Ok(()) } else { Err(Attributes::refusal(name)) }
    }

    /// Makes a query show only what is covered: the selection shrinks. 403 if the query would tell
    /// of the rest all the same, by a condition, an order or the bare value.
    pub fn restrict(&self, query: &mut Query, primary_key: &str) -> Result<()> {
        let Attributes::Only(names) = self else { return Ok(()) };
        self.check(&query.conditions)?;
        for sort in &query.sort {
            self.require(sort.attribute.first().map_or("", String::as_str))?;
        }
        let all = || names.iter().map(|name| SelectItem { name: name.clone(), nested: None });
        let shown = |name: &str| match name {
            "$id" => self.contains(primary_key),
            name => self.contains(name) || HARMLESS.contains(&name),
        };
        query.select = Some(match query.select.take() {
            None => Select::Properties(all().collect()),
            Some(Select::Single(name)) if name == "*" => Select::Properties(all().collect()),
            Some(Select::Single(name)) if shown(&name) => Select::Single(name),
            Some(Select::Single(name)) => return Err(Attributes::refusal(&name)),
            Some(Select::Properties(items)) => {
                let mut selected = Vec::with_capacity(items.len());
                for item in items {
                    if item.name == "*" {
                        selected.extend(all());
                    } else if shown(&item.name) {
                        selected.push(item);
                    }
                }
                Select::Properties(selected)
            }
            // Each place of a tuple means something: what is withheld is null there.
            Some(Select::Tuple(mut items)) => {
                for item in items.iter_mut().filter(|item| !shown(&item.name)) {
                    *item = SelectItem::withheld();
                }
                Select::Tuple(items)
            }
        });
        Ok(())
    }

    fn check(&self, conditions: &[Condition]) -> Result<()> {
        conditions.iter().try_for_each(|condition| match condition {
            Condition::Compare(compare) => {
                self.require(compare.attribute.first().map_or("", String::as_str))
            }
            Condition::Group { conditions, .. } => self.check(conditions),
        })
    }

    /// 403 if `changes` writes what is not covered. The primary key is no data: it says which record
    /// is meant.
    pub fn require_all(&self, changes: &Map, primary_key: &str) -> Result<()> {
        let is_forbidden = |name: &&String| *name != primary_key && !self.contains(name);
        match changes.keys().find(is_forbidden) {
            Some(name) => Err(Attributes::refusal(name)),
            None => Ok(()),
        }
    }

    /// Gives a record that replaces `current` back what its writer may not change.
    pub fn preserve(&self, record: &mut Map, current: &Map) {
        for (name, value) in current {
            if !self.contains(name) && !record.contains_key(name) {
                record.insert(name.clone(), value.clone());
            }
        }
    }
}
