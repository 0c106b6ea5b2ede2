use std::collections::BTreeMap;

use kora_resource::{Item, Query, query};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

fn text(query: &str) -> Query {
    query::parse(query).expect(query)
}

/// The ids that a query finds, in their order.
fn ids(table: &Arc<Table>, query: Query) -> Vec<String> {
    let records = table.search(query).expect("begins").next_records(10_000).expect("reads");
    records
        .iter()
        .map(|r| r.to_map().expect("decodes")["id"].as_str().expect("text").to_owned())
        .collect()
}

#[derive(Debug, Clone)]
enum Change {
    Put(u8, u8, i64, Vec<u8>, u8),
    Patch(u8, i64),
    Delete(u8),
}

fn change() -> impl Strategy<Value = Change> {
    let tags = prop::collection::vec(0u8..4, 0..3);
    prop_oneof![
        4 => (0u8..20, 0u8..4, -3i64..3, tags, 0u8..6)
            .prop_map(|(id, name, age, tags, any)| Change::Put(id, name, age, tags, any)),
        2 => (0u8..20, -3i64..3).prop_map(|(id, age)| Change::Patch(id, age)),
        1 => (0u8..20).prop_map(Change::Delete),
    ]
}

fn record(id: u8, name: u8, age: i64, tags: &[u8], any: u8) -> Map {
    let tag = |tag: &u8| Value::from(format!("t{tag}"));
    let any = match any {
        0 => Value::Null,
        1 => Value::Bool(true),
        2 => Value::Int(age),
        3 => Value::from("t1"),
        4 => Value::Array(vec![Value::Int(1), Value::from("t1")]),
        _ => Value::Object(map([("x", 1.into())])),
    };
    let mut record = map([("id", format!("{id:02}").into()), ("any", any)]);
    if name > 0 {
        record.insert("name".into(), "\0n".repeat(name.into()).into());
    }
    if age != 0 {
        record.insert("age".into(), age.into());
    }
    record.insert("tags".into(), Value::Array(tags.iter().map(tag).collect()));
    record
}

const QUERIES: [&str; 22] = [
    "name=%00n",
    "name==null",
    "name=sw=%00n%00",
    "name=gt=%00n",
    "name=le=%00n",
    "age=1",
    "age==null",
    "age=gt=-1",
    "age=ge=-2&age=lt=1",
    "age=in=(1,2,-3)",
    "age=between=(-1,1)",
    "age!=1",
    "tags=t1",
    "tags=gt=t1",
    "tags=in=(t0,t2)",
    "any==1",
    "any==null",
    "any=t1",
    "any=gt=number:-2",
    "id=ge=05&id=lt=12",
    "id=in=(03,07,11)&age=lt=2",
    "age=1|tags=t3",
];

/// Random changes, then every query by its access path must find what a filter over all finds.
#[test]
fn indexes_agree_with_a_naive_model() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut runner = TestRunner::new(Config { cases: 12, ..Config::default() });
    let changes = prop::collection::vec(change(), 1..60);
    runner
        .run(&changes, |changes| {
            let fixture = Fixture::with(StoreOptions {
                durability: crate::Durability::Interval(Duration::from_secs(60)),
                initial_map: ByteSize(1 << 24),
                ..StoreOptions::default()
            });
            let table = fixture.table(DOG);
            let mut model: BTreeMap<String, Map> = BTreeMap::new();
            runtime.block_on(async {
                for change in &changes {
                    let mut transaction = fixture.store.transaction();
                    match change {
                        Change::Put(id, name, age, tags, any) => {
                            let record = record(*id, *name, *age, tags, *any);
                            let id = format!("{id:02}");
                            model.insert(id.clone(), record.clone());
                            transaction.put(&table, Id::String(id), record).expect("valid");
                        }
                        Change::Patch(id, age) => {
                            let id = format!("{id:02}");
                            let held = model.entry(id.clone()).or_default();
                            held.insert("id".into(), id.clone().into());
                            held.insert("age".into(), (*age).into());
                            let changes = map([("age", (*age).into())]);
                            transaction.patch(&table, Id::String(id), changes).expect("valid");
                        }
                        Change::Delete(id) => {
                            let id = format!("{id:02}");
                            model.remove(&id);
                            transaction.delete(&table, &Id::String(id)).expect("deletes");
                        }
                    }
                    transaction.commit().await.expect("commits");
                }
            });
            for query in QUERIES {
                let mut coerced = text(query);
                coerced.coerce(&table.schema()).expect(query);
                let filter = coerced.filter();
                let matching = model.iter().filter(|(_, record)| filter.matches_map(record));
                let expected: Vec<_> = matching.map(|(id, _)| id.clone()).collect();
                let mut found = ids(&table, text(query));
                found.sort();
                prop_assert_eq!(&found, &expected, "{}", query);
                for sort in ["age", "-age", "name", "id", "-id", "tags", "-any", "note"] {
                    let sorted = ids(&table, text(&format!("{query}&sort({sort})")));
                    let attribute = sort.trim_start_matches('-');
                    let mut by: Vec<_> = expected.clone();
                    by.sort_by(|a, b| {
                        let key =
                            |id: &String| model[id].get(attribute).cloned().unwrap_or_default();
                        let order = key(a).key_cmp(&key(b)).then(a.cmp(b));
                        if sort.starts_with('-') { order.reverse() } else { order }
                    });
                    prop_assert_eq!(&sorted, &by, "{} sort({})", query, sort);
                }
            }
            for sort in ["age", "-age", "name", "-name"] {
                let limited = ids(&table, text(&format!("sort({sort})&limit(2,6)")));
                let all = ids(&table, text(&format!("sort({sort})")));
                let expected: Vec<_> = all.iter().skip(2).take(4).cloned().collect();
                prop_assert_eq!(all.len(), model.len());
                prop_assert_eq!(limited, expected, "limit of sort({})", sort);
            }
            Ok(())
        })
        .expect("agrees");
}

#[tokio::test]
async fn bounds_prefixes_and_selections() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    let mut transaction = fixture.store.transaction();
    for n in 0..1000 {
        let id = format!("a/{n:04}");
        transaction.put(&table, Id::from(&*id), dog(&id, "x", n)).expect("valid");
    }
    for id in ["a", "a0", "b/1"] {
        transaction.put(&table, id.into(), dog(id, "y", 5)).expect("valid");
    }
    transaction.commit().await.expect("commits");
    let prefix = |id: &str| Query { id_prefix: Some(id.into()), ..Query::default() };
    assert_eq!(ids(&table, prefix("a/")).len(), 1000);
    assert_eq!(ids(&table, prefix("b/")), ["b/1"]);
    let both = Query { id_prefix: Some("b/".into()), ..text("age=5") };
    assert_eq!(ids(&table, both), ["b/1"]);
    assert_eq!(ids(&table, text("limit(998,1003)")), ["a/0997", "a/0998", "a/0999", "a0", "b/1"]);
    assert_eq!(ids(&table, text("sort(-id)&limit(2)")), ["b/1", "a0"]);
    assert!(ids(&table, text("limit(0)")).is_empty());
    let mut search = table.search(text("age=lt=3&select(age)&sort(-age)")).expect("begins");
    let mut found = Vec::new();
    loop {
        let batch = search.next_batch(2).expect("reads");
        if batch.is_empty() {
            break;
        }
        assert!(batch.len() <= 2);
        found.extend(batch.into_iter().map(|item| match item {
            Item::Value(value) => value,
            Item::Record(_) => panic!("a selection is a value"),
        }));
    }
    assert_eq!(found, [Value::Int(2), Value::Int(1), Value::Int(0)]);
    let items = table.search(text("name=x")).expect("begins").into_items();
    assert_eq!(futures_util::StreamExt::count(items).await, 1000);
}

#[test]
fn what_can_not_be_searched_says_so() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    for (query, status, message) in [
        ("nose=1", 404, "nose is not a defined attribute"),
        ("sort(nose)", 404, "nose is not a defined attribute"),
        ("sort(note)", 404, "note is not indexed and not combined with any other conditions"),
        ("age=x", 400, "Invalid value for attribute age: \"x\", expecting Int"),
    ] {
        let error = table.search(text(query)).expect_err(query);
        assert_eq!((error.status(), &*error.message), (status, message), "{query}");
    }
    assert!(table.search(text("note=1&sort(note)")).is_ok());
}
