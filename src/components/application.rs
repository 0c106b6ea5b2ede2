//! Loading one application: its configuration, then its schema, then its classes
//! (`spec/harper-components.md` section 1.2).
//!
//! Each step that fails is remembered and answered for by an error on its paths; the other steps go
//! on. Blocking work (reading files, building tables) runs off the async threads.

mod guests;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kora_resource::Resource;
use kora_resource::schema::{self, Protocols, SchemaError, TableSchema};
use kora_store::{Store, StoreError, Table};

use super::{Settings, data_loader};
use super::discovery::FoundApplication;
use super::failed_resource::FailedResource;
use super::registry::{Claim, Registration, Served};
use super::{environment, packages};
use crate::config::component::{
    ComponentConfig, ConfigError, EnvironmentFiles, FILE_NAMES, RestOptions, StaticOptions,
};
use crate::config::file_set::{FileSet, join, relative_path};
use crate::config::guests::GuestOptions;
use crate::config::limits::LimitOptions;
use crate::users::{LoginResource, RolesFile};
pub use guests::Guests;

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
    #[error("{0}")]
    Packages(String),
}

/// A folder of static files and where it is mounted.
#[derive(Debug, Clone)]
pub struct StaticMount {
    /// The application's folder.
    pub directory: PathBuf,
    /// The data directory, which is never served wherever it lies.
    pub data: PathBuf,
    pub options: StaticOptions,
}

impl StaticMount {
    /// Adds the first URL segments under which this mount has something.
    pub(super) fn collect_first_segments(&self, names: &mut HashSet<String>) {
        let mount = self.options.files.mount();
        if !mount.is_empty() {
            names.insert(mount.split('/').next().unwrap_or(mount).to_owned());
            return;
        }
        for base in self.options.files.bases() {
            // A missing folder is an empty one.
            for entry in
                std::fs::read_dir(self.directory.join(base)).into_iter().flatten().flatten()
            {
                let Ok(name) = entry.file_name().into_string() else { continue };
                if name == "index.html" {
                    names.insert(String::new());
                }
                for extension in &self.options.extensions {
                    let stem = name.strip_suffix(extension).and_then(|stem| stem.strip_suffix('.'));
                    names.extend(stem.map(str::to_owned));
                }
                if entry.path().is_dir() || self.options.files.contains(&join(base, &name)) {
                    names.insert(name);
                }
            }
        }
    }
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
        let mut application = Application {
            directory: found.directory.clone(),
            name: found.name.clone(),
            registrations: Vec::new(),
            statics: None,
            rest: None,
            failures: Vec::new(),
            warnings: Vec::new(),
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
        application.load_resources(settings, store).await;
        application.load_guests(settings, store).await;
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
    pub(super) fn report_warnings(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
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
        if let Some(guest) = &self.guest {
            guest.clone().retire(grace);
        }
    }

    /// Stops this version's guest code now.
    pub(super) fn shutdown(&self) {
        if let Some(guest) = &self.guest {
            guest.shutdown();
        }
    }

    /// As [`Application::shutdown`]; resolves when the guest's threads have ended.
    pub(super) async fn stop(&self) {
        if let Some(guest) = &self.guest {
            guest.stop(GUEST_TIMEOUT).await;
        }
    }

    fn configure(&mut self, config: ComponentConfig, settings: &Settings) {
        self.rest = config.rest;
        self.warnings = config.warnings;
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
        let work = move || apply_schemas(&files, &directory, &name, &store);
        match run_blocking(work).await {
            Ok(applied) => {
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

    async fn load_resources(&mut self, settings: &Settings, store: &Arc<Store>) {
        let Some(files) = self.resources.clone() else { return };
        let mount = files.mount().to_owned();
        let directory = self.directory.clone();
        let listed = match run_blocking(move || files.list(&directory)).await {
            Ok(listed) => listed,
            Err(source) => {
                let application = self.name.clone();
                self.fail(&mount, LoadFailure::Files { application, source: Arc::new(source) });
                return;
            }
        };
        if listed.is_empty() {
            return;
        }
        let (directory, name) = (self.directory.clone(), self.name.clone());
        let environment = self.environment.clone();
        let prepared = run_blocking(move || {
            packages::ensure(&directory, &name).map_err(LoadFailure::Packages)?;
            environment
                .map_or_else(|| Ok(HashMap::new()), |files| environment::load(&files, &directory))
                .map_err(|source| LoadFailure::Files {
                    application: name,
                    source: Arc::new(source),
                })
        })
        .await;
        let environment = match prepared {
            Ok(environment) => environment,
            Err(failure) => return self.fail(&mount, failure),
        };
        let application = kora_js::Application {
            name: self.name.clone(),
            directory: self.directory.clone(),
            modules: listed
                .into_iter()
                .map(|file| kora_js::ResourceModule {
                    path: file.path,
                    url_directory: file.url_directory,
                })
                .collect(),
            workers: settings.workers,
            environment,
            grants: self.grants.clone(),
            limits: self.limits.or(kora_js::DEFAULT_LIMITS),
        };
        match kora_js::load(application, store.clone(), settings.users.clone()).await {
            Ok(guest) => {
                self.guest = Some(guest);
            }
            Err(error) => self.fail(&mount, Arc::new(error).into()),
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

/// A table and the path that its schema exports it under.
struct ExportedTable {
    table: Arc<Table>,
    schema: TableSchema,
    url_directory: String,
}

/// What an application's schema files came to.
struct AppliedSchemas {
    tables: Vec<ExportedTable>,
    /// Each begins with file and line.
    warnings: Vec<String>,
}

/// Parses all schema files and makes their tables.
fn apply_schemas(
    files: &FileSet,
    directory: &Path,
    application: &str,
    store: &Arc<Store>,
) -> Result<AppliedSchemas, LoadFailure> {
    let unreadable = |source: io::Error| LoadFailure::Files {
        application: application.to_owned(),
        source: Arc::new(source),
    };
    let mut schemas: Vec<TableSchema> = Vec::new();
    let mut url_directories = Vec::new();
    let mut warnings = Vec::new();
    for file in files.list(directory).map_err(unreadable)? {
        let text = std::fs::read_to_string(&file.path).map_err(unreadable)?;
        let parsed = schema::parse(&text, &file.path).map_err(Arc::new)?;
        let shown = file.path.display();
        warnings.extend(parsed.warnings.iter().map(|warning| format!("{shown}:{warning}")));
        for table in parsed.tables {
            url_directories.push(file.url_directory.clone());
            schemas.push(table);
        }
    }
    let tables = store.apply(&schemas).map_err(|source| LoadFailure::Tables {
        application: application.to_owned(),
        source: Arc::new(source),
    })?;
    let tables = tables
        .into_iter()
        .zip(schemas)
        .zip(url_directories)
        .map(|((table, schema), url_directory)| ExportedTable { table, schema, url_directory })
        .collect();
    Ok(AppliedSchemas { tables, warnings })
}

fn registration(exported: ExportedTable) -> Option<Registration> {
    let export = exported.schema.export.as_ref()?;
    Some(Registration {
        path: join(&exported.url_directory, export.path.trim_matches('/')),
        resource: exported.table as Arc<dyn Resource>,
        table: Some((exported.schema.database.clone(), exported.schema.table.clone())),
        protocols: export.protocols,
        served: Served::Natively,
        claim: Claim::Ordinary,
    })
}

/// What a component's code exports, as the registry takes it.
fn exported(exported: kora_js::Exported) -> Registration {
    let claim = match (exported.conflict, exported.force) {
        (Some(names), _) => Claim::Disputed(names),
        (None, true) => Claim::Forced,
        (None, false) => Claim::Ordinary,
    };
    Registration {
        path: exported.path,
        resource: exported.resource,
        table: exported.table,
        protocols: exported.protocols,
        served: Served::ByGuest,
        claim,
    }
}

/// Runs blocking work on the blocking pool.
pub(super) async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // The task is never aborted, so a failed join is a panic of the work: let it go on here.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
