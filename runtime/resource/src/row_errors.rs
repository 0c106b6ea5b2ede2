//! What is wrong with the rows of a bulk load, gathered so that one answer tells all of it.

use crate::{Error, Map, Result, Value};

/// How many wrong rows are told one by one.
const TOLD: usize = 100;

/// Wrong rows of one request, in order.
#[derive(Debug, Default)]
pub struct RowErrors {
    first: Option<(usize, Error)>,
    told: Vec<Value>,
    count: usize,
}

impl RowErrors {
    /// Notes that the row at `index` (from 0) can't be taken.
    pub fn add(&mut self, index: usize, error: Error) {
        let row = index + 1;
        if self.told.len() < TOLD {
            self.told.push(Value::Object(Map::from_iter([
                ("row".to_owned(), Value::from(row as i64)),
                ("message".to_owned(), Value::from(error.message.as_str())),
            ])));
        }
        self.count += 1;
        self.first.get_or_insert((row, error));
    }

    /// An error if any row was wrong: of the kind of the first, with `Row 3: ...` as its message and
    /// `[{row, message}]` as its detail.
    pub fn finish(self) -> Result<()> {
        let Some((row, mut error)) = self.first else { return Ok(()) };
        let others = match self.count {
            1 => String::new(),
            2 => " (and 1 more row)".to_owned(),
            count => format!(" (and {} more rows)", count - 1),
        };
        error.message = format!("Row {row}: {}{others}", error.message);
        error.detail = Some(Box::new(Value::Array(self.told)));
        Err(error)
    }
}
