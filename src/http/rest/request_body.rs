//! Reading a request's body: bounded, then decoded by its `Content-Type` (`spec/harper-rest.md`
//! section 6.1).
//!
//! Tables get records whatever the body is written in: rows of CSV and fields of forms take the types
//! of their attributes. Code of a component gets CSV and whatever else is not decoded as
//! `{contentType, data}`, as on Harper.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;
use hyper::{HeaderMap, header};
use kora_resource::schema::TableSchema;
use kora_resource::value::{Format, form};
use kora_resource::{Error, ErrorKind, Map, Result, RowErrors, Value};

use crate::components::registry::{Registration, Served};
use crate::http::negotiation::typed;
use crate::http::request_body::RequestBody;

/// Reads and decodes a body of at most `limit` bytes for `registration`; `None` if it turns out to be
/// empty.
pub(super) async fn read(
    headers: &HeaderMap,
    body: RequestBody,
    limit: usize,
    registration: &Registration,
) -> Result<Option<Value>> {
    let bytes = collect(body, limit).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let content_type = match headers.get(header::CONTENT_TYPE) {
        Some(value) => {
            value.to_str().map_err(|_| Error::invalid("Content-Type is not plain text"))?
        }
        None => "",
    };
    let table = match registration.served {
        Served::Natively => registration.resource.schema(),
        Served::ByGuest => None,
    };
    decode(content_type, bytes, table.as_deref()).await.map(Some)
}

async fn collect(mut body: RequestBody, limit: usize) -> Result<Bytes> {
    let too_large = || {
        let text = format!("Request body too large, maximum size is {limit} bytes");
        Error::new(ErrorKind::TooLarge, text)
    };
    let hint = body.size_hint();
    if hint.lower() > limit as u64 {
        return Err(too_large());
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if first.len() + all.len() + data.len() > limit {
            return Err(too_large());
        }
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            // The client's word about the length is worth at most a megabyte in advance.
            all.reserve((hint.lower() as usize).clamp(first.len() + data.len(), 1 << 20));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// The value that a body of type `content_type` holds; `table` is the table that it goes to, if no
/// code of a component comes first.
async fn decode(content_type: &str, bytes: Bytes, table: Option<&TableSchema>) -> Result<Value> {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some(format) = Format::of_media_type(&essence) else {
        return undecoded(content_type, &essence, bytes, table).await;
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

async fn undecoded(
    content_type: &str,
    essence: &str,
    bytes: Bytes,
    table: Option<&TableSchema>,
) -> Result<Value> {
    match essence {
        "" | "*/*" if bytes.first() == Some(&b'{') => Ok(Format::Json.decode(&bytes)?),
        "" | "*/*" => Ok(typed("application/octet-stream", Value::Bytes(bytes))),
        "multipart/form-data" => {
            let fields = Value::Object(multipart(content_type, bytes).await?);
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

/// The fields of a form in parts: texts, and bytes for what came with a file name. A part that is cut
/// off fails the whole.
async fn multipart(content_type: &str, bytes: Bytes) -> Result<Map> {
    let malformed = |error: multer::Error| {
        Error::invalid(format!("The body is not multipart/form-data: {error}"))
    };
    let boundary = multer::parse_boundary(content_type).map_err(malformed)?;
    let whole = futures_util::stream::once(std::future::ready(Ok::<_, std::io::Error>(bytes)));
    let mut parts = multer::Multipart::new(whole, boundary);
    let mut fields = Map::new();
    while let Some(part) = parts.next_field().await.map_err(malformed)? {
        let number = part.index() + 1;
        let Some(name) = part.name().map(str::to_owned) else {
            let problem = format!("The body is not multipart/form-data: part {number} has no name");
            return Err(Error::invalid(problem));
        };
        let is_text = part.file_name().is_none()
            && part.content_type().is_none_or(|media_type| media_type.type_() == "text");
        let data = part.bytes().await.map_err(malformed)?;
        let value = match is_text {
            true => String::from_utf8(data.into()).map(Value::String).map_err(|_| {
                Error::invalid(format!(
                    "The body is not multipart/form-data: part {number} (`{name}`) is not UTF-8 text"
                ))
            })?,
            false => Value::Bytes(data),
        };
        form::add(&mut fields, name, value);
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kora_resource::value::json;

    async fn json_of(content_type: &str, body: &'static str) -> String {
        let decoded = decode(content_type, Bytes::from_static(body.as_bytes()), None).await;
        let mut out = Vec::new();
        json::write(&decoded.unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn bodies_are_decoded_by_type() {
        for (content_type, body, expected) in [
            ("application/json; charset=utf-8", "[1]", "[1]"),
            ("", r#"{"a":1}"#, r#"{"a":1}"#),
            ("text/plain", "x", r#""x""#),
            ("text/csv", "a,b", r#"{"contentType":"text/csv","data":"a,b"}"#),
            ("text/yaml", "a: [1]", r#"{"a":[1]}"#),
            ("application/x-ndjson", "1\n2", "[1,2]"),
            (
                "application/x-www-form-urlencoded",
                "a=1+2&b=%C3%A4&a=3",
                r#"{"a":["1 2","3"],"b":"ä"}"#,
            ),
            (
                "multipart/form-data; boundary=X",
                "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--X\r\n\
                 Content-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\nhi\r\n--X--\r\n",
                r#"{"a":"1","f":"aGk="}"#,
            ),
        ] {
            assert_eq!(json_of(content_type, body).await, expected, "{content_type}");
        }
    }

    #[tokio::test]
    async fn what_is_wrong_is_told_with_its_place() {
        for (content_type, body, wanted) in [
            ("application/json", "{\n \"a\": }", "line 2"),
            ("text/yaml", "a: [", "text/yaml"),
            ("application/cbor", "\u{61}", "byte 0"),
            ("multipart/form-data", "x", "multipart/form-data"),
            (
                "multipart/form-data; boundary=X",
                "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1",
                "multipart/form-data",
            ),
        ] {
            let bytes = Bytes::from_static(body.as_bytes());
            let error = decode(content_type, bytes, None).await.unwrap_err();
            assert_eq!(error.status(), 400, "{content_type}");
            assert!(error.message.contains(wanted), "{}", error.message);
        }
    }
}
