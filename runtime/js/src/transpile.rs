//! TypeScript to JavaScript, with the source map that lets errors name the user's own lines.
//!
//! Types are stripped and unused imports elided as `tsc` does (`spec/harper-usage.md` section 1,
//! "Three import names": type-only names imported without `type`). Every worker of a generation asks
//! for the same files, so results are kept by content in a process-wide cache.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock, Mutex};

use deno_ast::{
    EmitOptions, ImportsNotUsedAsValues, MediaType, ModuleSpecifier, ParseDiagnostic, ParseParams,
    SourceMapOption, TranspileModuleOptions, TranspileOptions,
};

/// JavaScript made from one file.
#[derive(Debug)]
pub(crate) struct Transpiled {
    pub(crate) code: String,
    /// A version 3 source map; `None` where the file was JavaScript already.
    pub(crate) source_map: Option<Vec<u8>>,
}

/// Why a file is not TypeScript.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TranspileError {
    #[error("{0}")]
    Parse(Box<ParseDiagnostic>),
    #[error("{0}")]
    Transform(String),
}

type Cache = Mutex<HashMap<(String, u64), Arc<Transpiled>>>;

static CACHE: LazyLock<Cache> = LazyLock::new(Cache::default);
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// More files than one host's components have; past it old versions of edited files are dropped.
const CACHED_FILES: usize = 2_048;

/// The JavaScript of `source`, which is the file `specifier`.
pub(crate) fn transpile(
    specifier: &ModuleSpecifier,
    source: &str,
) -> Result<Arc<Transpiled>, TranspileError> {
    let key = (specifier.to_string(), HASHER.hash_one(source));
    if let Some(found) = lock(&CACHE).get(&key) {
        return Ok(found.clone());
    }
    let transpiled = Arc::new(compile(specifier, source)?);
    let mut cache = lock(&CACHE);
    if cache.len() >= CACHED_FILES {
        cache.clear();
    }
    cache.insert(key, transpiled.clone());
    Ok(transpiled)
}

/// The cache holds whole values only, so one that a panicking thread left behind is still right.
fn lock(cache: &Cache) -> std::sync::MutexGuard<'_, HashMap<(String, u64), Arc<Transpiled>>> {
    cache.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn compile(specifier: &ModuleSpecifier, source: &str) -> Result<Transpiled, TranspileError> {
    let media_type = MediaType::from_specifier(specifier);
    let parsed = deno_ast::parse_module(ParseParams {
        specifier: specifier.clone(),
        text: source.into(),
        media_type,
        capture_tokens: false,
        scope_analysis: false,
        maybe_syntax: None,
    })
    .map_err(|diagnostic| TranspileError::Parse(Box::new(diagnostic)))?;
    if !media_type.is_emittable() {
        return Ok(Transpiled { code: source.to_owned(), source_map: None });
    }
    let emitted = parsed
        .transpile(
            &TranspileOptions {
                imports_not_used_as_values: ImportsNotUsedAsValues::Remove,
                ..TranspileOptions::default()
            },
            &TranspileModuleOptions { module_kind: None },
            &EmitOptions {
                source_map: SourceMapOption::Separate,
                inline_sources: false,
                ..EmitOptions::default()
            },
        )
        .map_err(|error| TranspileError::Transform(error.to_string()))?
        .into_source();
    Ok(Transpiled { code: emitted.text, source_map: emitted.source_map.map(String::into_bytes) })
}
