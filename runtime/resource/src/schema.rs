//! What a table is: its attributes, keys, indexes and exports, as `schema.graphql` declares them
//! (`spec/harper-schema.md`).

mod coerce;
mod sdl;
mod text_row;
mod validate;

pub(crate) use coerce::auto_cast;
pub use coerce::coerce_text;
pub(crate) use coerce::date as coerce_date;
#[cfg(test)]
pub(crate) use sdl::parse_one;
pub use sdl::{SchemaError, SchemaFile, Warning, parse};
pub use validate::ValidateMode;

use std::sync::Arc;

/// One table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSchema {
    /// The GraphQL type's name, which error messages use.
    pub type_name: String,
    pub table: String,
    /// `data` unless `@table(database:)` says otherwise.
    pub database: String,
    /// Where the table is exported; `None` without `@export`.
    pub export: Option<Export>,
    /// `@sealed`: properties that are not declared are refused.
    pub sealed: bool,
    /// Seconds from a write until the record is no longer visible.
    pub expiration: Option<f64>,
    pub attributes: Vec<Attribute>,
    /// The attribute that is the primary key; `id` where none is declared.
    pub primary_key: String,
}

/// `@export`: the path below the component's root, and the protocols that may see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// Without a leading `/`; empty for the root.
    pub path: String,
    pub protocols: Protocols,
}

/// Which protocols an exported resource answers on. All, unless a flag is exactly `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocols {
    pub rest: bool,
    pub web_socket: bool,
    pub sse: bool,
    pub mqtt: bool,
}

impl Default for Protocols {
    fn default() -> Protocols {
        Protocols { rest: true, web_socket: true, sse: true, mqtt: true }
    }
}

impl Protocols {
    pub fn allows(self, protocol: crate::Protocol) -> bool {
        match protocol {
            crate::Protocol::Rest => self.rest,
            crate::Protocol::WebSocket => self.web_socket,
            crate::Protocol::Sse => self.sse,
            crate::Protocol::Mqtt => self.mqtt,
        }
    }
}

/// One declared attribute.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    pub name: String,
    pub ty: AttributeType,
    /// `!`: must be there and not null.
    pub required: bool,
    /// `@indexed`: a secondary index.
    pub indexed: bool,
    /// What the host writes into it by itself.
    pub assigned: Option<Assigned>,
}

/// Attributes whose value the host assigns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assigned {
    CreatedTime,
    UpdatedTime,
}

/// The type of an attribute (`spec/harper-schema.md` section 4).
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeType {
    Id,
    String,
    Int,
    Long,
    BigInt,
    Float,
    Boolean,
    Date,
    Bytes,
    Blob,
    Any,
    /// `[T]`; the flag says whether elements may not be null (`[T!]`).
    Array(Box<AttributeType>, ElementNulls),
    /// Another type of the same file: a nested object.
    Object(Arc<ObjectType>),
    /// A scalar name that is not known: kept, never checked.
    Unknown(String),
}

/// Whether a list's elements may be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementNulls {
    Allowed,
    Refused,
}

/// A type without `@table`.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectType {
    pub name: String,
    pub attributes: Vec<Attribute>,
}

impl TableSchema {
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The declared type of the primary key; `Any` where none is declared.
    pub fn key_type(&self) -> &AttributeType {
        self.attribute(&self.primary_key).map_or(&AttributeType::Any, |attribute| &attribute.ty)
    }

    pub fn indexed(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes
            .iter()
            .filter(|attribute| attribute.indexed && attribute.name != self.primary_key)
    }
}
