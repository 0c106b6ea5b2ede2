//! `schema.graphql`, and the texts that its tables read.
#![no_main]

use std::path::Path;

use kora_fuzz::check;
use kora_resource::{Map, Value, schema};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let parsed = check(input, 4096, |input| {
        schema::parse(std::str::from_utf8(input).unwrap_or(text), Path::new("schema.graphql"))
    });
    let lines = text.split('\n').count();
    let file = match parsed {
        Ok(file) => file,
        Err(error) => {
            assert!((1..=lines).contains(&error.line) && error.column > 0, "{error}");
            assert!(!error.message.is_empty());
            return;
        }
    };
    for warning in &file.warnings {
        assert!((1..=lines).contains(&warning.line), "{warning}");
    }
    for table in &file.tables {
        let _ = table.coerce_id("5");
        let row =
            table.attributes.iter().map(|attribute| (attribute.name.clone(), Value::from("5")));
        if let Ok(mut record) = table.read_text_row(row.collect::<Map>()) {
            let _ = table.validate(&mut record, schema::ValidateMode::Full);
            for attribute in &table.attributes {
                let _ = table.value_of(&attribute.name, &record);
            }
        }
    }
});
