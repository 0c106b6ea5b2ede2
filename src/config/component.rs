//! An application's `config.yaml`: which built-in plugins it uses, with which files
//! (`spec/harper-components.md` sections 1 and 2).
//!
//! A configuration file replaces the defaults as a whole. What it names and this host does not have
//! (npm plugins, features of later slices) is tolerated and reported as a warning, because an
//! application of Harper must still start.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use kora_js::Grants;
use serde_yaml_ng::Value;

use super::file_set::FileSet;
use super::files_option::{file_set, mount};
use super::guests::{self, GuestOptions};
use super::limits::LimitOptions;
use super::permissions;
pub use super::static_options::StaticOptions;
use super::yaml::{expand, line_of_key, parse_mapping, to_value};

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
    /// Packages with code or an application of their own, in order of the file.
    pub packages: Vec<PackageOptions>,
    /// `logging.level` of this component.
    pub log_level: Option<String>,
    /// The file as a whole, as plugins see it.
    pub document: kora_resource::Value,
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
    /// Where each key of the file stands: file and line.
    pub places: HashMap<String, String>,
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

/// `<any name>: {package: ...}`.
#[derive(Debug, Clone)]
pub struct PackageOptions {
    pub key: String,
    /// A package's name, or a path from the component's folder.
    pub package: String,
    pub order: Order,
    /// Everything under the key.
    pub options: kora_resource::Value,
    /// Milliseconds.
    pub timeout: Option<u64>,
    /// Where its failure answers, without slashes at the ends.
    pub url_path: String,
    /// File and line, for messages.
    pub place: String,
}

/// Where a package stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    BeforeResources,
    AfterResources,
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

/// Built-in plugins of Harper that this host does not have yet.
const NOT_YET: [&str; 4] = ["fastifyRoutes", "graphql", "scheduler", "mcp"];

/// Settings of the whole host that some applications carry along (sections 1.1 and 5).
const ROOT_KEYS: [&str; 12] = [
    "authentication",
    "http",
    "mqtt",
    "operationsApi",
    "tls",
    "threads",
    "storage",
    "node",
    "analytics",
    "localStudio",
    "componentsRoot",
    "rootPath",
];

/// What `logging.level` may be.
const LOG_LEVELS: [&str; 7] = ["trace", "debug", "info", "warn", "error", "fatal", "notify"];

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
        let mut mapping = parse_mapping(file, text)?;
        let document = to_value(&Value::Mapping(mapping.clone()));
        mapping.iter_mut().for_each(|(_, options)| expand(options));
        let mut config =
            ComponentConfig { file: Some(file.to_owned()), document, ..Default::default() };
        let directory = file.parent().unwrap_or(Path::new(""));
        for (key, options) in &mapping {
            let Some(key) = key.as_str() else { continue };
            let line = line_of_key(text, key);
            let place = format!("{}:{line}", file.display());
            let at = Place { name, directory, text: &place };
            config.take_plugin(key, options, &at).map_err(|message| ConfigError {
                file: file.to_owned(),
                line,
                message: format!("{key}: {message}"),
            })?;
            let warnings = unavailable(key, options).into_iter().chain(doubts(key, options));
            config.warnings.extend(warnings.map(|warning| format!("{place}: {warning}")));
            config.places.insert(key.to_owned(), place);
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

    fn take_plugin(&mut self, key: &str, options: &Value, at: &Place<'_>) -> Result<(), String> {
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
            "graphqlSchema" => {
                self.schemas = Some(file_set(options, "*.graphql", at.name, at.directory)?)
            }
            "jsResource" => {
                self.resources =
                    Some(file_set(options, "resources.{js,ts}", at.name, at.directory)?)
            }
            "static" => {
                let files = file_set(options, "web/**", at.name, at.directory)?;
                let statics = StaticOptions::read(files, options, self.rest.is_some())?;
                self.warnings.extend(statics.warning());
                self.statics = Some(statics);
            }
            "dataLoader" => {
                let default = "data/*.{json,yaml,yml}";
                self.data = Some(file_set(options, default, at.name, at.directory)?);
            }
            "loadEnv" => {
                self.environment = Some(EnvironmentFiles {
                    files: file_set(options, ".env", at.name, at.directory)?,
                    overrides: flag(options, "override")?.unwrap_or(false),
                });
            }
            "permissions" => {
                self.grants = permissions::grants(options)?;
                self.guests.allowed_hosts = guests::allowed_hosts(options);
            }
            "wasmResource" => {
                let default = guests::DEFAULT_FILES;
                self.guests.files = Some(file_set(options, default, at.name, at.directory)?);
            }
            "guest" => self.guests.config = guests::config(options)?,
            "limits" => self.limits = LimitOptions::read(options)?,
            "logging" => {
                self.log_level = options.get("level").and_then(Value::as_str).map(str::to_owned);
            }
            "roles" => {
                self.roles = Some(file_set(options, "roles.yaml", at.name, at.directory)?);
            }
            "login" => self.login = true,
            _ => {
                if let Some(package) = options.get("package").filter(|package| !is_off(package)) {
                    self.take_package(key, package, options, at)?;
                }
            }
        }
        Ok(())
    }

    fn take_package(
        &mut self,
        key: &str,
        package: &Value,
        options: &Value,
        at: &Place<'_>,
    ) -> Result<(), String> {
        let package = package.as_str().ok_or("`package` must be the name of a package")?;
        let timeout = match options.get("timeout") {
            None | Some(Value::Null) => None,
            Some(limit) => Some(limit.as_u64().ok_or("`timeout` must be in milliseconds")?),
        };
        self.packages.push(PackageOptions {
            key: key.to_owned(),
            package: package.to_owned(),
            order: match self.resources {
                Some(_) => Order::AfterResources,
                None => Order::BeforeResources,
            },
            options: to_value(options),
            timeout,
            url_path: mount(options.get("urlPath"), at.name)?,
            place: at.text.to_owned(),
        });
        Ok(())
    }
}

/// Where a key stands.
struct Place<'a> {
    /// The component's name.
    name: &'a str,
    /// The component's folder.
    directory: &'a Path,
    /// File and line.
    text: &'a str,
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
            | "logging"
            | "pluginModule"
            | "extensionModule"
    )
}

/// What to tell about a key that has no effect here; `None` for what has.
fn unavailable(key: &str, options: &Value) -> Option<String> {
    if is_supported(key) || is_off(options) || options.get("package").is_some() {
        return None;
    }
    if ROOT_KEYS.contains(&key) {
        return Some(format!(
            "`{key}` is a setting of the host and not of a component; ignored here: put it into \
             harper-config.yaml or set it by a variable such as {}_...",
            key.to_uppercase()
        ));
    }
    if NOT_YET.contains(&key) {
        return Some(format!("`{key}` is not supported yet; skipped"));
    }
    Some(format!(
        "unknown key `{key}`; skipped: remove it, or name the package behind it by `package:`"
    ))
}

/// The options of the built-in plugins, for who mistypes one.
fn known_options(key: &str) -> Option<&'static [&'static str]> {
    Some(match key {
        "rest" | "REST" => &["lastModified", "webSocket", "includeExpensiveRecordCountEstimates"],
        "graphqlSchema" | "jsResource" | "roles" | "dataLoader" | "wasmResource" => {
            &["files", "urlPath", "path", "root", "timeout"]
        }
        "loadEnv" => &["files", "path", "root", "override"],
        "static" => &[
            "files",
            "urlPath",
            "path",
            "root",
            "index",
            "extensions",
            "fallthrough",
            "notFound",
            "before",
            "after",
            "timeout",
        ],
        _ => return None,
    })
}

/// What is odd about a built-in plugin's options and yet no reason not to start: Harper takes it, too.
fn doubts(key: &str, options: &Value) -> Vec<String> {
    if key == "logging" {
        let level = options.get("level").and_then(Value::as_str);
        let unknown = level.filter(|level| !LOG_LEVELS.contains(level));
        let told = |level| {
            format!("logging: `{level}` is no level: there are {}; ignored", LOG_LEVELS.join(", "))
        };
        return unknown.map(told).into_iter().collect();
    }
    let Some(known) = known_options(key) else { return Vec::new() };
    match options {
        Value::Mapping(mapping) => {
            let given = mapping.keys().filter_map(Value::as_str);
            let unknown = given.filter(|option| !known.contains(option));
            let told = |option| {
                format!("{key}: unknown option `{option}`; ignored: there are {}", known.join(", "))
            };
            unknown.map(told).collect()
        }
        Value::Bool(_) | Value::Null => Vec::new(),
        Value::String(_) | Value::Sequence(_) if known.contains(&"files") => Vec::new(),
        _ => vec![format!("{key}: expected true or options; taken for true")],
    }
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
    fn packages_know_their_place() {
        let text = "a:\n  package: x\njsResource: true\n'@b/c':\n  package: '@b/c'\n  urlPath: ./p\n  \
                    deep: { list: [1, two] }\n";
        let packages = parse(text).unwrap().packages;
        assert_eq!(packages[0].order, Order::BeforeResources);
        assert_eq!(packages[1].order, Order::AfterResources);
        assert_eq!(packages[1].url_path, "dogs/p");
        assert_eq!(packages[1].place, "config.yaml:4");
    }

    #[test]
    fn what_is_not_here_is_a_warning() {
        let text = "rest: true\nhttp:\n  cors: true\nsurprise: {}\nmcp: {}\n";
        let warnings = parse(text).unwrap().warnings;
        assert!(warnings[0].starts_with("config.yaml:2: `http` is a setting of the host"));
        assert!(warnings[1].starts_with("config.yaml:4: unknown key `surprise`; skipped"));
        assert_eq!(warnings[2], "config.yaml:5: `mcp` is not supported yet; skipped");
    }
}
