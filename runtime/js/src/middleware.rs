//! The listeners of one component's `server.http` as a [`Middleware`]: what the host's chain sees.
//!
//! A request becomes a job of one worker (`isolate/requests.rs` enters JavaScript with it). What the
//! listeners do comes back as steps over a small channel: their `next` is answered by the host on its
//! own threads, the worker only waits. A request that has passed a worker already goes there again.

use std::sync::{Arc, Weak};

use kora_resource::middleware::{Listener, Middleware, Origin, Request, Step, Steps};
use kora_resource::{Error, Result, User};
use tokio::sync::mpsc;

use crate::generation::Generation;
use crate::worker::Job;

/// Steps of one request that may wait for the host: more than one only where code calls `next`
/// several times at once.
const STEPS: usize = 8;

/// The listeners of one generation.
pub(crate) struct GuestMiddleware {
    /// Weak, since the generation owns its middleware; a request keeps it alive while it runs.
    generation: Weak<Generation>,
    listeners: Vec<Listener>,
}

/// Which object of which worker stands for a request.
#[derive(Debug)]
pub(crate) struct CallOrigin {
    /// The generation's number: numbers are never given twice.
    pub(crate) generation: u64,
    pub(crate) worker: usize,
    /// The number under which the worker's JavaScript knows the object; never given twice there.
    pub(crate) number: u32,
    /// Who was asking when the request left the component.
    pub(crate) user: Option<Arc<User>>,
}

impl CallOrigin {
    /// Whether the same one asks as when the request left the component.
    pub(crate) fn has_left_with(&self, user: Option<&Arc<User>>) -> bool {
        match (&self.user, user) {
            (Some(left), Some(user)) => Arc::ptr_eq(left, user),
            (left, user) => left.is_none() && user.is_none(),
        }
    }

    /// The origin that a generation left with a request, if it left one.
    pub(crate) fn find(origins: &[Origin], generation: u64) -> Option<&CallOrigin> {
        origins
            .iter()
            .rev()
            .filter_map(|origin| origin.downcast_ref::<CallOrigin>())
            .find(|origin| origin.generation == generation)
    }
}

impl GuestMiddleware {
    pub(crate) fn new(generation: Weak<Generation>, listeners: Vec<Listener>) -> GuestMiddleware {
        GuestMiddleware { generation, listeners }
    }
}

impl Middleware for GuestMiddleware {
    fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    fn handle(&self, listeners: &[usize], request: Request) -> Result<Steps> {
        let generation = self
            .generation
            .upgrade()
            .ok_or_else(|| Error::unavailable("the component is being replaced, try again"))?;
        let (steps, receiver) = mpsc::channel::<Step>(STEPS);
        let in_flight = generation
            .submit(Job::Request { listeners: listeners.into(), request, steps }, None)?;
        // The generation lives, and the worker counts the request, until the last step.
        let held = (receiver, in_flight, generation);
        Ok(Box::pin(futures_util::stream::unfold(held, |mut held| async move {
            held.0.recv().await.map(|step| (step, held))
        })))
    }
}
