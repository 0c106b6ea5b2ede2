//! One worker: a thread with one isolate, in which many calls interleave.
//!
//! ```text
//! transports --Job--> queue -> worker thread: dispatch into JavaScript -> event loop -> answers
//! ```
//! The thread makes the isolate, uses it and drops it. It drives no socket and no timer of the server:
//! what it awaits are jobs, its own event loop and the store's acknowledgements. An exception that
//! nobody caught is logged and the worker goes on, as Node's would with a handler.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use kora_resource::middleware::{Listener, Origin, Request, Step};
use kora_resource::{Accounts, Call, Connect, Error, Exceeded, Reply, Result};
use kora_store::{Store, Table};
use tokio::sync::{mpsc, oneshot};

use crate::error::LoadError;
use crate::exports::ExportTable;
use crate::generation::Surroundings;
use crate::isolate::plugins::Change;
use crate::isolate::{Isolate, Served};
use crate::plugin::{ComponentFiles, HostSettings, Plugin, PluginFailure};
use crate::socket::Opening;
use crate::source::{DeclaredSources, SourceCall};
use crate::watchdog::{self, Attention, Pulse};

/// Jobs that may wait for one worker. Past it callers get 503 at once instead of a growing queue.
const QUEUE: usize = 4_096;

/// What a worker is asked to do.
pub(crate) enum Job {
    Call {
        export: usize,
        call: Call,
        answer: oneshot::Sender<Result<Reply>>,
    },
    Connect {
        export: usize,
        connect: Connect,
        opening: Opening,
    },
    /// A question to one of the component's caching sources.
    Source {
        source: usize,
        call: SourceCall,
    },
    /// A request for the component's middleware.
    Request {
        listeners: Box<[usize]>,
        request: Request,
        steps: mpsc::Sender<Step>,
    },
    /// Files or options have changed: the answer is whether the component's plugins handled it.
    Change {
        change: Change,
        answer: oneshot::Sender<bool>,
    },
}

impl Job {
    /// What middleware made of the request behind the job.
    pub(crate) fn origins(&self) -> &[Origin] {
        match self {
            Job::Call { call, .. } => &call.context.origins,
            Job::Connect { connect, .. } => &connect.context.origins,
            Job::Request { request, .. } => &request.origins,
            Job::Source { .. } | Job::Change { .. } => &[],
        }
    }
}

/// What a worker needs to start.
#[derive(Clone)]
pub(crate) struct WorkerOptions {
    pub(crate) application: Arc<str>,
    pub(crate) modules: Arc<[(PathBuf, String)]>,
    pub(crate) store: Arc<Store>,
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) tables: Vec<Arc<Table>>,
    pub(crate) exports: Arc<ExportTable>,
    pub(crate) index: usize,
    /// Where the first worker tells of the component's sources.
    pub(crate) sources: DeclaredSources,
    pub(crate) generation: u64,
    pub(crate) directory: Arc<Path>,
    pub(crate) plugins: Arc<[Plugin]>,
    pub(crate) settings: Arc<HostSettings>,
    pub(crate) files: Option<Arc<dyn ComponentFiles>>,
    pub(crate) surroundings: Arc<Surroundings>,
}

/// What a worker tells once its component is loaded.
pub(crate) struct Loaded {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) plugin_failures: Vec<PluginFailure>,
}

/// The handle of a running worker. Dropping it lets the thread end once its jobs are answered.
pub(crate) struct Worker {
    jobs: mpsc::Sender<Job>,
    in_flight: Arc<AtomicUsize>,
    pulse: Arc<Pulse>,
    index: usize,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts the thread; resolves when the component's modules are loaded there and what they export
    /// is in the table.
    pub(crate) async fn start(options: WorkerOptions) -> Result<(Worker, Loaded), LoadError> {
        let (jobs, receiver) = mpsc::channel(QUEUE);
        let (ready, loaded) = oneshot::channel();
        let (application, index) = (options.application.clone(), options.index);
        let failed =
            |message: String| LoadError::Worker { application: application.to_string(), message };
        let pulse = Arc::<Pulse>::default();
        let own = pulse.clone();
        let thread = std::thread::Builder::new()
            .name(format!("js-{}-{}", options.application, options.index))
            .spawn(move || run(options, own, receiver, ready))
            .map_err(|error| failed(error.to_string()))?;
        let loaded = loaded.await.map_err(|_| failed("it ended before it was ready".into()))??;
        Ok((Worker { jobs, in_flight: Arc::default(), pulse, index, thread }, loaded))
    }

    /// Its place among the workers of its generation.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Lets the thread end; gives it to who wants to wait for that.
    pub(crate) fn end(self) -> JoinHandle<()> {
        self.thread
    }

    /// Calls that wait or run here.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// How soon it comes to what it is given now.
    pub(crate) fn attention(&self) -> Attention {
        self.pulse.attention()
    }

    /// Whether its thread has ended.
    pub(crate) fn is_gone(&self) -> bool {
        self.jobs.is_closed()
    }

    /// Gives the worker a job. The guard counts it until the caller has its answer.
    pub(crate) fn submit(&self, job: Job) -> Result<InFlight> {
        let guard = InFlight(self.in_flight.clone());
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Error::unavailable("Service unavailable, exceeded request queue limit")
            }
            mpsc::error::TrySendError::Closed(_) => {
                Error::unavailable("the component is being replaced, try again")
            }
        })?;
        Ok(guard)
    }
}

/// Counts one job for as long as it lives.
pub(crate) struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A new isolate with the component loaded into it, which has its limits too.
async fn load(options: &WorkerOptions, pulse: &Arc<Pulse>) -> Result<Isolate, LoadError> {
    let mut isolate = Isolate::new(options.clone(), pulse)?;
    let wall_time = watchdog::while_loading(&options.surroundings.limits).wall_time;
    let loaded = {
        let mut loading = std::pin::pin!(isolate.load());
        let loading = std::future::poll_fn(|cx| {
            let _inside = pulse.enter();
            loading.as_mut().poll(cx)
        });
        tokio::time::timeout(wall_time, loading).await
    };
    match (loaded, pulse.exceeded()) {
        (_, Some(exceeded)) => Err(isolate.stopped_while_loading(exceeded)),
        (Err(_), None) => Err(isolate.stopped_while_loading(Exceeded::WallTime)),
        (Ok(Err(error)), None) => Err(error),
        (Ok(Ok(())), None) => Ok(isolate),
    }
}

/// The thread's whole life. Code that passes a limit costs its isolate; the thread goes on with a new one.
fn run(
    options: WorkerOptions,
    pulse: Arc<Pulse>,
    mut jobs: mpsc::Receiver<Job>,
    ready: oneshot::Sender<Result<Loaded, LoadError>>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let application = options.application.to_string();
    let failed = |message: String| LoadError::Worker { application: application.clone(), message };
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(failed(error.to_string())))),
    };
    // The isolate must be made, used and dropped within the tokio runtime's context.
    runtime.block_on(async move {
        let mut isolate = match load(&options, &pulse).await {
            Ok(isolate) => isolate,
            // Nobody who waits means that the load was given up.
            Err(error) => return drop(ready.send(Err(error))),
        };
        let loaded =
            Loaded { listeners: isolate.listeners(), plugin_failures: isolate.plugin_failures() };
        if ready.send(Ok(loaded)).is_err() {
            return;
        }
        let mut again = Vec::new();
        // What waits in the queue waits on while a new isolate is made.
        pulse.serve(true);
        while let Served::Stopped(begun) = isolate.serve(&mut jobs, again).await {
            again = begun;
            drop(isolate);
            isolate = match load(&options, &pulse).await {
                Ok(isolate) => isolate,
                Err(error) => {
                    tracing::error!("{application}: a worker can't be started again: {error}");
                    return;
                }
            };
            pulse.serve(true);
        }
        isolate.close_plugins();
    });
}
