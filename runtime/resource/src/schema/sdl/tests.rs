//! Schemas as applications write them, and as they get them wrong.

use super::*;
use crate::schema::{Assigned, AttributeType, ElementNulls, Export, Protocols};

fn read(text: &str) -> SchemaFile {
    parse(text, Path::new("schema.graphql")).expect("a schema")
}

fn error(text: &str) -> SchemaError {
    parse(text, Path::new("app/schema.graphql")).expect_err("no schema")
}

#[test]
fn a_whole_table() {
    let file = read(
        r#"
        # the dogs
        """A dog"""
        type Dog @table(database: "pets", table: dogs, expiration: 3600) @export @sealed {
            id: ID! @primaryKey
            "what it is called"
            name: String! @indexed
            tags: [String!]
            home: Address
            scores: [Int]!
            created: Date @createdTime
            __updatedtime__: Float
        }
        type Address { city: String, zip: Int }
        "#,
    );
    let [dog] = file.tables.as_slice() else { panic!("one table") };
    assert_eq!((dog.type_name.as_str(), dog.table.as_str()), ("Dog", "dogs"));
    assert_eq!(dog.database, "pets");
    assert_eq!(dog.expiration, Some(3600.0));
    assert!(dog.sealed);
    assert_eq!(dog.primary_key, "id");
    let export = Export { path: "Dog".into(), protocols: Protocols::default() };
    assert_eq!(dog.export, Some(export));
    assert_eq!(dog.attribute("name").map(|name| (name.required, name.indexed)), Some((true, true)));
    let tags = AttributeType::Array(Box::new(AttributeType::String), ElementNulls::Refused);
    assert_eq!(dog.attribute("tags").map(|tags| (&tags.ty, tags.required)), Some((&tags, false)));
    let scores = dog.attribute("scores").expect("declared");
    assert_eq!((scores.ty.to_string().as_str(), scores.required), ("[Int]", true));
    let home = AttributeType::Object(file.objects[0].clone());
    assert_eq!(dog.attribute("home").map(|home| &home.ty), Some(&home));
    assert_eq!(file.objects[0].attributes.len(), 2);
    let assigned = |name| dog.attribute(name).and_then(|attribute| attribute.assigned);
    assert_eq!(assigned("created"), Some(Assigned::CreatedTime));
    assert_eq!(assigned("__updatedtime__"), Some(Assigned::UpdatedTime));
    assert_eq!(file.warnings, []);
}

#[test]
fn exports() {
    for (directive, path, protocols) in [
        ("@export", "T", Protocols::default()),
        (r#"@export(name: "api/v1")"#, "api/v1", Protocols::default()),
        (r#"@export(name: "/x/")"#, "x", Protocols::default()),
        (r#"@export(name: "")"#, "", Protocols::default()),
        ("@export(rest: false, mqtt: true)", "T", Protocols { rest: false, ..Default::default() }),
        (r#"@export(ws: "false")"#, "T", Protocols { web_socket: false, ..Default::default() }),
        ("@export(sse: 0)", "T", Protocols::default()),
    ] {
        let file = read(&format!("type T @table {directive} {{ id: ID @primaryKey }}"));
        let expected = Export { path: path.into(), protocols };
        assert_eq!(file.tables[0].export, Some(expected), "{directive}");
    }
}

#[test]
fn everything_else_is_tolerated() {
    let file = read(
        "scalar Date2 enum E { A } input I { a: Int } union U = T | V interface N { a: Int }
         extend type T { more: Int } directive @mine on OBJECT
         type T @table(audit: false, eviction: 5, odd: [1, {a: b}]) @mine @replicate {
            a: Int @allow(role: [x]) @hidden @indexed(type: \"HNSW\", distance: cosine)
         }
         type V { b(c: Int = 5): Int }
         type Query { t: T }",
    );
    assert_eq!(file.tables.len(), 1);
    assert_eq!(file.tables[0].primary_key, "id");
    assert_eq!(*file.tables[0].key_type(), AttributeType::Any);
    assert_eq!(file.tables[0].attributes.len(), 1);
    assert_eq!(file.objects.len(), 2);
    assert_eq!(file.warnings, []);
    for empty in ["", "\n # nothing\n", "  "] {
        assert_eq!(read(empty), SchemaFile::default(), "{empty:?}");
    }
}

#[test]
fn warnings_say_where() {
    let file = read(
        "type T @table {
            id: ID @primaryKey
            key: ID @primaryKey
            when: DateTime
            other: [T] @relationship(to: key)
            sum: Int @computed(from: \"1 + 1\")
            tree: Node
         }
         type Node @export { children: [Node] }",
    );
    let warnings: Vec<_> = file.warnings.iter().map(Warning::to_string).collect();
    assert_eq!(
        warnings,
        [
            "3:13: T has the primary key id: this one is ignored",
            "4:19: unknown type DateTime: its values are kept and never checked",
            "5:13: relationships are not there yet: attribute other is left out",
            "6:13: computed attributes are not there yet: attribute sum is left out",
            "9:20: type Node has no @table: there is nothing to export",
            "9:41: Node and Node contain each other: this one is not checked",
        ]
    );
    let names: Vec<_> = file.tables[0].attributes.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["id", "key", "when", "tree"]);
    let when = file.tables[0].attribute("when").map(|when| &when.ty);
    assert_eq!(when, Some(&AttributeType::Unknown("DateTime".into())));
}

#[test]
fn types_that_contain_each_other_end() {
    let names: Vec<_> = (0..40).map(|n| format!("T{n}")).collect();
    let fields: String = names.iter().map(|name| format!("of{name}: {name} ")).collect();
    let all: String = names.iter().map(|name| format!("type {name} {{ {fields} }} ")).collect();
    let file =
        read(&format!("type Root @table {{ first: T0, leaf: Leaf }} type Leaf {{ a: Int }} {all}"));
    let first = file.tables[0].attribute("first").map(|attribute| &attribute.ty);
    assert_eq!(first, Some(&AttributeType::Object(file.objects[1].clone())));
    assert!(file.objects[1].attributes.iter().all(|attribute| attribute.ty == AttributeType::Any));
    assert_eq!(file.warnings.len(), 40 * 40);
}

#[test]
fn errors_show_the_line() {
    let unclosed = error("type Dog @table {\n  id: ID @primaryKey\n  name String\n}\n");
    assert_eq!((unclosed.line, unclosed.source_line.as_str()), (3, "  name String"));
    assert!(unclosed.message.contains("expected"), "{}", unclosed.message);
    let shown = unclosed.to_string();
    assert!(shown.starts_with("app/schema.graphql:3:"), "{shown}");
    assert!(shown.contains("\n    3 |   name String\n      |       "), "{shown}");
    for (text, line, column, part) in [
        ("type Dog @table {\n  id: ID\n", 2, 9, "found the end of the file"),
        ("type Dog @table {\n  id: }\n", 2, 7, "found `}`"),
        ("type Dog @table {\n  id: ID $\n}", 2, 10, "$"),
        ("tipe Dog { id: ID }", 1, 1, "found `tipe`"),
        ("type A { a: Int }\ntype A { a: Int }", 2, 6, "type A is declared above"),
        ("type A @table {\n a: Int\n a: Int }", 3, 2, "A has attribute a above"),
        ("type A @table(expiration: soon) { a: Int }", 1, 27, "found `soon`"),
    ] {
        let error = error(text);
        assert!(error.message.contains("expected") || error.message.contains('$'), "{error}");
        assert!(error.message.contains(part), "{text:?}: {error}");
        assert_eq!((error.line, error.column), (line, column), "{error}");
    }
}
