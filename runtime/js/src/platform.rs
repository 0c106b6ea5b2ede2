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
    STARTED.call_once(|| JsRuntime::init_platform(None));
}
