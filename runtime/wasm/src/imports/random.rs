//! `kora:resource/random`.

use crate::bindings::kora::resource::random::Host;
use crate::instance::State;

/// The most that one request gets.
const MAX_BYTES: u32 = 65_536;

impl Host for State {
    fn bytes(&mut self, count: u32) -> wasmtime::Result<Vec<u8>> {
        wasmtime::ensure!(count <= MAX_BYTES, "random.bytes gives at most {MAX_BYTES} bytes");
        let mut bytes = vec![0; count as usize];
        getrandom::fill(&mut bytes)?;
        Ok(bytes)
    }
}
