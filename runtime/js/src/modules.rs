//! Where modules come from: the component's own files, and the live `harperdb` module.
//!
//! One loader a worker. Files are read when they are imported; a bare specifier that is one of
//! Harper's names (`spec/harper-resources.md` section 1) gives the one live host module. npm packages
//! and `node:` built-ins come with a later issue and are refused by a message that says so.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deno_ast::MediaType;
use deno_core::error::ModuleLoaderError;
use deno_core::{
    ModuleLoadOptions, ModuleLoadReferrer, ModuleLoadResponse, ModuleLoader, ModuleSource,
    ModuleSourceCode, ModuleSpecifier, ModuleType, ResolutionKind, resolve_import,
};
use deno_error::JsErrorBox;

use crate::transpile::{TranspileError, Transpiled, transpile};

/// The URL of the live host module; what all of [`HARPER_SPECIFIERS`] resolve to.
pub(crate) const HOST_MODULE: &str = "kora:harperdb";

/// The names by which components import the host module.
const HARPER_SPECIFIERS: [&str; 6] = [
    "harper",
    "harperdb",
    "harperdb/v1",
    "harperdb/v2",
    "@harperfast/harper",
    "@harperfast/harper-pro",
];

/// Loads the modules of one component.
#[derive(Default)]
pub(crate) struct ComponentModules {
    /// What was loaded, by URL: its source map is what turns a stack into the user's lines.
    loaded: RefCell<HashMap<String, Arc<Transpiled>>>,
}

impl ModuleLoader for ComponentModules {
    fn resolve(
        &self,
        specifier: &str,
        referrer: &str,
        _kind: ResolutionKind,
    ) -> Result<ModuleSpecifier, ModuleLoaderError> {
        if HARPER_SPECIFIERS.contains(&specifier) {
            return ModuleSpecifier::parse(HOST_MODULE).map_err(JsErrorBox::from_err);
        }
        if is_bare(specifier) {
            return Err(JsErrorBox::type_error(format!(
                "Cannot find module \"{specifier}\" imported from {}: this build resolves relative \
                 paths and the harperdb module; npm packages and node: built-ins are not available yet",
                display(referrer)
            )));
        }
        resolve_import(specifier, referrer).map_err(JsErrorBox::from_err)
    }

    fn load(
        &self,
        specifier: &ModuleSpecifier,
        referrer: Option<&ModuleLoadReferrer>,
        _options: ModuleLoadOptions,
    ) -> ModuleLoadResponse {
        ModuleLoadResponse::Sync(self.load_file(specifier, referrer))
    }

    fn get_source_map(&self, specifier: &str) -> Option<Cow<'_, [u8]>> {
        let map = self.loaded.borrow().get(specifier)?.source_map.clone()?;
        Some(Cow::Owned(map))
    }
}

impl ComponentModules {
    fn load_file(
        &self,
        specifier: &ModuleSpecifier,
        referrer: Option<&ModuleLoadReferrer>,
    ) -> Result<ModuleSource, ModuleLoaderError> {
        let path = specifier.to_file_path().map_err(|()| {
            JsErrorBox::type_error(format!("Cannot import {specifier}: only files can be imported"))
        })?;
        let path = existing(&path).ok_or_else(|| {
            let mut message = format!("Cannot find module {}", path.display());
            if let Some(referrer) = referrer {
                // Writing to a String can't fail.
                let _ = write!(message, " imported from {}", display(referrer.specifier.as_str()));
            }
            JsErrorBox::type_error(message)
        })?;
        let source = std::fs::read_to_string(&path).map_err(|error| {
            JsErrorBox::type_error(format!("Cannot read module {}: {error}", path.display()))
        })?;
        if MediaType::from_path(&path) == MediaType::Json {
            return Ok(module(ModuleType::Json, source, specifier));
        }
        // The file may have another ending than the specifier: its own decides how it is parsed.
        let file = ModuleSpecifier::from_file_path(&path).map_err(|()| {
            JsErrorBox::type_error(format!("{} is not an absolute path", path.display()))
        })?;
        let transpiled = transpile(&file, &source).map_err(|error| match error {
            TranspileError::Parse(diagnostic) => {
                let shown = path.display().to_string();
                JsErrorBox::new(
                    "SyntaxError",
                    diagnostic.to_string().replace(file.as_str(), &shown),
                )
            }
            TranspileError::Transform(message) => JsErrorBox::new("SyntaxError", message),
        })?;
        let code = transpiled.code.clone();
        self.loaded.borrow_mut().insert(specifier.to_string(), transpiled);
        Ok(module(ModuleType::JavaScript, code, specifier))
    }
}

fn module(kind: ModuleType, code: String, specifier: &ModuleSpecifier) -> ModuleSource {
    ModuleSource::new(kind, ModuleSourceCode::String(code.into()), specifier, None)
}

/// Neither a path nor a URL: a package's name, `node:` included.
fn is_bare(specifier: &str) -> bool {
    let path = ["./", "../", "/"].iter().any(|prefix| specifier.starts_with(prefix));
    !path && (specifier.starts_with("node:") || ModuleSpecifier::parse(specifier).is_err())
}

/// The file that a specifier means: itself, or the TypeScript file behind a `.js` name, or the file
/// behind a name without ending (`spec/harper-usage.md` section 2, "TypeScript").
fn existing(path: &Path) -> Option<PathBuf> {
    if path.is_file() {
        return Some(path.to_owned());
    }
    let instead: &[&str] = match path.extension().and_then(|extension| extension.to_str()) {
        Some("js") => &["ts"],
        Some("mjs") => &["mts"],
        Some("cjs") => &["cts"],
        None => &["ts", "js", "mjs"],
        Some(_) => &[],
    };
    instead.iter().map(|extension| path.with_extension(extension)).find(|path| path.is_file())
}

/// A referrer as people write it: a path without `file://`.
fn display(referrer: &str) -> String {
    ModuleSpecifier::parse(referrer)
        .ok()
        .and_then(|url| url.to_file_path().ok())
        .map_or_else(|| referrer.to_owned(), |path| path.display().to_string())
}
