//! What one worker holds for the JavaScript it runs: open calls, transactions, searches,
//! subscriptions and sockets, each named to JavaScript by a small number.
//!
//! Lives in the worker's `OpState`, used on the worker's thread only.

use std::sync::Arc;

use kora_resource::{Accounts, Connect, Context, Incoming, Reply, Result};
use kora_store::{Search, Store, Subscription, Table, Transaction};
use slab::Slab;
use tokio::sync::oneshot;

use crate::exports::ExportedClass;
use crate::pull::Pull;
use crate::socket::{Opening, Socket};

/// The state behind the ops of one worker.
pub(crate) struct WorkerState {
    pub(crate) store: Arc<Store>,
    pub(crate) accounts: Arc<dyn Accounts>,
    /// The tables as they were when the generation was loaded; a table's number is its place here.
    pub(crate) tables: Vec<Arc<Table>>,
    pub(crate) calls: Slab<PendingCall>,
    pub(crate) transactions: Slab<Transaction>,
    pub(crate) searches: Slab<Search>,
    pub(crate) subscriptions: Slab<Pull<Subscription>>,
    pub(crate) sockets: Slab<Socket>,
    pub(crate) incoming: Slab<Pull<Incoming>>,
    /// What the export walk found.
    pub(crate) exports: Vec<ExportedClass>,
    /// 0 for the first worker of the generation; `server.workerIndex`.
    pub(crate) worker_index: usize,
    pub(crate) application: Arc<str>,
}

/// A call that JavaScript has not answered yet.
pub(crate) struct PendingCall {
    pub(crate) context: Arc<Context>,
    pub(crate) answer: Answer,
}

/// Where the answer of a call goes.
pub(crate) enum Answer {
    Reply(oneshot::Sender<Result<Reply>>),
    /// The socket is `socket` of the worker's.
    Outgoing {
        answer: oneshot::Sender<Result<()>>,
        socket: usize,
    },
}

impl WorkerState {
    pub(crate) fn table(&self, index: u32) -> Result<Arc<Table>> {
        self.tables
            .get(index as usize)
            .cloned()
            .ok_or_else(|| kora_resource::Error::internal(format!("no table number {index}")))
    }

    /// Registers a connect call; gives its number and that of its incoming messages.
    pub(crate) fn open(&mut self, connect: Connect, opening: Opening) -> (usize, Option<usize>) {
        let incoming = connect.incoming.map(|incoming| self.incoming.insert(Pull::new(incoming)));
        let socket = self.sockets.insert(opening.socket);
        let call = self.calls.insert(PendingCall {
            context: connect.context,
            answer: Answer::Outgoing { answer: opening.answer, socket },
        });
        (call, incoming)
    }
}
