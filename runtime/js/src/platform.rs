//! The engine of the process: started once, before the first isolate.

use std::sync::Once;

use deno_core::JsRuntime;

/// The engine that this build runs, for messages.
pub const ENGINE: &str = if cfg!(feature = "v8") { "v8" } else { "quickjs" };

/// Starts the engine's platform. Call it on the main thread before any worker starts: V8's memory
/// protection keys are inherited by threads from the one that called this
/// (`guide/engineering.md` 3a, "Threading"). Further calls do nothing.
pub fn initialize() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        // wasmtime-wasi-http brings a second one (`ring`); with two of them rustls wants to be told,
        // and panics in the first `fetch` otherwise. An error means that somebody has told it already.
        drop(deno_tls::rustls::crypto::aws_lc_rs::default_provider().install_default());
        JsRuntime::init_platform(None);
    });
}
