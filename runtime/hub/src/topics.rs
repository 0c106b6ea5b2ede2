//! Which queues belong to which topic of one table.
//!
//! A list of subscribers is shared copy-on-write: a publication takes a reference to each list that
//! concerns it and pushes without any lock held, while a subscription that comes meanwhile copies
//! the list. Without a publication in flight, adding and removing are in place and constant in time:
//! each queue knows its slot in its list.

use std::collections::HashMap;
use std::sync::Arc;

use kora_resource::{Id, Pattern};

use crate::Scope;
use crate::patterns::Patterns;
use crate::queue::Queue;

/// One topic's queues.
pub(crate) type Subscribers = Arc<Vec<Arc<Queue>>>;

/// A [`Scope`] with its prefix in the one form that is looked up: not empty, ending in `/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    Record(Box<[u8]>),
    Below(String),
    Pattern(Pattern),
    Table,
}

impl Topic {
    pub(crate) fn of(scope: Scope) -> Topic {
        match scope {
            Scope::Record(key) => Topic::Record(key),
            Scope::Prefix(prefix) if prefix.is_empty() => Topic::Table,
            Scope::Prefix(prefix) if prefix.ends_with('/') => Topic::Below(prefix),
            Scope::Prefix(prefix) => Topic::Below(prefix + "/"),
            Scope::Pattern(pattern) => Topic::Pattern(pattern),
            Scope::Table => Topic::Table,
        }
    }
}

/// The topics of one table that have subscribers.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    records: HashMap<Box<[u8]>, Subscribers>,
    below: HashMap<String, Subscribers>,
    patterns: Patterns,
    table: Subscribers,
    len: usize,
}

impl Topics {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn add(&mut self, topic: &Topic, queue: Arc<Queue>) {
        self.len += 1;
        let list = match topic {
            Topic::Record(key) => self.records.entry(key.clone()).or_default(),
            Topic::Below(prefix) => self.below.entry(prefix.clone()).or_default(),
            Topic::Pattern(pattern) => return self.patterns.add(pattern, queue),
            Topic::Table => &mut self.table,
        };
        add_to(list, queue);
    }

    pub(crate) fn remove(&mut self, topic: &Topic, queue: &Arc<Queue>) {
        let list = match topic {
            Topic::Record(key) => self.records.get_mut(key),
            Topic::Below(prefix) => self.below.get_mut(prefix),
            Topic::Pattern(pattern) => {
                self.len -= usize::from(self.patterns.remove(pattern, queue));
                return;
            }
            Topic::Table => Some(&mut self.table),
        };
        let Some(list) = list else { return };
        if !remove_from(list, queue) {
            return;
        }
        let empty = list.is_empty();
        self.len -= 1;
        match topic {
            Topic::Record(key) if empty => drop(self.records.remove(key)),
            Topic::Below(prefix) if empty => drop(self.below.remove(prefix)),
            Topic::Record(_) | Topic::Below(_) | Topic::Pattern(_) | Topic::Table => {}
        }
    }

    /// The lists that an event of this record concerns. Prefixes are looked up one for each `/` in
    /// the id, so that their cost is the id's depth and not the number of prefixes.
    pub(crate) fn audience(&self, key: &[u8], id: &Id) -> Vec<Subscribers> {
        let mut audience = Vec::new();
        if !self.table.is_empty() {
            audience.push(Arc::clone(&self.table));
        }
        audience.extend(self.records.get(key).cloned());
        if let Id::String(text) = id
            && !self.below.is_empty()
        {
            let levels = text.bytes().enumerate().filter(|(_, byte)| *byte == b'/');
            // `/` is ASCII, so that the cut is a character boundary.
            audience.extend(levels.filter_map(|(at, _)| self.below.get(&text[..=at]).cloned()));
        }
        if !self.patterns.is_empty() {
            match id {
                Id::Null => {}
                Id::String(text) => self.patterns.audience(text, &mut audience),
                id => self.patterns.audience(&id.to_string(), &mut audience),
            }
        }
        audience
    }
}

pub(crate) fn add_to(list: &mut Subscribers, queue: Arc<Queue>) {
    let list = Arc::make_mut(list);
    queue.set_slot(list.len());
    list.push(queue);
}

/// Whether the queue was there.
pub(crate) fn remove_from(list: &mut Subscribers, queue: &Arc<Queue>) -> bool {
    let list = Arc::make_mut(list);
    let slot = queue.slot();
    if !list.get(slot).is_some_and(|found| Arc::ptr_eq(found, queue)) {
        return false;
    }
    list.swap_remove(slot);
    if let Some(moved) = list.get(slot) {
        moved.set_slot(slot);
    }
    true
}
