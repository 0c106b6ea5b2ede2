//! WASM guests: components of the world `kora:resource` (`sdk-guest/wit/`), run by wasmtime.
//!
//! A [`Guest`] is one loaded `.wasm`; each resource of its manifest is a [`kora_resource::Resource`] like a table or
//! a JavaScript class. [`GuestEngine`] is what all guests of a process share: compiled code, a ticker that interrupts,
//! and the threads that run them. A thread that drives sockets runs a guest for one tick of the engine at most.
//!
//! What can fail: loading ([`LoadError`], the server keeps the old guest), and single calls (a trap, a limit: the
//! instance is thrown away, the caller is told, the next call gets a new instance).

mod artefact;
mod bindings;
mod call;
mod connect;
mod convert;
mod encoding;
mod engine;
mod error;
mod guest;
mod imports;
mod instance;
mod limits;
mod linker;
mod manifest;
mod pace;
mod pool;
mod streams;

pub use engine::{EngineOptions, GuestEngine};
pub use error::LoadError;
pub use guest::{Exported, Guest, GuestModule};
pub use limits::{DEFAULT_LIMITS, MAX_MEMORY};
