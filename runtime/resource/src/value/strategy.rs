//! Arbitrary values for property tests: every type, nested, in canonical form.

use proptest::prelude::*;

use super::{Map, Value};

pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    values(
        prop_oneof![
            json_scalar(),
            any::<i128>().prop_map(Value::BigInt),
            any::<f64>()
                .prop_filter("NaN is not equal to itself", |n| !n.is_nan())
                .prop_map(Value::number),
            any::<f64>()
                .prop_filter("NaN is not equal to itself", |n| !n.is_nan())
                .prop_map(Value::Date),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Value::Bytes(bytes.into())),
        ]
        .boxed(),
    )
}

/// Values that JSON text holds without loss.
pub(crate) fn json_value() -> impl Strategy<Value = Value> {
    values(json_scalar())
}

pub(crate) fn any_map() -> impl Strategy<Value = Map> {
    prop::collection::vec((".{0,12}", any_value()), 0..6).prop_map(Map::from_iter)
}

fn json_scalar() -> BoxedStrategy<Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|n| Value::integer(n.into())),
        any::<i128>().prop_map(Value::integer),
        prop::num::f64::NORMAL.prop_map(Value::number).prop_filter(
            "integers past 2^53 written without exponent come back as big integers",
            |value| !matches!(value, Value::Float(n) if n.fract() == 0.0 && n.abs() < 1e21),
        ),
        any::<String>().prop_map(Value::String),
        "[ -~\"\\\\\n\t]{0,40}".prop_map(Value::String),
    ]
    .boxed()
}

fn values(scalar: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
    scalar.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((".{0,12}", inner), 0..6)
                .prop_map(|pairs| Value::Object(Map::from_iter(pairs))),
        ]
    })
}
