//! Loading one application: its configuration, then its schema, then its classes
//! (`spec/harper-components.md` section 1.2).
//!
//! Each step that fails is remembered and answered for by an error on its paths; the other steps go
//! on. Blocking work (reading files, building tables) runs off the async threads.

mod code;
mod guests;
mod plugins;
mod schemas;
mod static_mount;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kora_resource::Resource;
use kora_resource::middleware::Middleware;
use kora_resource::schema::{Protocols, SchemaError};
use kora_store::{Store, StoreError};

use super::discovery::FoundApplication;
use super::failed_resource::FailedResource;
use super::registry::{Claim, Registration, Served};
use super::{Settings, data_loader};
use crate::config::component::{
    ComponentConfig, ConfigError, EnvironmentFiles, FILE_NAMES, PackageOptions, RestOptions,
};
use crate::config::file_set::{FileSet, relative_path};
use crate::config::guests::GuestOptions;
use crate::config::limits::LimitOptions;
use crate::users::{LoginResource, RolesFile};
use code::exported;
pub use guests::Guests;
use schemas::{apply_schemas, registration};
pub use static_mount::StaticMount;

/// How long the server waits for guest code to end. Its threads give up by themselves before.
const GUEST_TIMEOUT: Duration = Duration::from_secs(4);

/// Why a part of an application did not load. Its text names the file and the line.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoadFailure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Schema(#[from] Arc<SchemaError>),
    #[error("the tables of {application} can't be made: {source}")]
    Tables { application: String, source: Arc<StoreError> },
    #[error(transparent)]
    Resources(#[from] Arc<kora_js::LoadError>),
    #[error(transparent)]
    Guest(#[from] Arc<kora_wasm::LoadError>),
    #[error("the files of {application} can't be read: {source}")]
    Files { application: String, source: Arc<io::Error> },
    /// `place` is file and line of the configuration that names it.
    #[error("{place}: the plugin {name} did not start: {message}")]
    Plugin { place: String, name: String, message: String },
    #[error("{0}")]
    Packages(String),
}

/// One version of one application.
pub(super) struct Application {
    pub(super) directory: PathBuf,
    pub(super) registrations: Vec<Registration>,
    pub(super) statics: Option<StaticMount>,
    pub(super) rest: Option<RestOptions>,
    pub(super) failures: Vec<LoadFailure>,
    name: String,
    warnings: Vec<String>,
    packages: Vec<PackageOptions>,
    log_level: Option<String>,
    /// Where each key of the configuration file stands; empty without a file.
    places: HashMap<String, String>,
    /// The configuration file as its plugins know it.
    document: Mutex<kora_resource::Value>,
    /// Applications in packages that the configuration names.
    nested: Vec<Application>,
    schemas: Option<FileSet>,
    resources: Option<FileSet>,
    environment: Option<EnvironmentFiles>,
    grants: kora_js::Grants,
    data: Option<FileSet>,
    guests: GuestOptions,
    limits: LimitOptions,
    roles: Option<FileSet>,
    guest: Option<Arc<kora_js::Generation>>,
}

impl Application {
    /// Loads the application that was found. Never fails as a whole: see `failures`.
    pub(super) async fn load(
        found: &FoundApplication,
        settings: &Settings,
        store: &Arc<Store>,
    ) -> Application {
        Application::load_at(found, settings, store, 0).await
    }

    /// `depth` counts the packages that name each other down to this application.
    async fn load_at(
        found: &FoundApplication,
        settings: &Settings,
        store: &Arc<Store>,
        depth: usize,
    ) -> Application {
        let mut application = Application {
            directory: found.directory.clone(),
            name: found.name.clone(),
            registrations: Vec::new(),
            statics: None,
            rest: None,
            failures: Vec::new(),
            warnings: Vec::new(),
            packages: Vec::new(),
            log_level: None,
            places: HashMap::new(),
            document: Mutex::default(),
            nested: Vec::new(),
            schemas: None,
            resources: None,
            environment: None,
            grants: kora_js::Grants::default(),
            data: None,
            guests: GuestOptions::default(),
            limits: LimitOptions::default(),
            roles: None,
            guest: None,
        };
        match ComponentConfig::read(&found.directory, &found.name) {
            Ok(config) => application.configure(config, settings),
            Err(error) => {
                application.fail("", error.into());
                return application;
            }
        }
        application.load_schemas(store).await;
        application.load_roles(settings, store).await;
        application.load_data(store).await;
        application.load_guests(settings, store).await;
        let Some(environment) = application.prepare().await else { return application };
        let plugins = application.load_packages(settings, store, depth).await;
        application.load_code(plugins, environment, settings, store).await;
        application
    }

    /// Whether a change of `path` asks for loading again. Static files don't: they are read from
    /// disk for each request. Everything else might be imported by a resource.
    pub(super) fn depends_on(&self, path: &Path) -> bool {
        let Some(relative) = relative_path(&self.directory, path) else { return false };
        if FILE_NAMES.contains(&relative.as_str()) {
            return true;
        }
        let takes = |files: &Option<FileSet>| files.as_ref().is_some_and(|f| f.contains(&relative));
        if takes(&self.schemas)
            || takes(&self.resources)
            || takes(&self.guests.files)
            || takes(&self.roles)
        {
            return true;
        }
        !self.statics.as_ref().is_some_and(|mount| mount.options.files.contains(&relative))
    }

    /// Logs what the configuration asked for in vain.
    /// What the version before, if there is one, has said already is not said again.
    pub(super) fn report_warnings(&self, before: Option<&Application>) {
        let is_new = |warning: &&String| before.is_none_or(|old| !old.warnings.contains(warning));
        for warning in self.warnings.iter().filter(is_new) {
            tracing::warn!("{warning}");
        }
        for nested in &self.nested {
            nested.report_warnings(None);
        }
    }

    /// This application and those in its packages.
    pub(super) fn with_nested(&self) -> Vec<&Application> {
        let mut all = vec![self];
        all.extend(self.nested.iter().flat_map(Application::with_nested));
        all
    }

    /// What of this application and those in its packages did not load.
    pub(super) fn all_failures(&self) -> Vec<LoadFailure> {
        self.with_nested().iter().flat_map(|part| part.failures.iter().cloned()).collect()
    }

    /// The listeners that stand before all requests.
    pub(super) fn middleware(&self) -> Option<&Arc<dyn Middleware>> {
        self.guest.as_ref()?.middleware()
    }

    /// Who answers for WebSockets that no resource answers for.
    pub(super) fn sockets(&self) -> Option<Arc<dyn Resource>> {
        self.guest.as_ref()?.sockets()
    }

    /// Who is told of the clients of the MQTT broker.
    pub(super) fn mqtt_watcher(&self) -> Option<Arc<dyn Resource>> {
        self.guest.as_ref()?.mqtt_watcher()
    }

    /// Has the tables ask this version's caching sources.
    pub(super) fn activate(&self) {
        if let Some(guest) = &self.guest {
            guest.activate();
        }
    }

    /// Everything with a path: what was found at load, and what its code exports by now.
    pub(super) fn registrations(&self) -> Vec<Registration> {
        let exports = self.guest.iter().flat_map(|guest| guest.exports());
        self.registrations.iter().cloned().chain(exports.map(exported)).collect()
    }

    /// Told whenever its code registers something; `None` without code.
    pub(super) fn changes(&self) -> Option<tokio::sync::watch::Receiver<u64>> {
        self.guest.as_ref().map(|guest| guest.changes())
    }

    /// Lets what this version began come to its end, for at most `grace`.
    pub(super) fn retire(&self, grace: Duration) {
        for part in self.with_nested() {
            if let Some(guest) = &part.guest {
                guest.clone().retire(grace);
            }
        }
    }

    /// Stops this version's guest code now.
    pub(super) fn shutdown(&self) {
        for part in self.with_nested() {
            if let Some(guest) = &part.guest {
                guest.shutdown();
            }
        }
    }

    /// As [`Application::shutdown`]; resolves when the guest's threads have ended.
    pub(super) async fn stop(&self) {
        for part in self.with_nested() {
            if let Some(guest) = &part.guest {
                guest.stop(GUEST_TIMEOUT).await;
            }
        }
    }

    fn configure(&mut self, config: ComponentConfig, settings: &Settings) {
        self.rest = config.rest;
        self.warnings = config.warnings;
        self.packages = config.packages;
        self.log_level = config.log_level;
        self.places = config.places;
        self.document = Mutex::new(config.document);
        self.schemas = config.schemas;
        self.resources = config.resources;
        self.environment = config.environment;
        self.grants = config.grants;
        self.data = config.data;
        self.guests = config.guests;
        self.limits = config.limits;
        self.roles = config.roles;
        if config.login {
            self.registrations.push(Registration {
                path: LoginResource::PATH.to_owned(),
                resource: LoginResource::new(settings.users.clone()),
                table: None,
                protocols: Protocols::default(),
                // It looks at the request for its cookies, as guests do.
                served: Served::ByGuest,
                claim: Claim::Ordinary,
            });
        }
        let directory = self.directory.clone();
        self.statics = config.statics.map(|options| StaticMount {
            directory,
            data: settings.data.clone(),
            options,
        });
    }

    async fn load_schemas(&mut self, store: &Arc<Store>) {
        let Some(files) = self.schemas.clone() else { return };
        let mount = files.mount().to_owned();
        let (directory, name, store) = (self.directory.clone(), self.name.clone(), store.clone());
        let listed = files.clone();
        let work = move || apply_schemas(&listed, &directory, &name, &store);
        match run_blocking(work).await {
            Ok(applied) => {
                if applied.files == 0 {
                    self.warn_of_no_files("graphqlSchema", &files);
                }
                self.warnings.extend(applied.warnings);
                self.registrations.extend(applied.tables.into_iter().filter_map(registration));
            }
            Err(failure) => self.fail(&mount, failure),
        }
    }

    /// Before the classes, whose modules may read the tables as they load.
    async fn load_data(&mut self, store: &Arc<Store>) {
        if let Some(files) = self.data.clone() {
            self.warnings.extend(data_loader::load(files, &self.directory, store).await);
        }
    }

    /// Roles are no reason not to serve: what is wrong with them is reported.
    async fn load_roles(&mut self, settings: &Settings, store: &Arc<Store>) {
        let Some(files) = self.roles.clone() else { return };
        let directory = self.directory.clone();
        let read = run_blocking(move || {
            let listed = files.list(&directory)?;
            listed.iter().map(|file| RolesFile::read(&file.path)).collect::<io::Result<Vec<_>>>()
        });
        match read.await {
            Ok(files) => {
                for file in files {
                    self.warnings.extend(file.apply(&settings.users, store).await);
                }
            }
            Err(error) => {
                self.warnings.push(format!("the roles of {} can't be read: {error}", self.name));
            }
        }
    }

    /// Says that a key of the configuration file names files that are not there.
    fn warn_of_no_files(&mut self, key: &str, files: &FileSet) {
        if let Some(place) = self.places.get(key) {
            self.warnings.push(format!("{place}: {key}: no file matches {files}"));
        }
    }

    /// Answers 500 with the reason for everything below `path` that nothing else answers for.
    fn fail(&mut self, path: &str, failure: LoadFailure) {
        if !self.registrations.iter().any(|registration| registration.path == path) {
            self.registrations.push(Registration {
                path: path.to_owned(),
                resource: FailedResource::new(self.name.clone(), failure.to_string()),
                table: None,
                protocols: Protocols::default(),
                served: Served::Natively,
                claim: Claim::Ordinary,
            });
        }
        // A browser must reach the error even if nothing in the configuration turned REST on.
        self.rest.get_or_insert(RestOptions { last_modified: false, web_socket: true });
        self.failures.push(failure);
    }
}

/// Runs blocking work on the blocking pool.
pub(super) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // The task is never aborted, so a failed join is a panic of the work: let it go on here.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
