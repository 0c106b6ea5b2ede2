//! Object types as tables and nested objects, linked with each other.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use apollo_parser::cst;

use super::document::{argument, directive, offset};
use super::source::Source;
use super::{SchemaError, SchemaFile, Warning};
use crate::schema::{
    Assigned, Attribute, AttributeType, Audit, ElementNulls, Export, ObjectType, Protocols,
    TableSchema,
};

/// The object types of one file, read one after the other.
pub(super) struct Types<'a> {
    source: Source<'a>,
    /// In the order of the file.
    definitions: Vec<(String, cst::ObjectTypeDefinition)>,
    /// Which of the file's types each type's attributes name.
    links: HashMap<String, HashSet<String>>,
    /// Nested types that are read already.
    read: HashMap<String, Arc<ObjectType>>,
    warnings: Vec<Warning>,
}

/// The attributes of a type and which of them is its key.
struct Fields {
    attributes: Vec<Attribute>,
    primary_key: Option<String>,
}

/// What an attribute means besides its type.
enum Kind {
    Stored,
    /// Never stored; the word says what it is.
    Derived(&'static str),
}

impl<'a> Types<'a> {
    pub(super) fn new(
        source: Source<'a>,
        definitions: impl Iterator<Item = cst::Definition>,
    ) -> Result<Types<'a>, SchemaError> {
        let mut found: Vec<(String, cst::ObjectTypeDefinition)> = Vec::new();
        for definition in definitions {
            let cst::Definition::ObjectTypeDefinition(definition) = definition else { continue };
            let Some(name_node) = definition.name() else { continue };
            let name = name_node.text().as_str().to_owned();
            if found.iter().any(|(known, _)| *known == name) {
                let message = format!("expected another name: type {name} is declared above");
                return Err(source.error(offset(&name_node), message));
            }
            found.push((name, definition));
        }
        Ok(Types {
            source,
            links: found.iter().map(|(name, ty)| (name.clone(), links(ty))).collect(),
            definitions: found,
            read: HashMap::new(),
            warnings: Vec::new(),
        })
    }

    pub(super) fn read(mut self) -> Result<SchemaFile, SchemaError> {
        let mut tables = Vec::new();
        let mut objects = Vec::new();
        for (name, definition) in self.definitions.clone() {
            match directive(definition.directives(), "table") {
                Some(table) => tables.push(self.table(name, &definition, &table)?),
                None => {
                    if let Some(export) = directive(definition.directives(), "export") {
                        let message =
                            format!("type {name} has no @table: there is nothing to export");
                        self.warn(offset(&export), message);
                    }
                    objects.push(self.object(&name, &definition)?);
                }
            }
        }
        self.warnings.sort_by_key(|warning| (warning.line, warning.column));
        Ok(SchemaFile { tables, objects, warnings: self.warnings })
    }

    fn warn(&mut self, offset: usize, message: impl Into<String>) {
        self.warnings.push(self.source.warning(offset, message));
    }

    /// Whether a type is, or holds at any depth, another. References that are part of a circle are
    /// not followed, so that nested types always end.
    fn leads_to(&self, from: &str, to: &str) -> bool {
        let mut seen = HashSet::from([from]);
        let mut pending = vec![from];
        while let Some(name) = pending.pop() {
            if name == to {
                return true;
            }
            let linked = self.links.get(name).into_iter().flatten();
            pending.extend(linked.map(String::as_str).filter(|linked| seen.insert(linked)));
        }
        false
    }

    fn table(
        &mut self,
        type_name: String,
        definition: &cst::ObjectTypeDefinition,
        table: &cst::Directive,
    ) -> Result<TableSchema, SchemaError> {
        let Fields { attributes, primary_key } = self.fields(&type_name, definition)?;
        let text = |name| argument(table, name).map(|(text, _)| text);
        Ok(TableSchema {
            table: text("table").unwrap_or_else(|| type_name.clone()),
            database: text("database").or_else(|| text("schema")).unwrap_or_else(|| "data".into()),
            export: directive(definition.directives(), "export")
                .map(|directive| export(&directive, &type_name)),
            sealed: directive(definition.directives(), "sealed").is_some(),
            expiration: self.seconds(table, "expiration")?,
            eviction: self.seconds(table, "eviction")?,
            scan_interval: self.seconds(table, "scanInterval")?,
            audit: match text("audit").as_deref() {
                Some("false") => Audit::Off,
                Some(_) | None => Audit::On,
            },
            attributes,
            primary_key: primary_key.unwrap_or_else(|| "id".into()),
            type_name,
        })
    }

    fn seconds(&self, table: &cst::Directive, name: &str) -> Result<Option<f64>, SchemaError> {
        let Some((text, at)) = argument(table, name) else { return Ok(None) };
        match text.parse() {
            Ok(seconds) if f64::is_finite(seconds) && seconds >= 0.0 => {
                Ok(Some(seconds).filter(|seconds| *seconds > 0.0))
            }
            _ => {
                let message = format!("expected a number of seconds as {name}, found `{text}`");
                Err(self.source.error(at, message))
            }
        }
    }

    /// A type without `@table`, or a table's type used as a nested object.
    fn object(
        &mut self,
        name: &str,
        definition: &cst::ObjectTypeDefinition,
    ) -> Result<Arc<ObjectType>, SchemaError> {
        if let Some(read) = self.read.get(name) {
            return Ok(Arc::clone(read));
        }
        let attributes = self.fields(name, definition)?.attributes;
        let object = Arc::new(ObjectType { name: name.to_owned(), attributes });
        self.read.insert(name.to_owned(), Arc::clone(&object));
        Ok(object)
    }

    fn fields(
        &mut self,
        type_name: &str,
        definition: &cst::ObjectTypeDefinition,
    ) -> Result<Fields, SchemaError> {
        let mut fields = Fields { attributes: Vec::new(), primary_key: None };
        let definitions = definition.fields_definition();
        for field in definitions.iter().flat_map(|fields| fields.field_definitions()) {
            let (Some(name_node), Some(ty_node)) = (field.name(), field.ty()) else { continue };
            let name = name_node.text().as_str().to_owned();
            let at = offset(&name_node);
            if let Kind::Derived(what) = kind(&field) {
                let message = format!("{what} are not there yet: attribute {name} is left out");
                self.warn(at, message);
                continue;
            }
            if fields.attributes.iter().any(|attribute| attribute.name == name) {
                let message =
                    format!("expected another name: {type_name} has attribute {name} above");
                return Err(self.source.error(at, message));
            }
            if directive(field.directives(), "primaryKey").is_some() {
                match &fields.primary_key {
                    None => fields.primary_key = Some(name.clone()),
                    Some(key) => {
                        let message =
                            format!("{type_name} has the primary key {key}: this one is ignored");
                        self.warn(at, message);
                    }
                }
            }
            let (ty, required) = self.attribute_type(type_name, &ty_node)?;
            fields.attributes.push(Attribute {
                ty,
                required,
                indexed: directive(field.directives(), "indexed").is_some(),
                assigned: assigned(&field, &name),
                name,
            });
        }
        Ok(fields)
    }

    /// The type of one of `owner`'s attributes, and whether it is marked with `!`.
    fn attribute_type(
        &mut self,
        owner: &str,
        ty: &cst::Type,
    ) -> Result<(AttributeType, bool), SchemaError> {
        let (named, list, required) = match ty {
            cst::Type::NamedType(named) => (Some(named.clone()), None, false),
            cst::Type::ListType(list) => (None, Some(list.clone()), false),
            cst::Type::NonNullType(ty) => (ty.named_type(), ty.list_type(), true),
        };
        let ty = match (named.and_then(|named| named.name()), list.and_then(|list| list.ty())) {
            (Some(name), _) => self.named_type(owner, &name)?,
            (None, Some(element)) => {
                let (element, not_null) = self.attribute_type(owner, &element)?;
                let nulls = if not_null { ElementNulls::Refused } else { ElementNulls::Allowed };
                AttributeType::Array(Box::new(element), nulls)
            }
            (None, None) => AttributeType::Any,
        };
        Ok((ty, required))
    }

    fn named_type(&mut self, owner: &str, node: &cst::Name) -> Result<AttributeType, SchemaError> {
        let text = node.text();
        let name = text.as_str();
        if let Some(scalar) = scalar(name) {
            return Ok(scalar);
        }
        let known = self.definitions.iter().find(|(known, _)| known == name);
        let Some((_, definition)) = known.cloned() else {
            let message = format!("unknown type {name}: its values are kept and never checked");
            self.warn(offset(node), message);
            return Ok(AttributeType::Unknown(name.to_owned()));
        };
        if self.leads_to(name, owner) {
            let message = format!("{owner} and {name} contain each other: this one is not checked");
            self.warn(offset(node), message);
            return Ok(AttributeType::Any);
        }
        Ok(AttributeType::Object(self.object(name, &definition)?))
    }
}

/// The names that the types of the stored attributes end in.
fn links(definition: &cst::ObjectTypeDefinition) -> HashSet<String> {
    let definitions = definition.fields_definition();
    let fields = definitions.iter().flat_map(|fields| fields.field_definitions());
    let stored = fields.filter(|field| matches!(kind(field), Kind::Stored));
    stored.filter_map(|field| innermost(field.ty()?)).collect()
}

fn innermost(mut ty: cst::Type) -> Option<String> {
    loop {
        let (named, list) = match ty {
            cst::Type::NamedType(named) => (Some(named), None),
            cst::Type::ListType(list) => (None, Some(list)),
            cst::Type::NonNullType(ty) => (ty.named_type(), ty.list_type()),
        };
        if let Some(named) = named {
            return Some(named.name()?.text().as_str().to_owned());
        }
        ty = list?.ty()?;
    }
}

fn scalar(name: &str) -> Option<AttributeType> {
    Some(match name {
        "ID" => AttributeType::Id,
        "String" => AttributeType::String,
        "Int" => AttributeType::Int,
        "Long" => AttributeType::Long,
        "BigInt" => AttributeType::BigInt,
        "Float" => AttributeType::Float,
        "Boolean" => AttributeType::Boolean,
        "Date" => AttributeType::Date,
        "Bytes" => AttributeType::Bytes,
        "Blob" => AttributeType::Blob,
        "Any" => AttributeType::Any,
        _ => return None,
    })
}

fn kind(field: &cst::FieldDefinition) -> Kind {
    if directive(field.directives(), "relationship").is_some() {
        Kind::Derived("relationships")
    } else if directive(field.directives(), "computed").is_some() {
        Kind::Derived("computed attributes")
    } else {
        Kind::Stored
    }
}

fn assigned(field: &cst::FieldDefinition, name: &str) -> Option<Assigned> {
    let marked = |directive_name| directive(field.directives(), directive_name).is_some();
    if marked("createdTime") || name == "__createdtime__" {
        Some(Assigned::CreatedTime)
    } else if marked("updatedTime") || name == "__updatedtime__" {
        Some(Assigned::UpdatedTime)
    } else {
        None
    }
}

fn export(directive: &cst::Directive, type_name: &str) -> Export {
    let path = argument(directive, "name").map_or_else(|| type_name.to_owned(), |(name, _)| name);
    // Only exactly `false` hides a table from a protocol.
    let shown = |protocol| argument(directive, protocol).is_none_or(|(flag, _)| flag != "false");
    Export {
        path: path.trim_matches('/').to_owned(),
        protocols: Protocols {
            rest: shown("rest"),
            web_socket: shown("ws"),
            sse: shown("sse"),
            mqtt: shown("mqtt"),
        },
    }
}
