//! Random transactions, and what they make of the model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use kora_resource::schema::{TableSchema, ValidateMode};

use super::questions::{check_found, question};
use super::*;
use crate::{Transaction, clock};

/// As it is stored.
fn coerced(mut record: Map, mode: ValidateMode) -> Map {
    static ITEMS: LazyLock<TableSchema> = LazyLock::new(|| schemas(&schema(false)).swap_remove(0));
    ITEMS.validate(&mut record, mode).expect("fits");
    record
}

/// What draws a value.
type Draw = fn(&mut Dice) -> Value;

fn item(dice: &mut Dice, id: &str) -> Map {
    let mut record = map([("id", id.into()), ("n", dice.small()), ("note", dice.small())]);
    let often: [(&str, Draw); 8] = [
        ("name", Dice::name),
        ("ownerId", Dice::owner_id),
        ("price", Dice::price),
        ("at", Dice::at),
        ("big", Dice::big),
        ("any", Dice::any),
        ("raw", Dice::raw),
        ("flag", |dice| Value::Bool(dice.chance(2))),
    ];
    for (name, value) in often {
        if !dice.chance(4) {
            record.insert(name.into(), value(dice));
        }
    }
    if !dice.chance(3) {
        record.insert("place".into(), place(dice));
    }
    let tags = (0..dice.roll(3)).map(|_| dice.name()).collect();
    record.insert("tags".into(), Value::Array(tags));
    let friends = (0..dice.roll(3)).map(|_| dice.owner_id()).collect();
    record.insert("friendIds".into(), Value::Array(friends));
    coerced(record, ValidateMode::Full)
}

fn place(dice: &mut Dice) -> Value {
    Value::Array(dice.place().into_iter().map(|x| Value::number(f64::from(x))).collect())
}

/// How the change of an item in a transaction ends.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    Written,
    Deleted,
    Invalidated,
    /// Written, and over at once.
    Expired,
}

/// What one transaction does to items, in the order of each item's first change.
#[derive(Default)]
struct Touched {
    order: Vec<String>,
    last: BTreeMap<String, Last>,
}

impl Touched {
    fn set(&mut self, id: &str, last: Last) {
        if self.last.insert(id.to_owned(), last).is_none() {
            self.order.push(id.to_owned());
        }
    }

    /// Enters what the log is to tell; `before` is the model without the transaction.
    fn tell(self, before: &Model, after: &mut Model, expired: &BTreeMap<String, Map>) {
        for id in self.order {
            let was_stored = before.items.contains_key(&id);
            match self.last[&id] {
                Last::Written => {
                    after.hidden.remove(&id);
                    after.log.push(("put", id.clone(), after.items.get(&id).cloned()));
                }
                Last::Expired => {
                    after.hidden.insert(id.clone());
                    after.log.push(("put", id.clone(), expired.get(&id).cloned()));
                }
                Last::Deleted if was_stored => after.log.push(("delete", id, None)),
                Last::Invalidated if was_stored => {
                    after.hidden.insert(id.clone());
                    after.log.push(("invalidate", id, None));
                }
                Last::Deleted | Last::Invalidated => {}
            }
        }
    }
}

/// One change of an item, here and there.
fn change_item(
    dice: &mut Dice,
    transaction: &mut Transaction,
    items: &Arc<Table>,
    model: &mut Model,
    touched: &mut Touched,
    expired: &mut BTreeMap<String, Map>,
) {
    let id = dice.item_id();
    let key = Id::from(&*id);
    // What is over stays as it is until another transaction.
    if matches!(touched.last.get(&id), Some(Last::Invalidated | Last::Expired)) {
        return;
    }
    let is_hidden = model.hidden.contains(&id) && !model.items.contains_key(&id);
    match dice.roll(12) {
        0 | 1 if !is_hidden => {
            let existed = transaction.delete(items, &key).expect("deletes");
            assert_eq!(existed, model.items.remove(&id).is_some());
            touched.set(&id, Last::Deleted);
        }
        2 if !is_hidden && !touched.last.contains_key(&id) => {
            transaction.invalidate(items, &key).expect("invalidates");
            model.items.remove(&id);
            touched.set(&id, Last::Invalidated);
        }
        3 if !touched.last.contains_key(&id) => {
            let record = item(dice, &id);
            transaction.expire_at(Some(clock::now() - 1.0));
            transaction.put(items, key, record.clone()).expect("fits");
            transaction.expire_at(None);
            model.items.remove(&id);
            expired.insert(id.clone(), record);
            touched.set(&id, Last::Expired);
        }
        4 => {
            let record = item(dice, &id);
            let created = transaction.create(items, Some(key), record.clone());
            match model.items.contains_key(&id) {
                true => assert_eq!(created.expect_err("exists").status(), 409),
                false => {
                    created.expect("creates");
                    model.items.insert(id.clone(), record);
                    touched.set(&id, Last::Written);
                }
            }
        }
        5 | 6 => {
            let mut changes = map([("n", dice.small()), ("ownerId", dice.owner_id())]);
            changes.insert("place".into(), if dice.chance(3) { Value::Null } else { place(dice) });
            let changes = coerced(changes, ValidateMode::Partial);
            patch(transaction, items, model, &id, changes);
            touched.set(&id, Last::Written);
        }
        7 if model
            .items
            .get(&id)
            .is_some_and(|item| matches!(item.get("note"), Some(Value::Int(_)))) =>
        {
            let by = dice.roll(5) as i64 - 2;
            let add = map([("__op__", "add".into()), ("value", by.into())]);
            transaction
                .patch(items, key, map([("note", Value::Object(add))]))
                .expect("an increment");
            if let Some(Value::Int(note)) =
                model.items.get_mut(&id).and_then(|item| item.get_mut("note"))
            {
                *note += by;
            }
            touched.set(&id, Last::Written);
        }
        _ => {
            let record = item(dice, &id);
            transaction.put(items, key, record.clone()).expect("fits");
            model.items.insert(id.clone(), record);
            touched.set(&id, Last::Written);
        }
    }
}

fn patch(
    transaction: &mut Transaction,
    items: &Arc<Table>,
    model: &mut Model,
    id: &str,
    changes: Map,
) {
    let held = model.items.entry(id.to_owned()).or_default();
    held.insert("id".into(), Value::from(id));
    held.extend(changes.clone());
    transaction.patch(items, Id::from(id), changes).expect("fits");
}

/// One transaction over all tables, which commits, is given up, or comes too late.
pub(super) async fn change(
    dice: &mut Dice,
    fixture: &Fixture,
    tables: &Tables,
    model: &mut Model,
    seed: u64,
) {
    let mut after = model.clone();
    let mut touched = Touched::default();
    let mut expired = BTreeMap::new();
    let mut transaction = fixture.store.transaction();
    let read = Id::from(&*dice.item_id());
    let conflicts = dice.chance(8);
    if conflicts {
        transaction.get(&tables.items, &read).expect("reads");
    }
    let mut written = BTreeSet::new();
    for _ in 0..=dice.roll(6) {
        match dice.roll(8) {
            0 | 1 => {
                change_owner(dice, &mut transaction, &tables.owners, &mut after);
                written.insert("owners");
            }
            2 => {
                let id = format!("v{}", dice.roll(5));
                let record = map([("id", Value::from(&*id)), ("n", dice.small())]);
                let key = Id::from(&*id);
                transaction.put(&tables.visits, key, record.clone()).expect("fits");
                after.visits.insert(id, record);
                written.insert("visits");
            }
            _ => change_item(
                dice,
                &mut transaction,
                &tables.items,
                &mut after,
                &mut touched,
                &mut expired,
            ),
        }
    }
    // Searches in the transaction see what it has done to their table so far; times count from its
    // commit on.
    if dice.chance(3)
        && !written.contains("owners")
        && !touched.last.values().any(|last| *last == Last::Expired)
    {
        let query = question(dice);
        let search = transaction.search(&tables.items, query.clone());
        check_found(search, query, &after, seed);
    }
    touched.tell(model, &mut after, &expired);
    if conflicts {
        // Databases commit one after the other: with one alone all of it fails.
        if !written.contains("visits") && !transaction.is_empty() {
            let record = item(dice, &read.to_string());
            fixture.put(&tables.items, record.clone()).await;
            let late = transaction.commit().await.expect_err("what was read has changed");
            assert_eq!(late.status(), 409, "{late}");
            model.hidden.remove(&read.to_string());
            model.items.insert(read.to_string(), record.clone());
            model.log.push(("put", read.to_string(), Some(record)));
        }
        return;
    }
    if dice.chance(10) {
        return;
    }
    transaction.commit().await.unwrap_or_else(|error| panic!("{error}, seed {seed}"));
    *model = after;
}

fn change_owner(
    dice: &mut Dice,
    transaction: &mut Transaction,
    owners: &Arc<Table>,
    model: &mut Model,
) {
    let id = format!("o{}", dice.roll(6));
    if dice.chance(4) {
        transaction.delete(owners, &Id::from(&*id)).expect("deletes");
        model.owners.remove(&id);
    } else {
        let record = map([("id", Value::from(&*id)), ("age", dice.small()), ("name", dice.name())]);
        transaction.put(owners, Id::from(&*id), record.clone()).expect("fits");
        model.owners.insert(id, record);
    }
}
