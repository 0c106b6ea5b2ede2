//! What becomes of an isolate whose code passed a limit: who is told what, and what the log says.
//!
//! The call whose code it was is answered with the limit. The others have done nothing wrong: a `get` among them is
//! asked again, in the new isolate, since nothing of what it did is stored before it has answered; any other is
//! answered with 503, so that its caller decides. Whose code it was is known while a call is being entered, and where
//! there is one call only. Code that runs out of the event loop may belong to any of them, and all are told the limit.

use deno_core::SourceMapApplication;
use kora_resource::middleware::Step;
use kora_resource::{Error, Exceeded, Target};

use super::Isolate;
use crate::error::{LoadError, is_host};
use crate::ops::host::OpenItems;
use crate::state::{Answer, PendingCall, WorkerState};
use crate::watchdog::{self, places::Place};
use crate::worker::Job;

/// How many places the log shows.
const SHOWN: usize = 5;

impl Isolate {
    /// Remembers what `get` number `call` names, unless it is answered already.
    pub(super) fn keep_for_again(&mut self, call: usize, target: Target) {
        let state = self.js.op_state();
        let mut state = state.borrow_mut();
        if let Some(pending) = state.borrow_mut::<WorkerState>().calls.get_mut(call) {
            pending.again = Some(target);
        }
    }

    /// Answers what was begun, and gives back what another isolate may answer.
    pub(super) fn abandon(&mut self, exceeded: Exceeded) -> Vec<Job> {
        let places = self.places();
        let op_state = self.js.op_state();
        let mut op_state = op_state.borrow_mut();
        let state = op_state.borrow_mut::<WorkerState>();
        let names: Vec<String> =
            state.exports.entries().into_iter().map(|entry| entry.class.name).collect();
        let name = |call: &PendingCall| {
            let name = call.export.and_then(|export| names.get(export));
            name.map_or("middleware or a source", String::as_str)
        };
        let running: Vec<&str> = state.calls.iter().map(|(_, call)| name(call)).collect();
        let culprit = match (self.entered, state.calls.len()) {
            (Some(number), _) if state.calls.contains(number) => Some(number),
            (None, 1) => state.calls.iter().next().map(|(number, _)| number),
            _ => None,
        };
        let title = culprit
            .and_then(|number| names.get(state.calls[number].export?))
            .map_or(&*self.application, String::as_str);
        let error = self.limits.error(exceeded, title);
        tracing::error!(
            target: "component", application = %self.application,
            "{error}; calls that ran: [{}]; its worker starts again{places}", running.join(", ")
        );
        let of_others = match culprit {
            Some(_) => Error::unavailable(format!(
                "the worker of {} had to be replaced, since another call passed a limit: try again",
                self.application
            )),
            None => error.clone(),
        };
        let culprits_socket = culprit.and_then(|number| match state.calls[number].answer()? {
            Answer::Outgoing { socket, .. } => Some(*socket),
            Answer::Reply(_) | Answer::Loaded(_) | Answer::Written(_) | Answer::Steps(_) => None,
        });
        for (number, socket) in &state.sockets {
            let is_culprits = culprits_socket == Some(number);
            socket.finish(Some(if is_culprits { error.clone() } else { of_others.clone() }));
        }
        let mut again = Vec::new();
        // In the order of their numbers: about that of their coming.
        for (number, call) in std::mem::take(&mut state.calls) {
            if culprit == Some(number) {
                tell(call, &error);
                continue;
            }
            let retried = match culprit {
                Some(_) => call.into_again(),
                None => Err(Box::new(call)),
            };
            match retried {
                Ok(job) => again.push(job),
                Err(call) => tell(*call, &of_others),
            }
        }
        op_state.borrow_mut::<OpenItems>().fail(&of_others);
        again
    }

    /// Why the component was not loaded.
    pub(crate) fn stopped_while_loading(&self, exceeded: Exceeded) -> LoadError {
        let limits = watchdog::while_loading(&self.limits);
        let message = limits.error(exceeded, "what runs while it loads").message;
        let places = self.places();
        let application = self.application.to_string();
        LoadError::Stopped { application, message: format!("{message}{places}") }
    }

    /// Where the code was stopped, in the user's own lines: each on a line of its own, none where it is not known.
    fn places(&self) -> String {
        let places = self.pulse.take_places();
        let mapper = self.js.source_mapper();
        let mut mapper = mapper.borrow_mut();
        let mut text = String::new();
        let own = places.iter().filter(|place| !is_host(Some(&place.file)));
        for Place { file, line, column } in own.take(SHOWN) {
            let (file, line, column) = match mapper.apply_source_map(file, *line, *column) {
                SourceMapApplication::Unchanged => (file.clone(), *line, *column),
                SourceMapApplication::LineAndColumn { line_number, column_number } => {
                    (file.clone(), line_number, column_number)
                }
                SourceMapApplication::LineAndColumnAndFileName {
                    file_name,
                    line_number,
                    column_number,
                } => (file_name, line_number, column_number),
            };
            let file = file.strip_prefix("file://").unwrap_or(&file);
            text.push_str(&format!("\n    at {file}:{line}:{column}"));
        }
        text
    }
}

/// Answers a call with an error. A caller that is gone does not ask.
fn tell(call: PendingCall, error: &Error) {
    match call.into_answer() {
        Some(Answer::Reply(answer)) => drop(answer.send(Err(error.clone()))),
        Some(Answer::Outgoing { answer, .. }) => drop(answer.send(Err(error.clone()))),
        Some(Answer::Steps(steps)) => drop(steps.try_send(Step::Answer(Err(error.clone())))),
        Some(Answer::Loaded(answer)) => drop(answer.send(Err(error.clone()))),
        Some(Answer::Written(answer)) => drop(answer.send(Err(error.clone()))),
        None => {}
    }
}
