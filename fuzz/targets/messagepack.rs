#![no_main]

use kora_resource::value::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| kora_fuzz::decoder(Format::MessagePack, input));
