//! What one worker holds for the JavaScript it runs: open calls, transactions, searches,
//! subscriptions and sockets, each named to JavaScript by a small number.
//!
//! Lives in the worker's `OpState`, used on the worker's thread only.

use std::sync::Arc;

use kora_resource::middleware::Step;
use kora_resource::{
    Accounts, Call, Connect, Context, Incoming, Reply, Result, Target, Value, Verb,
};
use kora_store::{Loaded, Search, Store, Subscription, Table};
use slab::Slab;
use tokio::sync::{mpsc, oneshot};

use crate::exports::ExportTable;
use crate::open_transactions::OpenTransactions;
use crate::ops::sources::OpenLoad;
use crate::pull::Pull;
use crate::socket::{Consent, Opening, Socket};
use crate::source::DeclaredSources;
use crate::worker::Job;

/// The state behind the ops of one worker.
pub(crate) struct WorkerState {
    pub(crate) store: Arc<Store>,
    pub(crate) accounts: Arc<dyn Accounts>,
    /// The tables as they were when the generation was loaded; a table's number is its place here.
    pub(crate) tables: Vec<Arc<Table>>,
    pub(crate) calls: Slab<PendingCall>,
    pub(crate) transactions: OpenTransactions,
    pub(crate) searches: Slab<Search>,
    pub(crate) subscriptions: Slab<Pull<Subscription>>,
    pub(crate) sockets: Slab<Socket>,
    /// Reads through a cache that JavaScript has begun and does not wait for yet.
    pub(crate) loads: Slab<OpenLoad>,
    /// The caching sources that the component declares.
    pub(crate) sources: DeclaredSources,
    pub(crate) incoming: Slab<Pull<Incoming>>,
    /// What this and the other workers of the generation export.
    pub(crate) exports: Arc<ExportTable>,
    /// Commits that are not acknowledged yet.
    pub(crate) commits: usize,
    /// Clients of `connect` whose streams have not come to their end.
    pub(crate) clients: usize,
    /// 0 for the first worker of the generation; `server.workerIndex`.
    pub(crate) worker_index: usize,
    pub(crate) application: Arc<str>,
    /// The number of the generation that the worker is of.
    pub(crate) generation: u64,
}

/// A call that JavaScript has not answered yet.
pub(crate) struct PendingCall {
    /// Which export is called; `None` for middleware and sources.
    pub(crate) export: Option<usize>,
    pub(crate) context: Arc<Context>,
    /// Kept until the answer, for a call that must be run again.
    pub(crate) body: Option<Value>,
    /// What a `get` names: it may be asked again in another isolate.
    pub(crate) again: Option<Target>,
    /// Who waits to hear that the caller has gone; told too when the call is over, and then whether the
    /// caller had gone by that time.
    pub(crate) watcher: Option<oneshot::Sender<bool>>,
    /// `None` once it is given away.
    answer: Option<Answer>,
}

impl PendingCall {
    pub(crate) fn new(
        export: Option<usize>,
        context: Arc<Context>,
        body: Option<Value>,
        answer: Answer,
    ) -> PendingCall {
        PendingCall { export, context, body, again: None, watcher: None, answer: Some(answer) }
    }

    pub(crate) fn answer(&self) -> Option<&Answer> {
        self.answer.as_ref()
    }

    pub(crate) fn answer_mut(&mut self) -> Option<&mut Answer> {
        self.answer.as_mut()
    }

    pub(crate) fn into_answer(mut self) -> Option<Answer> {
        self.tell_watcher();
        self.answer.take()
    }

    /// Before the answer is given away: afterwards the receiver goes in any case.
    fn tell_watcher(&mut self) {
        if let Some(watcher) = self.watcher.take() {
            let has_gone = self.answer.as_ref().is_some_and(Answer::is_closed);
            // Code that no longer runs has nothing to hear.
            watcher.send(has_gone).ok();
        }
    }

    /// The job of a `get` that has not answered yet, for another isolate. Any other call comes back as it is, and so
    /// does one with an object in this isolate, which listeners have made of its request.
    pub(crate) fn into_again(mut self) -> Result<Job, Box<PendingCall>> {
        let target = self.again.take().filter(|_| self.context.origins.is_empty());
        match (self.export, target, self.answer.take()) {
            (Some(export), Some(target), Some(Answer::Reply(answer))) => {
                let (body, context) = (self.body.take(), self.context.clone());
                let call = Call { verb: Verb::Get, target, body, context };
                Ok(Job::Call { export, call, answer })
            }
            (_, _, answer) => {
                self.answer = answer;
                Err(Box::new(self))
            }
        }
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        self.tell_watcher();
    }
}

/// Where the answer of a call goes.
pub(crate) enum Answer {
    Reply(oneshot::Sender<Result<Reply>>),
    /// Of a source.
    Loaded(oneshot::Sender<Result<Loaded>>),
    /// Of a source that takes a change.
    Written(oneshot::Sender<Result<()>>),
    /// A request in the component's middleware.
    Steps(mpsc::Sender<Step>),
    /// The socket is `socket` of the worker's.
    Outgoing {
        answer: oneshot::Sender<Result<Consent>>,
        socket: usize,
    },
}

impl Answer {
    /// Whether nobody waits for it any more.
    fn is_closed(&self) -> bool {
        match self {
            Answer::Reply(answer) => answer.is_closed(),
            Answer::Loaded(answer) => answer.is_closed(),
            Answer::Written(answer) => answer.is_closed(),
            Answer::Steps(steps) => steps.is_closed(),
            Answer::Outgoing { answer, .. } => answer.is_closed(),
        }
    }
}

impl WorkerState {
    pub(crate) fn table(&self, index: u32) -> Result<Arc<Table>> {
        self.tables
            .get(index as usize)
            .cloned()
            .ok_or_else(|| kora_resource::Error::internal(format!("no table number {index}")))
    }

    /// Ends call `call` and gives away where its answer goes; `None` if it is answered already.
    pub(crate) fn take_answer(&mut self, call: u32) -> Option<Answer> {
        self.calls.try_remove(call as usize)?.into_answer()
    }

    /// Whether something is under way that must not be cut off.
    pub(crate) fn is_busy(&self) -> bool {
        self.commits > 0
            || self.clients > 0
            || !self.calls.is_empty()
            || !self.transactions.is_empty()
    }

    /// Registers a connect call; gives its number and that of its incoming messages.
    pub(crate) fn open(
        &mut self,
        export: usize,
        connect: Connect,
        opening: Opening,
    ) -> (usize, Option<usize>) {
        let incoming = connect.incoming.map(|incoming| self.incoming.insert(Pull::new(incoming)));
        let socket = self.sockets.insert(opening.socket);
        self.clients += 1;
        let answer = Answer::Outgoing { answer: opening.answer, socket };
        let call = self.calls.insert(PendingCall::new(Some(export), connect.context, None, answer));
        (call, incoming)
    }
}
