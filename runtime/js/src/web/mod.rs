//! Deno's own extensions that give components the web's global names.

use std::sync::Arc;

use deno_core::Extension;
use deno_permissions::{PermissionsContainer, RuntimePermissionDescriptorParser};
use deno_web::{BlobStore, InMemoryBroadcastChannel};

deno_core::extension!(
    deno_net,
    lazy_loaded_js = [dir "src/web", "02_tls.js"],
    docs = "The one script of deno_net that fetch asks for.",
);

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
        deno_net::init(),
        deno_fetch::deno_fetch::init(deno_fetch::Options {
            user_agent: concat!("kora/", env!("CARGO_PKG_VERSION")).to_owned(),
            ..deno_fetch::Options::default()
        }),
        deno_crypto::deno_crypto::init(None),
    ]
}

/// What a component may do: everything that the extensions above can do. Narrowing it per component
/// comes with file and network settings.
pub(crate) fn permissions() -> PermissionsContainer {
    let parser = RuntimePermissionDescriptorParser::new(sys_traits::impls::RealSys);
    PermissionsContainer::allow_all(Arc::new(parser))
}
