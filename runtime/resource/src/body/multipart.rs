//! `multipart/form-data` (RFC 7578): fields that are texts, and files.
//!
//! The parser is made for streams; here the whole body is there, so that it never waits.

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream::once;
use multer::{Field, Multipart};

use crate::value::{Blob, form};
use crate::{Error, Map, Result, Value};

/// The fields of a form in parts: a text is a string, a part with a file's name or of a type that is
/// no text is a blob with its type and name. A name that comes again makes an array. A part that is
/// cut off fails the whole.
pub(super) fn parse(content_type: &str, bytes: Bytes) -> Result<Map> {
    let boundary = multer::parse_boundary(content_type).map_err(malformed)?;
    let whole = once(std::future::ready(Ok::<_, std::convert::Infallible>(bytes)));
    fields(Multipart::new(whole, boundary))
        .now_or_never()
        .unwrap_or_else(|| Err(malformed("it ends within a part")))
}

async fn fields(mut parts: Multipart<'_>) -> Result<Map> {
    let mut fields = Map::new();
    for number in 1.. {
        let in_part = |error: multer::Error| malformed(format_args!("part {number}: {error}"));
        let Some(part) = parts.next_field().await.map_err(in_part)? else { break };
        let Some(name) = part.name().map(str::to_owned) else {
            return Err(malformed(format_args!("part {number} has no name")));
        };
        let value = value(number, &name, part).await?;
        form::add(&mut fields, name, value);
    }
    Ok(fields)
}

async fn value(number: usize, name: &str, part: Field<'_>) -> Result<Value> {
    let in_part = |error: multer::Error| malformed(format_args!("part {number}: {error}"));
    let file_name = part.file_name().map(str::to_owned);
    let media_type = part.content_type().map(|media_type| media_type.to_string());
    let is_text = file_name.is_none()
        && part.content_type().is_none_or(|media_type| media_type.type_() == "text");
    let data = part.bytes().await.map_err(in_part)?;
    if !is_text {
        // What a part without a type is, by RFC 7578 section 4.4.
        let media_type = media_type.unwrap_or_else(|| "text/plain".to_owned());
        return Ok(Blob { name: file_name, ..Blob::inline(media_type, data) }.into());
    }
    String::from_utf8(data.into())
        .map(Value::String)
        .map_err(|_| malformed(format_args!("part {number} (`{name}`) is not UTF-8 text")))
}

fn malformed(problem: impl std::fmt::Display) -> Error {
    Error::invalid(format!("The body is not multipart/form-data: {problem}"))
}
