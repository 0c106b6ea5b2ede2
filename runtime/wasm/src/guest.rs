//! One loaded `.wasm` and the resources that it offers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kora_resource::schema::TableSchema;
use kora_resource::{
    Call, Connect, Error, ErrorKind, Limits, Outgoing, Reply, Resource, ResourceFuture, VerbSet,
};
use kora_store::{Store, Table};
use tokio::sync::oneshot;

use crate::bindings::{Resources as Bindings, ResourcesPre};
use crate::engine::GuestEngine;
use crate::error::LoadError;
use crate::instance::{Instance, State};
use crate::manifest::{Manifest, ResourceManifest};
use crate::pace::Pace;
use crate::pool::Pool;
use crate::{artefact, call, connect, convert, linker};

/// A `.wasm` as it lies in a component.
#[derive(Debug, Clone)]
pub struct GuestModule {
    pub path: PathBuf,
    /// The component's name, for the log.
    pub component: String,
    /// What the guest's `config` import answers: a JSON text.
    pub config: String,
    /// Hosts that it may reach over HTTP: `example.com`, `example.com:8080`, `*.example.com`, or `*` for any.
    pub allowed_hosts: Vec<String>,
    pub limits: Limits,
}

/// What each instance knows of its guest.
#[derive(Debug)]
pub(crate) struct GuestInfo {
    pub(crate) component: String,
    pub(crate) config: String,
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) limits: Limits,
}

/// A loaded guest. Its instances end with the last of its resources.
pub struct Guest {
    pub(crate) engine: Arc<GuestEngine>,
    pub(crate) info: Arc<GuestInfo>,
    pub(crate) store: Arc<Store>,
    pub(crate) pool: Pool,
    pub(crate) streams: Arc<tokio::sync::Semaphore>,
    /// Calls that keep meeting conflicts run one after the other.
    pub(crate) contended: tokio::sync::Mutex<()>,
    pub(crate) manifest: Manifest,
    /// One for each resource.
    pub(crate) paces: Vec<Pace>,
    pre: ResourcesPre<State>,
}

/// A guest's resource, to be registered at `path`.
pub struct Exported {
    pub path: String,
    pub resource: Arc<dyn Resource>,
    /// The database and table that it stands for, if it says so.
    pub table: Option<(String, String)>,
}

impl Guest {
    /// Reads, compiles and links `module`, and asks it what it offers.
    ///
    /// # Errors
    /// What is wrong with the file, the guest's imports or its manifest.
    pub async fn load(
        engine: &Arc<GuestEngine>,
        module: GuestModule,
        store: Arc<Store>,
    ) -> Result<Arc<Guest>, LoadError> {
        let GuestModule { path, component, config, allowed_hosts, limits } = module;
        let info = Arc::new(GuestInfo { component, config, allowed_hosts, limits });
        let compiled = compile(engine, &path).await?;
        let pre = linker::link(engine.wasmtime(), &path, &compiled, &info)?;
        let manifest = ask(engine, &pre, &info, &store, &path).await?;
        Ok(Arc::new(Guest {
            engine: engine.clone(),
            pool: Pool::new(info.limits.concurrency),
            streams: Arc::new(tokio::sync::Semaphore::new(info.limits.concurrency.max(1))),
            contended: tokio::sync::Mutex::default(),
            info,
            store,
            paces: manifest.resources.iter().map(|_| Pace::default()).collect(),
            manifest,
            pre,
        }))
    }

    /// Its resources, below `url_directory`.
    pub fn exports(self: &Arc<Self>, url_directory: &str) -> Vec<Exported> {
        let below = |path: &str| match (url_directory, path) {
            ("", path) => path.to_owned(),
            (directory, "") => directory.to_owned(),
            (directory, path) => format!("{directory}/{path}"),
        };
        self.manifest
            .resources
            .iter()
            .enumerate()
            .map(|(number, manifest)| Exported {
                path: below(&manifest.path),
                resource: Arc::new(GuestResource {
                    guest: self.clone(),
                    number: number as u32,
                    manifest: manifest.clone(),
                }),
                table: manifest.table.clone(),
            })
            .collect()
    }

    /// An instance for one call: one that waits, or a new one.
    pub(crate) async fn instance(&self) -> kora_resource::Result<Instance> {
        match self.pool.take() {
            Some(instance) => Ok(instance),
            // Boxed: it is seldom needed, and each call's future would be as large as this.
            None => Box::pin(self.new_instance()).await,
        }
    }

    pub(crate) async fn new_instance(&self) -> kora_resource::Result<Instance> {
        let state = State::new(&self.info, &self.store, self.manifest.encoding);
        start(self.engine.wasmtime(), &self.pre, state).await.map_err(|error| {
            tracing::error!(component = self.info.component, "a guest can't be started: {error:#}");
            Error::unavailable(format!("{} has no room for another instance", self.info.component))
        })
    }
}

impl std::fmt::Debug for Guest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guest").field("manifest", &self.manifest).finish_non_exhaustive()
    }
}

async fn compile(
    engine: &Arc<GuestEngine>,
    path: &Path,
) -> Result<wasmtime::component::Component, LoadError> {
    let start = |message: &str| LoadError::Start { path: path.to_owned(), message: message.into() };
    let _turn = engine.compiling.acquire().await.map_err(|_| start("the engine has ended"))?;
    let (engine, file) = (engine.clone(), path.to_owned());
    let work = move || {
        let bytes = std::fs::read(&file)
            .map_err(|source| LoadError::Read { path: file.clone(), source })?;
        artefact::component(engine.wasmtime(), &file, bytes, engine.cache.as_deref())
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| start(&error.to_string()))?
}

/// An instance of its own for the manifest: what the guest does there can't touch anything.
async fn ask(
    engine: &Arc<GuestEngine>,
    pre: &ResourcesPre<State>,
    info: &Arc<GuestInfo>,
    store: &Arc<Store>,
    path: &Path,
) -> Result<Manifest, LoadError> {
    let failed = |message: String| LoadError::Start { path: path.to_owned(), message };
    let state = State::new(info, store, Default::default());
    let meter = state.meter.clone();
    let (answer, answered) = oneshot::channel();
    let (pre, wasm, awake) = (pre.clone(), engine.wasmtime().clone(), engine.awake());
    let metered = meter.clone();
    engine.spawn(async move {
        let work = async {
            let mut instance = start(&wasm, &pre, state).await?;
            let Instance { store, bindings, .. } = &mut instance;
            metered.around(bindings.kora_resource_guest().call_manifest(store)).await
        };
        let result: wasmtime::Result<String> = work.await;
        drop(awake);
        // A receiver that is gone gave up on the load.
        drop(answer.send(result));
    });
    let text = tokio::time::timeout(info.limits.wall_time, answered)
        .await
        .map_err(|_| failed("it did not answer `manifest` within limits.wallTime".to_owned()))?
        .map_err(|_| failed("the engine has ended".to_owned()))?
        .map_err(|error| match meter.exceeded() {
            Some(exceeded) => failed(info.limits.error(exceeded, "`manifest`").message),
            None => failed(format!("`manifest` failed: {error:#}")),
        })?;
    Manifest::parse(&text).map_err(|message| LoadError::Manifest { path: path.to_owned(), message })
}

async fn start(
    engine: &wasmtime::Engine,
    pre: &ResourcesPre<State>,
    state: State,
) -> wasmtime::Result<Instance> {
    let meter = state.meter.clone();
    let mut store = state.into_store(engine);
    let bindings: Bindings = meter.around(pre.instantiate_async(&mut store)).await?;
    Ok(Instance { store, bindings, meter, calls: 0 })
}

/// One entry of a guest's manifest.
#[derive(Debug)]
struct GuestResource {
    guest: Arc<Guest>,
    number: u32,
    manifest: ResourceManifest,
}

impl GuestResource {
    fn table(&self) -> Option<Arc<Table>> {
        let (database, name) = self.manifest.table.as_ref()?;
        self.guest.store.table(database, name)
    }
}

impl Resource for GuestResource {
    fn name(&self) -> &str {
        &self.manifest.path
    }

    fn verbs(&self) -> VerbSet {
        self.manifest.verbs
    }

    fn schema(&self) -> Option<Arc<TableSchema>> {
        self.table().map(|table| table.schema())
    }

    fn call(self: Arc<Self>, request: Call) -> ResourceFuture<Reply> {
        Box::pin(async move {
            convert::authorize(&request.context, self.manifest.public)?;
            if !self.manifest.verbs.contains(request.verb) {
                return Err(Error::new(
                    ErrorKind::MethodNotAllowed(self.manifest.verbs),
                    format!(
                        "The {} does not have a {} method implemented",
                        self.manifest.path,
                        request.verb.method()
                    ),
                ));
            }
            let work = call::Work { number: self.number, call: request };
            call::run(self.guest.clone(), work).await
        })
    }

    fn connect(self: Arc<Self>, request: Connect) -> ResourceFuture<Outgoing> {
        Box::pin(async move {
            convert::authorize(&request.context, self.manifest.public)?;
            if !self.manifest.connect {
                return Err(Error::new(
                    ErrorKind::MethodNotAllowed(self.manifest.verbs),
                    format!(
                        "The {} does not have a connect method implemented",
                        self.manifest.path
                    ),
                ));
            }
            connect::open(self.guest.clone(), &self.manifest.path, self.number, request).await
        })
    }
}
