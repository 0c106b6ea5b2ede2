//! The JavaScript of deno_node and its family, made ready one script at a time.
//!
//! Deno strips the types of these scripts when it builds its snapshot, and lets them reach the `Deno`
//! namespace as a global. Here there is no snapshot, most components use few of them, and components must
//! not see `Deno` (packages take it for another platform). So each script is replaced by a stub that asks
//! `node/scripts.js` for the real one when it is first needed: its types are stripped then, once a
//! process, and `Deno` is a parameter of the function that it becomes. ES modules can't wait that way:
//! they are few, and stripped when the first isolate starts.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use deno_ast::{ModuleSpecifier, TypeStripOptions, type_strip};
use deno_core::{Extension, ExtensionFileSource, ModuleCodeString, ModuleName, wrap_lazy_ext_script};
use deno_error::JsErrorBox;

/// The version of Node that components see: the long-term line that Harper names.
pub(crate) const NODE_VERSION: &str = "22.21.0";

/// Sources by specifier, as the extensions bring them.
static SOURCES: LazyLock<Mutex<HashMap<&'static str, ExtensionFileSource>>> =
    LazyLock::new(Mutex::default);
/// What was made of them.
static READY: LazyLock<Mutex<HashMap<String, Arc<str>>>> = LazyLock::new(Mutex::default);

/// Puts stubs in the place of an extension's scripts that need work before they run.
pub(crate) fn deferred(mut extension: Extension) -> Extension {
    let mut sources = SOURCES.lock().unwrap_or_else(PoisonError::into_inner);
    let stubs: Vec<ExtensionFileSource> = extension
        .lazy_loaded_js_files
        .iter()
        .map(|file| {
            sources.entry(file.specifier).or_insert_with(|| file.clone());
            let stub = format!(
                "(function () {{ return __bootstrap.internals.kora.load(\"{}\", __bootstrap); }})()",
                file.specifier
            );
            ExtensionFileSource::new_computed(file.specifier, stub.into())
        })
        .collect();
    extension.lazy_loaded_js_files = Cow::Owned(stubs);
    extension
}

/// The body of the function that stands for a deferred script.
pub(crate) fn script(specifier: &str) -> Result<Arc<str>, JsErrorBox> {
    ready(specifier, || {
        let source = {
            let sources = SOURCES.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(file) = sources.get(specifier) else {
                return Err(JsErrorBox::generic(format!("there is no script {specifier}")));
            };
            file.load().map_err(JsErrorBox::from_err)?
        };
        let code = javascript(specifier, source.as_str())?;
        Ok(wrap_lazy_ext_script(&code))
    })
}

/// The ES module `name` of an extension of Deno's, as JavaScript that finds `Deno`.
pub(crate) fn module(name: &ModuleName, code: ModuleCodeString) -> Result<ModuleCodeString, JsErrorBox> {
    if SOURCES.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name.as_str()) {
        // A stub, which is as it should be.
        return Ok(code);
    }
    let prepared = ready(name, || {
        let mut source = javascript(name, code.as_str())?.into_owned();
        if source.contains("Deno.") {
            // On the first line, so that all lines keep their numbers.
            source.insert_str(
                0,
                "import { internals as kora_ } from \"ext:core/mod.js\"; const Deno = kora_.kora.deno; ",
            );
        }
        match name.as_str() {
            "node:module" => source.push_str("\ninternals.kora.takeModule(Module);\n"),
            "node:process" => {
                // The global object is no event target here.
                for method in ["add", "remove"] {
                    source = source.replace(
                        &format!("globalThis.{method}EventListener(\"error\","),
                        &format!("internals.kora.{method}ErrorListener("),
                    );
                }
                source.push_str("\ninternals.kora.takeProcess(process);\n");
            }
            _ => {}
        }
        Ok(source)
    })?;
    Ok(ModuleCodeString::from(prepared))
}

fn ready(
    specifier: &str,
    make: impl FnOnce() -> Result<String, JsErrorBox>,
) -> Result<Arc<str>, JsErrorBox> {
    if let Some(found) = READY.lock().unwrap_or_else(PoisonError::into_inner).get(specifier) {
        return Ok(found.clone());
    }
    // Not under the lock: two workers may do the same work once, none waits for another's.
    let made: Arc<str> = make()?.into();
    READY
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(specifier.to_owned(), made.clone());
    Ok(made)
}

/// `source` without types; Node's version is written into the one script that names it.
fn javascript<'a>(specifier: &str, source: &'a str) -> Result<Cow<'a, str>, JsErrorBox> {
    let typed = specifier.ends_with(".ts") || specifier.starts_with("node:");
    if !typed {
        return Ok(Cow::Borrowed(source));
    }
    let source = if specifier.ends_with("_process/process.ts") {
        Cow::Owned(source.replace("__NODE_VERSION__", NODE_VERSION))
    } else {
        Cow::Borrowed(source)
    };
    let url = ModuleSpecifier::parse(specifier).map_err(JsErrorBox::from_err)?;
    // Types are blanked out in place, which is quick and keeps lines and columns. A script with an `enum`
    // must be compiled.
    if let Ok(stripped) = type_strip(&url, source.clone().into_owned(), TypeStripOptions { module: None }) {
        return Ok(Cow::Owned(stripped));
    }
    let url = ModuleSpecifier::parse(&format!("ext:{}.ts", specifier.replace(':', "/")))
        .map_err(JsErrorBox::from_err)?;
    let compiled = crate::transpile::transpile(&url, &source)
        .map_err(|error| JsErrorBox::generic(error.to_string()))?;
    Ok(Cow::Owned(compiled.code.clone()))
}
