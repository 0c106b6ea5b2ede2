//! The query of a URL, its values' types, and its conditions on a record.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use kora_fuzz::check;
use kora_resource::query::{self, Filter};
use kora_resource::schema::TableSchema;
use kora_resource::value::json;
use kora_resource::{Map, schema};
use libfuzzer_sys::fuzz_target;

static TABLE: LazyLock<TableSchema> = LazyLock::new(|| {
    let text = "type T @table { id: Int @primaryKey name: String @indexed n: Int big: BigInt \
                f: Float b: Boolean d: Date raw: Bytes any: Any list: [Int] in: In \
                t: T @relationship(from: n) } type In { a: String }";
    let mut file = schema::parse(text, Path::new("schema.graphql")).expect("a schema");
    file.tables.remove(0)
});

static RECORD: LazyLock<Map> = LazyLock::new(|| {
    let text =
        r#"{"id":1,"name":"a","n":-5,"f":1.5,"b":true,"any":null,"list":[1,2],"in":{"a":"b"}}"#;
    json::parse(text.as_bytes()).expect("JSON").into_object().expect("an object")
});

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let parsed =
        check(input, 1200, |input| query::parse(std::str::from_utf8(input).unwrap_or(text)));
    let mut query = match parsed {
        Ok(query) => query,
        Err(error) => {
            assert_eq!(error.status(), 400);
            assert!(error.message.starts_with("Unable to parse query, "), "{}", error.message);
            return;
        }
    };
    let filter = Filter::new(query.conditions.clone(), query.operator);
    let _ = filter.matches_map(&RECORD);
    let _ = query.select.as_ref().map(|select| select.project_map(&RECORD));
    if query.coerce(&TABLE).is_ok() {
        let _ = Filter::new(query.conditions, query.operator).matches_map(&RECORD);
    }
});
