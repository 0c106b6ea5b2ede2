//! Black box tests: the real binary, spoken to over sockets. One test binary, one module a subject.

#![allow(unreachable_pub, reason = "the harness is shared with other test binaries and benches")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on must fail")]

#[path = "../harness/mod.rs"]
mod harness;

mod applications;
mod bad_clients;
mod blobs;
mod browser;
mod caching;
mod class_limits;
mod class_reload;
mod classes;
mod components;
mod computed;
mod config;
mod connect;
mod content;
mod data_loader;
mod durability;
mod guests;
mod guides;
mod history;
mod logging;
mod middleware;
mod model;
mod mqtt;
mod negotiation;
mod node;
mod npm;
mod openapi;
mod plugins;
mod process;
mod queries;
mod realtime;
mod relations;
mod reload;
mod rest;
mod resume;
mod schema;
mod slow_readers;
mod socket_formats;
mod statics;
mod tls;
mod types;
mod usage;
mod users;
mod vectors;
