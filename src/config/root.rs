//! The configuration of the host as a whole (`spec/harper-components.md` section 5): the root file,
//! the environment and flags, in Harper's order of precedence.
//!
//! `HARPER_SET_CONFIG` > single variables and flags > `HARPER_CONFIG` > the file >
//! `HARPER_DEFAULT_CONFIG` > what is built in. Keys that mean nothing here are kept: code reads them by
//! `server.config`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_yaml_ng::{Mapping, Value};

use super::Sessions;
use super::component::ConfigError;
use super::mqtt::{MqttOverWebSocket, MqttPort, MqttSettings, Nobodies};
use super::yaml::{line_of_key, to_value};

/// The names under which the file may lie, the first found wins.
pub const FILE_NAMES: [&str; 2] = ["harperdb-config.yaml", "harper-config.yaml"];

/// Keys that only a root configuration has.
const ROOT_ONLY: [&str; 7] =
    ["rootPath", "componentsRoot", "operationsApi", "storage", "threads", "node", "localStudio"];

/// Keys that only an application's configuration has.
const APPLICATION_ONLY: [&str; 5] = ["rest", "REST", "graphqlSchema", "jsResource", "static"];

/// The keys that may be set one by one, by the variable or flag of the same name in capitals.
const SINGLE_KEYS: [&str; 33] = [
    "authentication.authorizeLocal",
    "authentication.cacheTTL",
    "authentication.enableSessions",
    "componentsRoot",
    "http.compressionThreshold",
    "http.cors",
    "http.corsAccessControlAllowHeaders",
    "http.corsAccessList",
    "http.headersTimeout",
    "http.maxRequestBodySize",
    "http.port",
    "http.securePort",
    "http.timeout",
    "logging.console",
    "logging.file",
    "logging.level",
    "logging.path",
    "logging.root",
    "logging.stdStreams",
    "mqtt.network.port",
    "mqtt.network.securePort",
    "mqtt.requireAuthentication",
    "mqtt.webSocket",
    "node.hostname",
    "operationsApi.network.port",
    "operationsApi.network.securePort",
    "rootPath",
    "storage.path",
    "storage.scanLimit",
    "threads.count",
    "tls.certificate",
    "tls.certificateAuthority",
    "tls.privateKey",
];

/// The merged configuration.
#[derive(Debug, Clone, Default)]
pub struct RootConfig {
    document: Mapping,
    /// The file that was read, for messages.
    file: Option<PathBuf>,
    text: String,
}

/// `http.cors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsSettings {
    /// Origins, or `*`.
    pub access_list: Vec<String>,
    /// The value of `Access-Control-Allow-Headers`.
    pub allowed_headers: String,
}

/// An application that the root file names: `<name>: {package: ...}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootPackage {
    pub name: String,
    pub package: String,
}

/// Where single values come from: the environment, and flags such as `--HTTP_PORT=9926`.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    values: Vec<(String, String)>,
}

impl Overrides {
    /// The environment of the process under `flags`, which win.
    pub fn new(flags: &[(String, String)]) -> Overrides {
        let mut values = flags.to_vec();
        values.extend(
            std::env::vars_os()
                .filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?))),
        );
        Overrides { values }
    }

    /// The value of a variable or flag.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Whether the folder's `harperdb-config.yaml` configures a host and not an application.
pub fn is_root_directory(directory: &Path) -> bool {
    let Some((_, text)) = existing(directory) else { return false };
    let Ok(Value::Mapping(mapping)) = serde_yaml_ng::from_str(&text) else { return false };
    ROOT_ONLY.iter().any(|key| mapping.contains_key(*key))
        && !APPLICATION_ONLY.iter().any(|key| mapping.contains_key(*key))
}

fn existing(directory: &Path) -> Option<(PathBuf, String)> {
    FILE_NAMES.iter().find_map(|name| {
        let file = directory.join(name);
        std::fs::read_to_string(&file).ok().map(|text| (file, text))
    })
}

impl RootConfig {
    /// Merges the file in `directory`, if that is given and has one, with `overrides`.
    ///
    /// # Errors
    /// YAML or JSON that can't be read, or a value of the wrong kind.
    pub fn read(
        directory: Option<&Path>,
        overrides: &Overrides,
    ) -> Result<RootConfig, ConfigError> {
        let mut config = RootConfig::default();
        config.merge_variable("HARPER_DEFAULT_CONFIG", overrides)?;
        if let Some((file, text)) = directory.and_then(existing) {
            let document = super::yaml::parse_mapping(&file, &text)?;
            merge(&mut config.document, document);
            (config.file, config.text) = (Some(file), text);
        }
        config.merge_variable("HARPER_CONFIG", overrides)?;
        for key in SINGLE_KEYS {
            let name = key.replace('.', "_").to_uppercase();
            if let Some(text) = overrides.get(&name).filter(|text| !text.is_empty()) {
                let value = serde_yaml_ng::from_str(text)
                    .unwrap_or_else(|_| Value::String(text.to_owned()));
                config.set(key, value);
            }
        }
        config.merge_variable("HARPER_SET_CONFIG", overrides)?;
        config.check()?;
        Ok(config)
    }

    /// `http.port`: a host, where the value is `host:port`, and the port.
    pub fn http_address(&self) -> Result<(Option<String>, Option<u16>), ConfigError> {
        self.address("http", "port")
    }

    /// A port of a section that may be `host:port`; nothing for null and false.
    pub(super) fn address(
        &self,
        section: &str,
        key: &str,
    ) -> Result<(Option<String>, Option<u16>), ConfigError> {
        let wrong = || self.error(section, key, "must be a port, or host:port");
        match self.get(&format!("{section}.{key}")) {
            None | Some(Value::Null | Value::Bool(false)) => Ok((None, None)),
            Some(Value::Number(port)) => {
                let port = port.as_u64().and_then(|port| u16::try_from(port).ok());
                Ok((None, Some(port.ok_or_else(wrong)?)))
            }
            Some(Value::String(text)) => {
                let (host, port) = match text.rsplit_once(':') {
                    Some((host, port)) => (Some(host.trim_matches(['[', ']']).to_owned()), port),
                    None => (None, text.as_str()),
                };
                Ok((host, Some(port.parse().map_err(|_| wrong())?)))
            }
            Some(_) => Err(wrong()),
        }
    }

    /// `http.headersTimeout`.
    pub fn headers_timeout(&self) -> Option<Duration> {
        self.get("http.headersTimeout")?.as_u64().map(Duration::from_millis)
    }

    /// `mqtt`.
    pub fn mqtt(&self) -> Result<MqttSettings, ConfigError> {
        let port = match self.get("mqtt.network.port") {
            None => MqttPort::Usual,
            Some(Value::Null | Value::Bool(false)) => MqttPort::Off,
            Some(port) => {
                let port = port.as_u64().and_then(|port| u16::try_from(port).ok());
                let wrong = || self.error("mqtt", "network.port", "must be a port, or false");
                MqttPort::Port(port.ok_or_else(wrong)?)
            }
        };
        let is_off = |name: &str| self.get(name).and_then(Value::as_bool) == Some(false);
        let web_sockets = match is_off("mqtt.webSocket") {
            true => MqttOverWebSocket::NotAccepted,
            false => MqttOverWebSocket::Accepted,
        };
        let nobodies = match is_off("mqtt.requireAuthentication") {
            true => Nobodies::Taken,
            false => Nobodies::Refused,
        };
        Ok(MqttSettings { port, web_sockets, nobodies })
    }

    /// `http.cors`; `None` while it is off.
    pub fn cors(&self) -> Option<CorsSettings> {
        if !matches!(self.get("http.cors"), Some(Value::Bool(true))) {
            return None;
        }
        let access_list = match self.get("http.corsAccessList") {
            Some(Value::Sequence(list)) => {
                list.iter().filter_map(|origin| origin.as_str().map(str::to_owned)).collect()
            }
            Some(Value::String(list)) => {
                list.split(',').map(|origin| origin.trim().to_owned()).collect()
            }
            _ => Vec::new(),
        };
        let allowed_headers = self
            .string("http.corsAccessControlAllowHeaders")
            .unwrap_or_else(|| "Accept, Content-Type, Authorization".to_owned());
        Some(CorsSettings { access_list, allowed_headers })
    }

    /// `threads.count`, or `threads` itself.
    pub fn threads(&self) -> Option<NonZeroUsize> {
        let count = self.get("threads.count").or_else(|| self.get("threads"))?.as_u64()?;
        NonZeroUsize::new(usize::try_from(count).ok()?)
    }

    /// `authentication.authorizeLocal`.
    pub fn authorize_local(&self) -> Option<bool> {
        self.get("authentication.authorizeLocal")?.as_bool()
    }

    /// `authentication.enableSessions`.
    pub fn sessions(&self) -> Option<Sessions> {
        Some(match self.get("authentication.enableSessions")?.as_bool()? {
            true => Sessions::On,
            false => Sessions::Off,
        })
    }

    /// `authentication.cacheTTL`.
    pub fn credential_lifetime(&self) -> Option<Duration> {
        self.get("authentication.cacheTTL")?.as_u64().map(Duration::from_millis)
    }

    /// `http.compressionThreshold`, in bytes; 0 for never.
    pub fn compression_threshold(&self) -> Option<usize> {
        usize::try_from(self.get("http.compressionThreshold")?.as_u64()?).ok()
    }

    /// `http.maxRequestBodySize`, in bytes.
    pub fn body_limit(&self) -> Option<usize> {
        usize::try_from(self.get("http.maxRequestBodySize")?.as_u64()?).ok()
    }

    /// `storage.scanLimit`: how many entries one query may look at.
    pub fn scan_limit(&self) -> Option<usize> {
        usize::try_from(self.get("storage.scanLimit")?.as_u64()?).ok()
    }

    /// `logging.level`.
    pub fn log_level(&self) -> Option<String> {
        self.string("logging.level")
    }

    /// `logging.path`, or `hdb.log` in `logging.root`: the file that the log is written to as well.
    pub fn log_file(&self) -> Option<PathBuf> {
        if matches!(self.get("logging.file"), Some(Value::Bool(false))) {
            return None;
        }
        let folder = || Some(Path::new(&self.string("logging.root")?).join("hdb.log"));
        self.string("logging.path").map(PathBuf::from).or_else(folder)
    }

    /// `node.hostname`.
    pub fn hostname(&self) -> Option<String> {
        self.string("node.hostname")
    }

    /// `componentsRoot`.
    pub fn components_root(&self) -> Option<PathBuf> {
        self.string("componentsRoot").map(PathBuf::from)
    }

    /// `storage.path`.
    pub fn storage_path(&self) -> Option<PathBuf> {
        self.string("storage.path").map(PathBuf::from)
    }

    /// The applications that are named by their package, in order of the file.
    pub fn packages(&self) -> Vec<RootPackage> {
        self.document
            .iter()
            .filter_map(|(name, options)| {
                let package = options.get("package")?.as_str()?.to_owned();
                Some(RootPackage { name: name.as_str()?.to_owned(), package })
            })
            .collect()
    }

    /// The whole, for `server.config`.
    pub fn document(&self) -> kora_resource::Value {
        to_value(&Value::Mapping(self.document.clone()))
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        let mut keys = key.split('.');
        let mut value = self.document.get(keys.next()?)?;
        for key in keys {
            value = value.get(key)?;
        }
        Some(value)
    }

    fn string(&self, key: &str) -> Option<String> {
        self.get(key)?.as_str().map(str::to_owned)
    }

    fn set(&mut self, key: &str, value: Value) {
        let nested = key
            .rsplit('.')
            .fold(value, |value, name| Value::Mapping(Mapping::from_iter([(name.into(), value)])));
        if let Value::Mapping(nested) = nested {
            merge(&mut self.document, nested);
        }
    }

    fn merge_variable(&mut self, name: &str, overrides: &Overrides) -> Result<(), ConfigError> {
        if let Some(text) = overrides.get(name).filter(|text| !text.trim().is_empty()) {
            merge(&mut self.document, super::yaml::parse_mapping(Path::new(name), text)?);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.http_address()?;
        self.tls()?;
        self.secure_port("http")?;
        self.secure_port("mqtt.network")?;
        let boolean = (Value::is_bool as fn(&Value) -> bool, "must be true or false");
        for (section, key, (is_right, message)) in [
            ("http", "cors", boolean),
            ("http", "compressionThreshold", (Value::is_u64, "must be a number of bytes")),
            ("http", "maxRequestBodySize", (Value::is_u64, "must be a number of bytes")),
            ("http", "headersTimeout", (Value::is_u64, "must be in milliseconds")),
            ("authentication", "authorizeLocal", boolean),
            ("authentication", "enableSessions", boolean),
            ("authentication", "cacheTTL", (Value::is_u64, "must be in milliseconds")),
            ("threads", "count", (is_thread_count, "must be a number of threads, or auto")),
            (
                "logging",
                "level",
                (is_level, "must be trace, debug, info, warn, error, fatal or notify"),
            ),
            ("storage", "path", (Value::is_string, "must be a folder")),
            ("storage", "scanLimit", (Value::is_u64, "must be a number of entries")),
        ] {
            match self.get(&format!("{section}.{key}")) {
                Some(value) if !value.is_null() && !is_right(value) => {
                    return Err(self.error(section, key, message));
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    pub(super) fn error(&self, section: &str, key: &str, message: &str) -> ConfigError {
        ConfigError {
            file: self.file.clone().unwrap_or_else(|| PathBuf::from("configuration")),
            line: line_of_key(&self.text, section.split('.').next().unwrap_or(section)),
            message: format!("{section}: `{key}` {message}"),
        }
    }
}

fn is_thread_count(value: &Value) -> bool {
    value.as_u64().is_some_and(|count| count > 0) || value.as_str() == Some("auto")
}

fn is_level(value: &Value) -> bool {
    const LEVELS: [&str; 7] = ["trace", "debug", "info", "warn", "error", "fatal", "notify"];
    value.as_str().is_some_and(|level| LEVELS.contains(&level))
}

/// Puts what `over` says over `under`, mapping by mapping.
fn merge(under: &mut Mapping, over: Mapping) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Mapping(under)), Value::Mapping(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str, values: &[(&str, &str)]) -> Result<RootConfig, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("harper-config.yaml"), file).unwrap();
        let values = values.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        RootConfig::read(Some(dir.path()), &Overrides { values })
    }

    #[test]
    fn later_sources_win() {
        let file = "http:\n  port: 1\n  timeout: 7\nlogging: { level: warn }\n";
        let default = ("HARPER_DEFAULT_CONFIG", r#"{"http":{"port":9,"cors":true}}"#);
        let config = ("HARPER_CONFIG", r#"{"http":{"port":2}}"#);
        let single = ("HTTP_PORT", "127.0.0.2:3");
        let forced = ("HARPER_SET_CONFIG", r#"{"http":{"port":4}}"#);
        let port = |values: &[(&str, &str)]| read(file, values).unwrap().http_address().unwrap();
        assert_eq!(port(&[default]), (None, Some(1)));
        assert_eq!(port(&[default, config]), (None, Some(2)));
        assert_eq!(port(&[config, single]), (Some("127.0.0.2".to_owned()), Some(3)));
        assert_eq!(port(&[single, forced, config]), (None, Some(4)));
        let merged = read(file, &[default, ("LOGGING_LEVEL", "debug")]).unwrap();
        assert_eq!(merged.log_level().as_deref(), Some("debug"));
        assert!(merged.cors().is_some_and(|cors| cors.access_list.is_empty()));
    }

    #[test]
    fn wrong_values_name_file_and_line() {
        let error = read("logging: {}\nhttp:\n  port: [1]\n", &[]).unwrap_err().to_string();
        assert!(
            error.ends_with("harper-config.yaml:2: http: `port` must be a port, or host:port"),
            "{error}"
        );
        let error = read("", &[("HARPER_SET_CONFIG", "{")]).unwrap_err().to_string();
        assert!(error.starts_with("HARPER_SET_CONFIG:"), "{error}");
        assert!(read("", &[("THREADS_COUNT", "many")]).is_err());
    }

    #[test]
    fn a_root_file_is_told_from_an_application() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("harperdb-config.yaml");
        std::fs::write(&file, "rest: true\nhttp: { port: 1 }\n").unwrap();
        assert!(!is_root_directory(dir.path()));
        std::fs::write(&file, "http: { port: 1 }\nthreads: { count: 2 }\n").unwrap();
        assert!(is_root_directory(dir.path()));
    }
}
