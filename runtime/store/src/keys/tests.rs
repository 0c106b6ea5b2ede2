use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;

fn scalar() -> impl Strategy<Value = Id> {
    prop_oneof![
        Just(Id::Null),
        any::<bool>().prop_map(Id::Bool),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Id::Number),
        (-4i32..4).prop_map(|n| Id::Number(n.into())),
        any::<i128>().prop_map(Id::BigInt),
        ((1i128 << 53) - 3..(1i128 << 53) + 3).prop_map(Id::BigInt),
        ((1i128 << 60) - 300..(1i128 << 60) + 300).prop_map(Id::BigInt),
        any::<String>().prop_map(Id::String),
        "[\0a]{0,4}".prop_map(Id::String),
    ]
}

fn id() -> impl Strategy<Value = Id> {
    scalar().prop_recursive(2, 8, 3, |inner| prop::collection::vec(inner, 0..3).prop_map(Id::Array))
}

fn raw(id: &Id) -> Key {
    let mut key = Key::new();
    write_id(&mut key, id).expect("finite");
    key
}

proptest! {
    #[test]
    fn order_is_that_of_values(a in id(), b in id()) {
        let expected = a.to_value().key_cmp(&b.to_value());
        prop_assert_eq!(raw(&a).cmp(&raw(&b)), expected);
    }

    #[test]
    fn decoding_gives_the_id_back(a in id()) {
        let key = raw(&a);
        let back = decode_id(&key).expect("a key");
        prop_assert_eq!(back.to_value().key_cmp(&a.to_value()), Ordering::Equal);
        prop_assert_eq!(raw(&back), key);
    }

    #[test]
    fn entries_are_ordered_by_value_then_id(a in id(), b in id(), x in id(), y in id()) {
        let entry = |value: &Id, id: &Id| IndexEntry::new(7, &value.to_value(), &raw(id)).key;
        let values = a.to_value().key_cmp(&b.to_value());
        let expected = values.then_with(|| x.to_value().key_cmp(&y.to_value()));
        prop_assert_eq!(entry(&a, &x).cmp(&entry(&b, &y)), expected);
    }

    #[test]
    fn an_entry_gives_its_id_back(value in id(), filler in 0usize..1200, record in id()) {
        let value = Value::Array(vec![value.to_value(), Value::String("\0x".repeat(filler))]);
        let entry = IndexEntry::new(1, &value, &raw(&record));
        prop_assert_eq!(entry_id(&entry.key, &entry.data), Some(&raw(&record)[..]));
    }

    #[test]
    fn strings_with_a_prefix_are_one_range(prefix in "[\0ab]{0,3}", text in "[\0abc]{0,5}") {
        let start = string_prefix(&prefix);
        let end = after_prefix(&start).expect("a tag is below FF");
        let key = raw(&Id::String(text.clone()));
        prop_assert_eq!(key >= start && key < end, text.starts_with(&prefix));
    }
}

#[test]
fn long_ids_are_refused_in_words_and_still_indexed_below_that() {
    let error = encode_id(&Id::String("x".repeat(1977))).expect_err("too long");
    assert_eq!(error.status(), 400);
    let key = encode_id(&Id::String("x".repeat(1976))).expect("just fits");
    assert_eq!(key.len(), MAX_ID);
    let value = Value::String("y".repeat(4000));
    let entry = IndexEntry::new(1, &value, &key);
    assert!(entry.key.len() <= 1982);
    assert_eq!(entry_id(&entry.key, &entry.data), Some(&key[..]));
    let other = encode_id(&Id::String("x".repeat(1975) + "y")).expect("just fits");
    assert_ne!(IndexEntry::new(1, &value, &other).key, entry.key);
}

#[test]
fn infinite_numbers_are_no_ids() {
    assert_eq!(encode_id(&Id::Number(f64::NAN)).expect_err("no id").status(), 400);
}
