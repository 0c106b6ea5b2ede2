//! Permissions as JSON objects: `{super_user, structure_user, <db>: {tables: {<t>: {read, insert,
//! update, delete, attribute_permissions: [{attribute_name, read, insert, update}]}}}}`
//! (`spec/harper-resources.md` section 7), and the shorter forms of `roles.yaml`
//! (`spec/harper-components.md` section 2.3): tables without `tables`, `attributes` by name.

use indexmap::IndexMap;

use super::{Access, AccessSet, AttributePermission, Permission, StructureUser, TablePermission};
use crate::{Map, Value};

/// The database that a table at the top level belongs to.
const DEFAULT_DATABASE: &str = "data";

/// The rights that attributes have; records are deleted whole.
const OF_ATTRIBUTES: [Access; 3] = [Access::Read, Access::Insert, Access::Update];

/// A permission object that can't be understood.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{} {message}", path.join("."))]
pub struct PermissionError {
    /// The names that lead to the value in question.
    pub path: Vec<String>,
    /// What is wrong with it: the predicate of the sentence whose subject is the path.
    pub message: String,
}

impl PermissionError {
    fn new(message: &str) -> PermissionError {
        PermissionError { path: Vec::new(), message: message.to_owned() }
    }

    fn below(mut self, name: &str) -> PermissionError {
        self.path.insert(0, name.to_owned());
        self
    }
}

type Parsed<T> = Result<T, PermissionError>;

impl Permission {
    /// Reads a permission object.
    ///
    /// # Errors
    /// The first value that has not the shape that its place asks for.
    pub fn from_value(value: &Value) -> Parsed<Permission> {
        let map = object(value).map_err(|error| error.below("permission"))?;
        let mut permission = Permission::default();
        for (name, value) in map {
            match name.as_str() {
                "super_user" => {
                    permission.super_user = flag(value).map_err(|error| error.below(name))?;
                }
                "structure_user" => {
                    permission.structure_user =
                        structure_user(value).map_err(|error| error.below(name))?;
                }
                // An allow-list of administrative operations, which only super users have here.
                "operations" => {}
                database => permission
                    .take_database(database, value)
                    .map_err(|error| error.below(database))?,
            }
        }
        Ok(permission)
    }

    fn take_database(&mut self, name: &str, value: &Value) -> Parsed<()> {
        let map = object(value)?;
        let grants_access =
            Access::ALL.iter().any(|access| matches!(map.get(access.name()), Some(Value::Bool(_))));
        if grants_access {
            let tables = self.databases.entry(DEFAULT_DATABASE.to_owned()).or_default();
            tables.insert(name.to_owned(), table(map)?);
            return Ok(());
        }
        let (tables, named) = match map.get("tables") {
            Some(tables) => (object(tables).map_err(|error| error.below("tables"))?, true),
            None => (map, false),
        };
        let granted = self.databases.entry(name.to_owned()).or_default();
        for (name, value) in tables {
            let place = |error: PermissionError| {
                let error = error.below(name);
                if named { error.below("tables") } else { error }
            };
            granted.insert(name.clone(), object(value).and_then(table).map_err(place)?);
        }
        Ok(())
    }

    /// The permission object, in the long form.
    pub fn to_value(&self) -> Value {
        let mut map = Map::from_iter([("super_user".to_owned(), Value::Bool(self.super_user))]);
        let structure_user = match &self.structure_user {
            StructureUser::Nowhere => None,
            StructureUser::Everywhere => Some(Value::Bool(true)),
            StructureUser::In(databases) => {
                let databases = databases.iter().map(|name| Value::from(name.as_str()));
                Some(Value::Array(databases.collect()))
            }
        };
        map.extend(structure_user.map(|value| ("structure_user".to_owned(), value)));
        for (database, tables) in &self.databases {
            let tables = tables.iter().map(|(name, table)| (name.clone(), table.to_value()));
            let tables = Value::Object(tables.collect());
            let tables = Map::from_iter([("tables".to_owned(), tables)]);
            map.insert(database.clone(), Value::Object(tables));
        }
        Value::Object(map)
    }
}

impl TablePermission {
    fn to_value(&self) -> Value {
        let mut map = flags(self.access, &Access::ALL);
        let attributes = self.attributes.iter().map(|attribute| {
            let name = Value::from(attribute.name.as_str());
            let mut map = Map::from_iter([("attribute_name".to_owned(), name)]);
            map.extend(flags(attribute.access, &OF_ATTRIBUTES));
            Value::Object(map)
        });
        let attributes = Value::Array(attributes.collect());
        map.insert("attribute_permissions".to_owned(), attributes);
        Value::Object(map)
    }
}

fn flags(access: AccessSet, named: &[Access]) -> Map {
    let flag =
        |access_: &Access| (access_.name().to_owned(), Value::Bool(access.contains(*access_)));
    named.iter().map(flag).collect()
}

fn table(map: &Map) -> Parsed<TablePermission> {
    let mut permission = TablePermission { access: access(map)?, attributes: Vec::new() };
    let mut attributes: IndexMap<String, AccessSet> = IndexMap::new();
    if let Some(list) = present(map, "attribute_permissions") {
        let Value::Array(list) = list else {
            return Err(PermissionError::new("must be a list").below("attribute_permissions"));
        };
        for entry in list {
            let read = || {
                let map = object(entry)?;
                let name = map.get("attribute_name").and_then(Value::as_str);
                let name = name.ok_or_else(|| {
                    PermissionError::new("must name an attribute").below("attribute_name")
                })?;
                Ok((name.to_owned(), access(map)?))
            };
            let (name, access) =
                read().map_err(|error: PermissionError| error.below("attribute_permissions"))?;
            attributes.insert(name, access);
        }
    }
    if let Some(by_name) = present(map, "attributes") {
        for (name, value) in object(by_name).map_err(|error| error.below("attributes"))? {
            let access = object(value)
                .and_then(access)
                .map_err(|error| error.below(name).below("attributes"))?;
            attributes.insert(name.clone(), access);
        }
    }
    let attributes = attributes.into_iter();
    permission.attributes =
        attributes.map(|(name, access)| AttributePermission { name, access }).collect();
    Ok(permission)
}

fn access(map: &Map) -> Parsed<AccessSet> {
    let mut granted = AccessSet::default();
    for access in Access::ALL {
        let value = present(map, access.name());
        let value = value.map(flag).transpose().map_err(|error| error.below(access.name()))?;
        if value == Some(true) {
            granted = granted.with(access);
        }
    }
    Ok(granted)
}

fn structure_user(value: &Value) -> Parsed<StructureUser> {
    match value {
        Value::Array(databases) => {
            let name = |value: &Value| {
                let name = value.as_str().map(str::to_owned);
                name.ok_or_else(|| PermissionError::new("must list names of databases"))
            };
            Ok(StructureUser::In(databases.iter().map(name).collect::<Parsed<_>>()?))
        }
        value => Ok(match flag(value)? {
            true => StructureUser::Everywhere,
            false => StructureUser::Nowhere,
        }),
    }
}

fn present<'m>(map: &'m Map, name: &str) -> Option<&'m Value> {
    map.get(name).filter(|value| !value.is_null())
}

fn flag(value: &Value) -> Parsed<bool> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::Null => Ok(false),
        _ => Err(PermissionError::new("must be true or false")),
    }
}

fn object(value: &Value) -> Parsed<&Map> {
    static EMPTY: std::sync::LazyLock<Map> = std::sync::LazyLock::new(Map::new);
    match value {
        Value::Object(map) => Ok(map),
        // `Dog:` with nothing after it, in YAML.
        Value::Null => Ok(&EMPTY),
        _ => Err(PermissionError::new("must be an object")),
    }
}
