//! Finding applications: a folder is one, or holds some.

use std::io;
use std::path::{Path, PathBuf};

use super::{Settings, plugin_packages};
use crate::config::component::FILE_NAMES;
use crate::config::file_set::is_never_entered;
use crate::config::root::RootPackage;

/// One application's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundApplication {
    pub(super) name: String,
    pub(super) directory: PathBuf,
}

/// The folders and files that make a folder an application even without a configuration.
const APPLICATION_MARKS: [&str; 6] =
    ["resources.js", "resources.ts", "resources", "web", "schemas", "schema.graphql"];

/// All applications of a host: packages that the root configuration names, those in its
/// `componentsRoot`, then what lies in the folder that is served.
pub(super) fn discover_all(settings: &Settings) -> io::Result<Vec<FoundApplication>> {
    let mut all: Vec<FoundApplication> = Vec::new();
    for RootPackage { name, package } in settings.root.packages() {
        match plugin_packages::find(&package, &settings.directory, &settings.directory) {
            Some(directory) => all.push(FoundApplication { name, directory }),
            None => tracing::warn!(
                "the package {package} of `{name}` in the root configuration is not installed; skipped"
            ),
        }
    }
    let folders = settings.components_root.iter().chain([&settings.directory]);
    for folder in folders {
        for found in discover(folder)? {
            if !all.iter().any(|known| known.directory == found.directory) {
                all.push(found);
            }
        }
    }
    Ok(all)
}

/// The application in `directory`, or the applications below it in order of their names. An empty
/// folder is an application to be.
pub(super) fn discover(directory: &Path) -> io::Result<Vec<FoundApplication>> {
    if is_application(directory)? {
        return Ok(vec![found(directory)]);
    }
    let mut applications = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let hidden = path.file_name().and_then(|name| name.to_str()).is_none_or(is_never_entered);
        if !hidden && path.is_dir() {
            applications.push(found(&path));
        }
    }
    applications.sort_by(|a, b| a.name.cmp(&b.name));
    if applications.is_empty() {
        applications.push(found(directory));
    }
    Ok(applications)
}

fn found(directory: &Path) -> FoundApplication {
    let name = directory.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    FoundApplication { name, directory: directory.to_owned() }
}

fn is_application(directory: &Path) -> io::Result<bool> {
    if FILE_NAMES.iter().chain(&APPLICATION_MARKS).any(|name| directory.join(name).exists()) {
        return Ok(true);
    }
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_file() && path.extension().is_some_and(|extension| extension == "graphql") {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_applications_and_one_application() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["b", "a", ".kora", "node_modules"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let names = |found: Vec<FoundApplication>| {
            found.into_iter().map(|application| application.name).collect::<Vec<_>>()
        };
        assert_eq!(names(discover(dir.path()).unwrap()), ["a", "b"]);
        std::fs::write(dir.path().join("config.yaml"), "rest: true").unwrap();
        assert_eq!(discover(dir.path()).unwrap()[0].directory, dir.path());
    }
}
