//! What a query may see by way of relationships (`spec/harper-schema.md` section 6): of each table that
//! it reaches, what its reader may read there.
//!
//! As within one table, what may not be seen is left out of what is shown, and refused where the answer
//! would tell of it: by a condition, an order, a bare value. Relationships that a schema shows without
//! being asked become a selection, so that they are kept from the reader, too.

use std::sync::Arc;

use kora_resource::query::{Condition, Select, SelectItem};
use kora_resource::{Access, Attributes, Permission, Query, Result};

use super::Table;
use crate::search::ENUMERABLE_DEPTH;

impl Table {
    /// Makes a query of this table show only what `permission` lets be read of the tables that it
    /// reaches; what of this table itself may be read is for [`Attributes::restrict`]. 403 if the query
    /// would tell of the rest all the same.
    pub fn restrict_related(&self, query: &mut Query, permission: &Permission) -> Result<()> {
        if permission.super_user {
            return Ok(());
        }
        let reader = Reader { permission };
        reader.conditions(self, &query.conditions)?;
        query.sort.iter().try_for_each(|sort| reader.path(self, &sort.attribute))?;
        query.select = reader.selection(self, query.select.take(), 0)?;
        Ok(())
    }
}

/// Who reads.
struct Reader<'p> {
    permission: &'p Permission,
}

/// The other end of a relationship.
struct Beyond {
    table: Arc<Table>,
    /// None of them if the table may not be read at all.
    readable: Attributes,
}

impl Reader<'_> {
    /// Where `name` leads; `None` if it is no relationship.
    fn beyond(&self, table: &Table, name: &str) -> Result<Option<Beyond>> {
        let schema = table.schema();
        let Some(relationship) = schema.relationship(name) else { return Ok(None) };
        let table = table.sibling(&relationship.target)?;
        let rights = self.permission.table(table.database(), table.name());
        let readable = if rights.may(Access::Read) {
            rights.attributes(Access::Read)
        } else {
            Attributes::none()
        };
        Ok(Some(Beyond { table, readable }))
    }

    fn conditions(&self, table: &Table, conditions: &[Condition]) -> Result<()> {
        conditions.iter().try_for_each(|condition| match condition {
            Condition::Compare(compare) => self.path(table, &compare.attribute),
            Condition::Group { conditions, .. } => self.conditions(table, conditions),
        })
    }

    /// 403 if a path leads to what may not be read.
    fn path(&self, table: &Table, path: &[String]) -> Result<()> {
        let Some((first, rest)) = path.split_first() else { return Ok(()) };
        let Some(beyond) = self.beyond(table, first)? else { return Ok(()) };
        if let Some(name) = rest.first() {
            beyond.readable.require(name)?;
        }
        self.path(&beyond.table, rest)
    }

    /// The selection with only what may be read; `None` stays where that is all of what a schema shows
    /// by itself. `depth` is how many relationships lead here.
    fn selection(
        &self,
        table: &Table,
        select: Option<Select>,
        depth: usize,
    ) -> Result<Option<Select>> {
        let Some(select) = select else {
            let unasked = unasked(table, depth);
            let shown = self.items(table, &unasked, depth)?;
            return Ok((shown != unasked).then_some(Select::Properties(shown)));
        };
        Ok(Some(match select {
            Select::Single(name) => {
                let item = SelectItem { name, nested: None };
                match self.item(table, &item, depth)? {
                    Some(shown) if shown == item => Select::Single(item.name),
                    _ => return Err(Attributes::refusal(&item.name)),
                }
            }
            Select::Properties(items) => Select::Properties(self.items(table, &items, depth)?),
            Select::Tuple(items) => {
                let shown = items.iter().map(|item| {
                    let shown = self.item(table, item, depth);
                    shown.map(|shown| shown.unwrap_or_else(SelectItem::withheld))
                });
                Select::Tuple(shown.collect::<Result<_>>()?)
            }
        }))
    }

    fn items(&self, table: &Table, items: &[SelectItem], depth: usize) -> Result<Vec<SelectItem>> {
        items.iter().filter_map(|item| self.item(table, item, depth).transpose()).collect()
    }

    /// The item as far as it may be shown; `None` if not at all.
    fn item(&self, table: &Table, item: &SelectItem, depth: usize) -> Result<Option<SelectItem>> {
        let Some(beyond) = self.beyond(table, &item.name)? else { return Ok(Some(item.clone())) };
        if beyond.readable == Attributes::none() {
            return Ok(None);
        }
        let mut within = Query { select: item.nested.as_deref().cloned(), ..Query::default() };
        beyond.readable.restrict(&mut within, &beyond.table.schema().primary_key)?;
        let nested = self.selection(&beyond.table, within.select, depth + 1)?;
        Ok(Some(SelectItem { name: item.name.clone(), nested: nested.map(Box::new) }))
    }
}

/// What is shown of a record without being asked for, if related records are part of it.
fn unasked(table: &Table, depth: usize) -> Vec<SelectItem> {
    let schema = table.schema();
    let related = schema.enumerable().any(|shown| schema.relationship(&shown.name).is_some());
    if depth > ENUMERABLE_DEPTH || !related {
        return Vec::new();
    }
    let item = |name: &str| SelectItem { name: name.to_owned(), nested: None };
    let shown = schema.enumerable().map(|attribute| item(&attribute.name));
    std::iter::once(item("*")).chain(shown).collect()
}
