//! What the body of a request holds, by its `Content-Type` (`spec/harper-rest.md` section 6.1).
//!
//! Tables get records whatever the body is written in: rows of CSV and fields of forms take the types
//! of their attributes. Code of a component gets CSV and whatever else is not decoded as
//! `{contentType, data}`, as on Harper. The bytes are all there; whoever has read them from somewhere
//! has bounded them.

mod multipart;

use bytes::Bytes;

use crate::schema::TableSchema;
use crate::value::Format;
use crate::{Error, Map, Result, RowErrors, Value};

/// The value that a body of type `content_type` holds; `table` is the table that it goes to, if no
/// code of a component comes first. 400 that says what is wrong and where.
pub fn decode(content_type: &str, bytes: Bytes, table: Option<&TableSchema>) -> Result<Value> {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some(format) = Format::of_media_type(&essence) else {
        return undecoded(content_type, &essence, bytes, table);
    };
    match (format, table) {
        (Format::Csv, None) => Ok(typed(content_type, text(content_type, bytes)?)),
        (Format::Csv, Some(table)) => rows_of_table(format.decode(&bytes)?, table),
        (Format::Form, Some(table)) => fields_of_table(format.decode(&bytes)?, table),
        // Text is taken as it is, without a copy.
        (Format::Text, _) => text(content_type, bytes),
        (
            Format::Json
            | Format::Cbor
            | Format::MessagePack
            | Format::Yaml
            | Format::Ndjson
            | Format::Form,
            _,
        ) => Ok(format.decode(&bytes)?),
    }
}

/// What a handler gets for data of a type that is not decoded.
pub fn typed(content_type: &str, data: Value) -> Value {
    Value::Object(Map::from_iter([
        ("contentType".to_owned(), Value::from(content_type)),
        ("data".to_owned(), data),
    ]))
}

fn undecoded(
    content_type: &str,
    essence: &str,
    bytes: Bytes,
    table: Option<&TableSchema>,
) -> Result<Value> {
    match essence {
        "" | "*/*" if bytes.first() == Some(&b'{') => Ok(Format::Json.decode(&bytes)?),
        "" | "*/*" => Ok(typed("application/octet-stream", Value::Bytes(bytes))),
        "multipart/form-data" => {
            let fields = Value::Object(multipart::parse(content_type, bytes)?);
            match table {
                Some(table) => fields_of_table(fields, table),
                None => Ok(fields),
            }
        }
        "application/octet-stream" => Ok(Value::Bytes(bytes)),
        other if other.starts_with("text/") => Ok(typed(content_type, text(content_type, bytes)?)),
        _ => Ok(typed(content_type, Value::Bytes(bytes))),
    }
}

fn text(content_type: &str, bytes: Bytes) -> Result<Value> {
    String::from_utf8(bytes.into()).map(Value::String).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::invalid(format!("The body is not {content_type}: expected UTF-8 text at byte {at}"))
    })
}

/// The records of decoded CSV: each row with the types of the table's attributes.
fn rows_of_table(rows: Value, table: &TableSchema) -> Result<Value> {
    let Value::Array(rows) = rows else { return Ok(rows) };
    let mut records = Vec::with_capacity(rows.len());
    let mut wrong = RowErrors::default();
    for (index, row) in rows.into_iter().enumerate() {
        match table.read_text_row(row.into_object().unwrap_or_default()) {
            Ok(record) => records.push(Value::Object(record)),
            Err(error) => wrong.add(index, error),
        }
    }
    wrong.finish()?;
    Ok(Value::Array(records))
}

fn fields_of_table(fields: Value, table: &TableSchema) -> Result<Value> {
    table.read_text_row(fields.into_object().unwrap_or_default()).map(Value::Object)
}

#[cfg(test)]
mod tests;
