//! From the bytes of a `.wasm` to compiled code: core modules are wrapped into components, and what was compiled once
//! is kept below the data folder, named by the bytes and by the engine that compiled them.
//!
//! `unsafe`: wasmtime trusts a compiled artefact blindly, so this module only ever loads files that it wrote itself,
//! into a folder that only the server's user can write to, and only those that begin with the digest of the rest (a
//! torn write is compiled anew).
#![allow(unsafe_code)]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::error::LoadError;

/// What a component begins with; a core module has version 1 and layer 0.
const COMPONENT_MAGIC: &[u8] = b"\0asm\x0d\0\x01\0";
const MAGIC: &[u8] = b"\0asm";

/// Compiles `bytes`, the content of `path`, or takes what was compiled before.
pub(crate) fn component(
    engine: &Engine,
    path: &Path,
    bytes: Vec<u8>,
    cache: Option<&Path>,
) -> Result<Component, LoadError> {
    if !bytes.starts_with(MAGIC) {
        let message = "it does not begin with the bytes \\0asm".to_owned();
        return Err(LoadError::Malformed { path: path.to_owned(), message });
    }
    let cached = cache.map(|cache| cache.join(name(engine, &bytes)));
    if let Some(component) = cached.as_deref().and_then(|file| load(engine, file)) {
        return Ok(component);
    }
    let bytes = if bytes.starts_with(COMPONENT_MAGIC) { bytes } else { wrap(path, &bytes)? };
    let malformed = |error: wasmtime::Error| LoadError::Malformed {
        path: path.to_owned(),
        message: format!("{error:#}"),
    };
    let component = Component::new(engine, &bytes).map_err(malformed)?;
    if let Some(file) = cached
        && let Err(error) = store(&component, &file)
    {
        // The next start compiles again: slower, not wrong.
        tracing::warn!("compiled code can't be kept in {}: {error:#}", file.display());
    }
    Ok(component)
}

/// Makes a component of a core module that carries its interface in a custom section, as wit-bindgen leaves it.
fn wrap(path: &Path, module: &[u8]) -> Result<Vec<u8>, LoadError> {
    wit_component::ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| LoadError::NotAComponent {
            path: path.to_owned(),
            message: format!("{error:#}"),
        })
}

fn name(engine: &Engine, bytes: &[u8]) -> String {
    let mut compatibility = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compatibility);
    format!("{:x}-{:016x}.cwasm", Sha256::digest(bytes), compatibility.finish())
}

fn load(engine: &Engine, file: &Path) -> Option<Component> {
    let bytes = std::fs::read(file).ok()?;
    let (digest, code) = bytes.split_first_chunk::<32>()?;
    if Sha256::digest(code).as_slice() != digest {
        return None;
    }
    // SAFETY: the file lies in our own folder and its content is what `store` wrote there: the digest matches. Its
    // name holds the compatibility hash of this very engine, which wasmtime checks once more.
    unsafe { Component::deserialize(engine, code) }.ok()
}

fn store(component: &Component, file: &Path) -> wasmtime::Result<()> {
    let code = component.serialize()?;
    let folder: PathBuf = file.parent().map(Path::to_owned).unwrap_or_default();
    std::fs::create_dir_all(&folder)?;
    let bytes = [Sha256::digest(&code).as_slice(), &code].concat();
    // Another process must never see half a file.
    let partial = file.with_extension(format!("{}.partial", std::process::id()));
    std::fs::write(&partial, bytes)?;
    std::fs::rename(&partial, file)?;
    Ok(())
}
