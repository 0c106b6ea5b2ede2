//! TypeScript declarations of tables.

use std::collections::BTreeMap;
use std::fmt::Write;

use kora_resource::schema::{Attribute, AttributeType, ObjectType, TableSchema};

const HEAD: &str =
    "// Written by `kora types` from the application's schema; written anew by the next.\n\n";

/// One file that adds the tables to the module `harperdb`.
pub(super) fn of_tables(tables: &[TableSchema]) -> String {
    let mut objects: BTreeMap<&str, &ObjectType> = BTreeMap::new();
    for table in tables {
        table.attributes.iter().for_each(|attribute| collect(&attribute.ty, &mut objects));
    }
    let mut out = String::from(HEAD);
    out.push_str(
        "declare module 'harperdb' {\n  /** The records of this application's tables. */\n",
    );
    out.push_str("  export namespace Records {\n");
    for table in tables {
        interface(&table.type_name, &table.attributes, Some(&table.primary_key), &mut out);
    }
    for (name, object) in &objects {
        if !tables.iter().any(|table| table.type_name == *name) {
            interface(name, &object.attributes, None, &mut out);
        }
    }
    out.push_str("  }\n");
    let mut databases: BTreeMap<&str, Vec<&TableSchema>> = BTreeMap::new();
    for table in tables {
        databases.entry(&table.database).or_default().push(table);
    }
    if let Some(tables) = databases.remove("data") {
        out.push_str("  interface Tables {\n");
        tables.iter().for_each(|table| property(table, "    ", &mut out));
        out.push_str("  }\n");
    }
    if !databases.is_empty() {
        out.push_str("  interface Databases {\n");
        for (database, tables) in databases {
            line(&mut out, format_args!("    {}: {{", key(database)));
            tables.iter().for_each(|table| property(table, "      ", &mut out));
            out.push_str("    };\n");
        }
        out.push_str("  }\n");
    }
    out.push_str("}\n");
    out
}

fn property(table: &TableSchema, indent: &str, out: &mut String) {
    let key_type = type_of(table.key_type());
    let (name, record) = (key(&table.table), &table.type_name);
    line(out, format_args!("{indent}{name}: Table<Records.{record}, {key_type}>;"));
}

fn interface(name: &str, attributes: &[Attribute], primary_key: Option<&str>, out: &mut String) {
    line(out, format_args!("    export interface {name} {{"));
    for attribute in attributes {
        let ty = type_of(&attribute.ty);
        let name = key(&attribute.name);
        let is_key = primary_key == Some(attribute.name.as_str());
        if attribute.required || is_key {
            line(out, format_args!("      {name}: {ty};"));
        } else {
            line(out, format_args!("      {name}?: {ty} | null;"));
        }
    }
    out.push_str("    }\n");
}

fn collect<'t>(ty: &'t AttributeType, found: &mut BTreeMap<&'t str, &'t ObjectType>) {
    match ty {
        AttributeType::Array(element, _) => collect(element, found),
        AttributeType::Object(object) if found.insert(&object.name, object).is_none() => {
            object.attributes.iter().for_each(|attribute| collect(&attribute.ty, found));
        }
        _ => {}
    }
}

fn type_of(ty: &AttributeType) -> String {
    match ty {
        AttributeType::Id | AttributeType::String => "string".to_owned(),
        AttributeType::Int | AttributeType::Long | AttributeType::Float => "number".to_owned(),
        AttributeType::BigInt => "bigint | number".to_owned(),
        AttributeType::Boolean => "boolean".to_owned(),
        AttributeType::Date => "Date".to_owned(),
        AttributeType::Bytes => "Uint8Array".to_owned(),
        AttributeType::Blob => "Blob".to_owned(),
        AttributeType::Any | AttributeType::Unknown(_) => "any".to_owned(),
        AttributeType::Array(element, _) => format!("({})[]", type_of(element)),
        AttributeType::Object(object) => format!("Records.{}", object.name),
    }
}

/// A property's name, quoted where it is no identifier.
fn key(name: &str) -> String {
    let is_identifier = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty();
    if is_identifier { name.to_owned() } else { format!("{name:?}") }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn tables_become_interfaces() {
        let schema = "type Dog @table { id: ID @primaryKey name: String! tags: [String] home: Home }\n\
                      type Home { city: String }\n\
                      type Log @table(database: \"other-db\", table: \"my-log\") { id: Int @primaryKey at: Date big: BigInt }";
        let tables = kora_resource::schema::parse(schema, Path::new("s.graphql")).unwrap().tables;
        let text = of_tables(&tables);
        for expected in [
            "    export interface Dog {\n      id: string;\n      name: string;\n      tags?: (string)[] | null;\n      home?: Records.Home | null;\n    }\n",
            "    export interface Home {\n      city?: string | null;\n",
            "    Dog: Table<Records.Dog, string>;\n",
            "    \"other-db\": {\n      \"my-log\": Table<Records.Log, number>;\n    };\n",
            "      big?: bigint | number | null;\n",
        ] {
            assert!(text.contains(expected), "{expected}\nin\n{text}");
        }
    }
}
