//! A worker at work: jobs are begun as they come, the event loop runs between them, until nobody asks any more or the
//! component's code passes a limit (see `watchdog.rs`).

use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use deno_core::PollEventLoopOptions;
use kora_resource::Exceeded;
use kora_resource::middleware::Step;
use tokio::sync::mpsc;

use super::Isolate;
use crate::error::describe;
use crate::open_transactions::{ABORTED, FLAGGED, Overdue};
use crate::ops::host::OpenItems;
use crate::state::{Answer, PendingCall, WorkerState};
use crate::worker::Job;

/// How often transactions that were left open are looked for.
const SWEEP: Duration = Duration::from_secs(5);
/// How long a worker that ends goes on with what was begun.
const DRAIN: Duration = Duration::from_secs(2);

/// Why a worker no longer serves.
pub(crate) enum Served {
    /// Nobody has anything to ask any more.
    ToTheEnd,
    /// Its code passed a limit and was stopped. What it has begun is answered with that; the isolate is of no more use.
    Stopped,
}

impl Isolate {
    /// Serves until the last handle of the worker is gone, then lets what was begun come to its end,
    /// for at most [`DRAIN`]: `finally` blocks run, and what they write is committed.
    pub(crate) async fn serve(&mut self, jobs: &mut mpsc::Receiver<Job>) -> Served {
        let mut sweeps = tokio::time::interval(SWEEP);
        sweeps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let served = std::future::poll_fn(|cx| self.poll_serve(cx, jobs, &mut sweeps)).await;
        if let Err(exceeded) = served {
            self.abandon(exceeded);
            return Served::Stopped;
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

    /// Answers all that was begun with the limit that its code passed. Whose code it was is known where a method was
    /// being entered and where there is one call only; else the component is named.
    fn abandon(&mut self, exceeded: Exceeded) {
        let op_state = self.js.op_state();
        let mut op_state = op_state.borrow_mut();
        let state = op_state.borrow_mut::<WorkerState>();
        let names: Vec<String> =
            state.exports.entries().into_iter().map(|entry| entry.class.name).collect();
        let application = self.application.to_string();
        let calls: Vec<PendingCall> = state.calls.drain().collect();
        let known = match (self.entered, calls.as_slice()) {
            (Some(export), _) => Some(export),
            (None, [call]) => call.export,
            (None, _) => None,
        };
        let title = known.and_then(|export| names.get(export)).unwrap_or(&application);
        let error = self.limits.error(exceeded, title);
        let running: Vec<&str> = calls
            .iter()
            .map(|call| {
                let name = call.export.and_then(|export| names.get(export));
                name.map_or("middleware or a source", String::as_str)
            })
            .collect();
        tracing::error!(
            target: "component", application = %self.application,
            "{error}; calls that ran: [{}]; its worker starts again", running.join(", ")
        );
        for call in calls {
            // A caller that is gone does not ask.
            match call.into_answer() {
                Some(Answer::Reply(answer)) => drop(answer.send(Err(error.clone()))),
                Some(Answer::Outgoing { answer, .. }) => drop(answer.send(Err(error.clone()))),
                Some(Answer::Steps(steps)) => {
                    drop(steps.try_send(Step::Answer(Err(error.clone()))));
                }
                Some(Answer::Loaded(answer)) => drop(answer.send(Err(error.clone()))),
                Some(Answer::Written(answer)) => drop(answer.send(Err(error.clone()))),
                None => {}
            }
        }
        for (_, socket) in &state.sockets {
            socket.finish(Some(error.clone()));
        }
        op_state.borrow_mut::<OpenItems>().fail(&error);
    }

    fn poll_serve(
        &mut self,
        cx: &mut TaskContext<'_>,
        jobs: &mut mpsc::Receiver<Job>,
        sweeps: &mut tokio::time::Interval,
    ) -> Poll<Result<(), Exceeded>> {
        let mut closed = false;
        loop {
            match jobs.poll_recv(cx) {
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
