//! Transactions: a write set in Rust that JavaScript names by a number.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use deno_core::{OpState, op2};

use crate::error::OpError;
use crate::state::WorkerState;

/// Begins a transaction on behalf of `call`; of nobody, where that is -1.
#[op2(fast)]
#[smi]
pub(crate) fn op_kora_begin(state: &mut OpState, #[smi] call: i32) -> u32 {
    let worker = state.borrow_mut::<WorkerState>();
    let context = worker.calls.get(call as usize).map(|call| Arc::clone(&call.context));
    let transaction = kora_store::Transaction::in_context(context.unwrap_or_default());
    worker.transactions.insert(transaction, Instant::now()) as u32
}

/// Drops a transaction: nothing of it is written. A number that is not open is left alone.
#[op2(fast)]
pub(crate) fn op_kora_abort(state: &mut OpState, #[smi] transaction: u32) {
    // One that was aborted already has nothing left to drop.
    drop(state.borrow_mut::<WorkerState>().transactions.take(transaction as usize));
}

/// Whether the transaction has to be committed. One without writes is dropped here.
#[op2(fast)]
pub(crate) fn op_kora_has_writes(state: &mut OpState, #[smi] transaction: u32) -> bool {
    let transactions = &mut state.borrow_mut::<WorkerState>().transactions;
    let has_writes = transactions.has_writes(transaction as usize);
    if !has_writes {
        drop(transactions.take(transaction as usize));
    }
    has_writes
}

/// Commits a transaction: resolves with its version after the group commit has acknowledged it, and
/// with NaN where nothing was written.
#[op2]
pub(crate) async fn op_kora_commit(
    state: Rc<RefCell<OpState>>,
    #[smi] transaction: u32,
) -> Result<f64, OpError> {
    let transaction = {
        let mut state = state.borrow_mut();
        let worker = state.borrow_mut::<WorkerState>();
        let Some(transaction) = worker.transactions.take(transaction as usize)? else {
            return Ok(f64::NAN);
        };
        worker.commits += 1;
        transaction
    };
    let committed = transaction.commit().await;
    state.borrow_mut().borrow_mut::<WorkerState>().commits -= 1;
    Ok(committed?.version.map_or(f64::NAN, |version| version.0))
}
