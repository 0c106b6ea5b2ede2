//! Deno's own extensions that give components the web's global names.

use std::sync::Arc;

use deno_core::Extension;
use deno_web::{BlobStore, InMemoryBroadcastChannel};

/// The extensions in the order of their dependencies. `fetch` may reach the network; it may not read
/// files (`file:` URLs are refused by its own handler).
pub(crate) fn extensions() -> Vec<Extension> {
    vec![
        deno_webidl::deno_webidl::init(),
        deno_web::deno_web::init(
            Arc::new(BlobStore::default()),
            None,
            false,
            InMemoryBroadcastChannel::default(),
        ),
        deno_tls::deno_tls::init(),
        deno_net::deno_net::init(None, None),
        deno_fetch::deno_fetch::init(deno_fetch::Options {
            user_agent: concat!("kora/", env!("CARGO_PKG_VERSION")).to_owned(),
            ..deno_fetch::Options::default()
        }),
        deno_websocket::deno_websocket::init(),
        deno_crypto::deno_crypto::init(None),
    ]
}
