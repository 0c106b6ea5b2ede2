//! What QuickJS needs to link a component's modules to each other and to Node's.
//!
//! V8 asks for the imports of a module once, while it links it, and deno_core drops its own list of them
//! after. The QuickJS backend walks the whole graph each time that a module is linked, those below that are linked
//! already included: it asks for `ext:core/mod.js`, which nearly every module of Node's imports, on behalf of a
//! component's file. deno_core lets only its own modules import those, except what is loaded when it is first
//! used: such a module it takes by its name, as it takes `node:process` itself. So on QuickJS the two modules that are
//! always there are named among those; they are found as loaded, and what is written here never runs. A component
//! can't import them: see `resolve` of [`crate::modules`].
//!
//! The same walk would end the process when `require` gets an ES module: where that has a default export, deno_core's
//! op wraps it in a module that says `__esModule` too, and takes for granted that the engine asks for one import
//! then. So on QuickJS `require` (`requireModule` in `scripts.js`) lets the op import modules that it has no reason to
//! wrap ([`required`]).

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

/// What stands before the URL of an ES module in the specifier of a module that exports its namespace.
const NAMESPACE_OF: &str = "kora:require/";
/// The same for a module that exports what it does, its default included, and `__esModule`.
const WRAPPER_OF: &str = "kora:require/wrapped/";

/// The source of a module by which `require` gets an ES module; `None` for all other specifiers.
pub(crate) fn required(specifier: &str) -> Option<String> {
    if let Some(url) = specifier.strip_prefix(WRAPPER_OF) {
        return Some(format!(
            "export * from {url:?};\nexport {{ default }} from {url:?};\nexport const __esModule = true;\n"
        ));
    }
    let url = specifier.strip_prefix(NAMESPACE_OF)?;
    Some(format!("export * as namespace from {url:?};\n"))
}
