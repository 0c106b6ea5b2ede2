//! `kora run` and `kora dev`: serve until a signal says stop.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use kora::config::component::ConfigError;
use kora::config::root::{Overrides, RootConfig, is_root_directory};
use kora::config::{
    ByteSize, DEFAULT_BODY_LIMIT, DEFAULT_COMPRESSION_THRESHOLD, DEFAULT_CREDENTIAL_LIFETIME,
    DEFAULT_HEAD_TIMEOUT, DEFAULT_PORT, DEFAULT_SCAN_LIMIT, Durability, LocalClients, Retention,
    Sessions, default_data_directory, default_workers,
};
use kora::{Config, Reloading, Server};
use tokio::signal::unix::{SignalKind, signal};

use super::administrator;

/// What is served, and how.
#[derive(Debug, Args)]
pub(super) struct Serving {
    /// An application (a folder with config.yaml, schema.graphql or resources) or a folder of them
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The address to listen on; 0.0.0.0 for all networks [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    host: Option<String>,
    /// The port to listen on; 0 for any that is free [default: 9926]
    #[arg(long)]
    port: Option<u16>,
    /// The port of MQTT over TCP; 0 for any that is free, off for none [default: 1883 if it is free]
    #[arg(long, value_name = "PORT", value_parser = parse_mqtt_port)]
    mqtt_port: Option<String>,
    /// The port of HTTPS; 0 for any that is free [default: none]
    #[arg(long, value_name = "PORT")]
    tls_port: Option<u16>,
    /// The port of MQTT over TLS; 0 for any that is free [default: none]
    #[arg(long, value_name = "PORT")]
    mqtt_tls_port: Option<u16>,
    /// The certificate for TLS, with those between it and its authority: a PEM file
    #[arg(long, value_name = "FILE")]
    tls_certificate: Option<PathBuf>,
    /// The certificate's private key: a PEM file
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Where the data lives [default: the folder .kora in DIR]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// JavaScript workers of each application [default: one a core, one in `kora dev`]
    #[arg(long, value_name = "COUNT")]
    threads: Option<NonZeroUsize>,
    /// When a write is acknowledged: `full` after it is on disk, `interval:MS` at once, with a sync
    /// to disk every MS milliseconds
    #[arg(long, default_value = "full", value_parser = parse_durability)]
    durability: Durability,
    /// How long changes stay readable as history: a number of seconds, or one with s, m, h or d
    #[arg(long, default_value = "3d", value_name = "TIME", value_parser = parse_time)]
    history_age: Duration,
    /// How large the history of a database may grow: a number of megabytes
    #[arg(long, default_value_t = 4096, value_name = "MB")]
    history_size: usize,
    /// How long calls and sockets of a version that a reload has replaced may go on
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = parse_time)]
    grace: Duration,
    /// How large each caching table may grow, in megabytes [default: as large as it likes]
    #[arg(long, value_name = "MB")]
    cache_size: Option<usize>,
    /// From how many bytes on responses are compressed; 0 for never [default: 1200]
    #[arg(long, value_name = "BYTES")]
    compression_threshold: Option<usize>,
    /// How many records and index entries one query may look at before it is refused [default: 10000000]
    #[arg(long, value_name = "COUNT")]
    scan_limit: Option<usize>,
    /// Whether clients on this machine are super users without a login [default: true for `dev` and
    /// when listening on loopback only]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    authorize_local: Option<bool>,
}

impl Serving {
    /// Serves until SIGTERM or SIGINT.
    pub(super) fn serve(
        self,
        reloading: Reloading,
        settings: &[(String, String)],
        log: Option<&str>,
    ) -> anyhow::Result<()> {
        let config = self.config(reloading, settings, log)?;
        super::log::start(
            log,
            config.root.log_level().as_deref(),
            config.root.log_file().as_deref(),
        );
        // Before any other thread: the engine wants to be set up by the first.
        kora_js::initialize();
        allow_many_sockets();
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_name("kora-io")
            .build()
            .context("can't start the async threads")?
            .block_on(serve_until_signal(config))
    }

    /// Flags stand above the root configuration, except for what `HARPER_SET_CONFIG` forces.
    fn config(
        self,
        reloading: Reloading,
        settings: &[(String, String)],
        log: Option<&str>,
    ) -> anyhow::Result<Config> {
        let mut flags = Vec::new();
        let own = [
            ("HTTP_PORT", self.port.map(|port| port.to_string())),
            ("MQTT_NETWORK_PORT", self.mqtt_port),
            ("HTTP_SECUREPORT", self.tls_port.map(|port| port.to_string())),
            ("MQTT_NETWORK_SECUREPORT", self.mqtt_tls_port.map(|port| port.to_string())),
            ("TLS_CERTIFICATE", self.tls_certificate.as_deref().map(absolute)),
            ("TLS_PRIVATEKEY", self.tls_key.as_deref().map(absolute)),
            ("THREADS_COUNT", self.threads.map(|count| count.to_string())),
            (
                "HTTP_COMPRESSIONTHRESHOLD",
                self.compression_threshold.map(|bytes| bytes.to_string()),
            ),
            ("STORAGE_SCANLIMIT", self.scan_limit.map(|count| count.to_string())),
            ("AUTHENTICATION_AUTHORIZELOCAL", self.authorize_local.map(|flag| flag.to_string())),
        ];
        for (name, value) in own {
            flags.extend(value.map(|value| (name.to_owned(), value)));
        }
        flags.extend_from_slice(settings);
        let overrides = Overrides::new(&flags);
        let root_directory = overrides
            .get("ROOTPATH")
            .map(PathBuf::from)
            .or_else(|| is_root_directory(&self.dir).then(|| self.dir.clone()));
        let root = RootConfig::read(root_directory.as_deref(), &overrides)?;
        let below_root = |path: PathBuf| match &root_directory {
            Some(root) => root.join(path),
            None => path,
        };
        let components_root = root.components_root().map(below_root);
        let is_root = root_directory.as_ref() == Some(&self.dir);
        let (directory, components_root) = match (is_root, components_root) {
            (true, Some(components)) => (components, None),
            (true, None) => (self.dir.join("components"), None),
            (false, components) => {
                let default = root_directory.as_ref().map(|root| root.join("components"));
                (self.dir.clone(), components.or(default).filter(|folder| folder.is_dir()))
            }
        };
        let secure_port = |section: &str| {
            let port = root.secure_port(section)?;
            Ok::<_, ConfigError>(match &root_directory {
                Some(folder) => port.map(|port| port.below(folder)),
                None => port,
            })
        };
        let (host, port) = root.http_address()?;
        let data = self.data.or_else(|| root.storage_path().map(below_root)).unwrap_or_else(|| {
            default_data_directory(root_directory.as_deref().unwrap_or(&self.dir))
        });
        Ok(Config {
            host: self.host.or(host).unwrap_or_else(|| "127.0.0.1".to_owned()),
            port: port.unwrap_or(DEFAULT_PORT),
            mqtt: root.mqtt()?,
            tls: match &root_directory {
                Some(folder) => root.tls()?.below(folder),
                None => root.tls()?,
            },
            secure_http: secure_port("http")?,
            secure_mqtt: secure_port("mqtt.network")?,
            head_timeout: root.headers_timeout().unwrap_or(DEFAULT_HEAD_TIMEOUT),
            data,
            // One while developing, as on Harper: what modules keep in memory is there for all.
            workers: root.threads().unwrap_or_else(|| match reloading {
                Reloading::OnChange => NonZeroUsize::MIN,
                Reloading::Off => default_workers(),
            }),
            durability: self.durability,
            scan_limit: root.scan_limit().unwrap_or(DEFAULT_SCAN_LIMIT),
            body_limit: root.body_limit().unwrap_or(DEFAULT_BODY_LIMIT),
            retention: Retention {
                age: self.history_age,
                size: ByteSize(self.history_size.saturating_mul(1 << 20)),
            },
            cache_size: self.cache_size.map(|mb| ByteSize(mb.saturating_mul(1 << 20))),
            reloading,
            grace: self.grace,
            components_root,
            cors: root.cors(),
            compress_from: match root.compression_threshold() {
                Some(bytes) => NonZeroUsize::new(bytes),
                None => Some(DEFAULT_COMPRESSION_THRESHOLD),
            },
            local_clients: root.authorize_local().map(|authorize| match authorize {
                true => LocalClients::SuperUsers,
                false => LocalClients::Nobody,
            }),
            sessions: root.sessions().unwrap_or(Sessions::On),
            credential_lifetime: root.credential_lifetime().unwrap_or(DEFAULT_CREDENTIAL_LIFETIME),
            administrator: administrator::source(reloading),
            log_level: super::log::level_of(log),
            root,
            ..Config::new(directory)
        })
    }
}

/// A path of the command line, which is not below the root configuration's folder.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.find(|c: char| c.is_ascii_alphabetic()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let unit = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(format!("expected a time such as 90s, 15m, 12h or 3d, found `{text}`")),
    };
    let seconds = number.parse().ok().and_then(|n: f64| Duration::try_from_secs_f64(n * unit).ok());
    seconds.ok_or_else(|| format!("expected a time such as 90s, 15m, 12h or 3d, found `{text}`"))
}

/// Takes as many open files as the system allows: each client is one, and shells start programs with
/// a limit of 1,024 that is meant for others.
fn allow_many_sockets() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!("the limit on open files can't be raised: {error}");
    }
}

async fn serve_until_signal(config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("can't wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't wait for SIGINT")?;
    let reloading = config.reloading;
    let server = tokio::select! {
        started = kora::serve(config) => started?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    report_start(&server, reloading);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    server.shutdown().await;
    Ok(())
}

fn report_start(server: &Server, reloading: Reloading) {
    for failure in server.failures() {
        eprintln!("kora: {failure}");
    }
    let address = server.local_address();
    let watching = match reloading {
        Reloading::OnChange => ", reloading on change",
        Reloading::Off => "",
    };
    let mqtt = server.mqtt_address().map(|mqtt| format!(", mqtt://{mqtt}")).unwrap_or_default();
    let https = server.secure_http_address();
    let https = https.map(|https| format!(", https://{https}/ (wss://{https}/)"));
    let mqtts = server.secure_mqtt_address().map(|mqtts| format!(", mqtts://{mqtts}"));
    let secure = [https, mqtts].into_iter().flatten().collect::<String>();
    println!(
        "{} {} successfully started on http://{address}/ (ws://{address}/{mqtt}){secure}{watching}",
        kora::PRODUCT,
        env!("CARGO_PKG_VERSION"),
    );
}

/// The port as the root configuration has it.
fn parse_mqtt_port(text: &str) -> anyhow::Result<String> {
    match text {
        "off" => Ok("false".to_owned()),
        port => Ok(port.parse::<u16>().context("expected a port, or off")?.to_string()),
    }
}

fn parse_durability(text: &str) -> anyhow::Result<Durability> {
    match text.split_once(':') {
        None if text == "full" => Ok(Durability::Full),
        Some(("interval", ms)) => {
            let ms = ms.parse().context("expected a number of milliseconds after interval:")?;
            Ok(Durability::Interval(Duration::from_millis(ms)))
        }
        _ => Err(anyhow!("expected full or interval:MS")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durability_is_full_or_an_interval() {
        assert!(matches!(parse_durability("full").unwrap(), Durability::Full));
        let interval = parse_durability("interval:50").unwrap();
        assert!(matches!(interval, Durability::Interval(ms) if ms == Duration::from_millis(50)));
        for wrong in ["", "interval", "interval:x", "none"] {
            assert!(parse_durability(wrong).is_err(), "{wrong}");
        }
    }
}
