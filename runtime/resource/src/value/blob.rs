//! Blobs: large content that is no part of its record (`spec/harper-resources.md` section 13).
//!
//! A record holds a reference to a file of the store, or small content itself. There is no I/O here:
//! whoever wants the content of a file asks the store.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;

use super::{Map, Value};

/// Content with a type.
#[derive(Debug, Clone, PartialEq)]
pub struct Blob {
    /// A media type; empty if nobody has told one.
    pub content_type: String,
    /// The name of the file that it was, where it came as one.
    pub name: Option<String>,
    pub content: BlobContent,
}

/// Where a blob's content is.
#[derive(Debug, Clone, PartialEq)]
pub enum BlobContent {
    Inline(Bytes),
    File(BlobFile),
}

/// The number of a blob's file, never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobId(pub u128);

/// A file that a store keeps.
#[derive(Clone)]
pub struct BlobFile {
    pub id: BlobId,
    /// In bytes.
    pub size: u64,
    /// The database whose record it belongs to; empty before it belongs to one.
    pub database: String,
    /// Keeps the file for as long as this value lives; the store's affair.
    pub keep: Option<Arc<dyn Any + Send + Sync>>,
}

impl Blob {
    pub fn inline(content_type: impl Into<String>, content: impl Into<Bytes>) -> Blob {
        let content = BlobContent::Inline(content.into());
        Blob { content_type: content_type.into(), name: None, content }
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        match &self.content {
            BlobContent::Inline(bytes) => bytes.len() as u64,
            BlobContent::File(file) => file.size,
        }
    }

    /// Whether the content is text, which formats without binary values show as such.
    pub fn is_text(&self) -> bool {
        self.content_type.starts_with("text/")
    }

    /// What formats show in its place: text as text; a description of anything else, and of text
    /// that is in a file.
    pub fn shown(&self) -> Value {
        match &self.content {
            BlobContent::Inline(bytes) if self.is_text() => {
                Value::String(String::from_utf8_lossy(bytes).into_owned())
            }
            BlobContent::Inline(_) | BlobContent::File(_) => Value::Object(Map::from_iter([(
                "description".to_owned(),
                Value::String(self.description()),
            )])),
        }
    }

    fn description(&self) -> String {
        let kind = if self.content_type.is_empty() { "unknown type" } else { &self.content_type };
        format!("Blob of {} bytes, {kind}", self.size())
    }
}

impl PartialEq for BlobFile {
    fn eq(&self, other: &BlobFile) -> bool {
        self.id == other.id
    }
}

impl std::fmt::Debug for BlobFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlobFile({:032x}, {} bytes)", self.id.0, self.size)
    }
}

impl Value {
    /// Whether there is a blob in it, at any depth.
    pub fn has_blobs(&self) -> bool {
        matches!(self, Value::Blob(_)) || self.children().any(Value::has_blobs)
    }

    /// Visits the blobs in it, in order.
    pub fn for_each_blob<E>(
        &mut self,
        visit: &mut dyn FnMut(&mut Value) -> Result<(), E>,
    ) -> Result<(), E> {
        if matches!(self, Value::Blob(_)) {
            return visit(self);
        }
        self.children_mut().try_for_each(|child| child.for_each_blob(visit))
    }

    fn push_blob_files(&self, files: &mut Vec<BlobId>) {
        if let Value::Blob(blob) = self
            && let BlobContent::File(file) = &blob.content
        {
            files.push(file.id);
        }
        self.children().for_each(|child| child.push_blob_files(files));
    }
}

/// Whether there is a blob in a record.
pub fn has_blobs(map: &Map) -> bool {
    map.values().any(Value::has_blobs)
}

/// The files that a record refers to.
pub fn blob_files(map: &Map) -> Vec<BlobId> {
    let mut files = Vec::new();
    map.values().for_each(|value| value.push_blob_files(&mut files));
    files
}

const INLINE: u8 = 0;
const FILE: u8 = 1;
/// Added to the kind of a blob that has a name.
const NAMED: u8 = 2;

/// The bytes that stand for a blob in a record: kind (u8), length of the type (u16 BE), the type; if
/// it is named, the same of the name; then the content, or size (u64 BE), id (u128 BE) and database.
pub(super) fn write(blob: &Blob) -> Vec<u8> {
    let kind = match &blob.content {
        BlobContent::Inline(_) => INLINE,
        BlobContent::File(_) => FILE,
    };
    let mut out = vec![kind | if blob.name.is_some() { NAMED } else { 0 }];
    write_text(&blob.content_type, &mut out);
    if let Some(name) = &blob.name {
        write_text(name, &mut out);
    }
    match &blob.content {
        BlobContent::Inline(bytes) => out.extend_from_slice(bytes),
        BlobContent::File(file) => {
            out.extend_from_slice(&file.size.to_be_bytes());
            out.extend_from_slice(&file.id.0.to_be_bytes());
            out.extend_from_slice(file.database.as_bytes());
        }
    }
    out
}

/// The longest media type or name that is kept, in bytes.
const MAX_TEXT: usize = u16::MAX as usize;

fn write_text(text: &str, out: &mut Vec<u8>) {
    let kept = &text[..text.floor_char_boundary(MAX_TEXT)];
    out.extend_from_slice(&(kept.len() as u16).to_be_bytes());
    out.extend_from_slice(kept.as_bytes());
}

fn read_text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    Some((std::str::from_utf8(text).ok()?.to_owned(), rest))
}

/// `None` for bytes that stand for no blob.
pub(super) fn read(bytes: &[u8]) -> Option<Blob> {
    let (kind, rest) = bytes.split_first()?;
    let (content_type, mut rest) = read_text(rest)?;
    let name = match kind & NAMED {
        0 => None,
        _ => {
            let (name, after) = read_text(rest)?;
            rest = after;
            Some(name)
        }
    };
    let content = match kind & !NAMED {
        INLINE => BlobContent::Inline(Bytes::copy_from_slice(rest)),
        FILE => {
            let (size, rest) = rest.split_first_chunk()?;
            let (id, database) = rest.split_first_chunk()?;
            BlobContent::File(BlobFile {
                id: BlobId(u128::from_be_bytes(*id)),
                size: u64::from_be_bytes(*size),
                database: std::str::from_utf8(database).ok()?.to_owned(),
                keep: None,
            })
        }
        _ => return None,
    };
    Some(Blob { content_type, name, content })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Format, json, msgpack};

    fn file(content_type: &str) -> Value {
        let file = BlobFile { id: BlobId(7), size: 9, database: "data".to_owned(), keep: None };
        let content = BlobContent::File(file);
        Value::from(Blob { content_type: content_type.to_owned(), name: None, content })
    }

    #[test]
    fn blobs_survive_in_records() {
        for blob in [
            Value::from(Blob::inline("text/plain", "hello")),
            Value::from(Blob::inline("", Vec::new())),
            Value::from(Blob { name: Some("ä.txt".into()), ..Blob::inline("text/plain", "x") }),
            file("image/png"),
        ] {
            let bytes = msgpack::encode(&blob);
            assert_eq!(msgpack::decode(&bytes).ok(), Some(blob));
        }
        assert!(read(&[1, 0, 0, 5]).is_none() && read(&[9, 0, 0]).is_none() && read(&[]).is_none());
    }

    #[test]
    fn json_shows_text_and_describes_the_rest() {
        for (blob, expected) in [
            (Value::from(Blob::inline("text/plain", "h\"i")), r#""h\"i""#),
            (file("image/png"), r#"{"description":"Blob of 9 bytes, image/png"}"#),
            (
                Value::from(Blob::inline("", "x")),
                r#"{"description":"Blob of 1 bytes, unknown type"}"#,
            ),
        ] {
            let (mut written, mut transcoded) = (Vec::new(), Vec::new());
            json::write(&blob, &mut written);
            json::transcode(&msgpack::encode(&blob), &mut transcoded).expect("well formed");
            assert_eq!(String::from_utf8_lossy(&written), expected);
            assert_eq!(written, transcoded);
        }
    }

    #[test]
    fn every_format_shows_the_same_and_none_can_forge_one() {
        let text = Blob::inline("text/plain", "a \"quote\", \n a line");
        for blob in [Value::from(text), file("image/png")] {
            let Value::Blob(inner) = &blob else { unreachable!("made above") };
            for format in Format::ALL {
                let (mut written, mut expected) = (Vec::new(), Vec::new());
                let record = |value| Value::Object(Map::from([("a".to_owned(), value)]));
                format.encode(&record(blob.clone()), &mut written);
                format.encode(&record(inner.shown()), &mut expected);
                assert_eq!(written, expected, "{format}");
            }
            let stored = msgpack::encode(&blob);
            let read = Format::MessagePack.decode(&stored).expect_err("no client names a file");
            assert!(read.problem.contains("extension type 3 is not known"), "{read}");
        }
    }

    #[test]
    fn they_are_found_at_any_depth() {
        let mut value = Value::Array(vec![Value::Object(Map::from([("a".to_owned(), file(""))]))]);
        assert!(value.has_blobs() && !Value::from("x").has_blobs());
        let mut seen = 0;
        let visited: Result<(), ()> = value.for_each_blob(&mut |_| {
            seen += 1;
            Ok(())
        });
        assert_eq!((visited, seen), (Ok(()), 1));
        assert_eq!(blob_files(&Map::from([("x".to_owned(), value)])), [BlobId(7)]);
    }
}
