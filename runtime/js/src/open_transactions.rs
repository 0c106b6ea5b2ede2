//! The transactions that JavaScript has open, and their end where it forgets one.
//!
//! A transaction that stays open keeps its write set in memory and will conflict with everybody in
//! the end. After [`FLAGGED`] the log says so once, after [`ABORTED`] it is aborted: what it does from
//! then on fails with an error that says why. Its number stays taken until JavaScript lets it go, so
//! that it can't come to mean another transaction.

use std::time::{Duration, Instant};

use kora_resource::{Error, Result};
use kora_store::Transaction;
use slab::Slab;

/// From this age on a transaction is worth a line in the log.
pub(crate) const FLAGGED: Duration = Duration::from_secs(30);
/// At this age it ends.
pub(crate) const ABORTED: Duration = Duration::from_secs(60);

/// The open transactions of one worker.
#[derive(Default)]
pub(crate) struct OpenTransactions(Slab<Open>);

struct Open {
    /// `None` once it was aborted for its age.
    transaction: Option<Transaction>,
    begun: Instant,
    flagged: bool,
}

/// What a sweep has found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    Flagged(usize),
    Aborted(usize),
}

impl OpenTransactions {
    pub(crate) fn insert(&mut self, transaction: Transaction, begun: Instant) -> usize {
        self.0.insert(Open { transaction: Some(transaction), begun, flagged: false })
    }

    /// The transaction `number`; `None` where no such number is open.
    pub(crate) fn get(&mut self, number: usize) -> Result<Option<&mut Transaction>> {
        match self.0.get_mut(number) {
            None => Ok(None),
            Some(Open { transaction: Some(transaction), .. }) => Ok(Some(transaction)),
            Some(Open { transaction: None, .. }) => Err(aborted()),
        }
    }

    /// Takes the transaction out, to commit it or to drop it.
    pub(crate) fn take(&mut self, number: usize) -> Result<Option<Transaction>> {
        match self.0.try_remove(number) {
            None => Ok(None),
            Some(Open { transaction: Some(transaction), .. }) => Ok(Some(transaction)),
            Some(Open { transaction: None, .. }) => Err(aborted()),
        }
    }

    /// Whether there is something to commit, or an error to tell of by committing.
    pub(crate) fn has_writes(&self, number: usize) -> bool {
        let open = self.0.get(number);
        open.is_some_and(|open| open.transaction.as_ref().is_none_or(|open| !open.is_empty()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Looks for transactions that are open for too long.
    pub(crate) fn sweep(&mut self, now: Instant) -> Vec<Overdue> {
        let mut overdue = Vec::new();
        for (number, open) in &mut self.0 {
            let age = now.saturating_duration_since(open.begun);
            if open.transaction.is_none() || age < FLAGGED {
                continue;
            }
            if age >= ABORTED {
                open.transaction = None;
                overdue.push(Overdue::Aborted(number));
            } else if !open.flagged {
                open.flagged = true;
                overdue.push(Overdue::Flagged(number));
            }
        }
        overdue
    }
}

fn aborted() -> Error {
    Error::unavailable(format!(
        "The transaction was open for more than {} seconds and was aborted; do long work outside of \
         it, or in parts",
        ABORTED.as_secs()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_transaction_is_flagged_once_and_then_aborted() {
        let mut open = OpenTransactions::default();
        let begun = Instant::now();
        let old = open.insert(Transaction::default(), begun);
        let young = open.insert(Transaction::default(), begun + FLAGGED);
        assert_eq!(open.sweep(begun + FLAGGED), [Overdue::Flagged(old)]);
        assert_eq!(open.sweep(begun + FLAGGED), []);
        assert!(open.get(old).is_ok_and(|transaction| transaction.is_some()));
        assert_eq!(open.sweep(begun + ABORTED), [Overdue::Aborted(old), Overdue::Flagged(young)]);
        assert!(open.has_writes(old), "its commit must fail, not pass unnoticed");
        assert_eq!(open.get(old).expect_err("aborted").status(), 503);
        assert_eq!(open.insert(Transaction::default(), begun), 2, "its number is not given again");
        assert!(open.take(old).is_err());
        assert!(open.take(old).is_ok_and(|transaction| transaction.is_none()));
    }
}
