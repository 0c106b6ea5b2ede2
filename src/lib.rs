//! The server: everything that knows HTTP, files and processes.
//!
//! [`serve`] opens the store, loads the applications below one folder and answers for them over
//! REST, WebSocket and Server-Sent Events until [`Server::shutdown`]. The binary `kora` is a thin
//! command line over it; tests and benches may call it directly.
//!
//! Which module to open: [`config`] reads flags and `config.yaml`; [`components`] finds, loads and
//! reloads applications and keeps the registry of paths; [`guest_crates`] compiles guests in Rust;
//! [`http`] is the listener, the router, REST and static files; [`realtime`] is WebSocket and SSE;
//! [`tls`] stands before both listeners; [`users`] keeps users, roles and sessions. `http` and `realtime` see only the
//! [`kora_resource::Resource`] trait.

pub mod components;
pub mod config;
mod connections;
pub mod guest_crates;
pub mod http;
pub mod realtime;
mod server;
pub mod tls;
pub mod users;

pub use config::{Config, Reloading};
pub use server::{ServeError, Server, serve};

/// The name of this host in texts that clients see.
pub const PRODUCT: &str = "Kora";
