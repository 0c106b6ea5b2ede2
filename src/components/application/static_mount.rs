//! The static files of one application, as the router looks for them.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::config::component::StaticOptions;
use crate::config::file_set::join;

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
    pub(in crate::components) fn collect_first_segments(&self, names: &mut HashSet<String>) {
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
