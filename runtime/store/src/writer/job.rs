//! Work of the store's own on the writer's thread: schema changes, batches of an index being built.

use std::sync::mpsc::SyncSender;

use heed::RwTxn;

use crate::StoreError;
use crate::environment::Trees;

/// One such piece of work. Runs in its own transaction, perhaps again after the map has grown.
pub(crate) struct Job {
    steps: Box<dyn Steps + Send>,
}

impl Job {
    /// `committed` runs on the writer's thread after the commit and before any later write.
    pub(crate) fn new<T: Send + 'static>(
        run: impl FnMut(&mut RwTxn<'_>, &Trees) -> Result<T, StoreError> + Send + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
        reply: SyncSender<Result<T, StoreError>>,
    ) -> Job {
        Job { steps: Box::new(Typed { run, committed: Some(committed), reply, value: None }) }
    }

    pub(super) fn run(&mut self, txn: &mut RwTxn<'_>, trees: &Trees) -> Result<(), StoreError> {
        self.steps.run(txn, trees)
    }

    pub(super) fn finish(mut self, result: Result<(), StoreError>) {
        self.steps.finish(result);
    }
}

trait Steps {
    fn run(&mut self, txn: &mut RwTxn<'_>, trees: &Trees) -> Result<(), StoreError>;
    fn finish(&mut self, result: Result<(), StoreError>);
}

struct Typed<T, R, C> {
    run: R,
    committed: Option<C>,
    reply: SyncSender<Result<T, StoreError>>,
    value: Option<T>,
}

impl<T, R, C> Steps for Typed<T, R, C>
where
    R: FnMut(&mut RwTxn<'_>, &Trees) -> Result<T, StoreError>,
    C: FnOnce(&T),
{
    fn run(&mut self, txn: &mut RwTxn<'_>, trees: &Trees) -> Result<(), StoreError> {
        self.value = Some((self.run)(txn, trees)?);
        Ok(())
    }

    fn finish(&mut self, result: Result<(), StoreError>) {
        let answer = match (result, self.value.take()) {
            (Ok(()), Some(value)) => {
                if let Some(committed) = self.committed.take() {
                    committed(&value);
                }
                Ok(value)
            }
            (Ok(()), None) => Err(StoreError::Closed),
            (Err(error), _) => Err(error),
        };
        // Whoever asked may have gone away.
        let _ = self.reply.send(answer);
    }
}
