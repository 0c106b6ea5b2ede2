//! A worker at work: jobs are begun as they come, the event loop runs between them, until nobody asks any more or the
//! component's code passes a limit (see `watchdog.rs`).

use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use deno_core::PollEventLoopOptions;
use kora_resource::Exceeded;
use tokio::sync::mpsc;

use super::Isolate;
use crate::error::describe;
use crate::open_transactions::{ABORTED, FLAGGED, Overdue};
use crate::state::WorkerState;
use crate::worker::Job;

/// How often transactions that were left open are looked for.
const SWEEP: Duration = Duration::from_secs(5);
/// How long a worker that ends goes on with what was begun.
const DRAIN: Duration = Duration::from_secs(2);

/// Why a worker no longer serves.
pub(crate) enum Served {
    /// Nobody has anything to ask any more.
    ToTheEnd,
    /// Its code passed a limit and was stopped; the isolate is of no more use. What it had begun is answered with that,
    /// but for these jobs, which another isolate may answer.
    Stopped(Vec<Job>),
}

impl Isolate {
    /// Serves until the last handle of the worker is gone, then lets what was begun come to its end,
    /// for at most [`DRAIN`]: `finally` blocks run, and what they write is committed.
    ///
    /// `again` is what an isolate before this one had begun and not answered.
    pub(crate) async fn serve(
        &mut self,
        jobs: &mut mpsc::Receiver<Job>,
        again: Vec<Job>,
    ) -> Served {
        self.pulse.allow(self.limits.cpu);
        let mut again = again.into_iter();
        let mut sweeps = tokio::time::interval(SWEEP);
        sweeps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let served =
            std::future::poll_fn(|cx| self.poll_serve(cx, jobs, &mut again, &mut sweeps)).await;
        if let Err(exceeded) = served {
            self.pulse.serve(false);
            let mut begun = self.abandon(exceeded);
            begun.extend(again);
            return Served::Stopped(begun);
        }
        for (_, socket) in &self.js.op_state().borrow().borrow::<WorkerState>().sockets {
            socket.leave();
        }
        let ended = std::future::poll_fn(|cx| {
            self.poll_events(cx);
            let state = self.js.op_state();
            let busy = state.borrow().borrow::<WorkerState>().is_busy();
            if busy { Poll::Pending } else { Poll::Ready(()) }
        });
        if tokio::time::timeout(DRAIN, ended).await.is_err() {
            tracing::warn!(
                "{} was still at work when its worker ended: what it had not committed is lost",
                self.application
            );
        }
        Served::ToTheEnd
    }

    fn poll_serve(
        &mut self,
        cx: &mut TaskContext<'_>,
        jobs: &mut mpsc::Receiver<Job>,
        again: &mut std::vec::IntoIter<Job>,
        sweeps: &mut tokio::time::Interval,
    ) -> Poll<Result<(), Exceeded>> {
        let mut closed = false;
        loop {
            let next = match again.next() {
                Some(job) => Poll::Ready(Some(job)),
                None => jobs.poll_recv(cx),
            };
            match next {
                Poll::Ready(Some(job)) => {
                    self.begin(job);
                    if let Some(exceeded) = self.pulse.exceeded() {
                        return Poll::Ready(Err(exceeded));
                    }
                }
                Poll::Ready(None) => {
                    closed = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        self.entered = None;
        while sweeps.poll_tick(cx).is_ready() {
            self.sweep();
        }
        self.poll_events(cx);
        match (self.pulse.exceeded(), closed) {
            (Some(exceeded), _) => Poll::Ready(Err(exceeded)),
            (None, true) => Poll::Ready(Ok(())),
            (None, false) => Poll::Pending,
        }
    }

    /// Looks for transactions that were left open.
    fn sweep(&mut self) {
        let state = self.js.op_state();
        let mut state = state.borrow_mut();
        let overdue = state.borrow_mut::<WorkerState>().transactions.sweep(Instant::now());
        let application = &self.application;
        for overdue in overdue {
            match overdue {
                Overdue::Flagged(number) => tracing::warn!(
                    target: "component", %application,
                    "transaction {number} has been open for {} s", FLAGGED.as_secs()
                ),
                Overdue::Aborted(number) => tracing::error!(
                    target: "component", %application,
                    "transaction {number} was open for {} s and is aborted", ABORTED.as_secs()
                ),
            }
        }
    }

    fn poll_events(&mut self, cx: &mut TaskContext<'_>) {
        let pulse = self.pulse.clone();
        let _inside = pulse.enter();
        if let Poll::Ready(Err(error)) =
            self.js.poll_event_loop(cx, PollEventLoopOptions::default())
        {
            tracing::error!(
                target: "component", application = %self.application, "uncaught {}", describe(&error)
            );
            // The loop stopped at the error: have it polled again for what comes after.
            cx.waker().wake_by_ref();
        }
    }
}
