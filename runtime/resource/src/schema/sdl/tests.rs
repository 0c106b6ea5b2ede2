//! Schemas as applications write them, and as they get them wrong.

use super::*;
use crate::schema::{
    Assigned, AttributeType, Audit, Distance, ElementNulls, Export, Protocols, Span, TableName,
    VectorIndex,
};

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
            a: [Float] @allow(role: [x]) @hidden @indexed(type: \"HNSW\", distance: cosine)
         }
         type V { b(c: Int = 5): Int }
         type Query { t: T }",
    );
    assert_eq!(file.tables.len(), 1);
    assert_eq!(file.tables[0].primary_key, "id");
    assert_eq!(*file.tables[0].key_type(), AttributeType::Any);
    assert_eq!(file.tables[0].attributes.len(), 1);
    assert_eq!(file.objects.len(), 1);
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
            other: [Elsewhere] @relationship(to: key)
            sum: Int @computed @indexed
            tree: Node
            vector: [Float] @indexed(type: \"HNSW\", quantization: \"int8\", color: red)
            odd: Int @indexed(type: \"BTREE\")
         }
         type Node @export { children: [Node] }",
    );
    let warnings: Vec<_> = file.warnings.iter().map(Warning::to_string).collect();
    assert_eq!(
        warnings,
        [
            "3:13: T has the primary key id: this one is ignored",
            "4:19: unknown type DateTime: its values are kept and never checked",
            "5:20: type Elsewhere is no table of this file: other leads to the table of that name in \
             database data",
            "6:32: sum is computed by a function, which can't run where indexes are written: it is not \
             indexed; `@computed(from: \"...\")` can be",
            "8:52: quantization has no effect yet: vectors are kept whole",
            "8:74: an HNSW index has no option color",
            "9:37: unknown type of index `BTREE`: an ordinary one is kept",
            "11:20: type Node has no @table: there is nothing to export",
            "11:41: Node and Node contain each other: this one is not checked",
        ]
    );
    let names: Vec<_> = file.tables[0].attributes.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["id", "key", "when", "other", "sum", "tree", "vector", "odd"]);
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
        ("type A @table { b: B @relationship(to: a) } type B @table", 1, 20, "expected a list"),
        ("type A @table { b: B @relationship } type B @table", 1, 22, "expected `from:`"),
        ("type A @table { a: Int @computed(from: \"b.frob(expected)\") }", 1, 40, "position 2"),
        ("type A @table { a: Int @indexed(type: \"HNSW\") }", 1, 24, "[Float] of vectors"),
        ("type A @table { a: [Float] @indexed(type: HNSW, M: 1) }", 1, 52, "as M, found `1`"),
        (
            "type A @table { a: [Float] @indexed(type: HNSW, distance: far) }",
            1,
            59,
            "as distance, found `far`",
        ),
    ] {
        let error = error(text);
        let told = ["expected", "$", "not known"];
        assert!(told.iter().any(|part| error.message.contains(part)), "{error}");
        assert!(error.message.contains(part), "{text:?}: {error}");
        assert_eq!((error.line, error.column), (line, column), "{error}");
    }
}

#[test]
fn relationships_lead_to_tables() {
    let file = read(
        r#"type Book @table(database: "lib") {
            id: ID @primaryKey  authorId: ID @indexed  tagIds: [ID] @indexed
            author: Author @relationship(from: authorId)
            tags: [Tag] @relationship(from: "tagIds", filterMissing: true) @enumerable
            twin: Book @relationship(from: code, to: code)  code: Int
        }
        type Author @table(table: "writers") { id: ID @primaryKey  books: [Book!]! @relationship(to: authorId) }
        type Tag @table { id: ID @primaryKey }
        type Tag @table(database: "lib", table: "labels") { id: ID @primaryKey }"#,
    );
    assert_eq!(file.warnings, []);
    let [book, author, ..] = file.tables.as_slice() else { panic!("four tables") };
    let name =
        |database: &str, table: &str| TableName { database: database.into(), table: table.into() };
    let relationship = |table: &TableSchema, name| table.relationship(name).cloned().expect(name);
    let to_author = relationship(book, "author");
    assert_eq!((to_author.from.as_deref(), to_author.to), (Some("authorId"), None));
    assert_eq!((to_author.target, to_author.span), (name("data", "writers"), Span::One));
    let tags = relationship(book, "tags");
    assert_eq!((&tags.target, tags.span), (&name("lib", "labels"), Span::Many));
    assert!(tags.filter_missing);
    assert_eq!(book.enumerable().map(|found| found.name.as_str()).collect::<Vec<_>>(), ["tags"]);
    let twin = relationship(book, "twin");
    assert_eq!((twin.from.as_deref(), twin.to.as_deref()), (Some("code"), Some("code")));
    let books = relationship(author, "books");
    assert_eq!((books.from, books.to.as_deref()), (None, Some("authorId")));
    assert_eq!(author.attribute("books").map(|a| a.ty.to_string()).as_deref(), Some("[Book]"));
}

#[test]
fn directives_of_tables_and_attributes() {
    let file = read(
        r#"type T @table(eviction: "5", scanInterval: 2, audit: false, replicate: false) @splitSegments
            @hidden {
            id: ID @primaryKey
            total: Float @computed(from: "price * tax", version: 2) @indexed
            price: Float @allow(role: ["a", "b"]) @hidden
            until: Date @expiresAt
            vector: [Float] @indexed(type: "HNSW", distance: "euclidean", M: 8, efConstruction: 50,
                efConstructionSearch: 70, optimizeRouting: 0.3, mL: 0.5)
            embedding: [Float] @embed(source: "price", model: "m")
        }
        type Empty @table(database: "a") {}
        type Empty @table(database: "b")"#,
    );
    assert_eq!(file.warnings, []);
    let table = &file.tables[0];
    assert_eq!((table.eviction, table.scan_interval), (Some(5.0), Some(2.0)));
    assert_eq!((table.audit, table.replicate), (Audit::Off, false));
    assert!(table.split_segments && table.hidden);
    let total = table.computed("total").expect("computed");
    assert_eq!(total.version.as_deref(), Some("2"));
    assert_eq!(table.inputs("total"), ["tax", "price"]);
    let indexed: Vec<_> = table.indexed().map(|attribute| attribute.name.as_str()).collect();
    assert_eq!(indexed, ["total", "until"]);
    let vectors: Vec<_> = table.vectors().map(|(attribute, _)| attribute.name.as_str()).collect();
    assert_eq!(vectors, ["vector", "embedding"]);
    let expected = VectorIndex {
        distance: Distance::Euclidean,
        m: 8,
        ef_construction: 50,
        ef_search: Some(70),
        optimize_routing: 0.3,
        ml: Some(0.5),
    };
    assert_eq!(table.attribute("vector").and_then(|a| a.vector.clone()), Some(expected));
    let price = table.attribute("price").expect("declared");
    assert_eq!(
        (price.authorized_roles.as_slice(), price.hidden),
        (&["a".into(), "b".into()][..], true)
    );
    assert_eq!(table.expires_at().map(|attribute| attribute.name.as_str()), Some("until"));
    let databases: Vec<_> = file.tables[1..].iter().map(|table| table.database.as_str()).collect();
    assert_eq!(databases, ["a", "b"]);
}

proptest::proptest! {
    /// Whatever the text, there is a schema or an error with a place in the text.
    #[test]
    fn any_text_is_a_schema_or_an_error(
        text in "(type|@table|@indexed|@computed|@relationship|\\(|\\)|\\{|\\}|from:|to:|[A-Z]|[a-z]|: |\"|\\[|\\]|!|#|\n| |é|,|@primaryKey){0,40}",
    ) {
        if let Err(error) = parse(&text, Path::new("schema.graphql")) {
            proptest::prop_assert!(error.line >= 1 && error.line <= text.lines().count().max(1) + 1);
            let _ = error.to_string();
        }
    }
}
