//! Round trips, and input that is not ours.

use proptest::prelude::*;

use super::*;
use crate::value::strategy::{any_map, any_value};

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
