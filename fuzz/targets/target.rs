//! What follows a resource's path in a URL.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use kora_fuzz::check;
use kora_resource::schema::TableSchema;
use kora_resource::{Pattern, Position, Target, schema};
use libfuzzer_sys::fuzz_target;

static TABLES: LazyLock<Vec<TableSchema>> = LazyLock::new(|| {
    let text = "type A @table { id: Int @primaryKey name: String } \
                type B @table @splitSegments { id: Any @primaryKey name: String }";
    schema::parse(text, Path::new("schema.graphql")).expect("a schema").tables
});

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for table in TABLES.iter().map(Some).chain([None]) {
        let target = check(input, 1200, |input| {
            Target::parse(std::str::from_utf8(input).unwrap_or(text), table)
        });
        if let Ok(target) = target {
            let _ = target.query(table);
        }
    }
    let _ = Pattern::parse(text);
    if let Ok(position) = text.parse::<Position>() {
        assert_eq!(position.to_string().parse().ok(), Some(position));
    }
});
