//! The sync thread of [`crate::Durability::Interval`]: fsyncs what was committed since the last time.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::environment::Environment;

/// One such thread.
#[derive(Debug)]
pub(crate) struct Syncer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    dirty: bool,
    stopped: bool,
}

/// The writer's way to say that there is something to sync.
#[derive(Debug)]
pub(crate) struct Dirty(Arc<Shared>);

impl Dirty {
    pub(crate) fn mark(&self) {
        let mut state = self.0.state.lock();
        if !state.dirty {
            state.dirty = true;
            self.0.changed.notify_one();
        }
    }
}

impl Syncer {
    pub(crate) fn start(
        database: &str,
        environment: &Arc<Environment>,
        interval: Duration,
    ) -> io::Result<Syncer> {
        let shared = Arc::new(Shared::default());
        let (theirs, environment) = (Arc::clone(&shared), Arc::clone(environment));
        let thread = thread::Builder::new()
            .name(format!("sync {database}"))
            .spawn(move || run(&theirs, &environment, interval))?;
        Ok(Syncer { shared, thread: Mutex::new(Some(thread)) })
    }

    pub(crate) fn mark(&self) -> Dirty {
        Dirty(Arc::clone(&self.shared))
    }

    /// Ends the thread. What is still dirty is the caller's to sync.
    pub(crate) fn stop(&self) {
        self.shared.state.lock().stopped = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the sync thread has panicked");
        }
    }
}

fn run(shared: &Shared, environment: &Environment, interval: Duration) {
    let mut state = shared.state.lock();
    loop {
        shared.changed.wait_while(&mut state, |state| !state.dirty && !state.stopped);
        if !state.stopped {
            shared.changed.wait_while_for(&mut state, |state| !state.stopped, interval);
        }
        if state.stopped {
            return;
        }
        state.dirty = false;
        parking_lot::MutexGuard::unlocked(&mut state, || {
            if let Err(error) = environment.sync() {
                tracing::error!(%error, "could not sync the database");
            }
        });
    }
}
