//! The object form of a query, as QUERY bodies and code give it.
#![no_main]

use kora_fuzz::check;
use kora_resource::Map;
use kora_resource::query::{self, Filter};
use kora_resource::value::json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(value) = json::parse(input) else { return };
    let parsed = check(input, 2400, |_| query::from_value(&value));
    let Ok(query) = parsed else { return };
    let _ = Filter::new(query.conditions, query.operator).matches_map(&Map::new());
    let _ = query.select.map(|select| select.project_map(&Map::new()));
});
