//! Applications: found in a folder, loaded, kept as one immutable [`Snapshot`] and replaced while
//! the server runs.
//!
//! [`Components`] owns the loaded applications. Requests read the current snapshot without a lock;
//! a reload builds the next one beside it and swaps it in one step, so a request sees the old or
//! the new state as a whole. Loads run one at a time. An application that worked and no longer
//! loads keeps its old version; one that never worked answers 500 with the error on its paths.

mod application;
mod data_loader;
mod discovery;
mod entries;
mod environment;
mod failed_resource;
pub(crate) mod guest_builds;
mod packages;
mod plugin_packages;
pub mod registry;
pub mod watch;

use std::collections::HashSet;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use kora_resource::Resource;
use kora_resource::schema::Protocols;
use kora_store::Store;

use crate::config::component::RestOptions;
use crate::config::root::RootConfig;
use crate::config::static_options::{Missing, Order};
use crate::http::chain::Chain;
use crate::users::Users;
use application::Application;
pub use application::{Guests, LoadFailure, StaticMount};
use registry::{Claim, Registration, Registry, Served};

/// Everything that is served at one moment.
#[derive(Default)]
pub struct Snapshot {
    pub registry: Registry,
    pub statics: Vec<StaticMount>,
    /// First URL segments that exist as static files. A path that begins with one is looked up on
    /// disk before it goes to a resource of the same name (`spec/harper-components.md` section 2.2);
    /// all others go to their resource without touching the disk.
    static_names: HashSet<String>,
    /// A `static` with `fallthrough: false` stands in front of all resources.
    statics_answer_all: bool,
    /// What any application says about REST; `None` while none turns it on.
    pub rest: Option<RestOptions>,
    /// The middleware of all applications; `None` while there is none.
    pub chain: Option<Arc<Chain>>,
    /// Who answers for WebSockets that no resource answers for.
    pub sockets: Option<Arc<Registration>>,
    /// Who is told of the clients of the MQTT broker.
    pub mqtt_watchers: Vec<Arc<dyn Resource>>,
}

impl Snapshot {
    /// Whether a static file may stand in front of a resource at `path` (with its leading `/`).
    pub fn may_be_static(&self, path: &str) -> bool {
        if self.statics_answer_all {
            return true;
        }
        let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        self.static_names.contains(first)
    }

    fn of(applications: &[Arc<Application>]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let mut middleware = Vec::new();
        let parts = applications.iter().flat_map(|application| application.with_nested());
        for application in parts {
            middleware.extend(application.middleware().cloned());
            if let Some(sockets) = application.sockets() {
                snapshot.sockets.get_or_insert_with(|| socket_registration(sockets));
            }
            snapshot.mqtt_watchers.extend(application.mqtt_watcher());
            for registration in application.registrations() {
                snapshot.registry.insert(registration);
            }
            if let Some(mount) = &application.statics {
                if mount.options.order == Order::BeforeResources {
                    mount.collect_first_segments(&mut snapshot.static_names);
                    snapshot.statics_answer_all |= mount.options.missing != Missing::FallThrough;
                }
                snapshot.statics.push(mount.clone());
            }
            if let Some(rest) = application.rest {
                let merged = snapshot.rest.get_or_insert(rest);
                merged.last_modified |= rest.last_modified;
                merged.web_socket &= rest.web_socket;
            }
        }
        if !middleware.is_empty() {
            snapshot.chain = Some(Arc::new(Chain::new(&middleware)));
        }
        snapshot
    }
}

/// How applications are loaded.
#[derive(Clone)]
pub struct Settings {
    /// One application, or a folder of them.
    pub directory: PathBuf,
    /// A folder of applications that come before those of `directory`.
    pub components_root: Option<PathBuf>,
    /// The configuration of the host as a whole.
    pub root: Arc<RootConfig>,
    /// The least level that components log, unless they say otherwise.
    pub log_level: Option<String>,
    /// Where the databases live; never served and never watched.
    pub data: PathBuf,
    /// JavaScript workers of each application.
    pub workers: NonZeroUsize,
    /// Where guests in WebAssembly run.
    pub guests: Arc<Guests>,
    /// How long what a replaced generation began may go on.
    pub grace: Duration,
    /// Whom `roles.yaml` and the classes of an application are about.
    pub users: Arc<Users>,
}

/// What a reload did.
#[derive(Debug)]
pub enum Reload {
    /// The new state is served.
    Replaced,
    /// At least one application did not load; its old version goes on.
    KeptOld(Vec<LoadFailure>),
    /// Only static files changed, which are read from disk anyway.
    StaticsOnly,
}

/// The applications of one server.
pub struct Components {
    settings: Settings,
    store: Arc<Store>,
    snapshot: ArcSwap<Snapshot>,
    /// In order of discovery. The lock makes loads run one at a time.
    loaded: tokio::sync::Mutex<Vec<Arc<Application>>>,
}

impl Components {
    /// Finds and loads everything. An application that fails is served as errors and reported in
    /// the second value; the error is for a folder that can't be read.
    pub async fn load(
        settings: Settings,
        store: Arc<Store>,
    ) -> io::Result<(Arc<Components>, Vec<LoadFailure>)> {
        let mut loaded = Vec::new();
        let mut failures = Vec::new();
        for found in discovery::discover_all(&settings)? {
            let application = Application::load(&found, &settings, &store).await;
            application.report_warnings(None);
            failures.extend(application.all_failures());
            application.activate();
            loaded.push(Arc::new(application));
        }
        let components = Components {
            settings,
            store,
            snapshot: ArcSwap::from_pointee(Snapshot::of(&loaded)),
            loaded: tokio::sync::Mutex::new(loaded),
        };
        let components = Arc::new(components);
        for application in components.loaded.lock().await.iter() {
            components.follow(application);
        }
        Ok((components, failures))
    }

    /// What is served now.
    pub fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    pub(crate) fn data(&self) -> &Path {
        &self.settings.data
    }

    /// The folders that applications come from.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &Path> {
        let settings = &self.settings;
        settings.components_root.iter().chain([&settings.directory]).map(PathBuf::as_path)
    }

    /// Loads again whatever `changed` belongs to, and swaps it in.
    pub async fn reload(self: &Arc<Self>, changed: &[PathBuf]) -> io::Result<Reload> {
        let mut loaded = self.loaded.lock().await;
        let found = discovery::discover_all(&self.settings)?;
        let mut next = Vec::with_capacity(found.len());
        let mut failures = Vec::new();
        let mut anything_loaded = found.len() != loaded.len();
        for found in &found {
            let old = loaded.iter().find(|old| old.directory == found.directory);
            if let Some(old) = old
                && (!changed.iter().any(|path| old.depends_on(path))
                    || old.absorbs(&of_application(changed, old)).await)
            {
                next.push(old.clone());
                continue;
            }
            anything_loaded = true;
            let new = Application::load(found, &self.settings, &self.store).await;
            let failed = new.all_failures();
            failures.extend(failed.iter().cloned());
            match old {
                Some(old) if !failed.is_empty() && old.all_failures().is_empty() => {
                    new.shutdown();
                    next.push(old.clone());
                }
                _ => {
                    new.report_warnings(old.map(|old| &**old));
                    new.activate();
                    next.push(Arc::new(new));
                }
            }
        }
        self.snapshot.store(Arc::new(Snapshot::of(&next)));
        for old in loaded.iter() {
            if !next.iter().any(|new| Arc::ptr_eq(new, old)) {
                old.retire(self.settings.grace);
            }
        }
        for new in &next {
            if !loaded.iter().any(|old| Arc::ptr_eq(new, old)) {
                self.follow(new);
            }
        }
        *loaded = next;
        Ok(match (anything_loaded, failures.is_empty()) {
            (false, _) => Reload::StaticsOnly,
            (true, true) => Reload::Replaced,
            (true, false) => Reload::KeptOld(failures),
        })
    }

    /// Has what an application's code registers while it runs served, as long as it runs.
    fn follow(self: &Arc<Self>, application: &Application) {
        for mut changes in application.with_nested().into_iter().filter_map(Application::changes) {
            // Something may have been registered since the snapshot was made.
            changes.mark_changed();
            let components = Arc::downgrade(self);
            tokio::spawn(async move {
                while changes.changed().await.is_ok() {
                    let Some(components) = components.upgrade() else { return };
                    let loaded = components.loaded.lock().await;
                    components.snapshot.store(Arc::new(Snapshot::of(&loaded)));
                }
            });
        }
    }

    /// Stops all guest code. For the end of the process: what it has begun may come to its end.
    pub async fn shutdown(&self) {
        for application in self.loaded.lock().await.iter() {
            application.stop().await;
        }
    }
}

/// The listeners of `server.ws`, as the router takes a resource.
fn socket_registration(resource: Arc<dyn Resource>) -> Arc<Registration> {
    Arc::new(Registration {
        path: String::new(),
        resource,
        table: None,
        protocols: Protocols::default(),
        served: Served::ByGuest,
        claim: Claim::Ordinary,
    })
}

/// The changed paths that an application must load again for, or leave to its plugins.
fn of_application(changed: &[PathBuf], application: &Application) -> Vec<PathBuf> {
    changed.iter().filter(|path| application.depends_on(path)).cloned().collect()
}
