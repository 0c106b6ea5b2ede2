//! `loadEnv`: dotenv files that become the environment of one application
//! (`spec/harper-components.md` section 2).
//!
//! They are read before any of its modules is loaded, wherever the key stands in the file. The server's own
//! environment does not change: each application sees its variables over it.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use crate::config::component::EnvironmentFiles;

/// The variables of an application in `directory`, later files over earlier ones. A file that is missing
/// has none. A variable of the server's wins, unless the files are to override it.
pub(super) fn load(
    files: &EnvironmentFiles,
    directory: &Path,
) -> io::Result<HashMap<String, String>> {
    let mut variables = HashMap::new();
    let mut paths = Vec::new();
    for base in files.files.bases() {
        let folder = directory.join(base);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            // Hidden files, which other plugins never take, are the rule here.
            let relative = crate::config::file_set::relative_path(directory, &path);
            if relative.is_some_and(|relative| files.files.contains(&relative)) && path.is_file() {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths.dedup();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        deno_dotenv::parse_env_content_hook(&text, &mut |key, value| {
            if files.overrides || std::env::var_os(key).is_none() {
                variables.insert(key.to_owned(), value.to_owned());
            }
        });
    }
    Ok(variables)
}
