//! `kora-recall`: fills a table that has an HNSW index with vectors, compares what a search finds with
//! brute force, and prints recall, times and sizes. It fails below `--least`, so that it can be a gate.
//!
//! `cargo run --release -p kora-recall`: 100,000 vectors of 128 numbers, some minutes on one core.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use kora_resource::query::{Direction, Nearest, Sort};
use kora_resource::{Id, Item, Map, Query, Value};
use kora_store::{ByteSize, Durability, Store, StoreOptions, Table};

#[derive(Parser)]
#[command(about = "Measures the recall and speed of vector search")]
struct Options {
    #[arg(long, default_value_t = 100_000)]
    vectors: usize,
    #[arg(long, default_value_t = 128)]
    dimensions: usize,
    /// Around how many centres the vectors lie, as those of texts and pictures do; 0: anywhere, which
    /// no vectors of the world are and which is the hardest that there is
    #[arg(long, default_value_t = 1000)]
    centres: usize,
    /// How many searches are measured
    #[arg(long, default_value_t = 200)]
    searches: usize,
    /// How many of the nearest each asks for
    #[arg(long, default_value_t = 10)]
    nearest: usize,
    /// Options of the index, as in a schema
    #[arg(long, default_value = "")]
    index: String,
    /// The recall below which this program fails
    #[arg(long, default_value_t = 0.95)]
    least: f64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let directory = tempfile::tempdir()?;
    let store = Store::open(
        directory.path(),
        StoreOptions {
            durability: Durability::Interval(Duration::from_secs(1)),
            initial_map: ByteSize(4 << 30),
            ..StoreOptions::default()
        },
    )?;
    let schema = format!(
        "type Doc @table {{ id: ID @primaryKey vector: [Float] @indexed(type: \"HNSW\" {}) }}",
        options.index
    );
    let schema = kora_resource::schema::parse(&schema, Path::new("--index"))?;
    let table = store.apply(&schema.tables)?.into_iter().next().context("one table")?;

    let mut dice = Dice(11);
    let vectors = vectors(&options, &mut dice);
    let begun = Instant::now();
    runtime.block_on(fill(&store, &table, &vectors))?;
    let built = begun.elapsed();

    let mut times = Vec::with_capacity(options.searches);
    let (mut hits, mut wanted) = (0, 0);
    for n in 0..options.searches {
        let target = question(&options, &vectors, n, &mut dice);
        let begun = Instant::now();
        let found = search(&table, &target, options.nearest)?;
        times.push(begun.elapsed());
        let exact = brute_force(&vectors, &target, options.nearest);
        hits += exact.iter().filter(|id| found.contains(id)).count();
        wanted += exact.len();
    }
    ensure!(wanted > 0, "nothing was searched");
    times.sort_unstable();
    let recall = hits as f64 / wanted as f64;
    println!(
        "{} vectors of {} numbers, {} centres",
        options.vectors, options.dimensions, options.centres
    );
    println!(
        "  filled in     {:>9.1} s  ({:.0} a second)",
        built.as_secs_f64(),
        options.vectors as f64 / built.as_secs_f64()
    );
    println!("  recall at {:<3} {recall:>9.4}", options.nearest);
    println!("  search p50    {:>9.2} ms", millis(times[times.len() / 2]));
    println!("  search p99    {:>9.2} ms", millis(times[times.len() * 99 / 100]));
    ensure!(recall >= options.least, "recall {recall} is below {}", options.least);
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Numbers that depend only on where they begin, so that each run measures the same.
struct Dice(u64);

impl Dice {
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 40) as f32) / (1u64 << 24) as f32
    }

    /// About normally distributed.
    fn normal(&mut self) -> f32 {
        (0..6).map(|_| self.uniform()).sum::<f32>() - 3.0
    }

    fn vector(&mut self, dimensions: usize) -> Vec<f32> {
        (0..dimensions).map(|_| self.normal()).collect()
    }

    fn near(&mut self, centre: &[f32], spread: f32) -> Vec<f32> {
        centre.iter().map(|x| x + self.normal() * spread).collect()
    }
}

fn vectors(options: &Options, dice: &mut Dice) -> Vec<Vec<f32>> {
    let centres: Vec<_> = (0..options.centres).map(|_| dice.vector(options.dimensions)).collect();
    (0..options.vectors)
        .map(|n| match centres.get(n % centres.len().max(1)) {
            Some(centre) => dice.near(centre, 0.7),
            None => dice.vector(options.dimensions),
        })
        .collect()
}

/// Near one that is there, as questions are; anywhere if the vectors are.
fn question(options: &Options, vectors: &[Vec<f32>], n: usize, dice: &mut Dice) -> Vec<f32> {
    match options.centres {
        0 => dice.vector(options.dimensions),
        _ => dice.near(&vectors[n * 997 % vectors.len()], 0.3),
    }
}

fn id(at: usize) -> String {
    format!("{at:07}")
}

async fn fill(store: &Arc<Store>, table: &Arc<Table>, vectors: &[Vec<f32>]) -> Result<()> {
    const BATCH: usize = 500;
    for (batch, chunk) in vectors.chunks(BATCH).enumerate() {
        let mut transaction = store.transaction();
        for (n, vector) in chunk.iter().enumerate() {
            let id = id(batch * BATCH + n);
            let numbers = vector.iter().map(|x| Value::number(f64::from(*x))).collect();
            let record = Map::from_iter([
                ("id".to_owned(), Value::from(&*id)),
                ("vector".to_owned(), Value::Array(numbers)),
            ]);
            transaction.put(table, Id::String(id), record)?;
        }
        transaction.commit().await?;
    }
    Ok(())
}

fn search(table: &Arc<Table>, target: &[f32], limit: usize) -> Result<Vec<String>> {
    let nearest = Nearest { target: target.to_vec(), ef: None, distance: None };
    let query = Query {
        sort: vec![Sort {
            nearest: Some(nearest),
            ..Sort::new(vec!["vector".into()], Direction::Ascending)
        }],
        limit: Some(limit),
        ..kora_resource::query::parse("select(id)")?
    };
    let found = table.search(query)?.next_batch(limit)?;
    let ids = found.into_iter().filter_map(|item| match item {
        Item::Value(Value::String(id)) => Some(id.to_string()),
        Item::Value(_) | Item::Record(_) => None,
    });
    Ok(ids.collect())
}

/// The ids of the truly nearest by the cosine of their angle.
fn brute_force(vectors: &[Vec<f32>], target: &[f32], limit: usize) -> Vec<String> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    let distance = |vector: &[f32]| 1.0 - dot(vector, target) / dot(vector, vector).sqrt();
    let mut all: Vec<(f32, usize)> =
        vectors.iter().enumerate().map(|(at, vector)| (distance(vector), at)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all.into_iter().take(limit).map(|(_, at)| id(at)).collect()
}
