//! The vectors of graphs in memory: searches and insertions look at thousands each, and finding one
//! in the tree costs several times what measuring its distance does.
//!
//! A node's vector never changes and its number is never given out again, so what was read once is
//! right for every snapshot that has the node. Only what is committed may be kept: the numbers of a
//! transaction that is given up go to other vectors. All graphs of a store share one bound; past it
//! vectors are read from the tree each time. Nodes that were removed stay until they are many: then
//! the graph's memory begins anew, and who still searches in the old one keeps it until the end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::ByteSize;

/// How many nodes one piece of the table has room for.
const CHUNK: usize = 1024;
/// So few removed nodes are not worth a new beginning.
const FEW: usize = 1000;

type Slot = OnceLock<Box<[f32]>>;
type Chunk = Box<[Slot]>;

/// The bytes that may still be used, shared by all databases of a store.
#[derive(Debug, Clone)]
pub(crate) struct Room(Arc<AtomicUsize>);

impl Room {
    pub(crate) fn new(bound: ByteSize) -> Room {
        Room(Arc::new(AtomicUsize::new(bound.0)))
    }

    /// Whether there was so much.
    fn take(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The memory of one database's graphs, by the numbers of their indexes.
#[derive(Debug)]
pub(crate) struct VectorMemory {
    room: Room,
    graphs: Mutex<HashMap<u32, Arc<Vectors>>>,
}

impl VectorMemory {
    pub(crate) fn new(room: Room) -> VectorMemory {
        VectorMemory { room, graphs: Mutex::default() }
    }

    pub(crate) fn of(&self, index: u32) -> Arc<Vectors> {
        let mut graphs = self.graphs.lock();
        Arc::clone(graphs.entry(index).or_insert_with(|| {
            Arc::new(Vectors {
                room: self.room.clone(),
                chunks: ArcSwap::default(),
                growing: Mutex::default(),
                held: AtomicUsize::new(0),
                count: AtomicUsize::new(0),
                removed: AtomicUsize::new(0),
            })
        }))
    }

    /// The index is no more.
    pub(crate) fn forget(&self, index: u32) {
        self.graphs.lock().remove(&index);
    }

    /// So many nodes of the graph were removed.
    pub(super) fn removed(&self, index: u32, count: usize) {
        let vectors = self.of(index);
        let removed = vectors.removed.fetch_add(count, Ordering::Relaxed) + count;
        if removed > FEW.max(vectors.count.load(Ordering::Relaxed) / 2) {
            self.forget(index);
        }
    }
}

/// What is known of one graph's vectors.
#[derive(Debug)]
pub(crate) struct Vectors {
    room: Room,
    /// The slots of all nodes, as far as there is room for them.
    chunks: ArcSwap<Vec<Arc<Chunk>>>,
    growing: Mutex<()>,
    /// How much of the room is taken.
    held: AtomicUsize,
    count: AtomicUsize,
    removed: AtomicUsize,
}

impl Vectors {
    /// With slots for all nodes below `next`, if there is room.
    pub(super) fn below(self: &Arc<Self>, next: u32) -> Known {
        let wanted = (next as usize).div_ceil(CHUNK);
        let mut chunks = self.chunks.load_full();
        if chunks.len() < wanted {
            let _one_at_a_time = self.growing.lock();
            chunks = self.chunks.load_full();
            let mut more = Vec::clone(&chunks);
            while more.len() < wanted && self.take(CHUNK * size_of::<Slot>()) {
                more.push(Arc::new((0..CHUNK).map(|_| Slot::new()).collect()));
            }
            if more.len() > chunks.len() {
                chunks = Arc::new(more);
                self.chunks.store(Arc::clone(&chunks));
            }
        }
        Known { of: Arc::clone(self), chunks }
    }

    fn take(&self, bytes: usize) -> bool {
        let taken = self.room.take(bytes);
        if taken {
            self.held.fetch_add(bytes, Ordering::Relaxed);
        }
        taken
    }
}

impl Drop for Vectors {
    fn drop(&mut self) {
        self.room.give_back(self.held.load(Ordering::Relaxed));
    }
}

/// The vectors of a graph as one search or transaction uses them.
#[derive(Debug)]
pub(super) struct Known {
    of: Arc<Vectors>,
    chunks: Arc<Vec<Arc<Chunk>>>,
}

impl Known {
    fn slot(&self, node: u32) -> Option<&Slot> {
        self.chunks.get(node as usize / CHUNK)?.get(node as usize % CHUNK)
    }

    pub(super) fn get(&self, node: u32) -> Option<&[f32]> {
        self.slot(node)?.get().map(|vector| &vector[..])
    }

    /// Keeps the vector of a node that is committed, if there is room.
    pub(super) fn keep(&self, node: u32, vector: &[f32]) {
        let Some(slot) = self.slot(node) else { return };
        let bytes = size_of_val(vector);
        if slot.get().is_some() || !self.of.take(bytes) {
            return;
        }
        if slot.set(vector.into()).is_err() {
            // Another thread was faster.
            self.of.held.fetch_sub(bytes, Ordering::Relaxed);
            self.of.room.give_back(bytes);
        } else {
            self.of.count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_given_back() {
        let chunk = CHUNK * size_of::<Slot>();
        let room = Room::new(ByteSize(chunk + 20));
        let memory = VectorMemory::new(room.clone());
        let known = memory.of(1).below(2000);
        assert!(known.get(0).is_none());
        known.keep(0, &[1.0, 2.0]);
        known.keep(0, &[1.0, 2.0]);
        known.keep(1, &[3.0, 4.0]);
        known.keep(2, &[5.0, 6.0]);
        known.keep(1500, &[7.0, 8.0]);
        let expected: [Option<&[f32]>; 3] = [Some(&[1.0, 2.0]), Some(&[3.0, 4.0]), None];
        assert_eq!([known.get(0), known.get(1), known.get(2)], expected);
        assert_eq!(known.get(1500), None);
        assert_eq!(room.0.load(Ordering::Relaxed), 4);
        memory.removed(1, FEW + 1);
        assert_eq!(memory.of(1).below(1).get(0), None, "it has begun anew");
        assert_eq!(known.get(0), expected[0], "a search goes on with what it has");
        drop((known, memory));
        assert_eq!(room.0.load(Ordering::Relaxed), chunk + 20);
    }
}
