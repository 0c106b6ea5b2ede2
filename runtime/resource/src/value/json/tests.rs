//! What is written, what is read, and that the two ways of writing agree.

use proptest::prelude::*;

use super::*;
use crate::value::msgpack;
use crate::value::strategy::{any_value, json_value};

fn written(value: &Value) -> String {
    let mut out = Vec::new();
    write(value, &mut out);
    String::from_utf8(out).expect("JSON is UTF-8")
}

#[test]
fn writes_what_harper_writes() {
    for (value, text) in [
        (Value::Int(5), "5"),
        (Value::Float(0.1), "0.1"),
        (Value::Float(1e21), "1e+21"),
        (Value::Float(f64::NAN), "null"),
        (Value::Float(f64::NEG_INFINITY), "null"),
        (Value::BigInt(12345678901234567890), "12345678901234567890"),
        (Value::Date(0.5), r#""1970-01-01T00:00:00.000Z""#),
        (Value::Date(f64::NAN), "null"),
        (Value::Bytes(b"hi?>".as_ref().into()), r#""aGk/Pg==""#),
        (
            Value::from("a\"\\\n\r\t\u{8}\u{c}\u{1}\u{7f}é/"),
            "\"a\\\"\\\\\\n\\r\\t\\b\\f\\u0001\u{7f}é/\"",
        ),
        (Value::Array(vec![]), "[]"),
    ] {
        assert_eq!(written(&value), text);
    }
}

#[test]
fn reads_numbers_exactly() {
    for (text, value) in [
        ("0", Value::Int(0)),
        ("-0", Value::Int(0)),
        ("1.0", Value::Int(1)),
        ("1e2", Value::Int(100)),
        ("9007199254740992", Value::Int(1 << 53)),
        ("9007199254740993", Value::BigInt((1 << 53) + 1)),
        ("-9223372036854775808", Value::BigInt(i64::MIN.into())),
        ("123456789012345678901234567890", Value::BigInt(123456789012345678901234567890)),
        ("1.5e3", Value::Int(1500)),
        ("1e400", Value::Float(f64::INFINITY)),
    ] {
        assert_eq!(parse(text.as_bytes()), Ok(value), "{text}");
    }
    let beyond = "9".repeat(60);
    assert_eq!(parse(beyond.as_bytes()), Ok(Value::Float(1e60)));
}

#[test]
fn reads_strings() {
    for (text, value) in [
        (r#""\u00e9\ud83d\ude00\/""#, "é😀/"),
        (r#""\ud83d""#, "\u{fffd}"),
        (r#""\ud83d\u0041""#, "\u{fffd}A"),
    ] {
        assert_eq!(parse(text.as_bytes()), Ok(Value::from(value)), "{text}");
    }
}

#[test]
fn errors_say_where_and_what() {
    for (text, message) in [
        ("", "expected a value, found the end of the text at line 1, column 1"),
        ("{\n  \"é\": x}", "expected a value, found `x` at line 2, column 8"),
        ("{\"a\" 1}", "expected `:`, found `1` at line 1, column 6"),
        ("{a:1}", "expected a property name in double quotes, found `a` at line 1, column 2"),
        ("[1 2]", "expected `,` or `]`, found `2` at line 1, column 4"),
        ("[1,]", "expected a value, found `]` at line 1, column 4"),
        ("{\"a\":1", "expected `,` or `}`, found the end of the text at line 1, column 7"),
        ("01", "expected the end of the text, found `1` at line 1, column 2"),
        ("1.", "expected a digit, found the end of the text at line 1, column 3"),
        ("\"abc", "expected an end to this string at line 1, column 1"),
        ("\"a\nb\"", "expected an escape for a control character at line 1, column 3"),
        ("\"\\x\"", "expected an escape such as `\\n` or `\\u0041` at line 1, column 2"),
        ("\"\\u12", "expected four hexadecimal digits at line 1, column 4"),
        ("nul", "expected a value, found `n` at line 1, column 1"),
    ] {
        let error = parse(text.as_bytes()).expect_err(text);
        assert_eq!(error.to_string(), message);
    }
    let deep = parse(&[b'['; 100_000]).expect_err("too deep");
    assert!(deep.problem.contains("nest deeper"));
    assert!(parse(&[b'"', 0xff, b'"']).is_err());
}

proptest! {
    #[test]
    fn both_ways_of_writing_agree(value in any_value()) {
        let mut transcoded = b"before".to_vec();
        transcode(&msgpack::encode(&value), &mut transcoded).expect("well formed");
        prop_assert_eq!(String::from_utf8_lossy(&transcoded[6..]), written(&value));
    }

    #[test]
    fn parsing_undoes_writing(value in json_value()) {
        prop_assert_eq!(parse(written(&value).as_bytes()), Ok(value));
    }

    #[test]
    fn another_parser_agrees(text in any::<String>()) {
        let ours = written(&Value::from(text.as_str()));
        prop_assert_eq!(serde_json::from_str::<String>(&ours).expect("valid JSON"), text);
    }

    #[test]
    fn parsing_never_panics(text in "[\\[\\]{}:,\"\\\\ntrue0-9.eE+u\u{e9} -]{0,40}") {
        let _ = parse(text.as_bytes());
    }

    #[test]
    fn parsing_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = parse(&bytes);
    }
}
