//! A component's caching source as the store sees it: `tables.X.sourcedFrom(source)`.
//!
//! Each worker of a generation makes the same sources in the same order; the first worker tells what
//! they are, and any of them answers. A generation's sources take effect when it is activated, so
//! that one that fails to load leaves those of the old one; a retired one gives its tables up unless
//! a newer one has them already.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use kora_resource::{Context, Error, Id, Result};
use kora_store::{Lifetime, Load, Loaded, Source, SourceChange, SourceFuture, SourceMethod, Table};
use tokio::sync::oneshot;

use crate::generation::Generation;
use crate::worker::Job;

/// What a component's code says of one source.
#[derive(Debug, Clone)]
pub(crate) struct DeclaredSource {
    /// The number of the table.
    pub(crate) table: u32,
    pub(crate) methods: Vec<String>,
    pub(crate) lifetime: Lifetime,
}

/// The sources of one generation, in the order of their numbers; written by its first worker.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeclaredSources(Arc<Mutex<Vec<DeclaredSource>>>);

impl DeclaredSources {
    pub(crate) fn push(&self, source: DeclaredSource) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(source);
    }

    /// The sources with the tables that they are for.
    pub(crate) fn bind(
        &self,
        generation: &Weak<Generation>,
        tables: &[Arc<Table>],
    ) -> Vec<BoundSource> {
        let declared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bind = |(number, declared): (usize, &DeclaredSource)| {
            let table = Arc::clone(tables.get(declared.table as usize)?);
            let generation = generation.clone();
            let methods = declared.methods.clone();
            let source = Arc::new(ComponentSource { generation, number, methods });
            Some(BoundSource { table, source, lifetime: declared.lifetime })
        };
        declared.iter().enumerate().filter_map(bind).collect()
    }
}

/// A source of a generation and the table that it is for.
pub(crate) struct BoundSource {
    pub(crate) table: Arc<Table>,
    pub(crate) source: Arc<ComponentSource>,
    pub(crate) lifetime: Lifetime,
}

/// What a worker is asked on behalf of a source.
pub(crate) enum SourceCall {
    Load(Load, oneshot::Sender<Result<Loaded>>),
    Write {
        id: Id,
        change: SourceChange,
        context: Arc<Context>,
        answer: oneshot::Sender<Result<()>>,
    },
}

/// One source of one generation.
pub(crate) struct ComponentSource {
    generation: Weak<Generation>,
    number: usize,
    methods: Vec<String>,
}

impl ComponentSource {
    /// Has a worker answer; resolves with the answer.
    fn ask<T: Send + 'static>(
        &self,
        call: impl FnOnce(oneshot::Sender<Result<T>>) -> SourceCall,
    ) -> SourceFuture<T> {
        let (answer, answered) = oneshot::channel();
        let gone = || Error::unavailable("the component is being replaced, try again");
        let submitted = self.generation.upgrade().ok_or_else(gone).and_then(|generation| {
            let job = Job::Source { source: self.number, call: call(answer) };
            Ok((generation.submit(job, None)?, generation))
        });
        Box::pin(async move {
            let _at_work = submitted?;
            answered.await.map_err(|_| gone())?
        })
    }
}

impl Source for ComponentSource {
    fn has(&self, method: SourceMethod) -> bool {
        let name = match method {
            SourceMethod::Get => "get",
            SourceMethod::Put => "put",
            SourceMethod::Patch => "patch",
            SourceMethod::Delete => "delete",
        };
        self.methods.iter().any(|known| known == name)
    }

    fn load(&self, load: Load) -> SourceFuture<Loaded> {
        self.ask(|answer| SourceCall::Load(load, answer))
    }

    fn write(&self, id: Id, change: SourceChange, context: Arc<Context>) -> SourceFuture<()> {
        self.ask(|answer| SourceCall::Write { id, change, context, answer })
    }
}
