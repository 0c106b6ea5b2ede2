//! The HTTP side: a listener, a router, REST and static files.
//!
//! Connections run on the async threads, one task each; a request is a plain `async` call on its
//! connection's task, without a task, a lock or a tracing span of its own.

pub(crate) mod authentication;
pub(crate) mod body;
pub mod chain;
mod compression;
pub(crate) mod cors;
pub(crate) mod listener;
pub(crate) mod negotiation;
mod openapi;
pub(crate) mod peer;
pub(crate) mod problem;
pub(crate) mod request_body;
pub(crate) mod rest;
pub(crate) mod router;
pub(crate) mod static_files;

/// What the server answers with.
pub(crate) type Response = hyper::Response<body::ResponseBody>;
