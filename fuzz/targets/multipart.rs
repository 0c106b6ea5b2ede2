//! `multipart/form-data` with the boundary `X`.
#![no_main]

use bytes::Bytes;
use kora_fuzz::check;
use kora_resource::body;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _ = check(input, 600, |input| {
        let body = Bytes::copy_from_slice(input);
        body::decode("multipart/form-data; boundary=X", body, None)
    });
});
