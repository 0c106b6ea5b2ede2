//! The server as a whole: started in order, stopped in the reverse order.
//!
//! Start: the port, the store, the applications, the listener. Stop: no new connections, requests
//! finish, sockets close with 1001, guests stop, the store syncs and gives up its lock.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kora_store::{Store, StoreError, StoreOptions};
use tokio::task::JoinHandle;

use crate::components::guest_builds;
use crate::components::watch::{Watch, watch};
use crate::components::{Components, Guests, LoadFailure, Settings};
use crate::config::mqtt::{DEFAULT_MQTT_PORT, MqttOverWebSocket, MqttPort};
use crate::config::tls::SecurePort;
use crate::config::{Config, LocalClients, Reloading};
use crate::connections::Acceptor;
use crate::http::authentication::Authentication;
use crate::http::cors::Cors;
use crate::http::listener;
use crate::http::router::Router;
use crate::realtime::drain::DrainControl;
use crate::realtime::heartbeat::Heartbeat;
use crate::realtime::mqtt::{self, Broker, SessionTables};
use crate::tls::{Spoken, Tls, TlsError};
use crate::users::Users;
use crate::users::administrator::AdministratorError;

/// How long sockets may take to close after the server was told to stop.
const SOCKETS_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the server did not start. One line each, for a terminal.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("there is no folder {}", .0.display())]
    NoFolder(PathBuf),
    #[error("{} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    #[error("{address} is in use by another process; choose another port with --port")]
    PortTaken { address: String },
    #[error("can't listen on {address}: {source}")]
    Listen { address: String, source: io::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("can't read {}: {source}", folder.display())]
    Discovery { folder: PathBuf, source: io::Error },
    #[error("can't watch for changes: {0}")]
    Watch(#[from] notify::Error),
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Administrator(#[from] AdministratorError),
}

/// A running server. [`Server::shutdown`] ends it; dropping it leaves it running.
pub struct Server {
    address: SocketAddr,
    components: Arc<Components>,
    store: Arc<Store>,
    failures: Vec<LoadFailure>,
    drain: DrainControl,
    listening: Vec<JoinHandle<()>>,
    secure_address: Option<SocketAddr>,
    mqtt_address: Option<SocketAddr>,
    secure_mqtt_address: Option<SocketAddr>,
    /// The broker's, and what keeps certificates fresh.
    others: Vec<JoinHandle<()>>,
    watching: Option<Watch>,
}

/// Starts to serve. Answers when the listener does. Needs a multi-threaded tokio runtime.
pub async fn serve(config: Config) -> Result<Server, ServeError> {
    let directory = existing_folder(&config.directory)?;
    let listener = listen(&config.host, config.port).await?;
    let address = listener
        .local_addr()
        .map_err(|source| ServeError::Listen { address: config.host.clone(), source })?;
    let (store, users) = open_store(&config).await?;
    users.ensure_administrator(config.administrator.clone()).await?;
    // Made by the store; resolved, so that it is recognised below the resolved folder.
    let data = config.data.canonicalize().unwrap_or_else(|_| config.data.clone());
    let guests = Arc::new(Guests::new(config.workers.get(), data.join(".wasm")));
    let components_root = match &config.components_root {
        Some(folder) => Some(existing_folder(folder)?),
        None => None,
    };
    if config.reloading == Reloading::OnChange {
        let folders: Vec<PathBuf> = components_root.iter().chain([&directory]).cloned().collect();
        let build = move || guest_builds::build_all(folders.iter().map(PathBuf::as_path));
        if let Err(error) = tokio::task::spawn_blocking(build).await {
            tracing::error!("building the guests failed: {error}");
        }
    }
    let settings = Settings {
        directory,
        components_root,
        data,
        workers: config.workers,
        guests,
        grace: config.grace,
        log_level: config.log_level.clone().or_else(|| config.root.log_level()),
        root: Arc::new(config.root.clone()),
        users: users.clone(),
    };
    let (components, failures) = Components::load(settings, store.clone())
        .await
        .map_err(|source| ServeError::Discovery { folder: config.directory.clone(), source })?;
    if components.snapshot().rest.is_none() {
        tracing::warn!("no application has `rest: true`: only static files are served");
    }
    let watching = match config.reloading {
        Reloading::OnChange => Some(watch(components.clone())?),
        Reloading::Off => None,
    };
    let drain = DrainControl::new();
    let local_clients = local_clients(&config, address);
    let tables = session_tables(store.clone()).await?;
    let broker = Broker::new(
        components.clone(),
        users.clone(),
        mqtt::Admission { local_clients, nobodies: config.mqtt.nobodies },
        Some(tables),
        drain.drain(),
    );
    let secure_http = secure(&config, config.secure_http.as_ref(), Spoken::Http).await?;
    let secure_mqtt = secure(&config, config.secure_mqtt.as_ref(), Spoken::Mqtt).await?;
    let mqtt_listener = listen_for_mqtt(&config).await?;
    let mqtt_address = mqtt_listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let mut others = vec![tokio::spawn(broker.clone().keep_house())];
    others.extend(
        mqtt_listener.map(|listener| tokio::spawn(mqtt::run(listener, None, broker.clone()))),
    );
    for secured in [&secure_http, &secure_mqtt].into_iter().flatten() {
        others.push(tokio::spawn(Arc::clone(&secured.tls).keep_fresh(drain.drain())));
    }
    let secure_address = secure_http.as_ref().map(|secured| secured.address);
    let secure_mqtt_address = secure_mqtt.as_ref().map(|secured| secured.address);
    if let Some(Secured { listener, tls, .. }) = secure_mqtt {
        others.push(tokio::spawn(mqtt::run(listener, Some(tls), broker.clone())));
    }
    let router = Router {
        components: components.clone(),
        body_limit: config.body_limit,
        cors: config.cors.clone().map(Cors::new),
        compress_from: config.compress_from,
        drain: drain.drain(),
        heartbeat: Heartbeat::start(drain.drain()),
        mqtt: match config.mqtt.web_sockets {
            MqttOverWebSocket::Accepted => Some(broker),
            MqttOverWebSocket::NotAccepted => None,
        },
        authentication: Authentication::new(users, local_clients),
    };
    let router = Arc::new(router);
    let serve = |listener, tls| {
        let (router, drain) = (Arc::clone(&router), drain.drain());
        tokio::spawn(listener::run(listener, tls, router, config.head_timeout, drain))
    };
    let mut listening = vec![serve(listener, None)];
    listening.extend(secure_http.map(|secured| serve(secured.listener, Some(secured.tls))));
    Ok(Server {
        address,
        components,
        store,
        failures,
        drain,
        listening,
        secure_address,
        mqtt_address,
        secure_mqtt_address,
        others,
        watching,
    })
}

impl Server {
    /// Where it listens; tells the port that the system chose.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Where it speaks MQTT over TCP.
    pub fn mqtt_address(&self) -> Option<SocketAddr> {
        self.mqtt_address
    }

    /// Where it speaks HTTP behind TLS.
    pub fn secure_http_address(&self) -> Option<SocketAddr> {
        self.secure_address
    }

    /// Where it speaks MQTT behind TLS.
    pub fn secure_mqtt_address(&self) -> Option<SocketAddr> {
        self.secure_mqtt_address
    }

    /// What did not load at the start. The server answers 500 with it on the paths concerned.
    pub fn failures(&self) -> &[LoadFailure] {
        &self.failures
    }

    /// What is served.
    pub fn components(&self) -> &Arc<Components> {
        &self.components
    }

    /// Finishes what was begun and stops.
    pub async fn shutdown(self) {
        drop(self.watching);
        self.drain.begin();
        for task in self.listening.into_iter().chain(self.others) {
            if let Err(error) = task.await {
                tracing::error!("a listener failed: {error}");
            }
        }
        self.drain.closed(SOCKETS_TIMEOUT).await;
        self.components.shutdown().await;
        let store = self.store;
        if let Err(error) = tokio::task::spawn_blocking(move || store.close()).await {
            tracing::error!("closing the store failed: {error}");
        }
    }
}

fn existing_folder(directory: &Path) -> Result<PathBuf, ServeError> {
    let resolved =
        directory.canonicalize().map_err(|_| ServeError::NoFolder(directory.to_owned()))?;
    if !resolved.is_dir() {
        return Err(ServeError::NotAFolder(directory.to_owned()));
    }
    Ok(resolved)
}

async fn listen(host: &str, port: u16) -> Result<Acceptor, ServeError> {
    let shown =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    Acceptor::bind(host, port).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ServeError::PortTaken { address: shown },
        _ => ServeError::Listen { address: shown, source },
    })
}

/// A listener behind TLS.
struct Secured {
    listener: Acceptor,
    address: SocketAddr,
    tls: Arc<Tls>,
}

/// `None` where nobody asked for it, or where there is no certificate to show.
async fn secure(
    config: &Config,
    asked: Option<&SecurePort>,
    spoken: Spoken,
) -> Result<Option<Secured>, ServeError> {
    let Some(SecurePort { host, port, clients }) = asked else { return Ok(None) };
    if config.tls.identities.is_empty() {
        tracing::warn!(
            "nothing is served on the secure port {port}: `tls` has no certificate and privateKey"
        );
        return Ok(None);
    }
    let tls = Tls::load(config.tls.clone(), clients.clone(), spoken)?;
    let host = host.as_ref().unwrap_or(&config.host);
    let listener = listen(host, *port).await?;
    let address = listener
        .local_addr()
        .map_err(|source| ServeError::Listen { address: host.clone(), source })?;
    Ok(Some(Secured { listener, address, tls }))
}

/// `None` if MQTT is off, or if nobody asked for the usual port and it is taken.
async fn listen_for_mqtt(config: &Config) -> Result<Option<Acceptor>, ServeError> {
    match config.mqtt.port {
        MqttPort::Off => Ok(None),
        MqttPort::Port(port) => listen(&config.host, port).await.map(Some),
        MqttPort::Usual => match listen(&config.host, DEFAULT_MQTT_PORT).await {
            Ok(listener) => Ok(Some(listener)),
            Err(error) => {
                tracing::warn!("MQTT is spoken over WebSocket only: {error}");
                Ok(None)
            }
        },
    }
}

/// The tables of MQTT sessions and wills.
async fn session_tables(store: Arc<Store>) -> Result<SessionTables, ServeError> {
    let schemas = kora_resource::schema::parse(mqtt::SCHEMAS, Path::new("mqtt"))
        .expect("the host's own schema is well formed")
        .tables;
    let applied = tokio::task::spawn_blocking(move || store.apply(&schemas)).await;
    let mut tables = match applied {
        Ok(tables) => tables?.into_iter(),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    let (sessions, wills) =
        (tables.next().expect("one table a type"), tables.next().expect("one table a type"));
    Ok(SessionTables { sessions, wills })
}

/// What local clients are, where the configuration leaves it open.
fn local_clients(config: &Config, address: SocketAddr) -> LocalClients {
    let is_trusting = config.reloading == Reloading::OnChange || address.ip().is_loopback();
    let by_binding = if is_trusting { LocalClients::SuperUsers } else { LocalClients::Nobody };
    config.local_clients.unwrap_or(by_binding)
}

async fn open_store(config: &Config) -> Result<(Arc<Store>, Arc<Users>), ServeError> {
    let data = config.data.clone();
    let options = StoreOptions {
        durability: config.durability,
        scan_limit: config.scan_limit,
        retention: config.retention,
        cache_size: config.cache_size,
        ..StoreOptions::default()
    };
    let (sessions, lifetime) = (config.sessions, config.credential_lifetime);
    let open = move || {
        let store = Store::open(&data, options)?;
        let users = Users::open(&store, sessions, lifetime)?;
        Ok::<_, StoreError>((store, users))
    };
    match tokio::task::spawn_blocking(open).await {
        Ok(opened) => Ok(opened?),
        // The task is never aborted, so a failed join is a panic of the store: let it go on here.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
