//! Random changes and queries against tables in memory: conditions in groups, joins, computed
//! attributes, several sort keys, bounds, and the store opened again in between.
//!
//! Seconds by default; `KORA_MODEL_ROUNDS=1000 cargo test -p kora-store model` goes on for long. A
//! failure names its seed, `KORA_MODEL_SEED` begins with it.

use std::collections::BTreeMap;

use kora_resource::Query;
use kora_resource::query::{Comparator, Compare, Condition, Direction, Operator, Sort};

use super::*;

const SCHEMA: &str = "type Item @table { id: ID @primaryKey  n: Int @indexed  name: String @indexed
        tags: [String] @indexed  note: Int  ownerId: ID @indexed  friendIds: [ID] @indexed
        owner: Owner @relationship(from: ownerId)  friends: [Owner] @relationship(from: friendIds)
        sum: Float @computed(from: \"n + note\") @indexed
        even: Boolean @computed(from: \"n % 2 === 0\") }
    type Owner @table { id: ID @primaryKey  age: Int @indexed  name: String
        items: [Item] @relationship(to: ownerId) }";

type Rows = BTreeMap<String, Map>;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % sides
    }

    fn chance(&mut self, of: u64) -> bool {
        self.roll(of) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len() as u64) as usize]
    }

    fn name(&mut self) -> Value {
        Value::from(self.pick(&["", "a", "ab", "abc", "b", "\0", "é"]))
    }

    fn owner_id(&mut self) -> Value {
        Value::from(format!("o{}", self.roll(6)))
    }

    fn small(&mut self) -> Value {
        if self.chance(8) { Value::Null } else { Value::Int(self.roll(9) as i64 - 3) }
    }
}

/// The tables as they should be.
#[derive(Default)]
struct Model {
    items: Rows,
    owners: Rows,
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

    /// All ids that a query finds, in its order; its bounds are left out.
    fn find(&self, query: &Query) -> Vec<String> {
        let rows: Vec<Map> = self.items.values().map(Model::whole).collect();
        let mut found: Vec<&Map> =
            rows.iter().filter(|row| self.holds(&query.conditions, query.operator, row)).collect();
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
}

fn compare(dice: &mut Dice) -> Condition {
    use Comparator::*;
    let ordering = [Equals, NotEqual, Less, LessEqual, Greater, GreaterEqual];
    let path = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let (attribute, comparator, value) = match dice.roll(12) {
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
        9 => (path(&["id"]), dice.pick(&ordering), Value::from(format!("i{:02}", dice.roll(30)))),
        10 => {
            let by = dice.pick(&["owner", "friends"]);
            (path(&[by, "age"]), dice.pick(&ordering), dice.small())
        }
        _ => (path(&["owner", "name"]), dice.pick(&[Equals, StartsWith]), dice.name()),
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

fn question(dice: &mut Dice) -> Query {
    let (conditions, operator) = conditions(dice, 2);
    let mut sort = Vec::new();
    if dice.chance(2) {
        for _ in 0..=dice.roll(2) {
            let names = ["n", "name", "sum", "id", "note", "owner.age"];
            let path: Vec<String> = dice.pick(&names).split('.').map(str::to_owned).collect();
            let direction = dice.pick(&[Direction::Ascending, Direction::Descending]);
            sort.push(Sort::new(path, direction));
        }
    }
    let limit = dice.chance(2).then(|| dice.roll(8) as usize);
    let offset = if dice.chance(3) { dice.roll(4) as usize } else { 0 };
    Query { conditions, operator, sort, limit, offset, ..Query::default() }
}

fn item(dice: &mut Dice, id: &str) -> Map {
    let mut record = map([("id", id.into()), ("n", dice.small()), ("note", dice.small())]);
    if !dice.chance(4) {
        record.insert("name".into(), dice.name());
    }
    if !dice.chance(4) {
        record.insert("ownerId".into(), dice.owner_id());
    }
    let tags = (0..dice.roll(3)).map(|_| dice.name()).collect();
    record.insert("tags".into(), Value::Array(tags));
    let friends = (0..dice.roll(3)).map(|_| dice.owner_id()).collect();
    record.insert("friendIds".into(), Value::Array(friends));
    record
}

async fn change(dice: &mut Dice, fixture: &Fixture, tables: &[Arc<Table>], model: &mut Model) {
    let mut transaction = fixture.store.transaction();
    for _ in 0..=dice.roll(4) {
        if dice.chance(5) {
            let id = format!("o{}", dice.roll(6));
            if dice.chance(4) {
                transaction.delete(&tables[1], &Id::from(&*id)).expect("deletes");
                model.owners.remove(&id);
            } else {
                let record =
                    map([("id", Value::from(&*id)), ("age", dice.small()), ("name", dice.name())]);
                transaction.put(&tables[1], Id::from(&*id), record.clone()).expect("fits");
                model.owners.insert(id, record);
            }
            continue;
        }
        let id = format!("i{:02}", dice.roll(30));
        match dice.roll(6) {
            0 => {
                transaction.delete(&tables[0], &Id::from(&*id)).expect("deletes");
                model.items.remove(&id);
            }
            1 => {
                let changes = map([("n", dice.small()), ("ownerId", dice.owner_id())]);
                let held = model.items.entry(id.clone()).or_default();
                held.insert("id".into(), Value::from(&*id));
                held.extend(changes.clone());
                transaction.patch(&tables[0], Id::from(&*id), changes).expect("fits");
            }
            _ => {
                let record = item(dice, &id);
                transaction.put(&tables[0], Id::from(&*id), record.clone()).expect("fits");
                model.items.insert(id, record);
            }
        }
    }
    transaction.commit().await.expect("commits");
}

fn check(table: &Arc<Table>, model: &Model, query: Query, seed: u64) {
    let shown = format!("seed {seed}: {query:#?}");
    let all = model.find(&query);
    let ids = |records: Vec<kora_resource::Record>| -> Vec<String> {
        let id = |record: &kora_resource::Record| record.to_map().expect("decodes")["id"].clone();
        records.iter().map(|record| id(record).as_str().expect("text").to_owned()).collect()
    };
    let found = match table.search(query.clone()) {
        Ok(mut search) => ids(search.next_records(1000).expect("reads")),
        // An order by what is not indexed needs a condition.
        Err(error) => {
            assert!(query.conditions.is_empty() && error.status() == 404, "{error} {shown}");
            return;
        }
    };
    let wanted = all.iter().skip(query.offset).take(query.limit.unwrap_or(usize::MAX));
    let wanted: Vec<String> = wanted.cloned().collect();
    if query.sort.is_empty() {
        assert_eq!(found.len(), wanted.len(), "{shown}");
        assert!(found.iter().all(|id| all.contains(id)), "{found:?} of {all:?} {shown}");
        let mut once = found.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), found.len(), "each once: {shown}");
    } else {
        assert_eq!(found, wanted, "{shown}");
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn random_queries_find_what_a_model_finds() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let first = number("KORA_MODEL_SEED", 1);
    for seed in first..first + number("KORA_MODEL_ROUNDS", 6) {
        let mut dice = Dice(seed);
        let mut model = Model::default();
        let mut fixture = Fixture::with(StoreOptions {
            durability: crate::Durability::Interval(Duration::from_secs(60)),
            initial_map: ByteSize(1 << 26),
            ..StoreOptions::default()
        });
        for part in 0..3 {
            let tables = fixture.store.apply(&schemas(SCHEMA)).expect("applies");
            for _ in 0..25 {
                runtime.block_on(change(&mut dice, &fixture, &tables, &mut model));
                for _ in 0..4 {
                    check(&tables[0], &model, question(&mut dice), seed);
                }
            }
            drop(tables);
            if part < 2 {
                fixture = fixture.reopened();
            }
        }
    }
}
