//! Why a guest could not be loaded. Each text names the file.

use std::path::PathBuf;

/// A `.wasm` that is not served, with the reason.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{}: cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// Not WebAssembly, or damaged.
    #[error("{}: is no valid WebAssembly: {message}", path.display())]
    Malformed { path: PathBuf, message: String },
    /// A core module without the description of its interface.
    #[error(
        "{}: is a core module that does not say what its interface is: build it with kora-guest, or as a component \
         (cargo build --target wasm32-wasip2): {message}",
        path.display()
    )]
    NotAComponent { path: PathBuf, message: String },
    /// A component of another world.
    #[error(
        "{}: does not export {wanted}: it is a component of another world{}",
        path.display(),
        if exports.is_empty() { String::new() } else { format!(" (it exports {})", exports.join(", ")) }
    )]
    OtherWorld { path: PathBuf, wanted: &'static str, exports: Vec<String> },
    /// Something that the guest needs and does not get.
    #[error("{}: asks for {import}: {reason}", path.display())]
    Import { path: PathBuf, import: String, reason: String },
    #[error("{}: {message}", path.display())]
    Manifest { path: PathBuf, message: String },
    #[error("{}: cannot be started: {message}", path.display())]
    Start { path: PathBuf, message: String },
    /// The process has no room for the engine.
    #[error("the WebAssembly engine cannot be started: {0}")]
    Engine(String),
}
