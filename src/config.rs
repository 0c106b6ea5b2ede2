//! What the server is told: by flags ([`Config`]) and by each application's `config.yaml`
//! ([`component::ComponentConfig`]).
//!
//! Reading is pure: nothing here opens a port or a store, and every error names the file and line
//! that it is about.

pub mod component;
pub mod file_set;
pub mod files_option;
pub mod guests;
pub mod limits;
pub mod mqtt;
mod permissions;
pub mod root;
pub mod static_options;
pub mod tls;
pub(crate) mod yaml;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use crate::users::administrator::{Administrator, DEFAULT_NAME, Login};
pub use crate::users::{DEFAULT_CREDENTIAL_LIFETIME, Sessions};
pub use kora_store::{ByteSize, Durability, Retention};

use mqtt::MqttSettings;
use root::{CorsSettings, RootConfig};
use tls::{SecurePort, TlsSettings};

/// The port that Harper's REST interface answers on, and ours.
pub const DEFAULT_PORT: u16 = 9926;

/// The folder inside the application's that holds the data unless `--data` names another. The dot
/// keeps it out of discovery, watching and static files.
pub const DEFAULT_DATA_DIRECTORY: &str = ".kora";

/// The largest request body that is read (`spec/harper-rest.md` section 7).
pub const DEFAULT_BODY_LIMIT: usize = 10_000_000;

/// How long a client may take to send a request's head (`spec/harper-rest.md` section 12).
pub const DEFAULT_HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// From how many bytes on bodies are compressed: what fits one packet gains nothing.
pub const DEFAULT_COMPRESSION_THRESHOLD: NonZeroUsize = NonZeroUsize::new(1200).unwrap();

/// How many records and index entries one query may look at.
pub const DEFAULT_SCAN_LIMIT: usize = 10_000_000;

/// How long calls and sockets of a replaced generation may live on.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// Whether the server looks for changes of the files that it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reloading {
    Off,
    /// Load a new generation when a schema, a resource or a configuration changes.
    OnChange,
}

/// How to serve: what the flags of `kora run` say.
#[derive(Debug, Clone)]
pub struct Config {
    /// One application, or a folder of them.
    pub directory: PathBuf,
    /// A host name or address to listen on.
    pub host: String,
    /// 0 lets the system choose.
    pub port: u16,
    pub mqtt: MqttSettings,
    pub tls: TlsSettings,
    /// `http.securePort`: where HTTP is spoken behind TLS.
    pub secure_http: Option<SecurePort>,
    /// `mqtt.network.securePort`.
    pub secure_mqtt: Option<SecurePort>,
    /// `http.headersTimeout`: how long a client may take to send a request's head.
    pub head_timeout: Duration,
    /// Where the databases live.
    pub data: PathBuf,
    /// JavaScript workers of each application.
    pub workers: NonZeroUsize,
    pub durability: Durability,
    /// How many records and index entries one query may look at before it is refused (400).
    pub scan_limit: usize,
    pub reloading: Reloading,
    /// How long calls and sockets of a replaced generation may live on.
    pub grace: Duration,
    /// The largest request body, in bytes.
    pub body_limit: usize,
    /// How much history the databases keep.
    pub retention: Retention,
    /// How large each caching table may grow; `None` without bound.
    pub cache_size: Option<ByteSize>,
    /// A folder of applications that are served besides, before `directory`.
    pub components_root: Option<PathBuf>,
    /// Pages of which other origins may ask.
    pub cors: Option<CorsSettings>,
    /// The least level that components log; what the root configuration says without it.
    pub log_level: Option<String>,
    /// The configuration of the host as a whole, as code reads it.
    pub root: RootConfig,
    /// From how many bytes on bodies are compressed for clients that accept it
    /// (`http.compressionThreshold`); `None` for never.
    pub compress_from: Option<NonZeroUsize>,
    /// `authentication.authorizeLocal`; `None` trusts them where the server reloads (`kora dev`) and
    /// where it listens on loopback only.
    pub local_clients: Option<LocalClients>,
    /// `authentication.enableSessions`.
    pub sessions: Sessions,
    /// `authentication.cacheTTL`.
    pub credential_lifetime: Duration,
    /// Who becomes the administrator of a server that has no user yet.
    pub administrator: Administrator,
}

/// What clients on the same machine are that do not say who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalClients {
    SuperUsers,
    /// Nobody, as any other client.
    Nobody,
}

impl Config {
    /// The defaults for one folder: loopback only, the default port, durable, not reloading.
    pub fn new(directory: impl Into<PathBuf>) -> Config {
        let directory = directory.into();
        Config {
            data: default_data_directory(&directory),
            directory,
            host: "127.0.0.1".to_owned(),
            port: DEFAULT_PORT,
            mqtt: MqttSettings::default(),
            tls: TlsSettings::default(),
            secure_http: None,
            secure_mqtt: None,
            head_timeout: DEFAULT_HEAD_TIMEOUT,
            workers: default_workers(),
            durability: Durability::Full,
            scan_limit: DEFAULT_SCAN_LIMIT,
            reloading: Reloading::Off,
            grace: DEFAULT_GRACE,
            body_limit: DEFAULT_BODY_LIMIT,
            retention: Retention::default(),
            cache_size: None,
            components_root: None,
            cors: None,
            log_level: None,
            root: RootConfig::default(),
            compress_from: Some(DEFAULT_COMPRESSION_THRESHOLD),
            local_clients: None,
            sessions: Sessions::On,
            credential_lifetime: DEFAULT_CREDENTIAL_LIFETIME,
            administrator: Administrator::Generated {
                username: DEFAULT_NAME.to_owned(),
                tell: |_| {},
            },
        }
    }
}

/// Where the data of the application in `directory` goes if nothing else is said.
pub fn default_data_directory(directory: &Path) -> PathBuf {
    directory.join(DEFAULT_DATA_DIRECTORY)
}

/// One worker a core.
pub fn default_workers() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}
