//! Going on after a break: every change since a position that the reader knows, or the word that
//! some of them are gone.

use std::sync::Arc;

use kora_resource::{Epoch, Position, Result, Seq};

use super::{Subscribe, Subscription};
use crate::Table;
use crate::log::trimmed;

/// What [`Table::replay`] answers.
#[derive(Debug)]
pub enum Replay {
    /// Every change after the position, then every change to come.
    Continues(Box<Subscription>),
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
    /// A subscription to what `of` names that goes on after position `after` of the log's life
    /// `epoch`, without gap or duplicate. If history is cut while it is still being read, the
    /// subscription says so with a [`kora_resource::Message::Gap`] and shows the current records.
    pub fn replay(self: &Arc<Self>, of: &Subscribe, epoch: Epoch, after: Seq) -> Result<Replay> {
        if epoch != self.epoch() {
            return Ok(Replay::Gap(Gap::OtherEpoch));
        }
        if let Some(gap) = gap(self, after, self.owner().head()?)? {
            return Ok(Replay::Gap(gap));
        }
        let resume = Some(Position { epoch, seq: after });
        let subscription = Subscription::new(self, Subscribe { resume, ..of.clone() })?;
        Ok(Replay::Continues(Box::new(subscription)))
    }
}

/// Why the log, whose last position is `head`, does not tell everything after `after`.
pub(super) fn gap(table: &Table, after: Seq, head: Seq) -> Result<Option<Gap>> {
    if after > head {
        return Ok(Some(Gap::Ahead));
    }
    let trimmed = table.owner().environment().read(|txn, trees| trimmed(txn, trees, table.id()))?;
    Ok((trimmed > after).then_some(Gap::Trimmed(trimmed)))
}
