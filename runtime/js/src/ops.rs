//! The ops: what the host's JavaScript can ask of Rust. One file a subject; all run on the worker's
//! thread. Reads are synchronous (microseconds); what waits (a commit, an event, a client) is async.

pub(crate) mod accounts;
pub(crate) mod administration;
pub(crate) mod blobs;
pub(crate) mod bodies;
pub(crate) mod calls;
pub(crate) mod derived;
pub(crate) mod exporting;
pub(crate) mod host;
pub(crate) mod plugins;
pub(crate) mod requests;
pub(crate) mod searches;
pub(crate) mod sockets;
pub(crate) mod sources;
pub(crate) mod tables;
pub(crate) mod targets;
pub(crate) mod transactions;
