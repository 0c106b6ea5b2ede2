//! Random queries, and their comparison with the model.

use kora_resource::query::{
    self, Comparator, Compare, Condition, Direction, Nearest, Operator, Sort,
};
use kora_resource::{Item, Query, Result};

use super::tables::without_nulls;
use super::*;
use crate::Search;

const SHOWN: &str = "select(id,n,sum,owner{name},friends{id})";

fn compare(dice: &mut Dice) -> Condition {
    use Comparator::*;
    let ordering = [Equals, NotEqual, Less, LessEqual, Greater, GreaterEqual];
    let path = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let (attribute, comparator, value) = match dice.roll(18) {
        0 | 1 => (path(&["n"]), dice.pick(&ordering), dice.small()),
        2 => (path(&["name"]), dice.pick(&ordering), dice.name()),
        3 => (
            path(&["name"]),
            dice.pick(&[StartsWith, EndsWith, Contains, NotStartsWith]),
            dice.name(),
        ),
        4 => (path(&["tags"]), dice.pick(&[Equals, NotEqual, Greater, Contains]), dice.name()),
        5 => {
            let list = (0..dice.roll(3)).map(|_| dice.small()).collect();
            (path(&["n"]), dice.pick(&[In, NotIn]), Value::Array(list))
        }
        6 => {
            let ends = vec![Value::Int(dice.roll(6) as i64 - 3), Value::Int(dice.roll(6) as i64)];
            let by = dice.pick(&["n", "sum", "note"]);
            (path(&[by]), dice.pick(&[Between, NotBetween]), Value::Array(ends))
        }
        7 => (path(&["sum"]), dice.pick(&ordering), dice.small()),
        8 => (path(&["even"]), Equals, Value::Bool(dice.chance(2))),
        9 => (path(&["id"]), dice.pick(&ordering), Value::from(dice.item_id())),
        10 => {
            let by = dice.pick(&["owner", "friends"]);
            (path(&[by, "age"]), dice.pick(&ordering), dice.small())
        }
        11 => (path(&["owner", "name"]), dice.pick(&[Equals, StartsWith]), dice.name()),
        12 => (path(&["price"]), dice.pick(&ordering), dice.price()),
        13 => (path(&["at"]), dice.pick(&ordering), dice.at()),
        14 => (path(&["big"]), dice.pick(&ordering), dice.big()),
        15 => (path(&["flag"]), dice.pick(&[Equals, NotEqual]), Value::Bool(dice.chance(2))),
        16 => (path(&["raw"]), dice.pick(&ordering), dice.raw()),
        _ => (path(&["any"]), dice.pick(&ordering), dice.any()),
    };
    Condition::Compare(Compare::new(attribute, comparator, value))
}

fn conditions(dice: &mut Dice, depth: u64) -> (Vec<Condition>, Operator) {
    let count = dice.roll(4) as usize;
    let operator = if count > 1 && dice.chance(2) { Operator::Or } else { Operator::And };
    let each = (0..count).map(|_| {
        if depth > 0 && dice.chance(4) {
            let (conditions, operator) = conditions(dice, depth - 1);
            if !conditions.is_empty() {
                return Condition::Group { operator, conditions };
            }
        }
        compare(dice)
    });
    (each.collect(), operator)
}

fn has_joins(conditions: &[Condition]) -> bool {
    conditions.iter().any(|condition| match condition {
        Condition::Compare(compare) => compare.attribute.len() > 1,
        Condition::Group { conditions, .. } => has_joins(conditions),
    })
}

pub(super) fn question(dice: &mut Dice) -> Query {
    let (conditions, operator) = conditions(dice, 2);
    let mut sort = Vec::new();
    if dice.chance(2) {
        for _ in 0..=dice.roll(2) {
            let names = [
                "n",
                "name",
                "sum",
                "id",
                "note",
                "owner.age",
                "price",
                "at",
                "big",
                "flag",
                "any",
                "raw",
            ];
            let path: Vec<String> = dice.pick(&names).split('.').map(str::to_owned).collect();
            let direction = dice.pick(&[Direction::Ascending, Direction::Descending]);
            sort.push(Sort::new(path, direction));
        }
    }
    let limit = dice.chance(2).then(|| dice.roll(8) as usize);
    let offset = if dice.chance(3) { dice.roll(4) as usize } else { 0 };
    // Conditions on related records narrow those that are shown.
    let select = (!has_joins(&conditions) && dice.chance(3))
        .then(|| query::parse(SHOWN).expect("a selection").select)
        .flatten();
    let id_prefix = dice.chance(6).then(|| dice.pick(&["a/", "b/", "a", "c/"]).into());
    Query { conditions, operator, sort, limit, offset, select, id_prefix, ..Query::default() }
}

/// One random question of the committed items.
pub(super) fn check(dice: &mut Dice, tables: &Tables, model: &Model, seed: u64) {
    match dice.roll(8) {
        0 => check_nearest(dice, &tables.items, model, seed),
        1 => check_visits(dice, &tables.visits, model, seed),
        _ => {
            let query = question(dice);
            check_found(tables.items.search(query.clone()), query, model, seed);
        }
    }
}

/// The rows as ids with what is shown of each.
fn rows(search: &mut Search) -> Vec<(String, Map)> {
    let items = search.next_batch(1000).expect("reads");
    let row = |item| match item {
        Item::Record(record) => record.to_map().expect("decodes"),
        Item::Value(Value::Object(map)) => map,
        Item::Value(other) => panic!("{other:?}"),
    };
    let rows = items.into_iter().map(row);
    rows.map(|row| (row["id"].as_str().expect("text").to_owned(), row)).collect()
}

/// Compares what a search of items finds with what the model does.
pub(super) fn check_found(search: Result<Search>, query: Query, model: &Model, seed: u64) {
    let shown = format!("seed {seed}: {query:#?}");
    let all = model.find(&query);
    let found = match search {
        Ok(mut search) => rows(&mut search),
        // An order by what is not indexed needs a condition.
        Err(error) => {
            assert!(query.conditions.is_empty() && error.status() == 404, "{error} {shown}");
            return;
        }
    };
    for (id, row) in &found {
        let expected = match (&query.select, model.items.get(id)) {
            (_, None) => panic!("{id} is not there: {shown}"),
            (None, Some(item)) => item.clone(),
            (Some(_), Some(_)) => model.shown(id),
        };
        let row = if query.select.is_some() { without_nulls(row.clone()) } else { row.clone() };
        assert_eq!(row, expected, "{shown}");
    }
    let found: Vec<String> = found.into_iter().map(|(id, _)| id).collect();
    let wanted = all.iter().skip(query.offset).take(query.limit.unwrap_or(usize::MAX));
    let wanted: Vec<String> = wanted.cloned().collect();
    if query.sort.is_empty() {
        assert_eq!(found.len(), wanted.len(), "{found:?} of {all:?} {shown}");
        assert!(found.iter().all(|id| all.contains(id)), "{found:?} of {all:?} {shown}");
        let mut once = found.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), found.len(), "each once: {shown}");
    } else {
        assert_eq!(found, wanted, "{shown}");
    }
}

/// The nearest of so few are the very nearest.
fn check_nearest(dice: &mut Dice, items: &Arc<Table>, model: &Model, seed: u64) {
    let target = dice.place();
    let (conditions, operator) = conditions(dice, 1);
    let limit = 1 + dice.roll(12) as usize;
    let nearest = Nearest { target: target.clone(), ef: None, distance: None };
    let sort =
        Sort { nearest: Some(nearest), ..Sort::new(vec!["place".into()], Direction::Ascending) };
    let query =
        Query { conditions, operator, sort: vec![sort], limit: Some(limit), ..Query::default() };
    let distance = |row: &Map| {
        let Some(Value::Array(place)) = row.get("place") else { return None };
        let each = place.iter().zip(&target);
        let each = each.map(|(a, b)| (a.as_f64().expect("a number") - f64::from(*b)).powi(2));
        Some(each.sum::<f64>())
    };
    let mut expected: Vec<f64> = model.matching(&query).iter().filter_map(distance).collect();
    expected.sort_by(f64::total_cmp);
    expected.truncate(limit);
    let shown = format!("seed {seed}: {query:#?}");
    let mut search = items.search(query).unwrap_or_else(|error| panic!("{error} {shown}"));
    let found = rows(&mut search);
    // Those without a place may follow where all distances are worked out.
    let found: Vec<f64> = found.iter().filter_map(|(_, row)| distance(row)).collect();
    assert_eq!(found, expected, "{shown}");
}

/// The other database.
fn check_visits(dice: &mut Dice, visits: &Arc<Table>, model: &Model, seed: u64) {
    let n = dice.roll(4) as i64;
    let query = query::parse(&format!("n=ge={n}&sort(-n)")).expect("a query");
    let mut expected: Vec<(i64, String)> = model
        .visits
        .iter()
        .filter_map(|(id, row)| match row.get("n") {
            Some(Value::Int(held)) if *held >= n => Some((*held, id.clone())),
            _ => None,
        })
        .collect();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    let expected: Vec<String> = expected.into_iter().map(|(_, id)| id).collect();
    let found = rows(&mut visits.search(query).expect("begins"));
    let found: Vec<String> = found.into_iter().map(|(id, _)| id).collect();
    assert_eq!(found, expected, "seed {seed}");
}
