//! What a table is: its attributes, keys, indexes and exports, as `schema.graphql` declares them
//! (`spec/harper-schema.md`).

mod coerce;
mod derived;
pub mod expression;
mod sdl;
mod text_row;
mod validate;

pub(crate) use coerce::auto_cast;
pub use coerce::coerce_text;
pub(crate) use coerce::date as coerce_date;
pub use derived::{Computed, Derived, Relationship, Span, TableName};
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
    /// `@table(eviction:)`: seconds from the expiration until the record is removed from the disk.
    pub eviction: Option<f64>,
    /// `@table(scanInterval:)`: seconds between two searches for what is over.
    pub scan_interval: Option<f64>,
    pub audit: Audit,
    /// `@table(replicate:)` and `@replicate`: kept for when there are several nodes.
    pub replicate: bool,
    /// `@splitSegments`: `/T/a/b` is the key `["a","b"]`.
    pub split_segments: bool,
    /// `@hidden`: not shown in generated documentation.
    pub hidden: bool,
    /// The type's description.
    pub description: Option<String>,
    pub attributes: Vec<Attribute>,
    /// The attribute that is the primary key; `id` where none is declared.
    pub primary_key: String,
}

/// Whether a table keeps a history (`@table(audit:)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audit {
    On,
    /// Changes are published to subscribers, but can't be read again.
    Off,
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
    /// Of a relationship: the name of the type at its other end, as [`AttributeType::Unknown`].
    pub ty: AttributeType,
    /// `!`: must be there and not null.
    pub required: bool,
    /// `@indexed`: an index of some kind.
    pub indexed: bool,
    /// `@indexed(type: "HNSW")`: the index is for the nearest vectors.
    pub vector: Option<VectorIndex>,
    /// What the host writes into it by itself.
    pub assigned: Option<Assigned>,
    /// A relationship or a computed attribute: never stored.
    pub derived: Option<Derived>,
    /// `@expiresAt`: the record is over at this time.
    pub expires_at: bool,
    /// `@enumerable`: a derived attribute that is shown without being selected.
    pub enumerable: bool,
    /// `@hidden`: not shown in generated documentation.
    pub hidden: bool,
    /// `@allow(role:)`: kept, as in Harper not enforced.
    pub authorized_roles: Vec<String>,
    /// `@embed`: which attribute a vector is made of, by which model. Kept; making it is the
    /// application's part.
    pub embed: Option<Embed>,
    pub description: Option<String>,
}

/// `@embed(source:, model:)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embed {
    pub source: Option<String>,
    pub model: Option<String>,
}

/// The options of an index for the nearest vectors (`spec/harper-schema.md` section 3).
#[derive(Debug, Clone, PartialEq)]
pub struct VectorIndex {
    pub distance: Distance,
    /// Links of a vector on each level but the lowest, which has twice as many.
    pub m: usize,
    /// How many candidates an insertion weighs.
    pub ef_construction: usize,
    /// How many candidates a search weighs; `None`: chosen by the size of the index.
    pub ef_search: Option<usize>,
    /// 0: links to the nearest; 1: links that spread as far as they can.
    pub optimize_routing: f64,
    /// The scale of the levels; `None`: 1 / ln(m).
    pub ml: Option<f64>,
}

/// How far two vectors are from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Distance {
    /// 1 - the cosine of their angle.
    #[default]
    Cosine,
    /// The square of the length between them.
    Euclidean,
    /// Their dot product, negated.
    DotProduct,
}

impl Distance {
    /// As `@indexed(distance:)` and a sort's `distance` name it.
    pub fn from_name(name: &str) -> Option<Distance> {
        match name {
            "cosine" => Some(Distance::Cosine),
            "euclidean" => Some(Distance::Euclidean),
            "dotProduct" => Some(Distance::DotProduct),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Distance::Cosine => "cosine",
            Distance::Euclidean => "euclidean",
            Distance::DotProduct => "dotProduct",
        }
    }
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
    /// `@sealed`: properties that are not declared are refused.
    pub sealed: bool,
}

impl TableSchema {
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The declared type of the primary key; `Any` where none is declared.
    pub fn key_type(&self) -> &AttributeType {
        self.attribute(&self.primary_key).map_or(&AttributeType::Any, |attribute| &attribute.ty)
    }

    /// The attributes with an index of ordered values.
    pub fn indexed(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter().filter(|attribute| {
            attribute.indexed && attribute.vector.is_none() && attribute.name != self.primary_key
        })
    }

    /// The attributes with an index for the nearest vectors.
    pub fn vectors(&self) -> impl Iterator<Item = (&Attribute, &VectorIndex)> {
        self.attributes.iter().filter_map(|attribute| Some((attribute, attribute.vector.as_ref()?)))
    }

    /// The attribute that says when a record is over.
    pub fn expires_at(&self) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.expires_at)
    }

    /// The relationship of that name.
    pub fn relationship(&self, name: &str) -> Option<&Relationship> {
        match self.attribute(name)?.derived.as_ref()? {
            Derived::Relationship(relationship) => Some(relationship),
            Derived::Computed(_) => None,
        }
    }

    /// The computed attribute of that name.
    pub fn computed(&self, name: &str) -> Option<&Computed> {
        match self.attribute(name)?.derived.as_ref()? {
            Derived::Computed(computed) => Some(computed),
            Derived::Relationship(_) => None,
        }
    }

    /// The derived attributes that are shown without being selected.
    pub fn enumerable(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes
            .iter()
            .filter(|attribute| attribute.enumerable && attribute.derived.is_some())
    }
}
