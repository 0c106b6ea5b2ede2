//! An application's guests in WebAssembly: its `.wasm` files as resources.
//!
//! They are compiled off the async threads and run on threads of their own (`kora-wasm`). A guest lives as long as
//! somebody holds one of its resources: a replaced version ends with its last call and its last socket.

use std::path::PathBuf;
use std::sync::Arc;

use kora_resource::schema::Protocols;
use kora_store::Store;
use kora_wasm::{Guest, GuestEngine, GuestModule, LoadError};

use super::{Application, LoadFailure, run_blocking};
use crate::components::Settings;
use crate::components::registry::{Claim, Registration, Served};

/// The engine of all guests of the server, started for the first of them.
#[derive(Debug)]
pub struct Guests {
    options: kora_wasm::EngineOptions,
    engine: tokio::sync::OnceCell<Arc<GuestEngine>>,
}

impl Guests {
    /// `threads` run guests; compiled code is kept in `cache`.
    pub fn new(threads: usize, cache: PathBuf) -> Guests {
        let options = kora_wasm::EngineOptions { threads, cache: Some(cache) };
        Guests { options, engine: tokio::sync::OnceCell::new() }
    }

    async fn engine(&self) -> Result<&Arc<GuestEngine>, LoadError> {
        let start = || async {
            let options = self.options.clone();
            run_blocking(move || GuestEngine::start(options)).await
        };
        self.engine.get_or_try_init(start).await
    }
}

impl Application {
    /// Loads all `.wasm` files that the configuration names. One that fails is answered for by its error.
    pub(super) async fn load_guests(&mut self, settings: &Settings, store: &Arc<Store>) {
        let Some(files) = self.guests.files.clone() else { return };
        let mount = files.mount().to_owned();
        let directory = self.directory.clone();
        let listed = match run_blocking(move || files.list(&directory)).await {
            Ok(listed) => listed,
            Err(source) => {
                let application = self.name.clone();
                return self
                    .fail(&mount, LoadFailure::Files { application, source: Arc::new(source) });
            }
        };
        for file in listed {
            let module = GuestModule {
                path: file.path,
                component: self.name.clone(),
                config: match self.guests.config.as_str() {
                    "" => "null".to_owned(),
                    config => config.to_owned(),
                },
                allowed_hosts: self.guests.allowed_hosts.clone(),
                limits: self.limits.or(kora_wasm::DEFAULT_LIMITS),
            };
            let loaded = async {
                let engine = settings.guests.engine().await?;
                Guest::load(engine, module, store.clone()).await
            };
            match loaded.await {
                Ok(guest) => self.registrations.extend(
                    guest.exports(&file.url_directory).into_iter().map(|exported| Registration {
                        path: exported.path,
                        resource: exported.resource,
                        table: exported.table,
                        protocols: Protocols::default(),
                        served: Served::ByGuest,
                        claim: Claim::Ordinary,
                    }),
                ),
                Err(error) => self.fail(&file.url_directory, Arc::new(error).into()),
            }
        }
    }
}
