//! `kora:resource/config`: the part of config.yaml that is the guest's own.

use crate::bindings::kora::resource::config::Host;
use crate::instance::State;

impl Host for State {
    fn get(&mut self) -> wasmtime::Result<String> {
        Ok(self.info.config.clone())
    }
}
