//! The bytes of records and log entries, and the keys that lead to them.
//!
//! A record: flags (u8), version (f64 LE), created (f64 LE), expires and modified (f64 LE each, if
//! flagged), then its MessagePack body. A log entry: kind (u8), table (u32 LE), length of the id's key (u16 LE), the key,
//! then a record (puts), a MessagePack value (messages) or nothing, each after its version (f64 LE). A flag in the kind says
//! that the version is followed by what the publisher has said about it: its length (u32 LE) and a MessagePack map.

use std::sync::Arc;

use bytes::Bytes;
use kora_resource::value::msgpack;
use kora_resource::{Event, EventKind, EventValue, MessageProperties, Record, Seq, Value, Version};

use crate::keys::{Key, decode_id};

const EXPIRES: u8 = 1;
const MODIFIED: u8 = 2;
const BLOBS: u8 = 4;

/// In the kind of a log entry.
const PROPERTIES: u8 = 0x80;

/// The number of a table within its database; the first four bytes of its records' keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TableId(pub u32);

/// Where a record is: its table, then its id.
pub(crate) fn record_key(table: TableId, id: &[u8]) -> Key {
    let mut key = Key::from_slice(&table.0.to_be_bytes());
    key.extend_from_slice(id);
    key
}

/// The id's part of a record's key.
pub(crate) fn id_of(record_key: &[u8]) -> &[u8] {
    record_key.get(4..).unwrap_or_default()
}

pub(crate) fn write_record(record: &Record) -> Vec<u8> {
    let mut out = Vec::with_capacity(25 + record.body().len());
    push_record(&mut out, record);
    out
}

fn push_record(out: &mut Vec<u8>, record: &Record) {
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    out.push(
        flag(record.expires().is_some(), EXPIRES)
            | flag(record.modified().is_some(), MODIFIED)
            | flag(record.has_blobs(), BLOBS),
    );
    out.extend_from_slice(&record.version().0.to_le_bytes());
    out.extend_from_slice(&record.created().0.to_le_bytes());
    for time in [record.expires(), record.modified()].into_iter().flatten() {
        out.extend_from_slice(&time.to_le_bytes());
    }
    out.extend_from_slice(record.body());
}

/// `None` for bytes that are no record.
pub(crate) fn read_record(bytes: &[u8]) -> Option<Record> {
    let header = Header::read(bytes)?;
    let body = Bytes::copy_from_slice(header.body);
    let record = Record::from_parts(header.version, header.created, header.expires, body);
    Some(record.with_modified(header.modified).with_blobs(header.has_blobs))
}

/// A record without its body copied.
pub(crate) struct Header<'a> {
    pub version: Version,
    pub created: Version,
    pub expires: Option<f64>,
    pub modified: Option<f64>,
    pub has_blobs: bool,
    pub body: &'a [u8],
}

impl<'a> Header<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Header<'a>> {
        let (flags, rest) = bytes.split_first()?;
        let (version, rest) = read_f64(rest)?;
        let (created, rest) = read_f64(rest)?;
        let flagged = |flag, rest| {
            if flags & flag == 0 {
                return Some((None, rest));
            }
            read_f64(rest).map(|(time, rest)| (Some(time), rest))
        };
        let (expires, rest) = flagged(EXPIRES, rest)?;
        let (modified, body) = flagged(MODIFIED, rest)?;
        let (version, created) = (Version(version), Version(created));
        let has_blobs = flags & BLOBS != 0;
        Some(Header { version, created, expires, modified, has_blobs, body })
    }

    /// Whether the record's time was over at `now`.
    pub(crate) fn is_expired(&self, now: impl FnOnce() -> f64) -> bool {
        self.expires.is_some_and(|expires| expires <= now())
    }
}

fn read_f64(bytes: &[u8]) -> Option<(f64, &[u8])> {
    let (head, rest) = bytes.split_first_chunk()?;
    Some((f64::from_le_bytes(*head), rest))
}

/// The log entry of an event of `table`.
pub(crate) fn write_log_entry(table: TableId, key: &[u8], event: &Event) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + key.len());
    let flag = if event.properties.is_some() { PROPERTIES } else { 0 };
    out.push(event.kind as u8 | flag);
    out.extend_from_slice(&table.0.to_le_bytes());
    // Keys are bounded by `MAX_ID`.
    out.extend_from_slice(&(key.len() as u16).to_le_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(&event.version.0.to_le_bytes());
    if let Some(properties) = &event.properties {
        let bytes = msgpack::encode(&properties.to_value());
        // They come in one packet, which is bounded.
        out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        out.extend_from_slice(&bytes);
    }
    match &event.value {
        EventValue::Absent => {}
        EventValue::Record(record) => push_record(&mut out, record),
        EventValue::Message(value) => out.extend_from_slice(&msgpack::encode(value)),
    }
    out
}

/// A log entry, its value not decoded yet.
pub(crate) struct LogEntry<'a> {
    kind: EventKind,
    pub table: TableId,
    /// The id's key.
    pub key: &'a [u8],
    pub version: Version,
    properties: Option<&'a [u8]>,
    value: &'a [u8],
}

impl<'a> LogEntry<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Option<LogEntry<'a>> {
        let (first, rest) = bytes.split_first()?;
        let kind = [
            EventKind::Put,
            EventKind::Patch,
            EventKind::Delete,
            EventKind::Message,
            EventKind::Invalidate,
        ]
        .into_iter()
        .find(|known| *known as u8 == *first & !PROPERTIES)?;
        let (table, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (key, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
        let (version, rest) = read_f64(rest)?;
        let (properties, value) = match *first & PROPERTIES {
            0 => (None, rest),
            _ => {
                let (length, rest) = rest.split_first_chunk()?;
                let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
                let (properties, rest) = rest.split_at_checked(length)?;
                (Some(properties), rest)
            }
        };
        let table = TableId(u32::from_le_bytes(*table));
        Some(LogEntry { kind, table, key, version: Version(version), properties, value })
    }

    pub(crate) fn event(&self, seq: Seq) -> Option<Event> {
        let value = match self.kind {
            EventKind::Put | EventKind::Patch => EventValue::Record(read_record(self.value)?),
            EventKind::Message => EventValue::Message(self.message()?),
            EventKind::Delete | EventKind::Invalidate | EventKind::Leave => EventValue::Absent,
        };
        Some(Event {
            seq: Some(seq),
            kind: self.kind,
            id: decode_id(self.key)?,
            version: self.version,
            local_time: self.version,
            value,
            properties: match self.properties {
                None => None,
                Some(bytes) => {
                    let value = msgpack::decode(bytes).ok()?;
                    Some(Arc::new(MessageProperties::from_value(&value)))
                }
            },
        })
    }

    fn message(&self) -> Option<Value> {
        msgpack::decode(self.value).ok()
    }
}

#[cfg(test)]
mod tests {
    use kora_resource::Map;

    use super::*;
    use crate::keys::encode_id;

    fn record(expires: Option<f64>) -> Record {
        let map = Map::from_iter([("a".to_owned(), Value::Int(1))]);
        Record::new(&map, Version(2.5), Version(1.5), expires)
    }

    #[test]
    fn records_come_back_whole() {
        for (expires, modified) in
            [(None, None), (Some(9.5), None), (Some(9.5), Some(1.0)), (None, Some(1.0))]
        {
            let record = record(expires).with_modified(modified);
            let bytes = write_record(&record);
            assert_eq!(read_record(&bytes), Some(record));
            assert!(read_record(&bytes[..10]).is_none());
        }
    }

    #[test]
    fn log_entries_come_back_whole() {
        let values = [
            (EventKind::Put, EventValue::Record(record(None))),
            (EventKind::Delete, EventValue::Absent),
            (EventKind::Message, EventValue::Message(Value::from("hello"))),
        ];
        for (kind, value) in values {
            let id = "x".into();
            let version = Version(7.0);
            let seq = Some(Seq(3));
            let user = vec![("a".into(), "b".into())];
            let properties = Arc::new(MessageProperties { user, ..MessageProperties::default() });
            let properties = (kind != EventKind::Put).then_some(properties);
            let event = Event { seq, kind, id, version, local_time: version, value, properties };
            let key = encode_id(&event.id).expect("short");
            let bytes = write_log_entry(TableId(5), &key, &event);
            let entry = LogEntry::read(&bytes).expect("an entry");
            assert_eq!(entry.table, TableId(5));
            assert_eq!(format!("{:?}", entry.event(Seq(3))), format!("{:?}", Some(event)));
            assert!(LogEntry::read(&bytes[..8]).is_none());
        }
    }
}
