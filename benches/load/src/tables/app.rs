//! The application with many records: what its tables are, and the records themselves.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;

const CONFIG: &str =
    "rest: true\ngraphqlSchema:\n  files: schema.graphql\njsResource:\n  files: resources/*.js\n";

const SCHEMA: &str = "\
type Row @table @export {
  id: ID @primaryKey
  group: Int @indexed
  city: String @indexed
  name: String
  note: String
}

type Sale @table @export {
  id: ID @primaryKey
  day: Int @indexed
  amount: Float
  buyerId: ID
  buyer: Buyer @relationship(from: buyerId)
}

type Buyer @table @export {
  id: ID @primaryKey
  name: String
  town: String
}

type Doc @table @export {
  id: ID @primaryKey
  vector: [Float] @indexed(type: \"HNSW\")
}
";

const WALK: &str = "\
export class Walk extends Resource {
  static loadAsInstance = false;

  allowRead() {
    return true;
  }

  async get(target) {
    let rows = 0;
    let sum = 0;
    for await (const row of tables.Row.search({ limit: Number(target.id) })) {
      rows++;
      sum += row.group;
    }
    return { rows, sum };
  }
}
";

/// Bytes of a record of `Row`, as JSON.
pub(crate) const ROW: usize = 200;
/// How many records of `Row` have the same `group`.
pub(crate) const GROUP: usize = 20;
/// How many records of `Sale` are of the same day.
pub(crate) const DAY: usize = 1000;
pub(crate) const DAYS: usize = 20;
pub(crate) const BUYERS: usize = 1000;
/// The numbers of a vector.
pub(crate) const DIMENSIONS: usize = 128;
/// Around how many centres the vectors lie, as those of texts and pictures do.
const CENTRES: usize = 1000;

pub(crate) fn write(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory.join("resources"))?;
    std::fs::write(directory.join("config.yaml"), CONFIG)?;
    std::fs::write(directory.join("schema.graphql"), SCHEMA)?;
    std::fs::write(directory.join("resources/walk.js"), WALK)?;
    Ok(())
}

/// The group of record `number` of `count`: neighbours are of other groups, as in life.
pub(crate) fn group(number: usize, count: usize) -> usize {
    let groups = (count / GROUP).max(1);
    100_000 + number.wrapping_mul(7919) % groups
}

/// One record of `count`, all of one width.
pub(crate) fn row(number: usize, count: usize) -> String {
    let group = group(number, count);
    let city = number.wrapping_mul(104_729) % 1000;
    let head = format!(
        r#"{{"id":"{number:07}","group":{group},"city":"city-{city:03}","name":"row {number:07}","note":""#
    );
    let note = "n".repeat(ROW - head.len() - 2);
    format!(r#"{head}{note}"}}"#)
}

pub(crate) fn sale(number: usize) -> String {
    let (day, buyer) = (number % DAYS, number.wrapping_mul(31) % BUYERS);
    format!(r#"{{"id":"{number:06}","day":{day},"amount":12.5,"buyerId":"{buyer:04}"}}"#)
}

pub(crate) fn buyer(number: usize) -> String {
    format!(
        r#"{{"id":"{number:04}","name":"buyer {number:04}","town":"town {:03}"}}"#,
        number % 100
    )
}

/// The same vectors in every run.
pub(crate) struct Vectors {
    dice: u64,
    centres: Vec<Vec<f32>>,
    next: usize,
}

impl Vectors {
    pub(crate) fn new() -> Vectors {
        let mut vectors = Vectors { dice: 11, centres: Vec::new(), next: 0 };
        vectors.centres =
            (0..CENTRES).map(|_| (0..DIMENSIONS).map(|_| vectors.normal()).collect()).collect();
        vectors
    }

    fn uniform(&mut self) -> f32 {
        self.dice = self.dice.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.dice >> 40) as f32) / (1u64 << 24) as f32
    }

    /// About normally distributed.
    fn normal(&mut self) -> f32 {
        (0..6).map(|_| self.uniform()).sum::<f32>() - 3.0
    }

    /// The next one, as JSON.
    pub(crate) fn vector(&mut self) -> String {
        let centre = self.next % CENTRES;
        self.next += 1;
        let mut json = String::from("[");
        for at in 0..DIMENSIONS {
            let number = self.centres[centre][at] + self.normal() * 0.7;
            let comma = if at == 0 { "" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(json, "{comma}{number:.5}");
        }
        json.push(']');
        json
    }

    /// The next record of `Doc`.
    pub(crate) fn doc(&mut self) -> String {
        let id = self.next;
        format!(r#"{{"id":"{id:06}","vector":{}}}"#, self.vector())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_size_and_every_group_as_many() {
        let count = 10_000;
        assert!((0..count).all(|number| row(number, count).len() == ROW));
        let mut groups = vec![0; count / GROUP];
        (0..count).for_each(|number| groups[group(number, count) - 100_000] += 1);
        assert!(groups.iter().all(|rows| *rows == GROUP));
    }
}
