//! CSV (RFC 4180): a header with the names of the columns, then one record a line.
//!
//! A cell is text. On writing, null and absent are empty, objects and arrays JSON, dates ISO, bytes
//! base64; an empty string is quoted, so that it is told from null. What the text stands for is the
//! schema's to say, see [`crate::schema::TableSchema::read_text_row`]. The reader is our own because
//! it must know whether a field was quoted and on which line it is wrong; the crates at hand say
//! neither.

use super::{Map, Value, json};

/// Why a text is not CSV.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at line {line}")]
pub struct CsvError {
    /// From 1.
    pub line: usize,
    pub problem: String,
}

/// Appends a header and a row for each object of an array, or for the one object. Values that are no
/// objects stand in a column `value`.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    let rows = match value {
        Value::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut columns = Columns::default();
    rows.iter().for_each(|row| columns.add(row));
    columns.write_header(out);
    rows.iter().for_each(|row| columns.write_row(row, out));
}

/// The columns of one table of text, in the order of their first appearance.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    names: indexmap::IndexSet<String>,
}

/// The column of rows that are no objects.
const BARE: &str = "value";

impl Columns {
    /// Takes the columns of an object, or the one of another value.
    pub fn add(&mut self, row: &Value) {
        match row {
            Value::Object(map) => map.keys().for_each(|name| self.add_name(name)),
            _ => self.add_name(BARE),
        }
    }

    pub fn add_name(&mut self, name: &str) {
        if !self.names.contains(name) {
            self.names.insert(name.to_owned());
        }
    }

    /// Appends the line with the names; nothing where there is no column.
    pub fn write_header(&self, out: &mut Vec<u8>) {
        if self.names.is_empty() {
            return;
        }
        for (index, name) in self.names.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_text(name, out);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Appends one line. Properties that have no column are left out.
    pub fn write_row(&self, row: &Value, out: &mut Vec<u8>) {
        let begins = out.len();
        for (index, name) in self.names.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let cell = match row {
                Value::Object(map) => map.get(name),
                bare => (name == BARE).then_some(bare),
            };
            write_cell(cell, out);
        }
        if out.len() == begins {
            // The one column is empty: a blank line would be no row.
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn write_cell(value: Option<&Value>, out: &mut Vec<u8>) {
    match value {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => write_text(text, out),
        Some(Value::Blob(blob)) => write_cell(Some(&blob.shown()), out),
        Some(other) => {
            let mut text = Vec::new();
            json::write(other, &mut text);
            match other {
                Value::Array(_) | Value::Object(_) => {
                    write_text(&String::from_utf8_lossy(&text), out);
                }
                // `null` for what has no text (NaN, an invalid date) is empty, too; quotes of
                // dates and bytes are JSON's.
                _ if text == b"null" => {}
                _ => out.extend(text.iter().filter(|byte| **byte != b'"')),
            }
        }
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    let is_plain = !text.is_empty()
        && !text.contains([',', '"', '\r', '\n'])
        && !text.starts_with(char::is_whitespace)
        && !text.ends_with(char::is_whitespace);
    if is_plain {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}

/// The records below the header. Cells are strings; one that is empty and not quoted is null. Blank
/// lines are passed over, a byte order mark is, too.
pub fn parse(text: &str) -> Result<Vec<Map>, CsvError> {
    let mut reader = Reader { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
    let Some(header) = reader.record()? else { return Ok(Vec::new()) };
    let mut names: indexmap::IndexSet<String> = indexmap::IndexSet::new();
    for field in header.fields {
        if field.text.is_empty() {
            let problem = format!("column {} has no name", names.len() + 1);
            return Err(CsvError { line: header.line, problem });
        }
        if !names.insert(field.text.clone()) {
            let problem = format!("two columns are named `{}`", field.text);
            return Err(CsvError { line: header.line, problem });
        }
    }
    let mut rows = Vec::new();
    while let Some(record) = reader.record()? {
        let found = record.fields.len();
        if found != names.len() {
            let fields = if found == 1 { "field" } else { "fields" };
            let problem = format!("{found} {fields} where the header names {}", names.len());
            return Err(CsvError { line: record.line, problem });
        }
        let values = record.fields.into_iter().map(|field| match field {
            Field { text, quoted: false } if text.is_empty() => Value::Null,
            Field { text, quoted: _ } => Value::String(text),
        });
        rows.push(names.iter().cloned().zip(values).collect());
    }
    Ok(rows)
}

struct Record {
    /// Where it begins, from 1.
    line: usize,
    fields: Vec<Field>,
}

struct Field {
    text: String,
    quoted: bool,
}

struct Reader<'t> {
    rest: &'t str,
    line: usize,
}

impl Reader<'_> {
    /// The next record that is not a blank line.
    fn record(&mut self) -> Result<Option<Record>, CsvError> {
        while self.end_of_line() {}
        if self.rest.is_empty() {
            return Ok(None);
        }
        let line = self.line;
        let mut fields = vec![self.field()?];
        loop {
            if let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest;
                fields.push(self.field()?);
            } else if self.rest.is_empty() || self.end_of_line() {
                return Ok(Some(Record { line, fields }));
            } else {
                let problem = "text after the closing quote of a field".to_owned();
                return Err(CsvError { line: self.line, problem });
            }
        }
    }

    fn end_of_line(&mut self) -> bool {
        let rest = self.rest.strip_prefix("\r\n").or_else(|| self.rest.strip_prefix(['\n', '\r']));
        if let Some(rest) = rest {
            self.rest = rest;
            self.line += 1;
        }
        rest.is_some()
    }

    fn field(&mut self) -> Result<Field, CsvError> {
        if let Some(rest) = self.rest.strip_prefix('"') {
            self.rest = rest;
            return self.quoted();
        }
        let end = self.rest.find([',', '\r', '\n']).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        if text.contains('"') {
            let problem = "a quote inside a field that does not begin with one".to_owned();
            return Err(CsvError { line: self.line, problem });
        }
        self.rest = rest;
        Ok(Field { text: text.to_owned(), quoted: false })
    }

    /// What follows an opening quote, to the closing one.
    fn quoted(&mut self) -> Result<Field, CsvError> {
        let opened = self.line;
        let mut text = String::new();
        loop {
            let Some(end) = self.rest.find('"') else {
                let problem = "the quote that opens a field is never closed".to_owned();
                return Err(CsvError { line: opened, problem });
            };
            let (piece, rest) = self.rest.split_at(end);
            text.push_str(piece);
            self.line += piece.matches('\n').count();
            match rest[1..].strip_prefix('"') {
                Some(after) => {
                    text.push('"');
                    self.rest = after;
                }
                None => {
                    self.rest = &rest[1..];
                    return Ok(Field { text, quoted: true });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(json_text: &str) -> String {
        let mut out = Vec::new();
        write(&json::parse(json_text.as_bytes()).expect("JSON"), &mut out);
        String::from_utf8(out).expect("CSV is UTF-8")
    }

    #[test]
    fn writes_a_header_and_rows() {
        for (value, text) in [
            (
                r#"[{"a":1,"b":"x"},{"b":"y,\"z\"","c":null}]"#,
                "a,b,c\r\n1,x,\r\n,\"y,\"\"z\"\"\",\r\n",
            ),
            (r#"{"a":{"b":[1]},"s":"","t":true}"#, "a,s,t\r\n\"{\"\"b\"\":[1]}\",\"\",true\r\n"),
            ("[1,\"two\"]", "value\r\n1\r\ntwo\r\n"),
            ("[]", ""),
            ("[{\"a\":null}]", "a\r\n\"\"\r\n"),
        ] {
            assert_eq!(written(value), text);
        }
    }

    #[test]
    fn reads_quotes_and_line_breaks() {
        let rows = parse("\u{feff}a,b\r\n\"1\n2\",\r\n\n\"\",x").expect("CSV");
        let text = |text: &str| Value::from(text);
        assert_eq!(rows.len(), 2);
        assert_eq!((&rows[0]["a"], &rows[0]["b"]), (&text("1\n2"), &Value::Null));
        assert_eq!((&rows[1]["a"], &rows[1]["b"]), (&text(""), &text("x")));
    }

    #[test]
    fn errors_name_the_line() {
        for (text, message) in [
            ("a,b\n1,2,3", "3 fields where the header names 2 at line 2"),
            ("a\n\"1\n\n2\"\nx,y", "2 fields where the header names 1 at line 5"),
            ("a,a\n", "two columns are named `a` at line 1"),
            ("a,,b\n", "column 2 has no name at line 1"),
            ("a\n\"x", "the quote that opens a field is never closed at line 2"),
            ("a\n\"x\"y", "text after the closing quote of a field at line 2"),
            ("a\nx\"y", "a quote inside a field that does not begin with one at line 2"),
        ] {
            assert_eq!(parse(text).expect_err(text).to_string(), message);
        }
    }

    proptest! {
        #[test]
        fn texts_survive(
            rows in prop::collection::vec(prop::array::uniform3(any::<String>()), 0..5)
        ) {
            let rows: Vec<Map> = rows.into_iter().map(|cells| {
                let names = ["x", "y, z", "\"q\""].map(str::to_owned);
                names.into_iter().zip(cells.map(Value::String)).collect()
            }).collect();
            let mut out = Vec::new();
            write(&rows.iter().cloned().map(Value::Object).collect::<Vec<_>>().into(), &mut out);
            prop_assert_eq!(parse(std::str::from_utf8(&out).expect("UTF-8")), Ok(rows));
        }
    }
}
