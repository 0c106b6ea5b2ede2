//! What a component's modules export, told to the host.

use deno_core::{OpState, op2};

use crate::exports::ExportedClass;
use crate::state::WorkerState;

/// Takes the export walk's result; gives the number of each export.
#[op2]
#[serde]
pub(crate) fn op_kora_exports(
    state: &mut OpState,
    #[serde] exports: Vec<ExportedClass>,
) -> Vec<usize> {
    let worker = state.borrow::<WorkerState>();
    exports.into_iter().map(|export| worker.exports.register(export, worker.worker_index)).collect()
}

/// Takes what a module registers after it was loaded; gives its number.
#[op2]
#[smi]
pub(crate) fn op_kora_register(state: &mut OpState, #[serde] export: ExportedClass) -> u32 {
    let worker = state.borrow::<WorkerState>();
    worker.exports.register(export, worker.worker_index) as u32
}
