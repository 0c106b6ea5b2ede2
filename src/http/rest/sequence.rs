//! Writing a sequence in each format, element by element, so that no result is ever held as a whole.
//!
//! JSON is an array, CBOR an array of indefinite length, MessagePack its values after each other,
//! NDJSON and YAML a line or block an element, CSV a header and rows
//! (`spec/harper-realtime.md` section 7).

use kora_resource::value::csv::Columns;
use kora_resource::value::{Format, cbor, yaml};
use kora_resource::{Item, Map, Result, Value};

/// How many rows of CSV are looked at for their columns before the header is written.
const ROWS_FOR_COLUMNS: usize = 256;

/// Writes one sequence.
pub(super) struct SequenceWriter {
    format: Format,
    written: usize,
    csv: Csv,
}

/// The columns of CSV, and what waits for them.
#[derive(Default)]
struct Csv {
    /// `None` until the header is written.
    columns: Option<Columns>,
    waiting: Vec<Value>,
    /// The attributes of the table that whole records come from: their columns come first.
    attributes: Vec<String>,
}

impl SequenceWriter {
    /// `attributes` are those of the table that answers; none for other resources.
    pub(super) fn new(format: Format, attributes: Vec<String>) -> SequenceWriter {
        SequenceWriter { format, written: 0, csv: Csv { attributes, ..Csv::default() } }
    }

    /// Whether nothing was handed over yet.
    pub(super) fn is_empty(&self) -> bool {
        self.written == 0
    }

    /// Appends one element. On an error nothing of it is appended.
    pub(super) fn write(&mut self, item: Item, out: &mut Vec<u8>) -> Result<()> {
        match self.format {
            Format::Json | Format::Text | Format::Form => {
                let begins = out.len();
                out.push(if self.written == 0 { b'[' } else { b',' });
                if let Err(error) = write_item(Format::Json, &item, out) {
                    out.truncate(begins);
                    return Err(error);
                }
            }
            Format::Cbor => {
                if self.written == 0 {
                    out.push(cbor::ARRAY_START);
                }
                write_item(Format::Cbor, &item, out)?;
            }
            Format::MessagePack | Format::Ndjson => write_item(self.format, &item, out)?,
            Format::Yaml => yaml::write_item(&value_of(item)?, out),
            Format::Csv => self.csv.write(item, out)?,
        }
        self.written += 1;
        Ok(())
    }

    /// Appends what is held back, because the client shall have what there is.
    pub(super) fn settle(&mut self, out: &mut Vec<u8>) {
        self.csv.settle(out);
    }

    /// Appends the failure that ends the sequence early, in the place of an element.
    pub(super) fn fail(&mut self, message: String, out: &mut Vec<u8>) {
        let error = Map::from_iter([("error".to_owned(), Value::String(message))]);
        if self.format == Format::Csv {
            self.csv.settle(out);
            let mut columns = Columns::default();
            columns.add_name("error");
            return columns.write_row(&Value::Object(error), out);
        }
        // Writing a value never fails; only stored records can be damaged.
        let _ = self.write(Item::Value(Value::Object(error)), out);
    }

    /// Appends the end.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let nothing = self.written == 0;
        match self.format {
            Format::Json | Format::Text | Format::Form => {
                out.extend_from_slice(if nothing { b"[]" } else { b"]" });
            }
            Format::Cbor if nothing => out.extend_from_slice(&[cbor::ARRAY_START, cbor::BREAK]),
            Format::Cbor => out.push(cbor::BREAK),
            Format::Yaml if nothing => out.extend_from_slice(b"[]\n"),
            Format::Csv => self.csv.finish(out),
            Format::MessagePack | Format::Ndjson | Format::Yaml => {}
        }
    }
}

impl Csv {
    fn write(&mut self, item: Item, out: &mut Vec<u8>) -> Result<()> {
        if matches!(item, Item::Value(_)) {
            // Selected properties: only their own columns are wanted.
            self.attributes.clear();
        }
        let row = value_of(item)?;
        match &self.columns {
            Some(columns) => columns.write_row(&row, out),
            None => {
                self.waiting.push(row);
                if self.waiting.len() >= ROWS_FOR_COLUMNS {
                    self.settle(out);
                }
            }
        }
        Ok(())
    }

    /// Writes the header and the rows that waited for it.
    fn settle(&mut self, out: &mut Vec<u8>) {
        if self.columns.is_some() || self.waiting.is_empty() {
            return;
        }
        self.write_waiting(out);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.columns.is_none() {
            self.write_waiting(out);
        }
    }

    fn write_waiting(&mut self, out: &mut Vec<u8>) {
        let mut columns = Columns::default();
        self.attributes.iter().for_each(|name| columns.add_name(name));
        self.waiting.iter().for_each(|row| columns.add(row));
        columns.write_header(out);
        self.waiting.drain(..).for_each(|row| columns.write_row(&row, out));
        self.columns = Some(columns);
    }
}

fn write_item(format: Format, item: &Item, out: &mut Vec<u8>) -> Result<()> {
    match item {
        Item::Record(record) => format.encode_record(record, out),
        Item::Value(value) => {
            match format {
                // An array is one element here, not several lines.
                Format::Ndjson => kora_resource::value::ndjson::write_line(value, out),
                format => format.encode(value, out),
            }
            Ok(())
        }
    }
}

fn value_of(item: Item) -> Result<Value> {
    Ok(match item {
        Item::Record(record) => Value::Object(record.to_map()?),
        Item::Value(value) => value,
    })
}
