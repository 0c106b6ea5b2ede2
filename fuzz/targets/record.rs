//! A stored record: MessagePack as the host writes it, read whole, in part, and as JSON.
#![no_main]

use kora_fuzz::check;
use kora_resource::value::{json, msgpack};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let decoded = check(input, 600, msgpack::decode);
    let transcoded = check(input, 600, |input| {
        let mut out = Vec::new();
        json::transcode(input, &mut out).map(|()| out)
    });
    let _ = msgpack::decode_properties(input, |name| name.len().is_multiple_of(2));
    let Ok(value) = decoded else { return };
    assert!(value.nests_within(msgpack::MAX_DEPTH));
    let encoded = msgpack::encode(&value);
    let again = msgpack::decode(&encoded).expect("what was written can be read");
    assert_eq!(msgpack::encode(&again), encoded);
    // Names that come twice are one property only for who builds a value.
    let mut written = Vec::new();
    json::write(&again, &mut written);
    let mut transcoded_again = Vec::new();
    json::transcode(&encoded, &mut transcoded_again).expect("what was written can be read");
    assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&transcoded_again));
    assert!(transcoded.is_ok(), "what can be decoded can be shown");
});
