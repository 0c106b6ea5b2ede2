//! The graph: searching, linking and unlinking (Malkov and Yashunin, "Efficient and robust
//! approximate nearest neighbor search using hierarchical navigable small world graphs").

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use heed::RwTxn;
use kora_resource::schema::VectorIndex;

use super::distance::{kept, of_kept};
use super::nodes::{Meta, Nodes};
use crate::StoreError;
use crate::environment::{ReadTxn, Tree};
use crate::keys::Key;

/// No node is on a higher level, whatever the dice say.
const MAX_LEVEL: u8 = 24;

type Stored<T> = Result<T, StoreError>;

/// One graph and the options that its schema gives it.
pub(crate) struct Graph<'o> {
    nodes: Nodes,
    options: &'o VectorIndex,
}

/// A node and how far it is.
#[derive(Debug, Clone, Copy)]
struct Near {
    distance: f32,
    node: u32,
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
struct Visited(Vec<u64>);

impl Visited {
    fn of(meta: &Meta) -> Visited {
        Visited(vec![0; meta.next as usize / 64 + 1])
    }

    /// Whether it is the first time.
    fn enter(&mut self, node: u32) -> bool {
        let Some(word) = self.0.get_mut(node as usize / 64) else { return false };
        let bit = 1 << (node % 64);
        let first = *word & bit == 0;
        *word |= bit;
        first
    }
}

impl<'o> Graph<'o> {
    pub(crate) fn new(tree: Tree, index: u32, options: &'o VectorIndex) -> Graph<'o> {
        Graph { nodes: Nodes { tree, index }, options }
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
        let mut entry = self.measured(txn, &meta, meta.entry, &target)?;
        for level in (1..=meta.top).rev() {
            entry = self.closest(txn, &meta, level, entry, &target)?;
        }
        let found = self.around(txn, &meta, 0, &[entry], &target, ef)?;
        let mut vector = Vec::new();
        let mut results = Vec::with_capacity(found.len());
        for near in found {
            let id = self.nodes.vector(txn, near.node, target.len(), &mut vector)?;
            results.push((near.distance, Key::from_slice(id)));
        }
        Ok(results)
    }

    /// How many records are in the graph, and what is known of it; `None` if there are none.
    pub(crate) fn meta(&self, txn: &ReadTxn<'_>) -> Stored<Option<Meta>> {
        self.nodes.meta(txn)
    }

    /// Enters a record, which must not be in the graph.
    pub(crate) fn insert(&self, txn: &mut RwTxn<'_>, id: &[u8], vector: Vec<f32>) -> Stored<()> {
        let vector = kept(self.options.distance, vector);
        let meta = self.nodes.meta(txn)?;
        let node = meta.map_or(0, |meta| meta.next);
        let level = self.level(node);
        self.nodes.put_vector(txn, node, &vector, id)?;
        for level in 0..=level {
            self.nodes.put_links(txn, level, node, &[])?;
        }
        let Some(meta) = meta else {
            let dimensions = vector.len() as u32;
            let meta = Meta { entry: node, top: level, next: node + 1, count: 1, dimensions };
            return self.nodes.put_meta(txn, Some(meta));
        };
        let grown = Meta { next: node + 1, count: meta.count + 1, ..meta };
        let mut entry = self.measured(txn, &grown, meta.entry, &vector)?;
        for above in (level + 1..=meta.top).rev() {
            entry = self.closest(txn, &grown, above, entry, &vector)?;
        }
        let mut entries = vec![entry];
        for level in (0..=level.min(meta.top)).rev() {
            let ef = self.options.ef_construction.max(self.options.m);
            entries = self.around(txn, &grown, level, &entries, &vector, ef)?;
            let chosen = self.spread(txn, &grown, &entries, self.options.m)?;
            for near in chosen {
                self.link(txn, &grown, level, node, near.node)?;
            }
        }
        let (entry, top) = if level > meta.top { (node, level) } else { (meta.entry, meta.top) };
        self.nodes.put_meta(txn, Some(Meta { entry, top, ..grown }))
    }

    /// Takes a record out, if it is in the graph, and links those around it with each other.
    pub(crate) fn remove(&self, txn: &mut RwTxn<'_>, id: &[u8]) -> Stored<()> {
        let Some(node) = self.nodes.node_of(txn, id)? else { return Ok(()) };
        let Some(meta) = self.nodes.meta(txn)? else { return Ok(()) };
        let mut level = 0;
        while let Some(around) = self.nodes.links(txn, level, node)? {
            self.nodes.remove_links(txn, level, node)?;
            for neighbour in &around {
                self.unlink_one(txn, level, *neighbour, node)?;
            }
            for neighbour in &around {
                self.mend(txn, &meta, level, *neighbour, &around)?;
            }
            level += 1;
        }
        self.nodes.remove(txn, node, id)?;
        let meta = Meta { count: meta.count.saturating_sub(1), ..meta };
        if meta.entry != node {
            return self.nodes.put_meta(txn, Some(meta));
        }
        for top in (0..=meta.top).rev() {
            if let Some(entry) = self.nodes.any_on(txn, top)? {
                return self.nodes.put_meta(txn, Some(Meta { entry, top, ..meta }));
            }
        }
        self.nodes.put_meta(txn, None)
    }

    /// The level of a new node: the same dice for the same node, so that a batch that is run again
    /// makes the same graph.
    fn level(&self, node: u32) -> u8 {
        let mut bits = (u64::from(self.nodes.index) << 32 | u64::from(node))
            .wrapping_add(0x9E37_79B9_7F4A_7C15);
        bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        let uniform = ((bits >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        let scale = self.options.ml.unwrap_or_else(|| 1.0 / (self.options.m as f64).ln());
        (-uniform.ln() * scale).min(MAX_LEVEL.into()) as u8
    }

    fn most_links(&self, level: u8) -> usize {
        if level == 0 { self.options.m * 2 } else { self.options.m }
    }

    fn measured(&self, txn: &ReadTxn<'_>, meta: &Meta, node: u32, target: &[f32]) -> Stored<Near> {
        let mut vector = Vec::new();
        self.nodes.vector(txn, node, meta.dimensions as usize, &mut vector)?;
        Ok(Near { distance: of_kept(self.options.distance, target, &vector), node })
    }

    /// Walks to where no neighbour is closer.
    fn closest(
        &self,
        txn: &ReadTxn<'_>,
        meta: &Meta,
        level: u8,
        entry: Near,
        target: &[f32],
    ) -> Stored<Near> {
        let mut best = entry;
        loop {
            let here = best.node;
            for node in self.nodes.links(txn, level, here)?.unwrap_or_default() {
                best = best.min(self.measured(txn, meta, node, target)?);
            }
            if best.node == here {
                return Ok(best);
            }
        }
    }

    /// The up to `ef` closest nodes that are reached from `entries`, the closest first.
    fn around(
        &self,
        txn: &ReadTxn<'_>,
        meta: &Meta,
        level: u8,
        entries: &[Near],
        target: &[f32],
        ef: usize,
    ) -> Stored<Vec<Near>> {
        let mut visited = Visited::of(meta);
        let mut pending: BinaryHeap<Reverse<Near>> = BinaryHeap::new();
        let mut found: BinaryHeap<Near> = BinaryHeap::new();
        for entry in entries {
            if visited.enter(entry.node) {
                pending.push(Reverse(*entry));
                found.push(*entry);
            }
        }
        let mut vector = Vec::new();
        while let Some(Reverse(next)) = pending.pop() {
            let worst = found.peek().map_or(f32::INFINITY, |near| near.distance);
            if found.len() >= ef && next.distance > worst {
                break;
            }
            for node in self.nodes.links(txn, level, next.node)?.unwrap_or_default() {
                if !visited.enter(node) {
                    continue;
                }
                self.nodes.vector(txn, node, meta.dimensions as usize, &mut vector)?;
                let distance = of_kept(self.options.distance, target, &vector);
                let worst = found.peek().map_or(f32::INFINITY, |near| near.distance);
                if found.len() < ef || distance < worst {
                    let near = Near { distance, node };
                    pending.push(Reverse(near));
                    found.push(near);
                    if found.len() > ef {
                        found.pop();
                    }
                }
            }
        }
        Ok(found.into_sorted_vec())
    }

    /// Up to `most` of `candidates` (the closest first), spread out: one that is much closer to a
    /// chosen one than to the centre is reached by way of that one. Filled up with the closest others.
    fn spread(
        &self,
        txn: &ReadTxn<'_>,
        meta: &Meta,
        candidates: &[Near],
        most: usize,
    ) -> Stored<Vec<Near>> {
        if candidates.len() <= most {
            return Ok(candidates.to_vec());
        }
        let mut chosen: Vec<(Near, Vec<f32>)> = Vec::with_capacity(most);
        let mut passed_over = Vec::new();
        for near in candidates {
            if chosen.len() == most {
                break;
            }
            let mut vector = Vec::new();
            self.nodes.vector(txn, near.node, meta.dimensions as usize, &mut vector)?;
            let bound = match self.options.distance {
                kora_resource::schema::Distance::DotProduct => near.distance,
                kora_resource::schema::Distance::Cosine
                | kora_resource::schema::Distance::Euclidean => {
                    near.distance * self.options.optimize_routing as f32
                }
            };
            let reached = chosen
                .iter()
                .any(|(_, other)| of_kept(self.options.distance, other, &vector) < bound);
            if reached {
                passed_over.push(*near);
            } else {
                chosen.push((*near, vector));
            }
        }
        let mut chosen: Vec<Near> = chosen.into_iter().map(|(near, _)| near).collect();
        let room = most - chosen.len();
        chosen.extend(passed_over.into_iter().take(room));
        Ok(chosen)
    }

    /// Links two nodes; one that has too many links then loses its least useful.
    fn link(&self, txn: &mut RwTxn<'_>, meta: &Meta, level: u8, a: u32, b: u32) -> Stored<()> {
        for (from, to) in [(a, b), (b, a)] {
            let mut links = self.nodes.links(txn, level, from)?.unwrap_or_default();
            if from == to || links.contains(&to) {
                continue;
            }
            links.push(to);
            self.nodes.put_links(txn, level, from, &links)?;
        }
        for node in [a, b] {
            self.trim(txn, meta, level, node)?;
        }
        Ok(())
    }

    fn trim(&self, txn: &mut RwTxn<'_>, meta: &Meta, level: u8, node: u32) -> Stored<()> {
        let most = self.most_links(level);
        let links = self.nodes.links(txn, level, node)?.unwrap_or_default();
        if links.len() <= most {
            return Ok(());
        }
        let near = self.by_distance(txn, meta, node, &links)?;
        let kept = self.spread(txn, meta, &near, most)?;
        let dropped = near.iter().filter(|near| !kept.contains(near));
        // No node may be left without a way to it.
        for candidate in dropped.chain(near.iter().rev()) {
            let theirs = self.nodes.links(txn, level, candidate.node)?.unwrap_or_default();
            if theirs.len() > (self.options.m / 2).max(1) {
                self.unlink_one(txn, level, node, candidate.node)?;
                return self.unlink_one(txn, level, candidate.node, node);
            }
        }
        Ok(())
    }

    fn by_distance(
        &self,
        txn: &ReadTxn<'_>,
        meta: &Meta,
        node: u32,
        others: &[u32],
    ) -> Stored<Vec<Near>> {
        let mut centre = Vec::new();
        self.nodes.vector(txn, node, meta.dimensions as usize, &mut centre)?;
        let mut near = others
            .iter()
            .filter(|other| **other != node)
            .map(|other| self.measured(txn, meta, *other, &centre))
            .collect::<Stored<Vec<Near>>>()?;
        near.sort_unstable();
        Ok(near)
    }

    fn unlink_one(&self, txn: &mut RwTxn<'_>, level: u8, from: u32, to: u32) -> Stored<()> {
        let Some(mut links) = self.nodes.links(txn, level, from)? else { return Ok(()) };
        links.retain(|linked| *linked != to);
        self.nodes.put_links(txn, level, from, &links)
    }

    /// Gives a node that has lost a neighbour another one of that neighbour's.
    fn mend(
        &self,
        txn: &mut RwTxn<'_>,
        meta: &Meta,
        level: u8,
        node: u32,
        around: &[u32],
    ) -> Stored<()> {
        let linked = self.nodes.links(txn, level, node)?.unwrap_or_default();
        let candidates: Vec<u32> =
            around.iter().copied().filter(|other| !linked.contains(other)).collect();
        let near = self.by_distance(txn, meta, node, &candidates)?;
        // The closest by itself, and as many as it has lost of the links that make it reachable.
        let wanted = (self.options.m / 2).saturating_sub(linked.len()).max(1);
        for near in self.spread(txn, meta, &near, wanted)? {
            self.link(txn, meta, level, node, near.node)?;
        }
        Ok(())
    }
}
