//! The modules and plugins of one application: what they need, and loading them into one generation.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use kora_store::Store;

use super::{Application, LoadFailure, run_blocking};
use crate::components::entries::Entries;
use crate::components::registry::{Claim, Registration, Served};
use crate::components::{Settings, environment, packages};
use crate::config::component::{Order, PackageOptions};
use crate::config::file_set::FoundFile;

impl Application {
    /// Has the packages installed and reads the environment files; `None` if that failed.
    pub(super) async fn prepare(&mut self) -> Option<HashMap<String, String>> {
        if self.resources.is_none() && self.packages.is_empty() {
            return Some(HashMap::new());
        }
        let (directory, name) = (self.directory.clone(), self.name.clone());
        let environment = self.environment.clone();
        let prepared = run_blocking(move || {
            packages::ensure(&directory, &name).map_err(LoadFailure::Packages)?;
            let loaded = environment.map(|files| environment::load(&files, &directory));
            loaded.transpose().map_err(|source| LoadFailure::Files {
                application: name,
                source: Arc::new(source),
            })
        })
        .await;
        match prepared {
            Ok(environment) => Some(environment.unwrap_or_default()),
            Err(failure) => {
                self.fail(&self.resources_mount(), failure);
                None
            }
        }
    }

    /// Loads modules and plugins into one generation.
    pub(super) async fn load_code(
        &mut self,
        plugins: Vec<(PackageOptions, PathBuf)>,
        environment: HashMap<String, String>,
        settings: &Settings,
        store: &Arc<Store>,
    ) {
        let Some(modules) = self.list_modules().await else { return };
        if modules.is_empty() && plugins.is_empty() {
            return;
        }
        let last = modules.len();
        let application = kora_js::Application {
            name: self.name.clone(),
            directory: self.directory.clone(),
            modules,
            workers: settings.workers,
            environment,
            grants: self.grants.clone(),
            limits: self.limits.or(kora_js::DEFAULT_LIMITS),
            plugins: plugins
                .iter()
                .map(|(options, module)| plugin(options, module, last))
                .collect(),
            files: Some(Arc::new(Entries {
                name: self.name.clone(),
                directory: self.directory.clone(),
            })),
            settings: self.host_settings(settings),
        };
        match kora_js::load(application, store.clone(), settings.users.clone()).await {
            Ok(guest) => {
                for failure in guest.plugin_failures() {
                    if let Some((options, _)) =
                        plugins.iter().find(|(options, _)| options.key == failure.name)
                    {
                        self.fail_plugin(options, failure.message.clone());
                    }
                }
                self.guest = Some(guest);
            }
            Err(error) => self.fail(&self.resources_mount(), Arc::new(error).into()),
        }
    }

    /// The modules of `jsResource`; `None` if its files can't be listed.
    async fn list_modules(&mut self) -> Option<Vec<kora_js::ResourceModule>> {
        let Some(files) = self.resources.clone() else { return Some(Vec::new()) };
        let (directory, set) = (self.directory.clone(), files.clone());
        let listed = match run_blocking(move || set.list(&directory)).await {
            Ok(listed) => listed,
            Err(source) => {
                let (application, source) = (self.name.clone(), Arc::new(source));
                self.fail(&self.resources_mount(), LoadFailure::Files { application, source });
                return None;
            }
        };
        if listed.is_empty() {
            self.warn_of_no_files("jsResource", &files);
        }
        let (mut modules, mut others) = (Vec::new(), Vec::new());
        for FoundFile { path, url_directory } in listed {
            match FileKind::of(&path) {
                FileKind::Module => modules.push(kora_js::ResourceModule { path, url_directory }),
                FileKind::ByProduct => {}
                FileKind::Other => others.push(path),
            }
        }
        self.warn_of_others(&others);
        Some(modules)
    }

    /// Says once what globs of `jsResource` match besides modules.
    fn warn_of_others(&mut self, others: &[PathBuf]) {
        let Some(first) = others.first() else { return };
        let place = self.places.get("jsResource").map(|place| format!("{place}: "));
        let more = match others.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        self.warnings.push(format!(
            "{}jsResource: skipped what is no JavaScript or TypeScript: {}{more}",
            place.unwrap_or_default(),
            first.strip_prefix(&self.directory).unwrap_or(first).display()
        ));
    }

    /// Below which path the modules' exports lie.
    fn resources_mount(&self) -> String {
        self.resources.as_ref().map(|files| files.mount().to_owned()).unwrap_or_default()
    }

    /// What code is told of its host.
    fn host_settings(&self, settings: &Settings) -> kora_js::HostSettings {
        let exported = self.registrations.iter().filter_map(|registration| {
            let (database, table) = registration.table.clone()?;
            Some((registration.path.clone(), database, table))
        });
        kora_js::HostSettings {
            config: settings.root.document(),
            component_config: self.document.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            hostname: settings.root.hostname(),
            log_level: self.log_level.clone().or_else(|| settings.log_level.clone()),
            exported_tables: exported.collect(),
        }
    }
}

/// What a file is to `jsResource`, whose globs often name whole folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileKind {
    Module,
    /// What compilers put beside modules, and the data that modules import.
    ByProduct,
    Other,
}

impl FileKind {
    fn of(path: &Path) -> FileKind {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
        match ending {
            "ts" | "mts" | "cts" if stem.ends_with(".d") => FileKind::ByProduct,
            "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx" => FileKind::Module,
            "map" | "json" | "tsbuildinfo" => FileKind::ByProduct,
            _ => FileKind::Other,
        }
    }
}

/// A plugin as it is started; the component's modules stand at positions up to `last`.
fn plugin(options: &PackageOptions, module: &Path, last: usize) -> kora_js::Plugin {
    kora_js::Plugin {
        name: options.key.clone(),
        module: module.to_owned(),
        options: options.options.clone(),
        position: match options.order {
            Order::BeforeResources => 0,
            Order::AfterResources => last,
        },
        timeout: options.timeout.map(Duration::from_millis),
        url_path: options.url_path.clone(),
    }
}

/// What a component's code exports, as the registry takes it.
pub(super) fn exported(exported: kora_js::Exported) -> Registration {
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
