//! Transactions: a write set in Rust that JavaScript names by a number.

use std::cell::RefCell;
use std::rc::Rc;

use deno_core::{OpState, op2};

use crate::error::OpError;
use crate::state::WorkerState;

/// Begins a transaction.
#[op2(fast)]
#[smi]
pub(crate) fn op_kora_begin(state: &mut OpState) -> u32 {
    let worker = state.borrow_mut::<WorkerState>();
    let transaction = worker.store.transaction();
    worker.transactions.insert(transaction) as u32
}

/// Drops a transaction: nothing of it is written. A number that is not open is left alone.
#[op2(fast)]
pub(crate) fn op_kora_abort(state: &mut OpState, #[smi] transaction: u32) {
    drop(state.borrow_mut::<WorkerState>().transactions.try_remove(transaction as usize));
}

/// Whether the transaction has writes. One without is dropped here, so that it needs no commit.
#[op2(fast)]
pub(crate) fn op_kora_has_writes(state: &mut OpState, #[smi] transaction: u32) -> bool {
    let transactions = &mut state.borrow_mut::<WorkerState>().transactions;
    match transactions.get(transaction as usize) {
        Some(open) if !open.is_empty() => true,
        Some(_) => {
            drop(transactions.remove(transaction as usize));
            false
        }
        None => false,
    }
}

/// Commits a transaction: resolves with its version after the group commit has acknowledged it, and
/// with NaN where nothing was written.
#[op2]
pub(crate) async fn op_kora_commit(
    state: Rc<RefCell<OpState>>,
    #[smi] transaction: u32,
) -> Result<f64, OpError> {
    let transaction = state
        .borrow_mut()
        .borrow_mut::<WorkerState>()
        .transactions
        .try_remove(transaction as usize);
    match transaction {
        Some(transaction) => {
            let committed = transaction.commit().await?;
            Ok(committed.version.map_or(f64::NAN, |version| version.0))
        }
        None => Ok(f64::NAN),
    }
}
