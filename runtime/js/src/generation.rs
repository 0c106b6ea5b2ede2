//! One generation of a component's code: its workers, and what they export.
//!
//! A reload makes a new generation beside the old one. The old one keeps serving until the new one is
//! loaded, then drains: calls in flight are answered, sockets live on until they end or the grace
//! period passes, and its threads drop their isolates.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kora_resource::middleware::Middleware;
use kora_resource::schema::Protocols;
use kora_resource::{Accounts, Error, Limits, Resource, Result, Value};
use kora_store::{Source, Store, Table};
use tokio::sync::{oneshot, watch};

use crate::class::ClassResource;
use crate::error::LoadError;
use crate::exports::{Entry, ExportTable, ServedBy};
use crate::isolate::plugins::Change;
use crate::middleware::{CallOrigin, GuestMiddleware};
use crate::permissions::Grants;
use crate::plugin::{ComponentFiles, HostSettings, Plugin, PluginFailure};
use crate::source::{BoundSource, DeclaredSources};
use crate::worker::{InFlight, Job, Worker, WorkerOptions};

/// Where `harperdb/sockets.ts` registers the listeners of `server.ws`.
const SOCKETS_PATH: &str = "\0sockets";

/// Where `harperdb/mqtt.ts` registers who watches the MQTT broker.
const MQTT_PATH: &str = "\0mqtt";

/// Numbers the generations of this process.
static GENERATIONS: AtomicU64 = AtomicU64::new(0);

/// A component's code, as it lies on disk.
#[derive(Clone)]
pub struct Application {
    /// The component's name, for messages.
    pub name: String,
    /// Its folder.
    pub directory: PathBuf,
    /// Its modules, in the order in which they are imported.
    pub modules: Vec<ResourceModule>,
    /// How many isolates serve it.
    pub workers: NonZeroUsize,
    /// The packages that its configuration names, in the order of the file.
    pub plugins: Vec<Plugin>,
    /// How plugins find the component's files.
    pub files: Option<Arc<dyn ComponentFiles>>,
    pub settings: HostSettings,
    /// Its environment variables, over those of the server (`loadEnv`).
    pub environment: HashMap<String, String>,
    /// What it may touch outside its isolate.
    pub grants: Grants,
    /// How much it may use.
    pub limits: Limits,
}

/// What lies around a component's code, the same for all of its workers.
pub(crate) struct Surroundings {
    pub(crate) directory: PathBuf,
    /// A folder of its own for temporary files: the system's is full of other components' files.
    pub(crate) temporary: PathBuf,
    pub(crate) environment: HashMap<String, String>,
    pub(crate) grants: Grants,
    pub(crate) limits: Limits,
}

impl Surroundings {
    fn new(application: &Application) -> Surroundings {
        let directory =
            application.directory.canonicalize().unwrap_or_else(|_| application.directory.clone());
        let mut hasher = DefaultHasher::new();
        directory.hash(&mut hasher);
        let temporary = std::env::temp_dir().join(format!("kora-{:016x}", hasher.finish()));
        // Where it can't be made, the component's own attempt to write says why.
        let _ = std::fs::create_dir_all(&temporary);
        let mut environment: HashMap<String, String> = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            // What steers the dynamic linker must not reach a program that the component may start.
            .filter(|(key, _)| !key.starts_with("LD_") && !key.starts_with("DYLD_"))
            .collect();
        environment.insert("TMPDIR".to_owned(), temporary.to_string_lossy().into_owned());
        environment.extend(application.environment.clone());
        let (grants, limits) = (application.grants.clone(), application.limits);
        Surroundings { directory, temporary, environment, grants, limits }
    }
}

/// One file of resource classes.
#[derive(Debug, Clone)]
pub struct ResourceModule {
    pub path: PathBuf,
    /// The path below which its exports appear, without a leading slash; empty for the root.
    pub url_directory: String,
}

/// The workers of one version of a component's code.
pub struct Generation {
    /// Empty once the generation is shut down.
    workers: RwLock<Vec<Worker>>,
    table: Arc<ExportTable>,
    /// What the table says, as resources; brought up to date by who asks for them.
    exports: Mutex<Vec<(u32, Exported)>>,
    tables: Vec<Arc<Table>>,
    middleware: Option<Arc<dyn Middleware>>,
    plugin_failures: Vec<PluginFailure>,
    /// No two generations of a process have the same.
    number: u64,
    open_sockets: Arc<AtomicUsize>,
    limits: Limits,
    store: Arc<Store>,
    sources: Vec<BoundSource>,
    /// Where the search for an idle worker begins.
    next: AtomicUsize,
    this: Weak<Generation>,
}

/// An exported class, to be registered at `path`.
#[derive(Clone)]
pub struct Exported {
    pub path: String,
    pub resource: Arc<dyn Resource>,
    /// The database and table that the class extends, if it extends one.
    pub table: Option<(String, String)>,
    /// The protocols that may see it.
    pub protocols: Protocols,
    /// Whether it takes its path whoever else is registered there.
    pub force: bool,
    /// The two exports of this component that want the path, if there are two.
    pub conflict: Option<String>,
}

/// Loads an application's modules into workers of their own. Nothing of an older generation changes.
///
/// # Errors
/// The first module that does not compile or whose top level throws, with its file and line.
pub async fn load(
    application: Application,
    store: Arc<Store>,
    accounts: Arc<dyn Accounts>,
) -> Result<Arc<Generation>, LoadError> {
    let tables = store.tables();
    let modules: Arc<[(PathBuf, String)]> = application
        .modules
        .iter()
        .map(|module| (module.path.clone(), module.url_directory.clone()))
        .collect();
    let sources = DeclaredSources::default();
    let table = Arc::<ExportTable>::default();
    let surroundings = Arc::new(Surroundings::new(&application));
    let number = GENERATIONS.fetch_add(1, Ordering::Relaxed);
    let plugins: Arc<[Plugin]> = application.plugins.into();
    let settings = Arc::new(application.settings);
    let directory: Arc<Path> = application.directory.as_path().into();
    let count =
        if modules.is_empty() && plugins.is_empty() { 0 } else { application.workers.get() };
    let mut workers = Vec::new();
    let mut listeners = Vec::new();
    let mut plugin_failures = Vec::new();
    // The first worker alone: its load-time work (seeding, migrations) must not race with itself.
    for index in 0..count {
        let (worker, loaded) = Worker::start(WorkerOptions {
            application: application.name.as_str().into(),
            modules: modules.clone(),
            store: store.clone(),
            accounts: accounts.clone(),
            tables: tables.clone(),
            exports: table.clone(),
            index,
            sources: sources.clone(),
            generation: number,
            directory: directory.clone(),
            plugins: plugins.clone(),
            settings: settings.clone(),
            files: application.files.clone(),
            surroundings: surroundings.clone(),
        })
        .await?;
        workers.push(worker);
        if index == 0 {
            listeners = loaded.listeners;
            plugin_failures = loaded.plugin_failures;
        }
    }
    let has_listeners = !listeners.is_empty();
    Ok(Arc::new_cyclic(|this: &Weak<Generation>| {
        let middleware = GuestMiddleware::new(this.clone(), listeners);
        Generation {
            workers: RwLock::new(workers),
            table,
            exports: Mutex::default(),
            sources: sources.bind(this, &tables),
            tables,
            middleware: has_listeners.then(|| Arc::new(middleware) as Arc<dyn Middleware>),
            plugin_failures,
            number,
            open_sockets: Arc::default(),
            limits: application.limits,
            store,
            next: AtomicUsize::new(0),
            this: this.clone(),
        }
    }))
}

impl Generation {
    /// What its modules export by now. Code may register more, or something else at a path, at any
    /// time: see [`Generation::changes`].
    pub fn exports(&self) -> Vec<Exported> {
        let exports = self.known();
        let exports = exports.iter().map(|(_, exported)| exported);
        exports.filter(|exported| !exported.path.starts_with('\0')).cloned().collect()
    }

    /// The table's entries as resources.
    fn known(&self) -> MutexGuard<'_, Vec<(u32, Exported)>> {
        let mut exports = self.exports.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, entry) in self.table.entries().iter().enumerate() {
            match exports.get_mut(number) {
                Some((revision, _)) if *revision == entry.revision => {}
                Some(known) => *known = (entry.revision, self.exported(number, entry)),
                None => exports.push((entry.revision, self.exported(number, entry))),
            }
        }
        exports
    }

    /// Told whenever [`Generation::exports`] has changed; closed when the generation is gone.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.table.changes()
    }

    fn exported(&self, number: usize, entry: &Entry) -> Exported {
        let class = &entry.class;
        let table = class.table.and_then(|table| self.tables.get(table as usize).cloned());
        Exported {
            path: class.path.clone(),
            table: table
                .as_ref()
                .map(|table| (table.database().to_owned(), table.name().to_owned())),
            protocols: class.protocols(),
            force: class.force,
            conflict: class.conflict.clone(),
            resource: Arc::new(ClassResource::new(self.this.clone(), number, entry, table)),
        }
    }

    /// Has its tables ask this generation's sources from now on. For when it is to be served: one
    /// that failed to load changes nothing.
    pub fn activate(&self) {
        for BoundSource { table, source, lifetime } in &self.sources {
            self.store.set_source(table, Some((source.clone(), *lifetime)));
        }
    }

    /// Gives up the tables that no newer generation has taken over.
    fn release_sources(&self) {
        for BoundSource { table, source, .. } in &self.sources {
            let ours: Arc<dyn Source> = source.clone();
            if table.is_sourced_from(&ours) {
                self.store.set_source(table, None);
            }
        }
    }

    /// The listeners that the component has registered by `server.http`, if any.
    pub fn middleware(&self) -> Option<&Arc<dyn Middleware>> {
        self.middleware.as_ref()
    }

    /// Who answers for WebSockets that no resource answers for, if `server.ws` was called.
    pub fn sockets(&self) -> Option<Arc<dyn Resource>> {
        self.hidden(SOCKETS_PATH)
    }

    /// Who is told of the clients of the MQTT broker, if code uses `server.mqtt`.
    pub fn mqtt_watcher(&self) -> Option<Arc<dyn Resource>> {
        self.hidden(MQTT_PATH)
    }

    /// What is registered under a path that no URL can name.
    fn hidden(&self, path: &str) -> Option<Arc<dyn Resource>> {
        let known = self.known();
        let found = known.iter().find(|(_, exported)| exported.path == path);
        found.map(|(_, exported)| exported.resource.clone())
    }

    /// The plugins that did not start.
    pub fn plugin_failures(&self) -> &[PluginFailure] {
        &self.plugin_failures
    }

    /// Tells the plugins of all workers that files have changed, and what the configuration file says
    /// now if it did. True if they have handled all of it; otherwise the component wants a reload.
    pub async fn changed(&self, paths: &[PathBuf], config: Option<Value>) -> bool {
        let paths: Vec<String> =
            paths.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        let change = Change { paths, config };
        let answers: Vec<_> = {
            let workers = self.workers.read().unwrap_or_else(PoisonError::into_inner);
            let tell = |worker: &Worker| {
                let (answer, answered) = oneshot::channel();
                let in_flight = worker.submit(Job::Change { change: change.clone(), answer });
                in_flight.ok().map(|in_flight| (in_flight, answered))
            };
            workers.iter().map(tell).collect()
        };
        let mut handled = !answers.is_empty();
        for answer in answers {
            handled &= match answer {
                Some((_in_flight, answered)) => answered.await.unwrap_or(false),
                None => false,
            };
        }
        handled
    }

    /// Drains the generation in the background: waits until nobody holds one of its exports any more,
    /// no call is in flight and no socket is open, at most `grace`, then ends the workers.
    pub fn retire(self: Arc<Self>, grace: Duration) {
        self.release_sources();
        const LOOK: Duration = Duration::from_millis(50);
        let drain = move || {
            let deadline = Instant::now() + grace;
            while !self.idle() && Instant::now() < deadline {
                std::thread::sleep(LOOK);
            }
            self.shutdown();
        };
        if let Err(error) = std::thread::Builder::new().name("js-retire".to_owned()).spawn(drain) {
            tracing::error!("cannot start a thread that drains a generation: {error}");
        }
    }

    /// Lets the workers end: no new call is taken.
    pub fn shutdown(&self) {
        drop(self.end());
    }

    /// As [`Generation::shutdown`]; resolves when the workers have ended, at most `grace` later. Each
    /// lets what it has begun come to its end first, so that what `finally` blocks write is stored.
    pub async fn stop(&self, grace: Duration) {
        const LOOK: Duration = Duration::from_millis(5);
        let threads = self.end();
        let deadline = Instant::now() + grace;
        while threads.iter().any(|thread| !thread.is_finished()) {
            if Instant::now() >= deadline {
                tracing::warn!("a component's code does not end: its thread is left behind");
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn end(&self) -> Vec<JoinHandle<()>> {
        let mut workers = self.workers.write().unwrap_or_else(PoisonError::into_inner);
        workers.drain(..).map(Worker::end).collect()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    pub(crate) fn open_sockets(&self) -> &Arc<AtomicUsize> {
        &self.open_sockets
    }

    fn idle(&self) -> bool {
        // A request that was routed here before the swap, and still reads its body, holds its export.
        let exports = self.exports.lock().unwrap_or_else(PoisonError::into_inner);
        exports.iter().all(|(_, exported)| Arc::strong_count(&exported.resource) == 1)
            && self.middleware.as_ref().is_none_or(|middleware| Arc::strong_count(middleware) == 1)
            && self.open_sockets.load(Ordering::Acquire) == 0
            && self
                .workers
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
                .all(|worker| worker.in_flight() == 0)
    }

    /// Gives a job to the worker that comes to it soonest and has the least to do, of those that have registered the
    /// export; `None` for what all of them serve.
    pub(crate) fn submit(&self, job: Job, served_by: Option<&ServedBy>) -> Result<InFlight> {
        let serves =
            |worker: &&Worker| served_by.is_none_or(|served_by| served_by.contains(worker.index()));
        let workers = self.workers.read().unwrap_or_else(PoisonError::into_inner);
        let running: usize = workers.iter().map(Worker::in_flight).sum();
        if running >= self.limits.concurrency {
            return Err(Error::unavailable(format!(
                "the component has as many calls under way as limits.concurrency allows, {running}: try again"
            )));
        }
        let before = CallOrigin::find(job.origins(), self.number);
        let before = before.and_then(|origin| workers.get(origin.worker));
        if let Some(worker) = before.filter(serves) {
            // Where the request's own object lives.
            return worker.submit(job);
        }
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        (0..workers.len())
            .map(|offset| &workers[(start.wrapping_add(offset)) % workers.len()])
            .filter(|worker| serves(worker) && !worker.is_gone())
            .min_by_key(|worker| (worker.attention(), worker.in_flight()))
            .ok_or_else(|| Error::unavailable("the component is being replaced, try again"))?
            .submit(job)
    }
}
