//! A stored record: a small header and a MessagePack body that is decoded only by who needs it.

use bytes::Bytes;

use crate::value::blob::has_blobs;
use crate::value::{json, msgpack};
use crate::{Error, Map, Result, Version};

/// One version of one record. Cheap to clone: the body is shared.
///
/// The body is one MessagePack map, dates, bytes and big integers typed (see [`msgpack`]). A read over
/// HTTP transcodes it to JSON without building a [`crate::Value`].
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    version: Version,
    created: Version,
    /// When the record stops being visible, in milliseconds since the epoch.
    expires: Option<f64>,
    /// When the source of a caching table says that it changed, in milliseconds since the epoch.
    modified: Option<f64>,
    /// Whether its body refers to blobs.
    has_blobs: bool,
    body: Bytes,
}

impl Record {
    pub fn new(map: &Map, version: Version, created: Version, expires: Option<f64>) -> Record {
        Record::from_parts(version, created, expires, msgpack::encode_map(map).into())
            .with_blobs(has_blobs(map))
    }

    /// A record from parts that a store kept; `body` is trusted to be what [`Record::new`] made.
    pub fn from_parts(
        version: Version,
        created: Version,
        expires: Option<f64>,
        body: Bytes,
    ) -> Record {
        Record { version, created, expires, modified: None, has_blobs: false, body }
    }

    /// The same record with the time of its last change as its source tells it.
    pub fn with_modified(self, modified: Option<f64>) -> Record {
        Record { modified, ..self }
    }

    pub fn version(&self) -> Version {
        self.version
    }

    pub fn created(&self) -> Version {
        self.created
    }

    pub fn expires(&self) -> Option<f64> {
        self.expires
    }

    /// The same record, said to hold blobs or not.
    pub fn with_blobs(self, has_blobs: bool) -> Record {
        Record { has_blobs, ..self }
    }

    pub fn has_blobs(&self) -> bool {
        self.has_blobs
    }

    /// The source's own time of the last change, if it has told one.
    pub fn modified(&self) -> Option<f64> {
        self.modified
    }

    /// What clients see as the record's version: the source's time, else that of the write.
    pub fn shown_version(&self) -> Version {
        self.modified.map_or(self.version, Version)
    }

    /// The MessagePack map.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// All properties, decoded.
    pub fn to_map(&self) -> Result<Map> {
        msgpack::decode_map(&self.body)
            .map_err(|error| Error::internal(format!("damaged record: {error}")))
    }

    /// Appends the record as a JSON object.
    pub fn write_json(&self, out: &mut Vec<u8>) -> Result<()> {
        json::transcode(&self.body, out)
            .map_err(|error| Error::internal(format!("damaged record: {error}")))
    }
}
