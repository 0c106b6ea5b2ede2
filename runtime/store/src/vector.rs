//! Indexes for the nearest vectors: HNSW graphs in the tree of indexes
//! (`spec/harper-schema.md` sections 3 and 12).
//!
//! The graph is ours and not that of arroy or hannoy, though both speak heed: theirs are built over
//! all that a transaction has added, by a pool of threads that share pointers into the map, with the
//! number of links fixed at compile time. Here one record is linked or unlinked inside the writer's
//! own transaction, like any index entry, so that a commit is never ahead of its index, a crash
//! leaves none half built, and the options of the schema count. Links go both ways always: what is
//! removed is found by its own list, and its neighbours are linked with each other.
//!
//! `nodes.rs` is a graph as it is stored, `walk.rs` how it is walked, by searches (`graph.rs`) and
//! by the writer's changes (`edit.rs`), and `memory.rs` what is kept of it between them.

mod distance;
mod edit;
mod graph;
mod memory;
mod nodes;
mod walk;

pub(crate) use distance::between;
pub(crate) use edit::{Edit, Edits};
pub(crate) use graph::Graph;
pub(crate) use memory::{Room, VectorMemory};
pub(crate) use nodes::Nodes;

use kora_resource::Value;

/// A list of finite numbers as a vector; `None` for anything else.
pub(crate) fn vector_of(value: &Value) -> Option<Vec<f32>> {
    let Value::Array(items) = value else { return None };
    if items.is_empty() {
        return None;
    }
    let numbers = items.iter().map(|item| item.as_f64().map(|n| n as f32));
    numbers.collect::<Option<Vec<f32>>>().filter(|all| all.iter().all(|n| n.is_finite()))
}

#[cfg(test)]
mod tests;
