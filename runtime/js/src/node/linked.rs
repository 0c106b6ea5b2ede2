//! What QuickJS needs to link a component's module to one of Node's.
//!
//! V8 asks for the imports of a module once, while it links it, and deno_core drops its own list of them
//! after. The QuickJS backend walks the whole graph each time that a module is linked, those below that are linked
//! already included: it asks for `ext:core/mod.js`, which nearly every module of Node's imports, on behalf of a
//! component's file. deno_core lets only its own modules import those, except what is loaded when it is first
//! used: such a module it takes by its name, as it takes `node:process` itself. So on QuickJS the two modules that are
//! always there are named among those; they are found as loaded, and what is written here never runs. A component
//! can't import them: see `resolve` of [`crate::modules`].

use deno_core::{Extension, ExtensionFileSource, ascii_str};

const ALWAYS_LOADED: [&str; 2] = ["ext:core/mod.js", "ext:core/ops"];

/// The extension with the names of the modules that are always loaded, where the engine asks for them.
pub(crate) fn known(mut extension: Extension) -> Extension {
    if cfg!(feature = "quickjs") {
        extension
            .lazy_loaded_esm_files
            .to_mut()
            .extend(ALWAYS_LOADED.map(|name| ExtensionFileSource::new(name, ascii_str!(""))));
    }
    extension
}
