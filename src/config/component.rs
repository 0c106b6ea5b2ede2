//! An application's `config.yaml`: which built-in plugins it uses, with which files
//! (`spec/harper-components.md` sections 1 and 2).
//!
//! A configuration file replaces the defaults as a whole. What it names and this host does not have
//! (npm plugins, features of later slices) is tolerated and reported as a warning, because an
//! application of Harper must still start.

use std::path::{Path, PathBuf};

use kora_js::Grants;
use serde_yaml_ng::{Mapping, Value};

use super::file_set::FileSet;
use super::guests::{self, GuestOptions};
use super::limits::LimitOptions;
use super::permissions;
pub use super::static_options::StaticOptions;
use super::yaml::line_of_key;

/// The names under which the file may lie, the first found wins.
pub const FILE_NAMES: [&str; 4] =
    ["harperdb-config.yaml", "harper-config.yaml", "config.yaml", "config.yml"];

/// What an application asks for.
#[derive(Debug, Clone, Default)]
pub struct ComponentConfig {
    /// The file that said so; `None` for the defaults.
    pub file: Option<PathBuf>,
    pub rest: Option<RestOptions>,
    pub schemas: Option<FileSet>,
    pub resources: Option<FileSet>,
    pub statics: Option<StaticOptions>,
    pub environment: Option<EnvironmentFiles>,
    /// What the application's code may touch outside its folder.
    pub grants: Grants,
    /// Guests in WebAssembly.
    pub guests: GuestOptions,
    /// How much the application's code may use.
    pub limits: LimitOptions,
    /// `dataLoader`: files with records for tables.
    pub data: Option<FileSet>,
    /// Files of roles.
    pub roles: Option<FileSet>,
    /// `login: true`.
    pub login: bool,
    /// Sentences about what was skipped, each beginning with file and line.
    pub warnings: Vec<String>,
}

/// `rest:` and its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestOptions {
    /// Send `Last-Modified` with single records.
    pub last_modified: bool,
    pub web_socket: bool,
}

/// `loadEnv:` and its options.
#[derive(Debug, Clone)]
pub struct EnvironmentFiles {
    pub files: FileSet,
    /// Whether the files win over the server's own environment.
    pub overrides: bool,
}

/// A configuration that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {message}", file.display())]
pub struct ConfigError {
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    pub message: String,
}

/// Built-in plugins of Harper that this host does not have yet, and root options that some
/// applications carry along.
const NOT_YET: [&str; 10] = [
    "fastifyRoutes",
    "graphql",
    "authentication",
    "http",
    "mqtt",
    "logging",
    "operationsApi",
    "tls",
    "scheduler",
    "mcp",
];

impl ComponentConfig {
    /// Reads the configuration of the application `name` in `directory`; the defaults where it has none.
    pub fn read(directory: &Path, name: &str) -> Result<ComponentConfig, ConfigError> {
        for file_name in FILE_NAMES {
            let file = directory.join(file_name);
            match std::fs::read_to_string(&file) {
                Ok(text) => return ComponentConfig::parse(&file, &text, name),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    let message = format!("can't be read: {error}");
                    return Err(ConfigError { file, line: 1, message });
                }
            }
        }
        Ok(ComponentConfig::without_file())
    }

    /// The configuration in `text`, which was read from `file`.
    pub fn parse(file: &Path, text: &str, name: &str) -> Result<ComponentConfig, ConfigError> {
        let document: Value = serde_yaml_ng::from_str(text).map_err(|error| ConfigError {
            file: file.to_owned(),
            line: error.location().map_or(1, |location| location.line()),
            message: error.to_string(),
        })?;
        let mapping = match document {
            Value::Mapping(mapping) => mapping,
            Value::Null => Mapping::new(),
            _ => {
                return Err(ConfigError {
                    file: file.to_owned(),
                    line: 1,
                    message: "expected `plugin: options` lines".to_owned(),
                });
            }
        };
        let mut config = ComponentConfig { file: Some(file.to_owned()), ..Default::default() };
        for (key, options) in &mapping {
            let Some(key) = key.as_str() else { continue };
            config.take_plugin(key, options, name).map_err(|message| ConfigError {
                file: file.to_owned(),
                line: line_of_key(text, key),
                message: format!("{key}: {message}"),
            })?;
            if let Some(warning) = unavailable(key, options) {
                let line = line_of_key(text, key);
                config.warnings.push(format!("{}:{line}: {warning}", file.display()));
            }
        }
        Ok(config)
    }

    /// What an application without a configuration file gets (section 1.3).
    fn without_file() -> ComponentConfig {
        let files = |glob: &str| {
            FileSet::new(&[glob.to_owned()], &[], String::new())
                .expect("the default globs are valid")
        };
        ComponentConfig {
            rest: Some(RestOptions { last_modified: false, web_socket: true }),
            schemas: Some(files("*.graphql")),
            resources: Some(files("resources.{js,ts}")),
            guests: GuestOptions {
                files: Some(files(guests::DEFAULT_FILES)),
                ..GuestOptions::default()
            },
            statics: Some(StaticOptions::of(files("web/**"))),
            roles: Some(files("roles.yaml")),
            ..ComponentConfig::default()
        }
    }

    fn take_plugin(&mut self, key: &str, options: &Value, name: &str) -> Result<(), String> {
        if is_off(options) {
            return Ok(());
        }
        match key {
            "rest" | "REST" => {
                self.rest = Some(RestOptions {
                    last_modified: flag(options, "lastModified")?.unwrap_or(false),
                    web_socket: flag(options, "webSocket")?.unwrap_or(true),
                });
            }
            "graphqlSchema" => self.schemas = Some(file_set(options, "*.graphql", name)?),
            "jsResource" => self.resources = Some(file_set(options, "resources.{js,ts}", name)?),
            "static" => {
                let files = file_set(options, "web/**", name)?;
                let statics = StaticOptions::read(files, options, self.rest.is_some())?;
                self.warnings.extend(statics.warning());
                self.statics = Some(statics);
            }
            "dataLoader" => {
                self.data = Some(file_set(options, "data/*.{json,yaml,yml}", name)?);
            }
            "loadEnv" => {
                self.environment = Some(EnvironmentFiles {
                    files: file_set(options, ".env", name)?,
                    overrides: flag(options, "override")?.unwrap_or(false),
                });
            }
            "permissions" => {
                self.grants = permissions::grants(options)?;
                self.guests.allowed_hosts = guests::allowed_hosts(options);
            }
            "wasmResource" => {
                self.guests.files = Some(file_set(options, guests::DEFAULT_FILES, name)?);
            }
            "guest" => self.guests.config = guests::config(options)?,
            "limits" => self.limits = LimitOptions::read(options)?,
            "roles" => self.roles = Some(file_set(options, "roles.yaml", name)?),
            "login" => self.login = true,
            _ => {}
        }
        Ok(())
    }
}

fn is_supported(key: &str) -> bool {
    matches!(
        key,
        "rest"
            | "REST"
            | "graphqlSchema"
            | "jsResource"
            | "static"
            | "dataLoader"
            | "loadEnv"
            | "permissions"
            | "wasmResource"
            | "guest"
            | "limits"
            | "roles"
            | "login"
    )
}

/// What to tell about a key that has no effect here; `None` for what has.
fn unavailable(key: &str, options: &Value) -> Option<String> {
    if is_supported(key) || is_off(options) {
        return None;
    }
    if let Some(package) = options.get("package").and_then(Value::as_str) {
        return Some(format!("the plugin `{key}` (package {package}) is not available; skipped"));
    }
    if NOT_YET.contains(&key) {
        return Some(format!("`{key}` is not supported yet; skipped"));
    }
    Some(format!("unknown key `{key}`; skipped"))
}

fn is_off(options: &Value) -> bool {
    match options {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Bool(true)
        | Value::Number(_)
        | Value::Sequence(_)
        | Value::Mapping(_)
        | Value::Tagged(_) => false,
    }
}

pub(super) fn flag(options: &Value, key: &str) -> Result<Option<bool>, String> {
    match options.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(format!("`{key}` must be true or false")),
    }
}

/// The `files` and `urlPath` of a plugin. `true` means the plugin with its default files; a bare
/// string or list stands for `files`.
fn file_set(options: &Value, default: &str, name: &str) -> Result<FileSet, String> {
    let (files, url_path) = match options {
        Value::Bool(_) => (None, None),
        Value::String(_) | Value::Sequence(_) => (Some(options), None),
        Value::Mapping(mapping) => (mapping.get("files"), mapping.get("urlPath")),
        Value::Null | Value::Number(_) | Value::Tagged(_) => {
            return Err("expected `files:` with a glob pattern".to_owned());
        }
    };
    let (sources, ignored) = match files {
        None | Some(Value::Null) => (vec![default.to_owned()], Vec::new()),
        Some(Value::Mapping(mapping)) => (
            strings("source", mapping.get("source").unwrap_or(&Value::Null))?,
            mapping.get("ignore").map_or(Ok(Vec::new()), |value| strings("ignore", value))?,
        ),
        Some(value) => (strings("files", value)?, Vec::new()),
    };
    FileSet::new(&sources, &ignored, mount(url_path, name)?)
}

fn strings(key: &str, value: &Value) -> Result<Vec<String>, String> {
    let one = |value: &Value| {
        value.as_str().map(str::to_owned).ok_or_else(|| {
            format!("`{key}` must be a glob pattern, a list of them or `source:` with `ignore:`")
        })
    };
    match value {
        Value::Sequence(values) => values.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}

/// Where `urlPath` mounts the plugin (section 1.4), without slashes at the ends.
fn mount(url_path: Option<&Value>, name: &str) -> Result<String, String> {
    let path = match url_path {
        None | Some(Value::Null) => return Ok(String::new()),
        Some(value) => value.as_str().ok_or("`urlPath` must be a path")?,
    };
    if path.split('/').any(|segment| segment == "..") {
        return Err("`urlPath` must not contain `..`".to_owned());
    }
    let trimmed = |path: &str| path.trim_matches('/').to_owned();
    Ok(match path.strip_prefix('.') {
        Some(below) if below.is_empty() || below.starts_with('/') => {
            super::file_set::join(name, &trimmed(below))
        }
        _ => trimmed(path),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ComponentConfig, ConfigError> {
        ComponentConfig::parse(Path::new("config.yaml"), text, "dogs")
    }

    #[test]
    fn reads_what_the_templates_use() {
        let config = parse(
            "rest: true\ngraphqlSchema:\n  files: 'schemas/*.graphql'\njsResource:\n  files: ['a.js', \
             'b/*.ts']\nstatic:\n  files: { source: 'web/**', ignore: '**/*.map' }\n  urlPath: ./app\n",
        )
        .unwrap();
        assert_eq!(config.rest, Some(RestOptions { last_modified: false, web_socket: true }));
        assert!(config.schemas.unwrap().contains("schemas/a.graphql"));
        assert!(config.resources.unwrap().contains("b/x.ts"));
        let statics = config.statics.unwrap();
        assert_eq!(statics.files.mount(), "dogs/app");
        assert!(statics.files.contains("web/x.js") && !statics.files.contains("web/x.js.map"));
        assert!(config.warnings.is_empty());
    }

    #[test]
    fn a_file_replaces_the_defaults() {
        let config = parse("rest: false\njsResource: true\n").unwrap();
        assert!(config.rest.is_none() && config.schemas.is_none());
        assert!(config.resources.unwrap().contains("resources.ts"));
    }

    #[test]
    fn errors_name_the_line() {
        assert_eq!(
            parse("rest: true\nstatic:\n  files: 5\n").unwrap_err().to_string(),
            "config.yaml:2: static: `files` must be a glob pattern, a list of them or `source:` with \
             `ignore:`"
        );
        let error = parse("rest: true\nstatic: [\n").unwrap_err();
        assert!(error.line >= 2, "{error}");
    }

    #[test]
    fn what_is_not_here_is_a_warning() {
        let config =
            parse("rest: true\n'@harperfast/vite':\n  package: '@harperfast/vite'\nmcp: {}\n");
        let warnings = config.unwrap().warnings;
        assert!(
            warnings[0].starts_with("config.yaml:2: the plugin `@harperfast/vite`"),
            "{warnings:?}"
        );
        assert_eq!(warnings[1], "config.yaml:4: `mcp` is not supported yet; skipped");
    }
}
