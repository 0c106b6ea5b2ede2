//! The body of a request to a table: the first line is its content type.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use bytes::Bytes;
use kora_fuzz::check;
use kora_resource::schema::{TableSchema, ValidateMode};
use kora_resource::{Value, body, schema};
use libfuzzer_sys::fuzz_target;

static TABLE: LazyLock<TableSchema> = LazyLock::new(|| {
    let text = "type T @table { id: Int @primaryKey name: String! n: Int long: Long big: BigInt \
                f: Float b: Boolean d: Date raw: Bytes file: Blob any: Any list: [Int!] in: In } \
                type In @sealed { a: String b: [In2] } type In2 { c: Date }";
    let mut file = schema::parse(text, Path::new("schema.graphql")).expect("a schema");
    file.tables.remove(0)
});

fuzz_target!(|input: &[u8]| {
    let line = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let Ok(content_type) = std::str::from_utf8(&input[..line]) else { return };
    let decoded = check(&input[line..], 600, |input| {
        body::decode(content_type, Bytes::copy_from_slice(input), Some(&TABLE))
    });
    let Ok(value) = decoded else { return };
    let rows = match value {
        Value::Array(rows) => rows,
        one => vec![one],
    };
    for mut record in rows.into_iter().filter_map(Value::into_object) {
        let _ = TABLE.validate(&mut record, ValidateMode::Full);
    }
});
