//! Round trips, and input that is not ours.

use proptest::prelude::*;

use super::*;
use crate::value::strategy::{any_map, any_value};

#[test]
fn plain_maps() {
    let plain =
        |json: &str| is_plain_map(&encode(&crate::value::json::parse(json.as_bytes()).unwrap()));
    assert!(plain(r#"{}"#) && plain(r#"{"a": 1, "b": [{"a": null}], "c": {"a": "x"}}"#));
    assert!(!plain("[1]") && !plain("1"));
    let many: Map = (0..40).map(|n| (n.to_string(), Value::Null)).collect();
    assert!(!is_plain_map(&encode_map(&many)));
    // The same name twice; a name that is no text; bytes after the map; a map without its end; an integral double.
    assert!(!is_plain_map(b"\x82\xa1a\x01\xa1a\x02"));
    assert!(!is_plain_map(b"\x81\x01\x01"));
    assert!(!is_plain_map(b"\x80\xc0"));
    assert!(!is_plain_map(b"\x81\xa1a"));
    let double = b"\x81\xa1a\xcb\x40\x14\x00\x00\x00\x00\x00\x00";
    let mut json = Vec::new();
    crate::value::json::transcode(double, &mut json).unwrap();
    assert!(is_plain_map(double));
    assert_eq!(json, b"{\"a\":5}");
}

#[test]
fn sizes_at_the_borders() {
    for value in [
        Value::Int(127),
        Value::Int(-33),
        Value::Int(crate::value::MAX_SAFE_INTEGER),
        Value::BigInt(5),
        Value::BigInt(i128::MIN),
        Value::Float(1e300),
        Value::Float(f64::INFINITY),
        Value::Date(0.125),
        Value::String("x".repeat(70_000)),
        Value::Bytes(vec![7; 300].into()),
        Value::Array(vec![Value::Null; 70_000]),
    ] {
        assert_eq!(decode(&encode(&value)).as_ref(), Ok(&value));
    }
    assert!(matches!(decode(&encode(&Value::Date(f64::NAN))), Ok(Value::Date(ms)) if ms.is_nan()));
}

#[test]
fn reads_what_others_write() {
    assert_eq!(decode(&[0xcb, 0x40, 0x14, 0, 0, 0, 0, 0, 0]), Ok(Value::Int(5)));
    assert_eq!(decode(&[0xcf; 9]), Ok(Value::BigInt(0xcfcf_cfcf_cfcf_cfcf)));
    let timestamp = [0xd6, 0xff, 0, 0, 0, 2];
    assert_eq!(decode(&timestamp), Ok(Value::Date(2000.0)));
    let with_nanos = (500_000_000u64 << 34 | 2).to_be_bytes();
    assert_eq!(decode(&[&[0xd7, 0xff], &with_nanos[..]].concat()), Ok(Value::Date(2500.0)));
}

#[test]
fn names_what_is_wrong() {
    assert_eq!(decode(&[]), Err(MsgpackError::Truncated));
    assert_eq!(decode(&[0xdd, 0xff, 0xff, 0xff, 0xff]), Err(MsgpackError::Truncated));
    assert_eq!(decode(&[0xc1]), Err(MsgpackError::Reserved(0)));
    assert_eq!(decode(&[0xa1, 0xff]), Err(MsgpackError::NotUtf8));
    assert_eq!(decode(&[0x81, 0x01, 0x01]), Err(MsgpackError::NameNotText));
    assert_eq!(decode(&[0xd4, 0x55, 0]), Err(MsgpackError::UnknownExtension(0x55)));
    assert_eq!(decode(&[0x91; 1000]), Err(MsgpackError::TooDeep));
    assert_eq!(decode(&[0xc0, 0xc0]), Err(MsgpackError::TrailingBytes(1)));
    assert_eq!(decode_map(&[0xc0]), Err(MsgpackError::NotAnObject));
}

#[test]
fn only_wanted_properties_are_decoded() {
    let map: Map = [
        ("a".to_owned(), Value::Array(vec![Value::Null, Value::Object(Map::new())])),
        ("b".to_owned(), Value::Int(1)),
    ]
    .into();
    let found = decode_properties(&encode_map(&map), |name| name == "b").expect("well formed");
    assert_eq!(found, Map::from([("b".to_owned(), Value::Int(1))]));
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(value in any_value()) {
        prop_assert_eq!(decode(&encode(&value)), Ok(value));
    }

    #[test]
    fn maps_keep_their_order(map in any_map()) {
        let decoded = decode_map(&encode_map(&map)).expect("well formed");
        prop_assert!(decoded.iter().eq(map.iter()));
    }

    #[test]
    fn skipping_ends_where_reading_does(value in any_value()) {
        let mut bytes = encode(&value);
        bytes.push(0xc0);
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(reader.skip(), Ok(()));
        prop_assert_eq!(reader.rest(), 1);
    }

    /// A changed byte makes what no encoder of ours writes: integral doubles, unsigned numbers, other names.
    #[test]
    fn a_plain_map_reads_as_it_is_decoded(map in any_map(), at in any::<usize>(), byte in any::<u8>()) {
        let mut bytes = encode_map(&map);
        for _ in 0..2 {
            if is_plain_map(&bytes) {
                let decoded = decode(&bytes).expect("well formed");
                let (mut written, mut transcoded) = (Vec::new(), Vec::new());
                crate::value::json::write(&decoded, &mut written);
                crate::value::json::transcode(&bytes, &mut transcoded).expect("well formed");
                prop_assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&transcoded));
            }
            let at = at % bytes.len();
            bytes[at] = byte;
        }
    }

    #[test]
    fn damage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = decode(&bytes);
        let _ = Reader::new(&bytes).skip();
        let _ = crate::value::json::transcode(&bytes, &mut Vec::new());
    }

    #[test]
    fn every_cut_is_an_error(value in any_value(), at in any::<prop::sample::Index>()) {
        let bytes = encode(&value);
        prop_assert!(decode(&bytes[..at.index(bytes.len())]).is_err());
    }
}
