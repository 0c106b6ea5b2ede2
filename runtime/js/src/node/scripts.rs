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
use deno_core::{
    Extension, ExtensionFileSource, ModuleCodeString, ModuleName, wrap_lazy_ext_script,
};
use deno_error::JsErrorBox;

/// The version of Node that components see: the long-term line that Harper names.
pub(crate) const NODE_VERSION: &str = "22.21.0";

/// Changes to scripts that nothing else allows for: where, what, and what stands there instead.
const PATCHES: [(&str, &str, &str); 7] = [
    ("ext:deno_node/_process/process.ts", "__NODE_VERSION__", NODE_VERSION),
    // Code that is compiled from a string sees no parameter.
    ("ext:deno_fs/30_fs.js", "Deno.build.os", SYSTEM),
    // As in Node, a program gets the environment of its component and nothing of the server's.
    ("ext:deno_node/internal/child_process.ts", "clearEnv: false", "clearEnv: true"),
    // A refusal is passed on, as every error that is not of a missing program.
    (
        "ext:deno_node/internal/child_process.ts",
        "_createSpawnError(\"ENOENT\", command, args, true);\n    }\n  }\n  return result;",
        "_createSpawnError(\"ENOENT\", command, args, true);\n    } else { result.error = err; }\n  }\n  return result;",
    ),
    // The global object is no event target here.
    ("node:process", "globalThis.addEventListener(\"error\",", "internals.kora.addErrorListener("),
    (
        "node:process",
        "globalThis.removeEventListener(\"error\",",
        "internals.kora.removeErrorListener(",
    ),
    (
        "node:process",
        "export default process;",
        "internals.kora.takeProcess(process); export default process;",
    ),
];

/// Changes that only QuickJS needs.
const QUICKJS_PATCHES: [(&str, &str, &str); 1] = [(
    "node:module",
    "namespace = sourceFromHook && code !== undefined\n      ? op_import_sync_with_source(specifier, code)\n      : \
     op_import_sync(specifier);",
    "namespace = internals.kora.requireModule(specifier, sourceFromHook ? code : undefined);\n\n",
)];

/// The changes of this build.
fn patches() -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)> {
    let engine: &[_] = if cfg!(feature = "quickjs") { &QUICKJS_PATCHES } else { &[] };
    PATCHES.iter().chain(engine)
}

/// The operating system as Deno names it, in quotes.
const SYSTEM: &str = if cfg!(target_os = "macos") { "\"darwin\"" } else { "\"linux\"" };

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
pub(crate) fn module(
    name: &ModuleName,
    code: ModuleCodeString,
) -> Result<ModuleCodeString, JsErrorBox> {
    if SOURCES.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name.as_str()) {
        // A stub, which is as it should be.
        return Ok(code);
    }
    let prepared = ready(name, || {
        let mut source = javascript(name, code.as_str())?.into_owned();
        // The loader that keeps the async context; scripts find it in their `core`.
        source = source.replace("core.createLazyLoader", "kora_.kora.lazyLoader");
        if source.contains("Deno.") || source.contains("kora_.") {
            // On the first line, so that all lines keep their numbers.
            source.insert_str(
                0,
                "import { internals as kora_ } from \"ext:core/mod.js\"; const Deno = kora_.kora.deno; ",
            );
        }
        if name.as_str() == "node:module" {
            source.push_str("\ninternals.kora.takeModule(Module);\n");
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
    READY.lock().unwrap_or_else(PoisonError::into_inner).insert(specifier.to_owned(), made.clone());
    Ok(made)
}

/// `source` with its patches and without types.
fn javascript<'a>(specifier: &str, source: &'a str) -> Result<Cow<'a, str>, JsErrorBox> {
    let mut source = Cow::Borrowed(source);
    for (_, from, to) in patches().filter(|(script, ..)| *script == specifier) {
        source = Cow::Owned(source.replace(from, to));
    }
    if !specifier.ends_with(".ts") && !specifier.starts_with("node:") {
        return Ok(source);
    }
    let url = ModuleSpecifier::parse(specifier).map_err(JsErrorBox::from_err)?;
    // Types are blanked out in place, which is quick and keeps lines and columns. A script with an `enum`
    // must be compiled.
    if let Ok(stripped) =
        type_strip(&url, source.clone().into_owned(), TypeStripOptions { module: None })
    {
        return Ok(Cow::Owned(stripped));
    }
    let url = ModuleSpecifier::parse(&format!("ext:{}.ts", specifier.replace(':', "/")))
        .map_err(JsErrorBox::from_err)?;
    let compiled = crate::transpile::transpile(&url, &source)
        .map_err(|error| JsErrorBox::generic(error.to_string()))?;
    Ok(Cow::Owned(compiled.code.clone()))
}

#[cfg(test)]
mod tests {
    use deno_fs::RealFs;

    use super::*;

    #[test]
    fn every_patch_finds_its_place() {
        type Checker = deno_resolver::npm::ByonmInNpmPackageChecker;
        type Folders = deno_resolver::npm::ByonmNpmResolver<sys_traits::impls::RealSys>;
        let files: deno_fs::FileSystemRc = deno_fs::sync::MaybeArc::new(RealFs);
        let node = deno_node::deno_node::init::<Checker, Folders, sys_traits::impls::RealSys>(
            None,
            files.clone(),
        );
        let files = deno_fs::deno_fs::init(files);
        let all: Vec<_> = [&node, &files]
            .into_iter()
            .flat_map(|extension| {
                extension.lazy_loaded_js_files.iter().chain(extension.lazy_loaded_esm_files.iter())
            })
            .collect();
        for (script, from, _) in PATCHES.iter().chain(&QUICKJS_PATCHES) {
            let source = all.iter().find(|file| file.specifier == *script).unwrap();
            assert!(source.load().unwrap().as_str().contains(*from), "{script} has no {from}");
        }
    }
}
