//! The document: paths by resource and verb, schemas by type.

use kora_resource::schema::{Attribute, AttributeType, TableSchema};
use kora_resource::value::Format;
use kora_resource::{Documentation, Map, Resource, Value, Verb};

use crate::PRODUCT;
use crate::components::registry::{Registration, Registry};

/// The whole document; `server` is the URL that the request came to.
pub(super) fn describe(registry: &Registry, server: &str) -> Value {
    let mut registrations: Vec<&Registration> =
        registry.iter().filter(|registration| registration.protocols.rest).collect();
    registrations.sort_by(|a, b| a.path.cmp(&b.path));
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for registration in registrations {
        let documentation = registration.resource.documentation();
        let table = registration.resource.schema();
        if documentation.as_ref().is_some_and(|documentation| documentation.hidden)
            || table.as_ref().is_some_and(|table| table.hidden)
        {
            continue;
        }
        let mut documentation = documentation.as_deref().cloned().unwrap_or_default();
        if let (None, Some(table)) = (&documentation.description, table) {
            documentation.description.clone_from(&table.description);
        }
        let described = Described { registration, documentation, name: name_of(registration) };
        described.add_schemas(&mut schemas);
        described.add_paths(&mut paths);
    }
    object([
        ("openapi", "3.0.3".into()),
        (
            "info",
            object([
                ("title", format!("{PRODUCT} HTTP REST interface").into()),
                ("version", env!("CARGO_PKG_VERSION").into()),
            ]),
        ),
        ("servers", Value::Array(vec![object([("url", server.into())])])),
        ("security", Value::Array(vec![scheme("basicAuth"), scheme("bearerAuth")])),
        ("paths", Value::Object(paths)),
        (
            "components",
            object([
                ("schemas", Value::Object(schemas)),
                (
                    "securitySchemes",
                    object([
                        (
                            "basicAuth",
                            object([("type", "http".into()), ("scheme", "basic".into())]),
                        ),
                        (
                            "bearerAuth",
                            object([
                                ("type", "http".into()),
                                ("scheme", "bearer".into()),
                                ("bearerFormat", "JWT".into()),
                            ]),
                        ),
                    ]),
                ),
            ]),
        ),
    ])
}

fn scheme(name: &str) -> Value {
    object([(name, Value::Array(Vec::new()))])
}

/// The name of a resource's schema: that of its type, or its path in characters that OpenAPI allows.
fn name_of(registration: &Registration) -> String {
    if let Some(schema) = registration.resource.schema() {
        return schema.type_name.clone();
    }
    let name: String = registration
        .path
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' })
        .collect();
    if name.is_empty() { "root".to_owned() } else { name }
}

/// One resource on its way into the document.
struct Described<'r> {
    registration: &'r Registration,
    documentation: Documentation,
    name: String,
}

impl Described<'_> {
    fn resource(&self) -> &dyn Resource {
        &*self.registration.resource
    }

    fn has(&self, verb: Verb) -> bool {
        self.resource().verbs().contains(verb)
    }

    fn add_schemas(&self, schemas: &mut Map) {
        let mut schema = match self.resource().schema() {
            Some(table) => {
                shown(&table.attributes).for_each(|a| add_nested(&a.ty, schemas));
                object_schema(&table.attributes)
            }
            None => object([("type", "object".into())]),
        };
        if let (Value::Object(schema), Some(properties)) =
            (&mut schema, self.documentation.properties.clone())
        {
            let known = schema.entry("properties".to_owned()).or_insert_with(|| Map::new().into());
            if let Value::Object(known) = known {
                known.extend(properties);
            }
        }
        if let (Value::Object(schema), Some(text)) = (&mut schema, &self.documentation.description)
        {
            schema.insert("description".to_owned(), Value::from(text.as_str()));
        }
        schemas.insert(self.name.clone(), schema);
    }

    fn add_paths(&self, paths: &mut Map) {
        let (path, mut parameters) = path_template(&self.registration.path);
        if !parameters.is_empty() {
            // A path with parameters of its own names one thing.
            paths.insert(path, self.item(&parameters, Place::Record));
            return;
        }
        let base = if path == "/" { String::new() } else { path };
        let table = self.resource().schema();
        let key = table.as_ref().map_or("id", |table| table.primary_key.as_str()).to_owned();
        paths.insert(format!("{base}/"), self.item(&[], Place::Collection(table.as_deref())));
        let key_schema = match &table {
            Some(table) => type_schema(table.key_type()),
            None => object([("type", "string".into())]),
        };
        parameters.push(path_parameter(&key, key_schema));
        paths.insert(format!("{base}/{{{key}}}"), self.item(&parameters, Place::Record));
        if let Some(table) = &table {
            let names = shown(&table.attributes).map(|a| Value::from(a.name.as_str())).collect();
            let schema = object([("type", "string".into()), ("enum", Value::Array(names))]);
            let property = path_parameter("property", schema);
            parameters.push(property);
            let item = self.item(&parameters, Place::Property);
            paths.insert(format!("{base}/{{{key}}}.{{property}}"), item);
        }
    }

    fn item(&self, parameters: &[Value], place: Place<'_>) -> Value {
        let mut item = Map::new();
        if let Some(text) = &self.documentation.description {
            item.insert("description".to_owned(), Value::from(text.as_str()));
        }
        for verb in place.verbs() {
            if self.has(*verb) {
                let method = verb.method();
                item.insert(method.to_owned(), self.operation(*verb, parameters, place));
            }
        }
        if !matches!(place, Place::Property) {
            item.insert("options".to_owned(), self.options(parameters));
        }
        Value::Object(item)
    }

    fn operation(&self, verb: Verb, parameters: &[Value], place: Place<'_>) -> Value {
        let mut parameters = parameters.to_vec();
        if let (Verb::Get | Verb::Delete, Place::Collection(Some(table))) = (verb, place) {
            parameters.extend(shown(&table.attributes).map(|attribute| {
                object([
                    ("name", attribute.name.as_str().into()),
                    ("in", "query".into()),
                    ("required", false.into()),
                    ("schema", type_schema(&attribute.ty)),
                ])
            }));
        }
        let mut operation = Map::from_iter([
            ("tags".to_owned(), Value::Array(vec![Value::from(self.name.as_str())])),
            ("summary".to_owned(), Value::from(self.summary(verb, place))),
            ("parameters".to_owned(), Value::Array(parameters)),
        ]);
        if matches!(verb, Verb::Put | Verb::Patch | Verb::Post) {
            let body = object([("required", true.into()), ("content", content(self.reference()))]);
            operation.insert("requestBody".to_owned(), body);
        }
        operation.insert("responses".to_owned(), self.responses(verb, place));
        Value::Object(operation)
    }

    fn summary(&self, verb: Verb, place: Place<'_>) -> String {
        let what = match place {
            Place::Collection(_) => format!("records of {}", self.name),
            Place::Record => format!("a record of {}", self.name),
            Place::Property => format!("a property of a record of {}", self.name),
        };
        match verb {
            Verb::Get => format!("Get {what}"),
            Verb::Put => format!("Create or replace {what}"),
            Verb::Patch => format!("Change {what}"),
            Verb::Post => format!("Create {what}"),
            Verb::Delete => format!("Delete {what}"),
            Verb::Query | Verb::Publish => format!("Query {what}"),
            Verb::Copy => format!("Copy {what}"),
            Verb::Move => format!("Move {what}"),
        }
    }

    fn responses(&self, verb: Verb, place: Place<'_>) -> Value {
        let declared = self.documentation.output_schemas.as_ref();
        if let Some(schema) = declared.and_then(|schemas| schemas.get(verb.method())) {
            return object([("200", response("The answer", Some(schema.clone())))]);
        }
        let is_table = self.resource().schema().is_some();
        match (verb, place) {
            (Verb::Get, Place::Collection(Some(_))) => {
                let list = object([("type", "array".into()), ("items", self.reference())]);
                object([("200", response("The records that match", Some(list)))])
            }
            (Verb::Get, Place::Record | Place::Collection(None)) => object([
                ("200", response("The record", Some(self.reference()))),
                ("404", response("There is no such record", None)),
            ]),
            (Verb::Get, Place::Property) => object([
                ("200", response("The value", Some(Map::new().into()))),
                ("404", response("There is no such record or value", None)),
            ]),
            (Verb::Post, _) if is_table => {
                let id = object([("type", "string".into())]);
                object([("201", response("The id of the new record", Some(id)))])
            }
            (Verb::Delete, _) if is_table => {
                let done = object([("type", "boolean".into())]);
                object([("200", response("Deleted", Some(done)))])
            }
            (Verb::Put | Verb::Patch, _) if is_table => {
                object([("204", response("Written", None))])
            }
            _ => object([
                ("200", response("The answer", Some(self.reference()))),
                ("204", response("There is no answer", None)),
            ]),
        }
    }

    fn options(&self, parameters: &[Value]) -> Value {
        object([
            ("tags", Value::Array(vec![Value::from(self.name.as_str())])),
            ("summary", "The methods that are implemented".into()),
            ("parameters", Value::Array(parameters.to_vec())),
            ("responses", object([("204", response("See the header Allow", None))])),
        ])
    }

    fn reference(&self) -> Value {
        object([("$ref", format!("#/components/schemas/{}", self.name).into())])
    }
}

/// What a path names.
#[derive(Clone, Copy)]
enum Place<'t> {
    Collection(Option<&'t TableSchema>),
    Record,
    Property,
}

impl Place<'_> {
    fn verbs(self) -> &'static [Verb] {
        match self {
            Place::Collection(_) => &[Verb::Post, Verb::Get, Verb::Delete],
            Place::Record => &[Verb::Get, Verb::Put, Verb::Patch, Verb::Post, Verb::Delete],
            Place::Property => &[Verb::Get],
        }
    }
}

/// A registered path as a template, with its parameters: `a/:id/*rest` becomes `/a/{id}/{rest}`.
fn path_template(path: &str) -> (String, Vec<Value>) {
    let mut parameters = Vec::new();
    let mut template = String::new();
    for segment in path.split('/') {
        template.push('/');
        let name = match segment {
            "*" => Some("wildcard"),
            segment => segment.strip_prefix(':').or_else(|| segment.strip_prefix('*')),
        };
        match name {
            Some(name) => {
                template.push_str(&format!("{{{name}}}"));
                parameters.push(path_parameter(name, object([("type", "string".into())])));
            }
            None => template.push_str(segment),
        }
    }
    (template, parameters)
}

fn path_parameter(name: &str, schema: Value) -> Value {
    object([
        ("name", name.into()),
        ("in", "path".into()),
        ("required", true.into()),
        ("schema", schema),
    ])
}

fn response(description: &str, schema: Option<Value>) -> Value {
    let mut response = Map::from_iter([("description".to_owned(), Value::from(description))]);
    if let Some(schema) = schema {
        response.insert("content".to_owned(), content(schema));
    }
    Value::Object(response)
}

/// A body in the formats that hold any value.
fn content(schema: Value) -> Value {
    let formats = [Format::Json, Format::Cbor, Format::MessagePack];
    object(formats.map(|format| (format.media_type(), object([("schema", schema.clone())]))))
}

/// All attributes but those with `@hidden`.
fn shown(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| !attribute.hidden)
}

fn object_schema(attributes: &[Attribute]) -> Value {
    let properties: Map = shown(attributes)
        .map(|attribute| (attribute.name.clone(), attribute_schema(attribute)))
        .collect();
    let mut schema = Map::from_iter([
        ("type".to_owned(), Value::from("object")),
        ("properties".to_owned(), Value::Object(properties)),
    ]);
    let required: Vec<Value> = shown(attributes)
        .filter(|attribute| attribute.required)
        .map(|attribute| Value::from(attribute.name.as_str()))
        .collect();
    if !required.is_empty() {
        schema.insert("required".to_owned(), Value::Array(required));
    }
    Value::Object(schema)
}

/// The type of an attribute and what its author says of it. A reference stands alone in OpenAPI 3.0.
fn attribute_schema(attribute: &Attribute) -> Value {
    let mut schema = type_schema(&attribute.ty);
    if let (Value::Object(schema), Some(text)) = (&mut schema, &attribute.description)
        && !matches!(attribute.ty, AttributeType::Object(_))
    {
        schema.insert("description".to_owned(), Value::from(text.as_str()));
    }
    schema
}

/// Adds the types that `ty` names, and those that they name.
fn add_nested(ty: &AttributeType, schemas: &mut Map) {
    match ty {
        AttributeType::Array(element, _) => add_nested(element, schemas),
        AttributeType::Object(object) if !schemas.contains_key(&object.name) => {
            schemas.insert(object.name.clone(), object_schema(&object.attributes));
            shown(&object.attributes).for_each(|attribute| add_nested(&attribute.ty, schemas));
        }
        _ => {}
    }
}

fn type_schema(ty: &AttributeType) -> Value {
    let named = |name: &str| object([("type", name.into())]);
    let formatted = |name: &str| object([("type", "string".into()), ("format", name.into())]);
    match ty {
        AttributeType::Int => object([("type", "integer".into()), ("format", "int32".into())]),
        AttributeType::Long | AttributeType::BigInt => {
            object([("type", "integer".into()), ("format", "int64".into())])
        }
        AttributeType::Float => named("number"),
        AttributeType::Boolean => named("boolean"),
        AttributeType::String => named("string"),
        AttributeType::Array(element, _) => {
            object([("type", "array".into()), ("items", type_schema(element))])
        }
        AttributeType::Object(nested) => {
            object([("$ref", format!("#/components/schemas/{}", nested.name).into())])
        }
        AttributeType::Any => Map::new().into(),
        AttributeType::Date => formatted("date-time"),
        AttributeType::Id | AttributeType::Bytes | AttributeType::Blob => {
            formatted(&ty.to_string())
        }
        AttributeType::Unknown(_) => formatted(&ty.to_string()),
    }
}

fn object<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    Value::Object(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
