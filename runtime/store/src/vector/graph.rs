//! Searches in a graph as a snapshot has it (Malkov and Yashunin, "Efficient and robust approximate
//! nearest neighbor search using hierarchical navigable small world graphs").

use std::sync::Arc;

use kora_resource::schema::VectorIndex;

use super::distance::kept;
use super::memory::Vectors;
use super::nodes::{Meta, Nodes};
use super::walk::{Scratch, View};
use crate::StoreError;
use crate::environment::{ReadTxn, Tree};
use crate::keys::Key;

type Stored<T> = Result<T, StoreError>;

/// One graph and the options that its schema gives it.
pub(crate) struct Graph<'o> {
    nodes: Nodes,
    options: &'o VectorIndex,
    vectors: Arc<Vectors>,
}

impl<'o> Graph<'o> {
    /// `vectors` is what is in memory of the graph of `index`.
    pub(crate) fn new(
        tree: Tree,
        index: u32,
        options: &'o VectorIndex,
        vectors: Arc<Vectors>,
    ) -> Graph<'o> {
        Graph { nodes: Nodes { tree, index }, options, vectors }
    }

    /// The candidates that a search weighs when nobody says how many.
    pub(crate) fn default_ef(&self, meta: &Meta) -> usize {
        // The larger the graph, the more ways lead past the nearest.
        self.options.ef_search.unwrap_or_else(|| {
            let magnitude = f64::from(meta.count.max(1)).log10();
            ((magnitude * 64.0) as usize).max(64)
        })
    }

    /// Up to `ef` records in the order of their distance from `target`, as their keys.
    pub(crate) fn search(
        &self,
        txn: &ReadTxn<'_>,
        target: &[f32],
        ef: usize,
    ) -> Stored<Vec<(f32, Key)>> {
        let Some(meta) = self.nodes.meta(txn)? else { return Ok(Vec::new()) };
        let target = kept(self.options.distance, target.to_vec());
        if target.len() != meta.dimensions as usize {
            return Ok(Vec::new());
        }
        let known = self.vectors.below(meta.next);
        let mut scratch = Scratch::default();
        let mut view = View {
            txn,
            nodes: self.nodes,
            distance: self.options.distance,
            dimensions: target.len(),
            known: &known,
            pending: None,
            scratch: &mut scratch,
        };
        let mut entry = view.measured(meta.entry, &target)?;
        for level in (1..=meta.top).rev() {
            entry = view.closest(level, entry, &target)?;
        }
        let found = view.around(0, &[entry], &target, ef)?;
        let key = |node| self.nodes.id(txn, node, target.len()).map(Key::from_slice);
        found.into_iter().map(|near| Ok((near.distance, key(near.node)?))).collect()
    }

    /// How many records are in the graph, and what is known of it; `None` if there are none.
    pub(crate) fn meta(&self, txn: &ReadTxn<'_>) -> Stored<Option<Meta>> {
        self.nodes.meta(txn)
    }
}
