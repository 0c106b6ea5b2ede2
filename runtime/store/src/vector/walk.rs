//! How a graph is walked: from node to node towards what is close to a target. The same for searches
//! in a snapshot and for insertions in the writer's transaction, which see what they have changed.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use kora_resource::schema::Distance;

use super::distance::of_kept;
use super::edit::Pending;
use super::memory::Known;
use super::nodes::Nodes;
use crate::StoreError;
use crate::environment::ReadTxn;

type Stored<T> = Result<T, StoreError>;

/// A node and how far it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Near {
    pub distance: f32,
    pub node: u32,
}

impl PartialEq for Near {
    fn eq(&self, other: &Near) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Near {}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Near) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Near {
    fn cmp(&self, other: &Near) -> Ordering {
        self.distance.total_cmp(&other.distance).then(self.node.cmp(&other.node))
    }
}

/// The nodes that a search has come by.
#[derive(Debug, Default)]
struct Visited {
    words: Vec<u64>,
    /// Which words are not zero.
    touched: Vec<u32>,
}

impl Visited {
    /// Whether it is the first time.
    fn enter(&mut self, node: u32) -> bool {
        let at = node / 64;
        if self.words.len() <= at as usize {
            self.words.resize(at as usize + 1, 0);
        }
        let word = &mut self.words[at as usize];
        let bit = 1 << (node % 64);
        let first = *word & bit == 0;
        if *word == 0 {
            self.touched.push(at);
        }
        *word |= bit;
        first
    }

    fn clear(&mut self) {
        for at in self.touched.drain(..) {
            self.words[at as usize] = 0;
        }
    }
}

/// What walks need again and again.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    visited: Visited,
    links: Vec<u32>,
    vector: Vec<f32>,
    spread: Vec<f32>,
    centre: Vec<f32>,
}

/// A graph as one walk sees it.
pub(super) struct View<'v, 'e> {
    pub txn: &'v ReadTxn<'e>,
    pub nodes: Nodes,
    pub distance: Distance,
    pub dimensions: usize,
    /// What is in memory of it, and what the transaction has changed, if it is the writer's.
    pub known: &'v Known,
    pub pending: Option<&'v mut Pending>,
    pub scratch: &'v mut Scratch,
}

impl View<'_, '_> {
    /// Shows a node's vector to `read`.
    fn with_vector<R>(&mut self, node: u32, read: impl FnOnce(&[f32]) -> R) -> Stored<R> {
        let fresh = self.pending.as_ref().and_then(|pending| pending.fresh(node));
        if let Some(vector) = fresh.or_else(|| self.known.get(node)) {
            return Ok(read(vector));
        }
        self.nodes.vector(self.txn, node, self.dimensions, &mut self.scratch.vector)?;
        if self.pending.as_ref().is_none_or(|pending| pending.is_committed(node)) {
            self.known.keep(node, &self.scratch.vector);
        }
        Ok(read(&self.scratch.vector))
    }

    pub(super) fn measured(&mut self, node: u32, target: &[f32]) -> Stored<Near> {
        let metric = self.distance;
        let distance = self.with_vector(node, |vector| of_kept(metric, target, vector))?;
        Ok(Near { distance, node })
    }

    /// What a node is linked to on a level, into `out`.
    fn links(&mut self, level: u8, node: u32, out: &mut Vec<u32>) -> Stored<()> {
        out.clear();
        match &mut self.pending {
            Some(pending) => {
                let links = pending.links(self.txn, self.nodes, level, node)?;
                out.extend_from_slice(links.unwrap_or_default());
            }
            None => self.nodes.links_into(self.txn, level, node, out)?,
        }
        Ok(())
    }

    /// Walks to where no neighbour is closer.
    pub(super) fn closest(&mut self, level: u8, entry: Near, target: &[f32]) -> Stored<Near> {
        let mut best = entry;
        let mut links = std::mem::take(&mut self.scratch.links);
        loop {
            let here = best.node;
            self.links(level, here, &mut links)?;
            for node in &links {
                best = best.min(self.measured(*node, target)?);
            }
            if best.node == here {
                self.scratch.links = links;
                return Ok(best);
            }
        }
    }

    /// The up to `ef` closest nodes that are reached from `entries`, the closest first.
    pub(super) fn around(
        &mut self,
        level: u8,
        entries: &[Near],
        target: &[f32],
        ef: usize,
    ) -> Stored<Vec<Near>> {
        let mut visited = std::mem::take(&mut self.scratch.visited);
        let mut links = std::mem::take(&mut self.scratch.links);
        let mut pending: BinaryHeap<Reverse<Near>> = BinaryHeap::new();
        let mut found: BinaryHeap<Near> = BinaryHeap::with_capacity(ef.min(1 << 16) + 1);
        for entry in entries {
            if visited.enter(entry.node) {
                pending.push(Reverse(*entry));
                found.push(*entry);
            }
        }
        while let Some(Reverse(next)) = pending.pop() {
            let worst = found.peek().map_or(f32::INFINITY, |near| near.distance);
            if found.len() >= ef && next.distance > worst {
                break;
            }
            self.links(level, next.node, &mut links)?;
            for node in &links {
                if !visited.enter(*node) {
                    continue;
                }
                let near = self.measured(*node, target)?;
                let worst = found.peek().map_or(f32::INFINITY, |near| near.distance);
                if found.len() < ef || near.distance < worst {
                    pending.push(Reverse(near));
                    found.push(near);
                    if found.len() > ef {
                        found.pop();
                    }
                }
            }
        }
        visited.clear();
        self.scratch.visited = visited;
        self.scratch.links = links;
        Ok(found.into_sorted_vec())
    }

    /// Up to `most` of `candidates` (the closest first), spread out: one that is much closer to a
    /// chosen one than to the centre is reached by way of that one. Filled up with the closest others.
    pub(super) fn spread(
        &mut self,
        candidates: &[Near],
        most: usize,
        routing: f32,
    ) -> Stored<Vec<Near>> {
        if candidates.len() <= most {
            return Ok(candidates.to_vec());
        }
        let (metric, dimensions) = (self.distance, self.dimensions);
        let mut chosen = Vec::with_capacity(most);
        let mut passed_over = Vec::new();
        // The vectors of the chosen, side by side: each is compared with all that come after it.
        let mut vectors = std::mem::take(&mut self.scratch.spread);
        vectors.clear();
        for near in candidates {
            if chosen.len() == most {
                break;
            }
            let bound = match metric {
                Distance::DotProduct => near.distance,
                Distance::Cosine | Distance::Euclidean => near.distance * routing,
            };
            let is_reached = self.with_vector(near.node, |vector| {
                let mut others = vectors.chunks_exact(dimensions.max(1));
                let is_reached = others.any(|other| of_kept(metric, other, vector) < bound);
                if !is_reached {
                    vectors.extend_from_slice(vector);
                }
                is_reached
            })?;
            if is_reached { passed_over.push(*near) } else { chosen.push(*near) }
        }
        self.scratch.spread = vectors;
        let room = most - chosen.len();
        chosen.extend(passed_over.into_iter().take(room));
        Ok(chosen)
    }

    /// `others` by their distance from `node`, the closest first.
    pub(super) fn by_distance(&mut self, node: u32, others: &[u32]) -> Stored<Vec<Near>> {
        let mut centre = std::mem::take(&mut self.scratch.centre);
        self.with_vector(node, |vector| {
            centre.clear();
            centre.extend_from_slice(vector);
        })?;
        let mut near = Vec::with_capacity(others.len());
        for other in others {
            if *other != node {
                near.push(self.measured(*other, &centre)?);
            }
        }
        self.scratch.centre = centre;
        near.sort_unstable();
        Ok(near)
    }
}
