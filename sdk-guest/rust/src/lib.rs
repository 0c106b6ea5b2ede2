//! Resources for [Kora](https://crates.io/crates/kora) in Rust.
//!
//! A guest is a library that implements resources, compiled to WebAssembly. Dropped into a component's folder it
//! answers over REST, WebSocket, Server-Sent Events and MQTT, beside tables and TypeScript classes, with the same
//! powers: tables, queries, transactions, subscriptions, streams, outgoing HTTP.
//!
//! ```
//! use kora_guest::{Body, Error, Result, Table, Target, resource};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Dog {
//!     id: String,
//!     name: String,
//!     age: u32,
//! }
//!
//! struct Birthday;
//!
//! /// `POST /Birthday/341` makes the dog with that id a year older.
//! #[resource(path = "Birthday", public)]
//! impl Birthday {
//!     async fn post(&self, target: Target) -> Result<Body<Dog>> {
//!         let dogs = Table::<Dog>::find("Dog")?;
//!         let id = target.id().ok_or_else(|| Error::invalid("which dog?"))?;
//!         let mut dog = dogs.get(id)?.ok_or_else(|| Error::not_found("no such dog"))?;
//!         dog.age += 1;
//!         dogs.put(id, &dog).await?;
//!         Ok(Body(dog))
//!     }
//! }
//!
//! kora_guest::export!(Birthday);
//! # fn main() {}
//! ```
//!
//! # Methods
//!
//! A `#[resource]` block may have `get`, `put`, `patch`, `post`, `delete`, `query`, `publish` and `connect`. Their
//! parameters are whatever implements [`FromCall`]: [`Target`], [`Context`], [`Body`], and for `connect`
//! [`Messages`]; in any order, each at most once. They answer anything that implements [`IntoReply`].
//!
//! # Transactions
//!
//! All that one call writes is committed when it has answered, and nothing of it when it answers an error. What was
//! read must not have changed meanwhile: the host then runs the call again. In `connect` each write commits by
//! itself. [`Transaction`] is for writes that shall stand apart.
//!
//! # Tests
//!
//! Outside of WebAssembly the host is an in-memory double, one a thread: `cargo test` runs a resource natively. See
//! [`testing`].

mod call;
mod context;
mod date;
mod encoding;
mod error;
pub mod http;
mod id;
pub mod log;
mod message;
mod query;
mod reply;
mod resource;
mod table;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod transaction;

#[cfg(target_arch = "wasm32")]
#[path = "host/wasm.rs"]
mod host;
#[cfg(not(target_arch = "wasm32"))]
#[path = "host/double.rs"]
mod host;

pub use call::{Body, FromCall, Target};
pub use context::{Context, Request, User, config, now, random, sleep};
pub use date::Date;
pub use error::{Error, Result};
pub use id::Id;
pub use kora_guest_macros::resource;
pub use message::{Message, Messages};
pub use query::{Comparator, Query, Subscribe};
pub use reply::{IntoReply, Items, Reply};
pub use table::{Event, EventKind, Events, Rows, Table};
pub use transaction::Transaction;

#[doc(hidden)]
pub mod internal {
    //! What the macros write calls to. Not for use by hand.
    pub use crate::call::Call;
    #[cfg(target_arch = "wasm32")]
    pub use crate::host::bindings;
    pub use crate::resource::{
        Definition, Described, Method, Outgoing, connect, handle, manifest, missing,
    };
}
