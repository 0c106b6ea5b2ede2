//! The application under test, generated: a table to read and write, a class that reads it, a table to listen to.

use std::path::{Path, PathBuf};

use anyhow::Result;

const CONFIG: &str =
    "rest: true\ngraphqlSchema:\n  files: schema.graphql\njsResource:\n  files: resources/*.js\n";

const SCHEMA: &str = "\
type Item @table @export {
  id: ID @primaryKey
  name: String
  price: Float
  stock: Int
}

type Customer @table @export {
  id: ID @primaryKey
  credit: Float
}

type Order @table {
  id: ID @primaryKey
  customer: ID
  item: ID
  quantity: Int
  total: Float
}

type Tick @table @export {
  id: ID @primaryKey
  n: Int
  text: String
}
";

const READER: &str = "\
export class Reader extends Resource {
  static loadAsInstance = false;

  allowRead() {
    return true;
  }

  get(target) {
    return tables.Item.get(target.id);
  }
}
";

/// Validates, reads two records, writes one: what an application's `post` usually does.
const CHECKOUT: &str = "\
export class Checkout extends Resource {
  static loadAsInstance = false;

  allowCreate() {
    return true;
  }

  async post(target, order) {
    if (!Number.isInteger(order.quantity) || order.quantity < 1) {
      const error = new Error('quantity must be a positive integer');
      error.statusCode = 400;
      throw error;
    }
    const [customer, item] = await Promise.all([
      tables.Customer.get(order.customer),
      tables.Item.get(order.item),
    ]);
    if (!customer || !item) {
      const error = new Error('no such customer or item');
      error.statusCode = 404;
      throw error;
    }
    const total = item.price * order.quantity;
    await tables.Order.put({ ...order, total });
    return { id: order.id, total };
  }
}
";

/// How many records of `Item` there are.
pub(crate) const ITEMS: usize = 1000;

/// Where in the bench's scratch folder it stands.
pub(crate) fn directory(scratch: &Path) -> PathBuf {
    scratch.join("bench-app")
}

pub(crate) fn write(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory.join("resources"))?;
    std::fs::write(directory.join("config.yaml"), CONFIG)?;
    std::fs::write(directory.join("schema.graphql"), SCHEMA)?;
    std::fs::write(directory.join("resources/reader.js"), READER)?;
    std::fs::write(directory.join("resources/checkout.js"), CHECKOUT)?;
    Ok(())
}

/// Ids and values of one width, so that every record is served with the same number of bytes.
pub(crate) fn item(number: usize) -> (String, String) {
    let id = format!("{number:06}");
    let json = format!(
        r#"{{"id":"{id}","name":"item number {id}","price":19.5,"stock":{}}}"#,
        1000 + number
    );
    (id, json)
}

/// A customer that orders name, and its record.
pub(crate) fn customer(number: usize) -> (String, String) {
    let id = format!("{number:06}");
    let json = format!(r#"{{"id":"{id}","credit":100}}"#);
    (id, json)
}

/// The body of an order: of another customer and item each time, under an id of its own.
pub(crate) fn order(number: usize) -> String {
    let (id, other) = (number % ITEMS, (number + 1) % ITEMS);
    format!(r#"{{"id":"{id:06}","customer":"{other:06}","item":"{id:06}","quantity":2}}"#)
}

/// Bytes of a change of `Tick`, as JSON.
pub(crate) const TICK: usize = 128;

/// A change that carries its number; a few ids in turn, so that the table stays small.
pub(crate) fn tick(number: usize) -> (String, String) {
    let id = format!("{}", number % 8);
    let head = format!(r#"{{"id":"{id}","n":{number},"text":""#);
    let padding = "x".repeat(TICK - head.len() - 2);
    (id, format!(r#"{head}{padding}"}}"#))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tick_has_its_size() {
        for number in [0, 9, 12_345_678] {
            assert_eq!(tick(number).1.len(), TICK);
        }
    }
}
