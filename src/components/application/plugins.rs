//! The packages that an application's configuration names: finding them, answering for those that
//! fail, and leaving to them what they handle of a change.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use kora_resource::Value;
use kora_store::Store;

use super::{Application, LoadFailure};
use crate::components::Settings;
use crate::components::discovery::FoundApplication;
use crate::components::plugin_packages::{self, Package};
use crate::config::component::{ComponentConfig, FILE_NAMES, PackageOptions};
use crate::config::file_set::{FileSet, relative_path};

impl Application {
    /// Finds the packages that the configuration names: applications are loaded, code is left for
    /// [`Application::load_code`]. One that is not installed is skipped with a warning.
    pub(super) async fn load_packages(
        &mut self,
        settings: &Settings,
        store: &Arc<Store>,
        depth: usize,
    ) -> Vec<(PackageOptions, PathBuf)> {
        /// Deeper than this, packages name each other in a circle.
        const DEEPEST: usize = 8;
        let mut code = Vec::new();
        for options in self.packages.clone() {
            let (place, key, package) = (&options.place, &options.key, &options.package);
            let Some(folder) = plugin_packages::find(package, &self.directory, &settings.directory)
            else {
                self.warnings.push(format!(
                    "{place}: the package {package} of `{key}` is not installed; skipped: install it \
                     into {}",
                    self.directory.join("node_modules").display()
                ));
                continue;
            };
            match plugin_packages::inspect(&folder) {
                Ok(Package::Code(module)) => {
                    // It may lie outside of what the component may read.
                    self.grants.read.push(folder.to_string_lossy().into_owned());
                    code.push((options, module));
                }
                Ok(Package::Application(directory)) if depth < DEEPEST => {
                    let found = FoundApplication { name: key.clone(), directory };
                    let nested = Application::load_at(&found, settings, store, depth + 1);
                    self.nested.push(Box::pin(nested).await);
                }
                Ok(Package::Application(_)) => {
                    let message = "its packages name each other in a circle".to_owned();
                    self.fail_plugin(&options, message);
                }
                Err(message) => self.fail_plugin(&options, message),
            }
        }
        code
    }

    pub(super) fn fail_plugin(&mut self, options: &PackageOptions, message: String) {
        let (place, name) = (options.place.clone(), options.key.clone());
        self.fail(&options.url_path, LoadFailure::Plugin { place, name, message });
    }

    /// Leaves a change to the plugins: true if they have handled all of it, and nothing has to be
    /// loaded again.
    pub(in crate::components) async fn absorbs(&self, changed: &[PathBuf]) -> bool {
        let Some(guest) = &self.guest else { return false };
        if self.packages.is_empty() {
            return false;
        }
        let mut others = Vec::new();
        let mut document = None;
        for path in changed {
            let Some(relative) = relative_path(&self.directory, path) else { continue };
            if !FILE_NAMES.contains(&relative.as_str()) {
                if self.is_own_code(&relative) {
                    return false;
                }
                others.push(path.clone());
                continue;
            }
            match ComponentConfig::read(&self.directory, &self.name) {
                Ok(config) => document = Some(config.document),
                Err(_) => return false,
            }
        }
        if let Some(document) = &document {
            let known = self.document.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.differs_in_plugins_only(&known, document) {
                return false;
            }
        }
        let handled = guest.changed(&others, document.clone()).await;
        if let (true, Some(document)) = (handled, document) {
            *self.document.lock().unwrap_or_else(PoisonError::into_inner) = document;
        }
        handled
    }

    /// Whether the host itself or the component's modules come from this file.
    fn is_own_code(&self, relative: &str) -> bool {
        let takes = |files: &Option<FileSet>| files.as_ref().is_some_and(|f| f.contains(relative));
        takes(&self.schemas) || takes(&self.resources)
    }

    fn differs_in_plugins_only(&self, before: &Value, after: &Value) -> bool {
        let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else {
            return false;
        };
        let is_plugin = |key: &str| self.packages.iter().any(|package| package.key == key);
        let keys = before.keys().chain(after.keys());
        keys.filter(|key| !is_plugin(key)).all(|key| before.get(key) == after.get(key))
    }
}
