//! Going on after a break: every change since a position that the reader knows, or the word that
//! some of them are gone.

use std::sync::Arc;

use kora_resource::{Epoch, Result, Seq};

use super::history::History;
use super::{Covered, Phase, Subscribe, Subscription};
use crate::Table;
use crate::log::trimmed;

/// What [`Table::replay`] answers.
#[derive(Debug)]
pub enum Replay {
    /// Every change after the position, then every change to come.
    Continues(Subscription),
    /// Changes are missing, or may be: the reader must begin anew, with the current records.
    Gap(Gap),
}

/// Why a position can't be gone on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// The position belongs to another log than the table's.
    OtherEpoch,
    /// Entries after it were removed: the log tells everything only after this position.
    Trimmed(Seq),
    /// The log has not come that far: it was restored from an older copy.
    Ahead,
}

impl Table {
    /// A subscription to what `of` names (its `id`, `is_collection` and `attributes`) that goes on after position
    /// `after` of the log's life `epoch`, without gap or duplicate. If history is cut while it is
    /// still being read, the subscription ends with an error (503).
    pub fn replay(self: &Arc<Self>, of: &Subscribe, epoch: Epoch, after: Seq) -> Result<Replay> {
        if epoch != self.epoch() {
            return Ok(Replay::Gap(Gap::OtherEpoch));
        }
        let covered = Covered::new(of)?;
        let mut subscription = Subscription::register(self, &covered, of.attributes.clone())?;
        if after > subscription.floor {
            return Ok(Replay::Gap(Gap::Ahead));
        }
        let trimmed =
            self.owner().environment().read(|txn, trees| trimmed(txn, trees, self.id()))?;
        if trimmed > after {
            return Ok(Replay::Gap(Gap::Trimmed(trimmed)));
        }
        subscription.phase = Phase::History(History::after(covered, after, subscription.floor));
        subscription.read_batch()?;
        Ok(Replay::Continues(subscription))
    }
}
