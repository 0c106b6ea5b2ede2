//! JavaScript and TypeScript components on deno_core: workers, the live `harperdb` module, and the
//! bridge by which a class becomes a [`kora_resource::Resource`].
//!
//! A component's code is loaded into a [`Generation`]: one isolate a worker thread, many calls
//! interleaved in each. Rust enters JavaScript by two functions (`call` and `connect` in
//! `harperdb/dispatch.ts`); JavaScript asks Rust by ops (`ops/`). The class model itself, argument
//! orders, `super`, permissions, return values, is TypeScript in `harperdb/`, next to what it mimics.
//!
//! *Invariants:* an isolate is made, used and dropped on one thread. No component code runs on a thread
//! that drives sockets or timers of the server. A reload makes a new generation; it never changes one.

mod blobs;
mod bodies;
#[cfg(feature = "v8")]
mod buffers;
mod class;
mod error;
mod exports;
mod extension;
mod generation;
mod isolate;
mod middleware;
mod modules;
mod node;
mod open_transactions;
mod ops;
mod permissions;
mod platform;
mod plugin;
mod pull;
mod socket;
mod source;
mod state;
mod stream_options;
mod transpile;
mod values;
mod watchdog;
mod web;
mod worker;

pub use error::LoadError;
pub use generation::{Application, Exported, Generation, ResourceModule, load};
pub use permissions::{Grants, Listen, Net};
pub use platform::{ENGINE, initialize};
pub use plugin::{ComponentFiles, FoundEntry, HostSettings, Plugin, PluginFailure};
pub use watchdog::DEFAULT_LIMITS;
