//! The expressions of `@computed(from:)`: read, then evaluated.
#![no_main]

use kora_fuzz::{check, within};
use kora_resource::Value;
use kora_resource::schema::expression::Expression;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let parsed =
        check(input, 2400, |input| Expression::parse(std::str::from_utf8(input).unwrap_or(text)));
    let Ok(expression) = parsed else { return };
    let attributes = |name: &str| match name {
        "n" => Some(Value::Int(-5)),
        "f" => Some(Value::Float(1.5)),
        "s" => Some(Value::from("a \u{e4}\u{1f600} text")),
        "d" => Some(Value::Date(1e12)),
        "l" => Some(Value::Array(vec![1.into(), "b".into(), Value::Null])),
        "o" => Some(Value::Object([("a".to_owned(), Value::Bool(true))].into_iter().collect())),
        _ => None,
    };
    // A computed value may be some megabytes large, and is worked out where writes wait for it.
    drop(within(64 << 20, 1_000_000_000, || expression.evaluate(&attributes)));
});
