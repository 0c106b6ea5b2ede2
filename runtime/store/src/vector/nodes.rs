//! The nodes of a graph as they are stored.
//!
//! Below the number of the index (u32 BE): `80` what is known of the whole graph; `81`, node (u32 BE):
//! the vector (f32 LE) and after it the id's key; `82`, level (u8), node: the linked nodes (u32 LE);
//! and for each id an ordinary index entry of null that leads to its node.

use heed::RwTxn;
use kora_resource::Value;

use crate::StoreError;
use crate::environment::{ReadTxn, Tree};
use crate::keys::{IndexEntry, Key};

const META: u8 = 0x80;
const NODE: u8 = 0x81;
const LINKS: u8 = 0x82;

/// The stored side of one graph.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nodes {
    pub tree: Tree,
    pub index: u32,
}

/// What is known of a whole graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    /// The node where searches begin.
    pub entry: u32,
    /// The highest level, which `entry` is on.
    pub top: u8,
    /// The next new node's number: none is ever given out twice.
    pub next: u32,
    pub count: u32,
    /// How many numbers each vector has.
    pub dimensions: u32,
}

type Stored<T> = Result<T, StoreError>;

impl Nodes {
    fn key(self, tag: u8, rest: &[u8]) -> Key {
        let mut key = Key::from_slice(&self.index.to_be_bytes());
        key.push(tag);
        key.extend_from_slice(rest);
        key
    }

    fn links_key(self, level: u8, node: u32) -> Key {
        let mut rest = [level, 0, 0, 0, 0];
        rest[1..].copy_from_slice(&node.to_be_bytes());
        self.key(LINKS, &rest)
    }

    fn damaged(self) -> StoreError {
        StoreError::damaged("an index", format!("the graph {} is incomplete", self.index))
    }

    /// `None` for an empty graph.
    pub(crate) fn meta(self, txn: &ReadTxn<'_>) -> Stored<Option<Meta>> {
        Ok(self.last_meta(txn)?.filter(|meta| meta.count > 0))
    }

    /// The same, also of a graph that has become empty: its numbers are not given out again.
    pub(super) fn last_meta(self, txn: &ReadTxn<'_>) -> Stored<Option<Meta>> {
        let Some(bytes) = self.tree.get(txn, &self.key(META, &[]))? else { return Ok(None) };
        let numbers: Vec<u32> = numbers(bytes).collect();
        let [entry, top, next, count, dimensions] = numbers[..] else { return Err(self.damaged()) };
        let top = u8::try_from(top).map_err(|_| self.damaged())?;
        Ok(Some(Meta { entry, top, next, count, dimensions }))
    }

    pub(super) fn put_meta(self, txn: &mut RwTxn<'_>, meta: Meta) -> Stored<()> {
        let Meta { entry, top, next, count, dimensions } = meta;
        let numbers = bytes(&[entry, top.into(), next, count, dimensions]);
        Ok(self.tree.put(txn, &self.key(META, &[]), &numbers)?)
    }

    /// The bytes of a node's vector, and the key of its record.
    fn node<'t>(
        self,
        txn: &'t ReadTxn<'_>,
        node: u32,
        dimensions: usize,
    ) -> Stored<(&'t [u8], &'t [u8])> {
        let stored = self.tree.get(txn, &self.key(NODE, &node.to_be_bytes()))?;
        let parts = stored.and_then(|bytes| bytes.split_at_checked(dimensions * 4));
        parts.ok_or_else(|| self.damaged())
    }

    /// A node's vector, into `out`.
    pub(super) fn vector(
        self,
        txn: &ReadTxn<'_>,
        node: u32,
        dimensions: usize,
        out: &mut Vec<f32>,
    ) -> Stored<()> {
        let (vector, _) = self.node(txn, node, dimensions)?;
        out.clear();
        out.extend(vector.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        Ok(())
    }

    /// The key of a node's record.
    pub(super) fn id<'t>(
        self,
        txn: &'t ReadTxn<'_>,
        node: u32,
        dimensions: usize,
    ) -> Stored<&'t [u8]> {
        self.node(txn, node, dimensions).map(|(_, id)| id)
    }

    pub(super) fn put_vector(
        self,
        txn: &mut RwTxn<'_>,
        node: u32,
        vector: &[f32],
        id: &[u8],
    ) -> Stored<()> {
        let mut bytes: Vec<u8> = vector.iter().flat_map(|n| n.to_le_bytes()).collect();
        bytes.extend_from_slice(id);
        self.tree.put(txn, &self.key(NODE, &node.to_be_bytes()), &bytes)?;
        let entry = IndexEntry::new(self.index, &Value::Null, id);
        Ok(self.tree.put(txn, &entry.key, &node.to_be_bytes())?)
    }

    /// The node of a record.
    pub(crate) fn node_of(self, txn: &ReadTxn<'_>, id: &[u8]) -> Stored<Option<u32>> {
        let entry = IndexEntry::new(self.index, &Value::Null, id);
        let Some(bytes) = self.tree.get(txn, &entry.key)? else { return Ok(None) };
        Ok(Some(u32::from_be_bytes(bytes.try_into().map_err(|_| self.damaged())?)))
    }

    pub(super) fn remove(self, txn: &mut RwTxn<'_>, node: u32, id: &[u8]) -> Stored<()> {
        self.tree.delete(txn, &self.key(NODE, &node.to_be_bytes()))?;
        self.tree.delete(txn, &IndexEntry::new(self.index, &Value::Null, id).key)?;
        Ok(())
    }

    /// What a node is linked to on a level; `None` if it is not on it.
    pub(super) fn links(self, txn: &ReadTxn<'_>, level: u8, node: u32) -> Stored<Option<Vec<u32>>> {
        Ok(self.tree.get(txn, &self.links_key(level, node))?.map(|bytes| numbers(bytes).collect()))
    }

    /// The same, added to `out`.
    pub(super) fn links_into(
        self,
        txn: &ReadTxn<'_>,
        level: u8,
        node: u32,
        out: &mut Vec<u32>,
    ) -> Stored<()> {
        out.extend(
            self.tree.get(txn, &self.links_key(level, node))?.map(numbers).into_iter().flatten(),
        );
        Ok(())
    }

    pub(super) fn put_links(
        self,
        txn: &mut RwTxn<'_>,
        level: u8,
        node: u32,
        links: &[u32],
    ) -> Stored<()> {
        Ok(self.tree.put(txn, &self.links_key(level, node), &bytes(links))?)
    }

    pub(super) fn remove_links(self, txn: &mut RwTxn<'_>, level: u8, node: u32) -> Stored<()> {
        self.tree.delete(txn, &self.links_key(level, node))?;
        Ok(())
    }

    /// Any node on a level.
    pub(super) fn any_on(self, txn: &ReadTxn<'_>, level: u8) -> Stored<Option<u32>> {
        let prefix = self.key(LINKS, &[level]);
        let Some(found) = self.tree.prefix_iter(txn, &prefix)?.next() else { return Ok(None) };
        let node = found?.0.get(prefix.len()..).and_then(|node| node.try_into().ok());
        node.map(|node| Some(u32::from_be_bytes(node))).ok_or_else(|| self.damaged())
    }
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes))
}

fn bytes(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
}
