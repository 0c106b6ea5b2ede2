//! Random changes and queries against tables in memory: every kind of index and computed attribute,
//! conditions in groups, joins, several sort keys, bounds, nearest vectors, transactions over two
//! databases that commit, conflict, fail or are given up, records that expire, indexes that come and
//! go, the change log as it is read again and as subscriptions tell it; and the store opened again in
//! between.
//!
//! Seconds by default; `KORA_MODEL_ROUNDS=1000 cargo test -p kora-store model` goes on for long, and
//! `KORA_MODEL_MINUTES=60` for so long. A failure names its seed, `KORA_MODEL_SEED` begins with it.

mod changes;
mod log;
mod questions;
mod tables;

use super::*;
use changes::change;
use log::{Follower, check_log};
use questions::check;
use tables::Model;

/// The tables. Where `more` says so, two more attributes have an index.
fn schema(more: bool) -> String {
    let more = if more { "@indexed" } else { "" };
    format!(
        "type Item @table(expiration: 3600, scanInterval: 1) {{
            id: ID @primaryKey  n: Int @indexed  name: String @indexed  tags: [String] @indexed
            note: Int {more}  ownerId: ID @indexed  friendIds: [ID] @indexed
            price: Float @indexed  at: Date @indexed  big: BigInt @indexed  flag: Boolean @indexed
            any: Any @indexed  raw: Bytes {more}
            place: [Float] @indexed(type: \"HNSW\", distance: \"euclidean\", M: 4, efConstruction: 20)
            owner: Owner @relationship(from: ownerId)  friends: [Owner] @relationship(from: friendIds)
            sum: Float @computed(from: \"n + note\") @indexed
            even: Boolean @computed(from: \"n % 2 === 0\") {more} }}
        type Owner @table {{ id: ID @primaryKey  age: Int @indexed  name: String
            items: [Item] @relationship(to: ownerId) }}
        type Visit @table(database: \"other\") {{ id: ID @primaryKey  n: Int @indexed }}"
    )
}

/// The tables as the store has them.
struct Tables {
    items: Arc<Table>,
    owners: Arc<Table>,
    visits: Arc<Table>,
}

impl Tables {
    fn apply(fixture: &Fixture, more: bool) -> Tables {
        let tables = fixture.store.apply(&schemas(&schema(more))).expect("applies");
        let [items, owners, visits] = &tables[..] else { panic!("three tables") };
        eventually("the indexes", || items.indexes_complete());
        Tables { items: items.clone(), owners: owners.clone(), visits: visits.clone() }
    }
}

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

    fn item_id(&mut self) -> String {
        format!("{}/{:02}", self.pick(&["a", "b"]), self.roll(18))
    }

    fn owner_id(&mut self) -> Value {
        Value::from(format!("o{}", self.roll(6)))
    }

    fn name(&mut self) -> Value {
        Value::from(self.pick(&["", "a", "ab", "abc", "b", "\0", "é"]))
    }

    fn small(&mut self) -> Value {
        if self.chance(8) { Value::Null } else { Value::Int(self.roll(9) as i64 - 3) }
    }

    fn price(&mut self) -> Value {
        let prices = [-1e300, -0.5, 0.0, 1e-9, 0.5, 1.0, 1.5, 1e15, 9e15, f64::INFINITY];
        Value::number(self.pick(&prices))
    }

    fn at(&mut self) -> Value {
        Value::Date(self.pick(&[-1e12, -1.0, 0.0, 0.5, 1.0, 1.7e12]))
    }

    fn big(&mut self) -> Value {
        let bits = [0, 1, 53, 54, 63, 64, 100];
        let number = (1i128 << self.pick(&bits)) + i128::from(self.roll(3) as i64 - 1);
        Value::integer(if self.chance(2) { number } else { -number })
    }

    fn raw(&mut self) -> Value {
        let bytes: &[&[u8]] = &[b"", b"\0", b"\0\0", b"a", b"\xff", b"\xff\xff"];
        Value::Bytes(bytes::Bytes::from_static(self.pick(bytes)))
    }

    /// Of any type that has an order.
    fn any(&mut self) -> Value {
        match self.roll(7) {
            0 => self.small(),
            1 => self.price(),
            2 => self.name(),
            3 => self.big(),
            4 => self.at(),
            5 => self.raw(),
            _ => Value::Bool(self.chance(2)),
        }
    }

    fn place(&mut self) -> Vec<f32> {
        (0..3).map(|_| self.roll(7) as f32 - 3.0).collect()
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// One store's life, or three of them: it is opened again twice.
fn live(seed: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let mut dice = Dice(seed);
    let mut model = Model::default();
    let mut fixture = Fixture::with(StoreOptions {
        durability: crate::Durability::Interval(Duration::from_secs(60)),
        initial_map: ByteSize(1 << 26),
        ..StoreOptions::default()
    });
    for part in 0..3 {
        let mut more = dice.chance(2);
        let mut tables = Tables::apply(&fixture, more);
        let mut follower = Follower::begin(&tables.items, &model);
        for step in 0..25 {
            if step == 12 && dice.chance(2) {
                more = !more;
                tables = Tables::apply(&fixture, more);
            }
            runtime.block_on(change(&mut dice, &fixture, &tables, &mut model, seed));
            for _ in 0..4 {
                check(&mut dice, &tables, &model, seed);
            }
        }
        runtime.block_on(follower.end(&fixture, &tables.items, &mut model, seed));
        runtime.block_on(check_log(&mut dice, &tables.items, &model, seed));
        drop((tables, follower));
        if part < 2 {
            fixture = fixture.reopened();
        }
    }
}

#[test]
fn random_queries_find_what_a_model_finds() {
    let first = number("KORA_MODEL_SEED", 1);
    let minutes = Duration::from_secs(60 * number("KORA_MODEL_MINUTES", 0));
    let rounds = if minutes.is_zero() { number("KORA_MODEL_ROUNDS", 6) } else { u64::MAX - first };
    let began = Instant::now();
    for seed in first..first + rounds {
        live(seed);
        if !minutes.is_zero() && began.elapsed() > minutes {
            println!("seeds {first} to {seed}");
            return;
        }
    }
}
