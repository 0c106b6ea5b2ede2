//! Object types as tables and nested objects, linked with each other.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use apollo_parser::cst;

use super::document::{argument, description, directive, offset};
use super::source::Source;
use super::{SchemaError, SchemaFile, Warning};
use crate::schema::{
    Attribute, AttributeType, Audit, Derived, ElementNulls, Export, ObjectType, Protocols,
    TableName, TableSchema,
};

/// The object types of one file, read one after the other.
pub(super) struct Types<'a> {
    pub(super) source: Source<'a>,
    /// In the order of the file.
    definitions: Vec<(String, cst::ObjectTypeDefinition)>,
    /// Scalars, enums, inputs and the like: named, never read.
    others: HashSet<String>,
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

impl<'a> Types<'a> {
    pub(super) fn new(
        source: Source<'a>,
        definitions: impl Iterator<Item = cst::Definition>,
    ) -> Result<Types<'a>, SchemaError> {
        let mut found: Vec<(String, cst::ObjectTypeDefinition)> = Vec::new();
        let mut tables: HashSet<TableName> = HashSet::new();
        let mut others = HashSet::new();
        for definition in definitions {
            let definition = match definition {
                cst::Definition::ObjectTypeDefinition(definition) => definition,
                other => {
                    others.extend(other.name().map(|name| name.text().as_str().to_owned()));
                    continue;
                }
            };
            let Some(name_node) = definition.name() else { continue };
            let name = name_node.text().as_str().to_owned();
            // One name may stand for tables of several databases, for one nested type only.
            let table = directive(definition.directives(), "table")
                .map(|directive| table_name(&directive, &name));
            let known = match &table {
                Some(table) => !tables.insert(table.clone()),
                None => found.iter().any(|(known, other)| {
                    *known == name && directive(other.directives(), "table").is_none()
                }),
            };
            if known {
                let message = format!("expected another name: type {name} is declared above");
                return Err(source.error(offset(&name_node), message));
            }
            found.push((name, definition));
        }
        let mut links: HashMap<String, HashSet<String>> = HashMap::new();
        for (name, definition) in &found {
            links.entry(name.clone()).or_default().extend(self::links(definition));
        }
        Ok(Types {
            source,
            links,
            definitions: found,
            others,
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
                // The roots of GraphQL's operations say nothing about data.
                None if matches!(&*name, "Query" | "Mutation" | "Subscription") => {}
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
        self.warnings.dedup();
        Ok(SchemaFile { tables, objects, warnings: self.warnings })
    }

    pub(super) fn warn(&mut self, offset: usize, message: impl Into<String>) {
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
        let name = table_name(table, &type_name);
        let Fields { attributes, primary_key } =
            self.fields(&type_name, &name.database, definition)?;
        let marked = |name| directive(definition.directives(), name);
        let flag = |name| argument(table, name).map(|(text, _)| text != "false");
        let shown = |directive: Option<cst::Directive>| {
            directive.is_none_or(|found| {
                argument(&found, "value").is_none_or(|(text, _)| text != "false")
            })
        };
        Ok(TableSchema {
            table: name.table,
            database: name.database,
            export: marked("export").map(|directive| export(&directive, &type_name)),
            sealed: marked("sealed").is_some(),
            expiration: self.seconds(table, "expiration")?.filter(|seconds| *seconds > 0.0),
            eviction: self.seconds(table, "eviction")?,
            scan_interval: self.seconds(table, "scanInterval")?.filter(|seconds| *seconds > 0.0),
            audit: match flag("audit") {
                Some(false) => Audit::Off,
                Some(true) | None => Audit::On,
            },
            replicate: flag("replicate").unwrap_or(true) && shown(marked("replicate")),
            split_segments: marked("splitSegments").is_some()
                || flag("splitSegments").unwrap_or(false),
            hidden: marked("hidden").is_some(),
            description: description(definition.description()),
            attributes,
            primary_key: primary_key.unwrap_or_else(|| "id".into()),
            type_name,
        })
    }

    fn seconds(&self, table: &cst::Directive, name: &str) -> Result<Option<f64>, SchemaError> {
        let Some((text, at)) = argument(table, name) else { return Ok(None) };
        match text.parse() {
            Ok(seconds) if f64::is_finite(seconds) && seconds >= 0.0 => Ok(Some(seconds)),
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
        // Nothing is looked up from within a nested object: only tables have relationships.
        let mut attributes = self.fields(name, "data", definition)?.attributes;
        attributes.retain(|attribute| attribute.derived.is_none());
        let sealed = directive(definition.directives(), "sealed").is_some();
        let object = Arc::new(ObjectType { name: name.to_owned(), attributes, sealed });
        self.read.insert(name.to_owned(), Arc::clone(&object));
        Ok(object)
    }

    fn fields(
        &mut self,
        type_name: &str,
        database: &str,
        definition: &cst::ObjectTypeDefinition,
    ) -> Result<Fields, SchemaError> {
        let mut fields = Fields { attributes: Vec::new(), primary_key: None };
        let definitions = definition.fields_definition();
        for field in definitions.iter().flat_map(|fields| fields.field_definitions()) {
            let (Some(name_node), Some(ty_node)) = (field.name(), field.ty()) else { continue };
            let name = name_node.text().as_str().to_owned();
            let at = offset(&name_node);
            if fields.attributes.iter().any(|attribute| attribute.name == name) {
                let message =
                    format!("expected another name: {type_name} has attribute {name} above");
                return Err(self.source.error(at, message));
            }
            let derived = self.derived(&field, &name, &ty_node, database)?;
            let (ty, required) = match &derived {
                Some(Derived::Relationship(_)) => (related_type(&ty_node), false),
                Some(Derived::Computed(_)) => (self.attribute_type(type_name, &ty_node)?.0, false),
                None => self.attribute_type(type_name, &ty_node)?,
            };
            if directive(field.directives(), "primaryKey").is_some() {
                match (&fields.primary_key, &derived) {
                    (Some(key), _) => {
                        let message =
                            format!("{type_name} has the primary key {key}: this one is ignored");
                        self.warn(at, message);
                    }
                    (None, Some(_)) => {
                        let message = format!("expected a stored attribute: {name} is derived");
                        return Err(self.source.error(at, message));
                    }
                    (None, None) => fields.primary_key = Some(name.clone()),
                }
            }
            let attribute = self.attribute(&field, name, ty, required, derived)?;
            fields.attributes.push(attribute);
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

    /// Where the records of a type are that a relationship names: in the same database, if that has
    /// the type. `None` for a type that is not declared as a table in this file.
    pub(super) fn table_of(&self, type_name: &str, database: &str) -> Option<TableName> {
        let tables = self.definitions.iter().filter(|(name, _)| name == type_name);
        let tables = tables.filter_map(|(name, definition)| {
            Some(table_name(&directive(definition.directives(), "table")?, name))
        });
        tables.min_by_key(|table| table.database != database)
    }

    fn named_type(&mut self, owner: &str, node: &cst::Name) -> Result<AttributeType, SchemaError> {
        let text = node.text();
        let name = text.as_str();
        if let Some(scalar) = scalar(name) {
            return Ok(scalar);
        }
        let known = self.definitions.iter().find(|(known, _)| known == name);
        let Some((_, definition)) = known.cloned() else {
            if self.others.contains(name) {
                return Ok(AttributeType::Unknown(name.to_owned()));
            }
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
    let stored = fields.filter(|field| directive(field.directives(), "relationship").is_none());
    stored.filter_map(|field| innermost(field.ty()?)).collect()
}

pub(super) fn innermost(mut ty: cst::Type) -> Option<String> {
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

/// The names of the type at the other end, which are not linked: tables lead to each other in circles.
fn related_type(ty: &cst::Type) -> AttributeType {
    let name = innermost(ty.clone()).unwrap_or_default();
    let ty_is_list = match ty {
        cst::Type::NamedType(_) => false,
        cst::Type::ListType(_) => true,
        cst::Type::NonNullType(ty) => ty.list_type().is_some(),
    };
    let one = AttributeType::Unknown(name);
    if ty_is_list { AttributeType::Array(Box::new(one), ElementNulls::Allowed) } else { one }
}

/// Where `@table` puts a type.
pub(super) fn table_name(table: &cst::Directive, type_name: &str) -> TableName {
    let text = |name| argument(table, name).map(|(text, _)| text);
    TableName {
        table: text("table").unwrap_or_else(|| type_name.to_owned()),
        database: text("database").or_else(|| text("schema")).unwrap_or_else(|| "data".into()),
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
