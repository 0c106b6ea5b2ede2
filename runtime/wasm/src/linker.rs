//! What a guest may import, and what each refusal says.
//!
//! Ours: the interfaces of `kora:resource`. Of WASI what a standard library or an interpreter asks for whether or not
//! the guest uses it: clocks, random, standard streams, an empty file system, and sockets of which none can be opened.
//! Nothing there is granted.

use std::path::Path;
use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, Linker};

use crate::bindings::{Resources as Bindings, ResourcesPre};
use crate::error::LoadError;
use crate::guest::GuestInfo;
use crate::instance::State;

/// The package whose versions we speak.
const PACKAGE: &str = "kora:resource/";
const VERSION: &str = "@0.1.0";
const GUEST: &str = "kora:resource/guest@0.1.0";

/// Interfaces of WASI that are linked: see `wasmtime_wasi`'s own list.
const WASI: [&str; 6] =
    ["wasi:io/", "wasi:clocks/", "wasi:random/", "wasi:cli/", "wasi:filesystem/", "wasi:sockets/"];

/// Links `component`; after this an instance costs microseconds.
pub(crate) fn link(
    engine: &Engine,
    path: &Path,
    component: &Component,
    info: &Arc<GuestInfo>,
) -> Result<ResourcesPre<State>, LoadError> {
    check(engine, path, component)?;
    let start = |error: wasmtime::Error| LoadError::Start {
        path: path.to_owned(),
        message: format!("{error:#}"),
    };
    let mut linker = Linker::<State>::new(engine);
    Bindings::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state).map_err(start)?;
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(start)?;
    let pre = linker.instantiate_pre(component).map_err(start)?;
    tracing::debug!(component = info.component, "linked {}", path.display());
    ResourcesPre::new(pre).map_err(start)
}

/// Names the first thing that is wrong with a component's imports and exports, in words.
fn check(engine: &Engine, path: &Path, component: &Component) -> Result<(), LoadError> {
    let ty = component.component_type();
    let exports: Vec<String> = ty.exports(engine).map(|(name, _)| name.to_owned()).collect();
    let refuse = |import: &str, reason: &str| LoadError::Import {
        path: path.to_owned(),
        import: import.to_owned(),
        reason: reason.to_owned(),
    };
    if !exports.iter().any(|name| name == GUEST) {
        if let Some(other) = exports.iter().find(|name| name.starts_with("kora:resource/guest@")) {
            let message = format!(
                "it was built for {other}, this server speaks {GUEST}: build it again with the kora-guest of this \
                 version"
            );
            return Err(LoadError::Start { path: path.to_owned(), message });
        }
        return Err(LoadError::OtherWorld { path: path.to_owned(), wanted: GUEST, exports });
    }
    for (name, _) in ty.imports(engine) {
        if name.starts_with(PACKAGE) {
            if !name.ends_with(VERSION) {
                return Err(refuse(name, "this server offers version 0.1.0 of it"));
            }
        } else if name.starts_with("wasi:http/") {
            return Err(refuse(
                name,
                "use kora:resource/http (kora_guest::http) with permissions.net in config.yaml",
            ));
        } else if !WASI.iter().any(|offered| name.starts_with(offered)) {
            return Err(refuse(name, "it is nothing that this server offers"));
        }
    }
    Ok(())
}
