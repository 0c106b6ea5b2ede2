//! `kora:resource/log`: lines in the server's log, with the component's name.

use crate::bindings::kora::resource::log::{Host, Level};
use crate::instance::State;

impl Host for State {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let component = &self.info.component;
        match level {
            Level::Trace => tracing::trace!(target: "component", component, "{message}"),
            Level::Debug => tracing::debug!(target: "component", component, "{message}"),
            Level::Info => tracing::info!(target: "component", component, "{message}"),
            Level::Warn => tracing::warn!(target: "component", component, "{message}"),
            Level::Error => tracing::error!(target: "component", component, "{message}"),
        }
        Ok(())
    }
}
