//! Packages that a component's configuration names (`spec/harper-components.md` section 3): what the
//! host tells of each, how their code looks at the component's files, and what went wrong.

use std::path::PathBuf;
use std::time::Duration;

use kora_resource::Value;

/// A package with code that is started with the component: a plugin (`handleApplication`) or an
/// extension of the older kind (`start`, `handleFile`, ...). Which of the two, its exports say.
#[derive(Debug, Clone)]
pub struct Plugin {
    /// The key in the component's configuration.
    pub name: String,
    pub module: PathBuf,
    /// Everything under the key.
    pub options: Value,
    /// How many of the component's modules are loaded before it.
    pub position: usize,
    /// The limit that the configuration gives; the module's own or 30 s without one.
    pub timeout: Option<Duration>,
    /// The path on which its failure is answered, without slashes at its ends.
    pub url_path: String,
}

/// A plugin that could not be started.
#[derive(Debug, Clone)]
pub struct PluginFailure {
    pub name: String,
    pub url_path: String,
    pub message: String,
}

/// The files of a component, as its configuration names them: the host knows globs and mounts.
pub trait ComponentFiles: Send + Sync + 'static {
    /// Finds what the `files` and `urlPath` of `options` name, in order of the paths.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the options, or what can't be read.
    fn scan(&self, options: &Value) -> Result<Vec<FoundEntry>, String>;
}

/// A file or a directory that a plugin takes.
#[derive(Debug, Clone)]
pub struct FoundEntry {
    pub path: PathBuf,
    /// Begins with a slash.
    pub url_path: String,
    pub is_directory: bool,
    /// In bytes.
    pub size: u64,
    /// Milliseconds since the epoch.
    pub modified: f64,
}

/// What is known to a component's code besides its own files.
#[derive(Debug, Clone, Default)]
pub struct HostSettings {
    /// The whole configuration of the host: `server.config`.
    pub config: Value,
    /// The component's own configuration file: `scope.options.getRoot()`.
    pub component_config: Value,
    /// `server.hostname`.
    pub hostname: Option<String>,
    /// The least level that is logged: a name of `harperdb/logger.ts`.
    pub log_level: Option<String>,
    /// Tables that the component's schema exports: path, database, table.
    pub exported_tables: Vec<(String, String, String)>,
}
