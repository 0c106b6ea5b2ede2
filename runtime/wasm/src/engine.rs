//! What all guests of a process share: the compiler and its settings, the ticker that interrupts running guests, and
//! the threads on which they run.
//!
//! The ticker is a plain thread, so that no busy executor can starve it; it sleeps while no guest runs. Guests run on
//! a tokio runtime of their own: a guest that computes takes a thread from other guests for one tick at a time, never
//! from the sockets. Compiling takes at most all cores but one, on blocking threads.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::error::LoadError;
use crate::limits::MAX_MEMORY;

/// How often a running guest is looked at: the grain of `limits.cpu`, and what a guest runs in one piece.
pub(crate) const TICK: Duration = Duration::from_millis(2);

/// How many ticks in a row find no guest running before the ticker sleeps. To be woken costs a call about as much as its
/// guest does, and the next call is seldom far.
const IDLE_TICKS: u32 = 50;

/// How far the guests' threads stand behind those of the sockets when there is work for both: a third of their share.
/// What runs there is long, or waits for something.
const NICE: i32 = 5;

/// Instances that the pool has room for, over all guests. Past it an instance is refused like any that does not fit.
const POOLED_INSTANCES: u32 = 2_000;

/// How the engine is set up.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Threads that run guests.
    pub threads: usize,
    /// Where compiled code is kept between starts; `None` compiles anew each time.
    pub cache: Option<PathBuf>,
}

/// The engine of a process. Cheap to share; ends its threads when the last guest is gone.
pub struct GuestEngine {
    engine: Engine,
    pub(crate) cache: Option<PathBuf>,
    pub(crate) compiling: Semaphore,
    running: Arc<Running>,
    runtime: Option<Runtime>,
}

/// How many guests run now; the ticker waits for the first.
#[derive(Debug, Default)]
struct Running {
    count: AtomicUsize,
    /// Whether the ticker waits, or is about to.
    asleep: AtomicBool,
    ended: Mutex<bool>,
    wake: Condvar,
}

/// Keeps the ticker awake while a guest runs.
#[derive(Debug)]
pub(crate) struct Awake(Arc<Running>);

impl GuestEngine {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the machine refuses threads, or the processor is none that wasmtime knows.
    pub fn start(options: EngineOptions) -> Result<Arc<GuestEngine>, LoadError> {
        let failed = |error: String| LoadError::Engine(error);
        let engine = engine().map_err(|error| failed(format!("{error:#}")))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(options.threads.max(1))
            .thread_name("wasm")
            .on_thread_start(give_precedence)
            .enable_all()
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let running = Arc::new(Running::default());
        let ticker = (engine.clone(), running.clone());
        std::thread::Builder::new()
            .name("wasm-ticker".to_owned())
            .spawn(move || tick(&ticker.0, &ticker.1))
            .map_err(|error| failed(error.to_string()))?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Arc::new(GuestEngine {
            engine,
            cache: options.cache,
            compiling: Semaphore::new(cores.saturating_sub(1).max(1)),
            running,
            runtime: Some(runtime),
        }))
    }

    pub(crate) fn wasmtime(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(work);
        }
    }

    /// Interrupts come for as long as the result lives.
    pub(crate) fn awake(&self) -> Awake {
        // Waking is a call into the system, so only for a ticker that sleeps. It looks at the count once more after it
        // has said so, and the order of these steps is the same for both.
        if self.running.count.fetch_add(1, Ordering::SeqCst) == 0
            && self.running.asleep.load(Ordering::SeqCst)
        {
            // Taking the lock orders this with the ticker's decision to sleep.
            drop(self.running.ended.lock().unwrap_or_else(PoisonError::into_inner));
            self.running.wake.notify_one();
        }
        Awake(self.running.clone())
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for GuestEngine {
    fn drop(&mut self) {
        *self.running.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.running.wake.notify_one();
        // Dropping a runtime blocks, which a caller on another runtime must not.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for GuestEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuestEngine").field("running", &self.running.count).finish_non_exhaustive()
    }
}

/// Has the calling thread stand back behind others. On Linux this is a thread's own affair.
fn give_precedence() {
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!("the guests' threads run like all others: {error}");
    }
}

/// The ticker's whole life.
fn tick(engine: &Engine, running: &Running) {
    let mut next = Instant::now();
    let mut idle = 0;
    loop {
        idle = if running.count.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
        if idle > IDLE_TICKS {
            idle = 0;
            let mut ended = running.ended.lock().unwrap_or_else(PoisonError::into_inner);
            running.asleep.store(true, Ordering::SeqCst);
            while !*ended && running.count.load(Ordering::SeqCst) == 0 {
                ended = running.wake.wait(ended).unwrap_or_else(PoisonError::into_inner);
            }
            running.asleep.store(false, Ordering::SeqCst);
        }
        if *running.ended.lock().unwrap_or_else(PoisonError::into_inner) {
            return;
        }
        // By the clock, so that what a sleep takes too long does not add up; ticks that were missed are not made up for.
        let now = Instant::now();
        next = if next + TICK > now { next + TICK } else { now + TICK };
        std::thread::sleep(next - now);
        engine.increment_epoch();
    }
}

/// Pooled instances start in microseconds; where the address space is too small for the pool, instances are made on
/// demand.
fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.wasm_component_model_async(true);
    config.memory_init_cow(true);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(POOLED_INSTANCES)
        .total_core_instances(POOLED_INSTANCES * 4)
        .total_memories(POOLED_INSTANCES)
        .total_tables(POOLED_INSTANCES * 2)
        .total_stacks(POOLED_INSTANCES)
        .max_memory_size(MAX_MEMORY)
        .linear_memory_keep_resident(256 << 10)
        .max_unused_warm_slots(64);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    match Engine::new(&config) {
        Ok(engine) => Ok(engine),
        Err(error) => {
            tracing::info!("WASM instances are made on demand, without a pool: {error:#}");
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
            Engine::new(&config)
        }
    }
}
