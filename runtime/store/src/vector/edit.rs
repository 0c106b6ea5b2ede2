//! Changes of graphs in the writer's transaction: linking, unlinking, mending.
//!
//! The lists of links that a batch reads and changes stay here until its end and are then written
//! once each, in the same transaction ([`Edits::flush`]): neighbours of many new nodes are the same
//! few. A batch that is given up or run again drops its edits.

use std::collections::BTreeMap;
use std::sync::Arc;

use heed::RwTxn;
use kora_resource::schema::VectorIndex;
use rustc_hash::FxHashMap;

use super::distance::kept;
use super::memory::{Known, VectorMemory};
use super::nodes::{Meta, Nodes};
use super::walk::{Near, Scratch, View};
use crate::StoreError;
use crate::environment::{ReadTxn, Tree};

/// No node is on a higher level, whatever the dice say.
const MAX_LEVEL: u8 = 24;

type Stored<T> = Result<T, StoreError>;

/// The graphs that one transaction changes.
pub(crate) struct Edits {
    tree: Tree,
    memory: Arc<VectorMemory>,
    graphs: BTreeMap<u32, Edit>,
}

impl Edits {
    pub(crate) fn new(tree: Tree, memory: &Arc<VectorMemory>) -> Edits {
        Edits { tree, memory: Arc::clone(memory), graphs: BTreeMap::new() }
    }

    /// The graph of an index; its first use must come before any change of it in the transaction.
    pub(crate) fn graph(
        &mut self,
        txn: &ReadTxn<'_>,
        index: u32,
        options: &VectorIndex,
    ) -> Stored<&mut Edit> {
        match self.graphs.entry(index) {
            std::collections::btree_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let nodes = Nodes { tree: self.tree, index };
                let meta = nodes.last_meta(txn)?;
                let first = meta.map_or(0, |meta| meta.next);
                Ok(entry.insert(Edit {
                    nodes,
                    options: options.clone(),
                    meta,
                    known: self.memory.of(index).below(first),
                    pending: Pending { first, ..Pending::default() },
                    scratch: Scratch::default(),
                    removed: 0,
                }))
            }
        }
    }

    /// Writes what has been kept back. Nothing is changed after it.
    pub(crate) fn flush(&mut self, txn: &mut RwTxn<'_>) -> Stored<()> {
        self.graphs.values_mut().try_for_each(|edit| edit.flush(txn))
    }

    /// After the commit.
    pub(crate) fn committed(self) {
        for (index, edit) in self.graphs {
            self.memory.removed(index, edit.removed);
        }
    }
}

/// The links of a node on a level.
#[derive(Debug)]
struct Links {
    /// `None` where the node is not on the level.
    nodes: Option<Vec<u32>>,
    /// Whether the tree has others.
    is_changed: bool,
}

/// What a transaction has made of a graph, and what it has read of its links.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// The number of the first node that is not committed.
    first: u32,
    /// The vectors of the nodes from there on.
    vectors: Vec<Box<[f32]>>,
    links: FxHashMap<(u8, u32), Links>,
}

impl Pending {
    pub(super) fn is_committed(&self, node: u32) -> bool {
        node < self.first
    }

    /// The vector of a node that this transaction has made.
    pub(super) fn fresh(&self, node: u32) -> Option<&[f32]> {
        let at = node.checked_sub(self.first)?;
        self.vectors.get(at as usize).map(|vector| &vector[..])
    }

    fn entry(
        &mut self,
        txn: &ReadTxn<'_>,
        nodes: Nodes,
        level: u8,
        node: u32,
    ) -> Stored<&mut Links> {
        use std::collections::hash_map::Entry;
        match self.links.entry((level, node)) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let nodes = nodes.links(txn, level, node)?;
                Ok(entry.insert(Links { nodes, is_changed: false }))
            }
        }
    }

    pub(super) fn links(
        &mut self,
        txn: &ReadTxn<'_>,
        nodes: Nodes,
        level: u8,
        node: u32,
    ) -> Stored<Option<&[u32]>> {
        Ok(self.entry(txn, nodes, level, node)?.nodes.as_deref())
    }

    fn set(&mut self, level: u8, node: u32, links: Option<Vec<u32>>) {
        self.links.insert((level, node), Links { nodes: links, is_changed: true });
    }
}

/// One graph under change.
pub(crate) struct Edit {
    nodes: Nodes,
    options: VectorIndex,
    meta: Option<Meta>,
    known: Known,
    pending: Pending,
    scratch: Scratch,
    /// How many nodes are no more.
    removed: usize,
}

impl Edit {
    /// What is known of the whole graph; `None` if it is empty.
    pub(crate) fn meta(&self) -> Option<Meta> {
        self.meta.filter(|meta| meta.count > 0)
    }

    /// Enters a record, which must not be in the graph.
    pub(crate) fn insert(
        &mut self,
        txn: &mut RwTxn<'_>,
        id: &[u8],
        vector: Vec<f32>,
    ) -> Stored<()> {
        let vector = kept(self.options.distance, vector);
        let node = self.meta.map_or(0, |meta| meta.next);
        let level = self.level(node);
        self.nodes.put_vector(txn, node, &vector, id)?;
        for level in 0..=level {
            self.pending.set(level, node, Some(Vec::new()));
        }
        self.pending.vectors.push(vector.clone().into());
        let Some(meta) = self.meta() else {
            let dimensions = vector.len() as u32;
            let meta = Meta { entry: node, top: level, next: node + 1, count: 1, dimensions };
            return self.put_meta(txn, meta);
        };
        let grown = Meta { next: node + 1, count: meta.count + 1, ..meta };
        self.meta = Some(grown);
        let mut entry = self.view(txn).measured(meta.entry, &vector)?;
        for above in (level + 1..=meta.top).rev() {
            entry = self.view(txn).closest(above, entry, &vector)?;
        }
        let ef = self.options.ef_construction.max(self.options.m);
        let mut entries = vec![entry];
        for level in (0..=level.min(meta.top)).rev() {
            entries = self.view(txn).around(level, &entries, &vector, ef)?;
            for near in self.spread(txn, &entries, self.options.m)? {
                self.link(txn, level, node, near.node)?;
            }
        }
        let (entry, top) = if level > meta.top { (node, level) } else { (meta.entry, meta.top) };
        self.put_meta(txn, Meta { entry, top, ..grown })
    }

    /// Takes a record out, if it is in the graph, and links those around it with each other.
    pub(crate) fn remove(&mut self, txn: &mut RwTxn<'_>, id: &[u8]) -> Stored<()> {
        let Some(node) = self.nodes.node_of(txn, id)? else { return Ok(()) };
        let Some(meta) = self.meta() else { return Ok(()) };
        let mut level = 0;
        while let Some(around) = self.pending.links(txn, self.nodes, level, node)? {
            let around = around.to_vec();
            self.pending.set(level, node, None);
            for neighbour in &around {
                self.unlink_one(txn, level, *neighbour, node)?;
            }
            for neighbour in &around {
                self.mend(txn, level, *neighbour, &around)?;
            }
            level += 1;
        }
        self.nodes.remove(txn, node, id)?;
        self.removed += 1;
        let meta = Meta { count: meta.count.saturating_sub(1), ..meta };
        if meta.entry != node || meta.count == 0 {
            return self.put_meta(txn, meta);
        }
        // The tree is asked for a node that is left: it must know all.
        self.flush(txn)?;
        for top in (0..=meta.top).rev() {
            if let Some(entry) = self.nodes.any_on(txn, top)? {
                return self.put_meta(txn, Meta { entry, top, ..meta });
            }
        }
        self.put_meta(txn, Meta { count: 0, ..meta })
    }

    fn flush(&mut self, txn: &mut RwTxn<'_>) -> Stored<()> {
        let changed = self.pending.links.iter_mut().filter(|(_, links)| links.is_changed);
        let mut changed: Vec<_> = changed.collect();
        changed.sort_unstable_by_key(|(place, _)| **place);
        for ((level, node), links) in changed {
            match &links.nodes {
                Some(linked) => self.nodes.put_links(txn, *level, *node, linked)?,
                None => self.nodes.remove_links(txn, *level, *node)?,
            }
            links.is_changed = false;
        }
        Ok(())
    }

    fn put_meta(&mut self, txn: &mut RwTxn<'_>, meta: Meta) -> Stored<()> {
        self.meta = Some(meta);
        self.nodes.put_meta(txn, meta)
    }

    fn view<'v, 'e>(&'v mut self, txn: &'v ReadTxn<'e>) -> View<'v, 'e> {
        View {
            txn,
            nodes: self.nodes,
            distance: self.options.distance,
            dimensions: self.meta.map_or(0, |meta| meta.dimensions as usize),
            known: &self.known,
            pending: Some(&mut self.pending),
            scratch: &mut self.scratch,
        }
    }

    fn spread(&mut self, txn: &ReadTxn<'_>, candidates: &[Near], most: usize) -> Stored<Vec<Near>> {
        let routing = self.options.optimize_routing as f32;
        self.view(txn).spread(candidates, most, routing)
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

    fn linked(&mut self, txn: &ReadTxn<'_>, level: u8, node: u32) -> Stored<&[u32]> {
        Ok(self.pending.links(txn, self.nodes, level, node)?.unwrap_or_default())
    }

    /// Links two nodes; one that has too many links then loses its least useful.
    fn link(&mut self, txn: &ReadTxn<'_>, level: u8, a: u32, b: u32) -> Stored<()> {
        for (from, to) in [(a, b), (b, a)] {
            let links = self.pending.entry(txn, self.nodes, level, from)?;
            let nodes = links.nodes.get_or_insert_default();
            if from != to && !nodes.contains(&to) {
                nodes.push(to);
                links.is_changed = true;
            }
        }
        for node in [a, b] {
            self.trim(txn, level, node)?;
        }
        Ok(())
    }

    /// Lets a node that has far too many links keep those that lead farthest in all directions. A
    /// quarter more than it should have is borne, so that this is not the price of every link.
    fn trim(&mut self, txn: &ReadTxn<'_>, level: u8, node: u32) -> Stored<()> {
        let most = self.most_links(level);
        let links = self.linked(txn, level, node)?;
        if links.len() <= most + most / 4 {
            return Ok(());
        }
        let links = links.to_vec();
        let near = self.view(txn).by_distance(node, &links)?;
        let kept = self.spread(txn, &near, most)?;
        let mut surplus = links.len() - most;
        // No node may be left without a way to it.
        let least = (self.options.m / 2).max(1);
        let dropped = near.iter().filter(|near| !kept.contains(near));
        for candidate in dropped.chain(near.iter().rev()) {
            if surplus == 0 {
                break;
            }
            let theirs = self.linked(txn, level, candidate.node)?;
            if theirs.len() > least && theirs.contains(&node) {
                self.unlink_one(txn, level, node, candidate.node)?;
                self.unlink_one(txn, level, candidate.node, node)?;
                surplus -= 1;
            }
        }
        Ok(())
    }

    fn unlink_one(&mut self, txn: &ReadTxn<'_>, level: u8, from: u32, to: u32) -> Stored<()> {
        let links = self.pending.entry(txn, self.nodes, level, from)?;
        let Some(nodes) = &mut links.nodes else { return Ok(()) };
        nodes.retain(|linked| *linked != to);
        links.is_changed = true;
        Ok(())
    }

    /// Gives a node that has lost a neighbour another one of that neighbour's.
    fn mend(&mut self, txn: &ReadTxn<'_>, level: u8, node: u32, around: &[u32]) -> Stored<()> {
        let linked = self.linked(txn, level, node)?;
        let count = linked.len();
        let candidates: Vec<u32> =
            around.iter().copied().filter(|other| !linked.contains(other)).collect();
        let near = self.view(txn).by_distance(node, &candidates)?;
        // The closest by itself, and as many as it has lost of the links that make it reachable.
        let wanted = (self.options.m / 2).saturating_sub(count).max(1);
        for near in self.spread(txn, &near, wanted)? {
            self.link(txn, level, node, near.node)?;
        }
        Ok(())
    }
}
