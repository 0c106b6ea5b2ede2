//! What the change log tells of a table or of one of its records, for code that asks
//! (`spec/harper-resources.md` section 4, `getHistory`).

use std::sync::Arc;

use kora_resource::{Frame, Id, Result, Version};

use crate::Table;
use crate::subscription::{Covered, History};

/// A reading of the log in progress; each batch is one short read transaction.
#[derive(Debug)]
pub struct ChangeHistory {
    table: Arc<Table>,
    history: History,
    end: f64,
}

impl Table {
    /// The changes of the table, or of the record `id`, from the time `start` (ms since the epoch,
    /// included) to the time `end` (left out), oldest first.
    pub fn history(
        self: &Arc<Self>,
        id: Option<&Id>,
        start: f64,
        end: f64,
    ) -> Result<ChangeHistory> {
        let covered = Covered::of(id)?;
        let head = self.owner().head()?;
        let history = History::since(self, covered, Version(start.next_down()), head)?;
        Ok(ChangeHistory { table: Arc::clone(self), history, end })
    }
}

impl ChangeHistory {
    /// The next changes; empty at the end.
    pub fn next_batch(&mut self) -> Result<Vec<Arc<Frame>>> {
        while let Some(mut frames) = self.history.next_batch(&self.table)? {
            let all = frames.len();
            frames.retain(|frame| frame.event.version.0 < self.end);
            let past_the_end = frames.len() < all;
            if past_the_end {
                self.history.end();
            }
            if !frames.is_empty() || past_the_end {
                return Ok(frames);
            }
        }
        Ok(Vec::new())
    }
}
