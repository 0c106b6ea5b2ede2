//! The files of a component for its plugins: globs, mounts and the folder are the host's knowledge.

use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use kora_js::{ComponentFiles, FoundEntry};
use kora_resource::Value;
use serde_yaml_ng::Value as Yaml;

use crate::config::files_option::{Only, file_set};
use crate::config::yaml::from_value;

/// One component's folder.
pub(super) struct Entries {
    pub(super) name: String,
    pub(super) directory: PathBuf,
}

impl ComponentFiles for Entries {
    fn scan(&self, options: &Value) -> Result<Vec<FoundEntry>, String> {
        let options = from_value(options);
        let set = file_set(&options, "**/*", &self.name, &self.directory)?;
        let only = Only::of(&options)?;
        refuse_absolute(options.get("files").unwrap_or(&Yaml::Null))?;
        let unreadable = |error: std::io::Error| {
            format!("the files of {} can't be read: {error}", self.directory.display())
        };
        let mut found = Vec::new();
        for (path, url_path) in set.entries(&self.directory).map_err(unreadable)? {
            // Gone since the folder was listed: as if it had never been there.
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            let is_directory = metadata.is_dir();
            if only != Only::All && is_directory != (only == Only::Directories) {
                continue;
            }
            let age = metadata
                .modified()
                .ok()
                .and_then(|modified| modified.duration_since(UNIX_EPOCH).ok())
                .unwrap_or_default();
            found.push(FoundEntry {
                path,
                url_path,
                is_directory,
                size: metadata.len(),
                modified: age.as_secs_f64() * 1000.0,
            });
        }
        Ok(found)
    }
}

/// Older extensions took a slash at the beginning for the component's folder; plugins may not use it.
fn refuse_absolute(files: &Yaml) -> Result<(), String> {
    match files {
        Yaml::String(glob) if glob.starts_with('/') => Err(format!(
            "`{glob}` must not begin with a slash: globs begin at the component's folder"
        )),
        Yaml::Sequence(globs) => globs.iter().try_for_each(refuse_absolute),
        Yaml::Mapping(mapping) => mapping.get("source").map_or(Ok(()), refuse_absolute),
        Yaml::String(_) | Yaml::Null | Yaml::Bool(_) | Yaml::Number(_) | Yaml::Tagged(_) => Ok(()),
    }
}
