//! Where modules come from: the component's own files, and the live `harperdb` module.
//!
//! One loader a worker. Files are read when they are imported; a bare specifier that is one of
//! Harper's names (`spec/harper-resources.md` section 1) gives the one live host module, one of Node's gives
//! Deno's implementation, and every other is a package ([`crate::node`]).

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use deno_ast::MediaType;
use deno_core::error::ModuleLoaderError;
use deno_core::{
    ModuleLoadOptions, ModuleLoadReferrer, ModuleLoadResponse, ModuleLoader, ModuleSource,
    ModuleSourceCode, ModuleSpecifier, ModuleType, RequestedModuleType, ResolutionKind,
    resolve_import,
};
use deno_error::{JsErrorBox, JsErrorClass};
use futures_util::FutureExt;
use kora_resource::value::json::{self, JsonError};

use crate::node::{self, Format, Packages};
use crate::transpile::Transpiled;

/// The URL of the live host module; what all of [`HARPER_SPECIFIERS`] resolve to.
pub(crate) const HOST_MODULE: &str = "kora:harperdb";

/// The names by which components import the host module.
pub(crate) const HARPER_SPECIFIERS: [&str; 6] = [
    "harper",
    "harperdb",
    "harperdb/v1",
    "harperdb/v2",
    "@harperfast/harper",
    "@harperfast/harper-pro",
];

/// Loads the modules of one component.
pub(crate) struct ComponentModules {
    packages: Rc<Packages>,
}

impl ComponentModules {
    pub(crate) fn new(packages: Rc<Packages>) -> ComponentModules {
        ComponentModules { packages }
    }
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
        if let Some(name) = host_package(specifier) {
            return Err(JsErrorBox::type_error(format!(
                "\"{specifier}\" is an inner module of Harper, imported from {}: only \"{name}\" itself can be \
                 imported here",
                place(referrer, specifier)
            )));
        }
        if let Some(refused) = refused_inner_module(specifier, referrer) {
            return ModuleSpecifier::parse(&refused).map_err(JsErrorBox::from_err);
        }
        if !is_bare(specifier) {
            let url = resolve_import(specifier, referrer).map_err(JsErrorBox::from_err)?;
            return Ok(existing_file(&url).unwrap_or(url));
        }
        if self.packages.is_builtin(specifier) {
            let name = specifier.trim_start_matches("node:");
            return ModuleSpecifier::parse(&format!("node:{name}")).map_err(JsErrorBox::from_err);
        }
        if specifier.starts_with("node:") {
            return Err(JsErrorBox::type_error(format!(
                "No such built-in module: {specifier}, imported from {}",
                place(referrer, specifier)
            )));
        }
        let from = ModuleSpecifier::parse(referrer).map_err(JsErrorBox::from_err)?;
        self.packages
            .resolve(specifier, &from)
            .map_err(|error| unresolved(specifier, referrer, &error.get_message()))
    }

    fn load(
        &self,
        specifier: &ModuleSpecifier,
        referrer: Option<&ModuleLoadReferrer>,
        options: ModuleLoadOptions,
    ) -> ModuleLoadResponse {
        let source = match self.read(specifier, referrer, &options) {
            Ok(Loaded::Ready(source)) => return ModuleLoadResponse::Sync(Ok(source)),
            Ok(Loaded::CommonJs(source)) => source,
            Err(error) => return ModuleLoadResponse::Sync(Err(error)),
        };
        let (packages, url) = (self.packages.clone(), specifier.clone());
        let wrapped = async move {
            let code = packages.wrapper(&url, &source.code).await?;
            Ok(module(ModuleType::JavaScript, code, &url))
        };
        if options.is_synchronous {
            // The analysis reads files and awaits nothing, so it is there at once.
            let loaded = wrapped.now_or_never().unwrap_or_else(|| {
                Err(JsErrorBox::generic(format!("{specifier} can't be loaded synchronously")))
            });
            return ModuleLoadResponse::Sync(loaded);
        }
        ModuleLoadResponse::Async(Box::pin(wrapped))
    }

    fn get_source_map(&self, specifier: &str) -> Option<Cow<'_, [u8]>> {
        self.packages.sources.source_map(specifier).map(Cow::Owned)
    }
}

/// A file that was read.
enum Loaded {
    Ready(ModuleSource),
    /// It needs a wrapper first.
    CommonJs(Arc<Transpiled>),
}

impl ComponentModules {
    fn read(
        &self,
        specifier: &ModuleSpecifier,
        referrer: Option<&ModuleLoadReferrer>,
        options: &ModuleLoadOptions,
    ) -> Result<Loaded, ModuleLoaderError> {
        if let Some(code) = node::required(specifier.as_str()) {
            return Ok(Loaded::Ready(module(ModuleType::JavaScript, code, specifier)));
        }
        if let Some(inner) = specifier.as_str().strip_prefix(REFUSED) {
            return Err(JsErrorBox::type_error(format!(
                "Cannot import {inner}: it is an inner module of the runtime"
            )));
        }
        let path = specifier.to_file_path().map_err(|()| {
            JsErrorBox::type_error(format!("Cannot import {specifier}: only files can be imported"))
        })?;
        if !path.is_file() {
            let by = referrer.map(|by| format!(" imported from {}", importer(by, &path)));
            let by = by.unwrap_or_default();
            return Err(JsErrorBox::type_error(format!(
                "Cannot find module {}{by}",
                path.display()
            )));
        }
        if MediaType::from_path(&path) == MediaType::Json {
            // What `import()` asks for is looked at where its promise is kept.
            let asked = &options.requested_module_type;
            if *asked == RequestedModuleType::None && !options.is_dynamic_import {
                let by = referrer.map(|by| format!(" in {}", importer(by, &path)));
                return Err(JsErrorBox::type_error(format!(
                    "{} is JSON: import it by `with {{ type: 'json' }}`{}",
                    path.display(),
                    by.unwrap_or_default()
                )));
            }
            let text = self.packages.sources.text(&path)?;
            json::parse(text.trim_start_matches('\u{feff}').as_bytes())
                .map_err(|error| JsErrorBox::new("SyntaxError", not_json(&path, &error)))?;
            return Ok(Loaded::Ready(module(ModuleType::Json, text, specifier)));
        }
        let source = self.packages.sources.read(&path)?;
        Ok(match source.format {
            Format::CommonJs => Loaded::CommonJs(source.code),
            Format::Module => {
                Loaded::Ready(module(ModuleType::JavaScript, source.code.code.clone(), specifier))
            }
        })
    }
}

fn module(kind: ModuleType, code: String, specifier: &ModuleSpecifier) -> ModuleSource {
    ModuleSource::new(kind, ModuleSourceCode::String(code.into()), specifier, None)
}

/// What stands before the specifier of a module that components may not import.
const REFUSED: &str = "kora:refused/";

/// Where an import of one of the runtime's own modules leads when a component's module asks for it: nowhere.
/// An error would not do: deno_core then looks among the modules that are loaded when first used, by name.
fn refused_inner_module(specifier: &str, referrer: &str) -> Option<String> {
    let inner = |name: &str| ["ext:", "checkin:"].iter().any(|scheme| name.starts_with(scheme));
    let allowed = inner(referrer) || referrer.starts_with("node:");
    (inner(specifier) && !allowed).then(|| format!("{REFUSED}{specifier}"))
}

/// The package of Harper's whose inner module a specifier names.
fn host_package(specifier: &str) -> Option<&'static str> {
    HARPER_SPECIFIERS
        .into_iter()
        .find(|name| specifier.strip_prefix(name).is_some_and(|below| below.starts_with('/')))
}

/// Why a package was not found, in one sentence with what to do about it.
fn unresolved(specifier: &str, referrer: &str, reason: &str) -> JsErrorBox {
    let place = place(referrer, specifier);
    if specifier.starts_with('#') {
        return JsErrorBox::type_error(format!(
            "Cannot find \"{specifier}\" among the imports of package.json, imported from {place}: {reason}"
        ));
    }
    let mut parts = specifier.split('/');
    let first = parts.next().unwrap_or(specifier);
    let package = match parts.next() {
        Some(second) if first.starts_with('@') => format!("{first}/{second}"),
        _ => first.to_owned(),
    };
    if reason.contains("Could not find package") || reason.contains("Cannot find package") {
        return JsErrorBox::type_error(format!(
            "Cannot find package '{package}' imported from {place}: add it to the component's package.json and \
             run `npm install` in its folder"
        ));
    }
    JsErrorBox::type_error(format!("Cannot import '{specifier}' from {place}: {reason}"))
}

/// Neither a path nor a URL: a package's name, `node:` included.
fn is_bare(specifier: &str) -> bool {
    let path = ["./", "../", "/"].iter().any(|prefix| specifier.starts_with(prefix));
    !path && (specifier.starts_with("node:") || ModuleSpecifier::parse(specifier).is_err())
}

/// The file that a specifier means where it names none: the TypeScript file behind a `.js` name, or the
/// file behind a name without ending (`spec/harper-usage.md` section 2, "TypeScript").
fn existing_file(url: &ModuleSpecifier) -> Option<ModuleSpecifier> {
    let path = url.to_file_path().ok()?;
    if path.is_file() {
        return None;
    }
    let instead: &[&str] = match path.extension().and_then(|extension| extension.to_str()) {
        Some("js") => &["ts"],
        Some("mjs") => &["mts"],
        Some("cjs") => &["cts"],
        None => &["ts", "js", "mjs"],
        Some(_) => &[],
    };
    let found = instead
        .iter()
        .map(|extension| path.with_extension(extension))
        .find(|path| path.is_file())?;
    ModuleSpecifier::from_file_path(found).ok()
}

/// Where a specifier is written: the file, with its line where it can be found.
fn place(referrer: &str, specifier: &str) -> String {
    let file = display(referrer);
    let line = std::fs::read_to_string(&file).ok().and_then(|text| {
        let written = [format!("'{specifier}'"), format!("\"{specifier}\"")];
        text.lines().position(|line| written.iter().any(|quoted| line.contains(quoted)))
    });
    match line {
        Some(line) => format!("{file}:{}", line + 1),
        None => file,
    }
}

/// Who imports the file at `path`: the file, with its line where that can be found.
fn importer(referrer: &ModuleLoadReferrer, path: &Path) -> String {
    let file = display(referrer.specifier.as_str());
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    let written = [name, stem].map(|name| ["'", "\""].map(|quote| format!("/{name}{quote}")));
    let line = std::fs::read_to_string(&file).ok().and_then(|text| {
        text.lines().position(|line| written.iter().flatten().any(|end| line.contains(end)))
    });
    match line {
        Some(line) => format!("{file}:{}", line + 1),
        None => file,
    }
}

/// What is wrong with a JSON file, and where.
fn not_json(path: &Path, error: &JsonError) -> String {
    format!("{}:{}:{}: not valid JSON: {}", path.display(), error.line, error.column, error.problem)
}

/// A referrer as people write it: a path without `file://`.
fn display(referrer: &str) -> String {
    ModuleSpecifier::parse(referrer)
        .ok()
        .and_then(|url| url.to_file_path().ok())
        .map_or_else(|| referrer.to_owned(), |path| path.display().to_string())
}
