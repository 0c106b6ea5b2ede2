//! How values cross the border: MessagePack as records are stored, or JSON for languages that have nothing else.

use bytes::Bytes;
use kora_resource::value::{json, msgpack};
use kora_resource::{Error, Id, Item, Map, Record, Result, Value, Version};

/// The encoding that a guest's manifest names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Encoding {
    #[default]
    Msgpack,
    Json,
}

impl Encoding {
    pub(crate) fn encode(self, value: &Value) -> Vec<u8> {
        match self {
            Encoding::Msgpack => msgpack::encode(value),
            Encoding::Json => {
                let mut text = Vec::new();
                json::write(value, &mut text);
                text
            }
        }
    }

    /// A record, without decoding it where its stored form is what the guest wants.
    pub(crate) fn encode_record(self, record: &Record) -> Result<Vec<u8>> {
        match self {
            Encoding::Msgpack => Ok(record.body().to_vec()),
            Encoding::Json => {
                let mut text = Vec::with_capacity(record.body().len() * 5 / 4);
                record.write_json(&mut text)?;
                Ok(text)
            }
        }
    }

    pub(crate) fn encode_item(self, item: &Item) -> Result<Vec<u8>> {
        match item {
            Item::Record(record) => self.encode_record(record),
            Item::Value(value) => Ok(self.encode(value)),
        }
    }

    pub(crate) fn encode_id(self, id: &Id) -> Vec<u8> {
        self.encode(&id.to_value())
    }

    /// A value from the guest; `what` it is, for the message.
    pub(crate) fn decode(self, bytes: &[u8], what: &str) -> Result<Value> {
        let decoded = match self {
            Encoding::Msgpack => msgpack::decode(bytes).map_err(|error| error.to_string()),
            Encoding::Json => json::parse(bytes).map_err(|error| error.to_string()),
        };
        decoded.map_err(|error| {
            Error::internal(format!("{what} from the guest is not a value: {error}"))
        })
    }

    /// A value from the guest, left as it is where it can be sent on like a stored record.
    pub(crate) fn decode_item(self, bytes: Vec<u8>, what: &str) -> Result<Item> {
        match self {
            Encoding::Msgpack if msgpack::is_plain_map(&bytes) => {
                let none = Version::default();
                Ok(Item::Record(Record::from_parts(none, none, None, bytes.into())))
            }
            Encoding::Msgpack | Encoding::Json => self.decode(&bytes, what).map(Item::Value),
        }
    }

    pub(crate) fn decode_id(self, bytes: &[u8]) -> Result<Id> {
        let value = self.decode(bytes, "a key")?;
        Id::from_value(&value)
            .filter(|id| *id != Id::Null)
            .ok_or_else(|| Error::invalid(format!("{value:?} can not be a primary key")))
    }

    pub(crate) fn decode_map(self, bytes: &[u8]) -> Result<Map> {
        self.decode(bytes, "a record")?
            .into_object()
            .ok_or_else(|| Error::invalid("a record must be an object"))
    }
}

/// What goes over the wire for bytes of the guest's own.
pub(crate) fn raw((content_type, data): (String, Vec<u8>)) -> (String, Bytes) {
    (content_type, data.into())
}
