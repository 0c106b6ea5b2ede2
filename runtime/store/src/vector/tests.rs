//! Recall, changes and the power of the storage to bring a graph back.

use std::sync::Arc;

use kora_resource::{Id, Item, Map, Query, Value, query};

use crate::tests::Fixture;
use crate::vector::between;
use crate::{ByteSize, Durability, StoreOptions, Table};

const SCHEMA: &str = "type Doc @table { id: ID @primaryKey group: Int @indexed
    vector: [Float] @indexed(type: \"HNSW\", distance: \"cosine\") }";

/// The same with a graph that is soon built, also by a build without optimisation.
const SMALL: &str = "type Doc @table { id: ID @primaryKey group: Int @indexed
    vector: [Float] @indexed(type: \"HNSW\", M: 8, efConstruction: 30, efConstructionSearch: 60) }";

/// Numbers that only depend on where they begin.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 40) as f32) / (1u64 << 24) as f32
    }

    /// About normally distributed.
    fn normal(&mut self) -> f32 {
        (0..6).map(|_| self.next()).sum::<f32>() - 3.0
    }
}

/// Vectors around `centres` centres, as those of texts and pictures lie; 0: anywhere.
fn vectors(count: usize, dimensions: usize, centres: usize, dice: &mut Dice) -> Vec<Vec<f32>> {
    let middle: Vec<Vec<f32>> =
        (0..centres).map(|_| (0..dimensions).map(|_| dice.normal()).collect()).collect();
    (0..count)
        .map(|n| match centres {
            0 => (0..dimensions).map(|_| dice.normal()).collect(),
            _ => middle[n % centres].iter().map(|x| x + dice.normal() * 0.7).collect(),
        })
        .collect()
}

fn fixture() -> Fixture {
    Fixture::with(StoreOptions {
        durability: Durability::Interval(std::time::Duration::from_secs(60)),
        initial_map: ByteSize(4 << 30),
        ..StoreOptions::default()
    })
}

fn doc(id: &str, vector: &[f32], group: i64) -> Map {
    let numbers = vector.iter().map(|n| Value::number(f64::from(*n))).collect();
    Map::from_iter([
        ("id".to_owned(), id.into()),
        ("group".to_owned(), Value::Int(group)),
        ("vector".to_owned(), Value::Array(numbers)),
    ])
}

async fn fill(fixture: &Fixture, table: &Arc<Table>, vectors: &[Vec<f32>]) {
    for (batch, chunk) in vectors.chunks(500).enumerate() {
        let mut transaction = fixture.store.transaction();
        for (n, vector) in chunk.iter().enumerate() {
            let at = batch * 500 + n;
            let id = format!("{at:06}");
            let record = doc(&id, vector, (at % 10) as i64);
            transaction.put(table, Id::String(id), record).expect("fits");
        }
        transaction.commit().await.expect("commits");
    }
}

fn nearest(table: &Arc<Table>, target: &[f32], extra: &str, limit: usize) -> Vec<String> {
    let mut query = query::parse(extra).expect("a query");
    query.sort = vec![query::Sort {
        nearest: Some(query::Nearest { target: target.to_vec(), ef: None, distance: None }),
        ..query::Sort::new(vec!["vector".into()], query::Direction::Ascending)
    }];
    query.limit = Some(limit);
    found(table, query)
}

fn found(table: &Arc<Table>, query: Query) -> Vec<String> {
    let items = table.search(query).expect("begins").next_batch(1000).expect("reads");
    let id = |item| match item {
        Item::Record(record) => record.to_map().expect("decodes")["id"].as_str().map(str::to_owned),
        Item::Value(value) => value.as_str().map(str::to_owned),
    };
    items.into_iter().map(|item| id(item).expect("an id")).collect()
}

/// The ids of the truly nearest.
fn exact(
    vectors: &[Vec<f32>],
    target: &[f32],
    limit: usize,
    keep: impl Fn(usize) -> bool,
) -> Vec<String> {
    let distance = |at: &usize| between(Default::default(), &vectors[*at], target);
    let mut all: Vec<usize> = (0..vectors.len()).filter(|at| keep(*at)).collect();
    all.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
    all.into_iter().take(limit).map(|at| format!("{at:06}")).collect()
}

fn recall(found: &[String], expected: &[String]) -> f64 {
    expected.iter().filter(|id| found.contains(id)).count() as f64 / expected.len() as f64
}

#[tokio::test]
async fn the_nearest_are_found_through_changes_and_reopening() {
    let mut dice = Dice(7);
    let mut all = vectors(450, 12, 20, &mut dice);
    let fixture = fixture();
    let table = fixture.table(SMALL);
    fill(&fixture, &table, &all).await;
    let targets = vectors(10, 12, 20, &mut dice);
    let mean = |table: &Arc<Table>, all: &[Vec<f32>], extra: &str, keep: &dyn Fn(usize) -> bool| {
        let each = targets.iter().map(|target| {
            recall(&nearest(table, target, extra, 10), &exact(all, target, 10, keep))
        });
        each.sum::<f64>() / targets.len() as f64
    };
    assert!(mean(&table, &all, "", &|_| true) >= 0.95);
    // Few match: their distances are worked out, which is exact.
    assert!(mean(&table, &all, "group=3", &|at| at % 10 == 3) >= 0.999);
    // Many match: the graph is asked for more until enough do.
    assert!(mean(&table, &all, "group=lt=8", &|at| at % 10 < 8) >= 0.95);
    // A third goes, a third moves.
    let moved = vectors(150, 12, 20, &mut dice);
    for n in 0..150 {
        fixture.delete(&table, &format!("{n:06}")).await;
        let at = 150 + n;
        fixture.put(&table, doc(&format!("{at:06}"), &moved[n], (at % 10) as i64)).await;
        all[at] = moved[n].clone();
    }
    let live = |at: usize| at >= 150;
    assert!(mean(&table, &all, "", &live) >= 0.95);
    drop(table);
    let fixture = fixture.reopened();
    let table = fixture.table(SMALL);
    assert!(mean(&table, &all, "", &live) >= 0.95);
    for n in 150..450 {
        fixture.delete(&table, &format!("{n:06}")).await;
    }
    assert!(nearest(&table, &targets[0], "", 10).is_empty());
    fixture.put(&table, doc("a", &[1.0, 0.0], 0)).await;
    assert_eq!(nearest(&table, &[1.0, 1.0], "", 10), ["a"], "an emptied index takes other lengths");
}

#[tokio::test]
async fn distances_bound_and_are_shown() {
    let fixture = fixture();
    let table = fixture.table(SCHEMA);
    for (id, vector) in [("a", [1.0, 0.0]), ("b", [1.0, 1.0]), ("c", [0.0, 1.0])] {
        fixture.put(&table, doc(id, &vector, 1)).await;
    }
    let mut query = query::parse("select([id,$distance])").expect("a query");
    query.conditions = vec![query::Condition::Compare(query::Compare {
        target: Some(vec![1.0, 0.0]),
        ..query::Compare::new(vec!["vector".into()], query::Comparator::Less, 0.5.into())
    })];
    let items = table.search(query).expect("begins").next_batch(10).expect("reads");
    let shown: Vec<Value> = items
        .into_iter()
        .map(|item| match item {
            Item::Value(value) => value,
            Item::Record(_) => panic!("a selection is a value"),
        })
        .collect();
    let [Value::Array(a), Value::Array(b)] = shown.as_slice() else { panic!("{shown:?}") };
    assert_eq!((&a[0], &a[1]), (&Value::from("a"), &Value::Int(0)));
    assert_eq!(b[0], Value::from("b"));
    assert!(b[1].as_f64().is_some_and(|distance| (distance - 0.2929).abs() < 0.001));
    let mut wrong = fixture.store.transaction();
    wrong.put(&table, "d".into(), doc("d", &[1.0], 1)).expect("a list of numbers");
    let error = wrong.commit().await.expect_err("another length");
    assert!(error.status() == 400 && error.message.contains("has 1 numbers"), "{error}");
}
