//! The subscribers of patterns with wildcards, as a tree of levels.
//!
//! A publication walks the branches that its id can take: at each level the one with that text and
//! the one of `+`. Branches of other texts are not looked at, however many there are.

use std::collections::HashMap;
use std::sync::Arc;

use kora_resource::{Depth, Level, Pattern};

use crate::queue::Queue;
use crate::topics::{Subscribers, add_to, remove_from};

/// One level of the tree, and those whose pattern ends here.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    texts: HashMap<String, Patterns>,
    any: Option<Box<Patterns>>,
    exact: Subscribers,
    below: Subscribers,
}

impl Patterns {
    pub(crate) fn is_empty(&self) -> bool {
        self.texts.is_empty()
            && self.any.is_none()
            && self.exact.is_empty()
            && self.below.is_empty()
    }

    pub(crate) fn add(&mut self, pattern: &Pattern, queue: Arc<Queue>) {
        let mut at = self;
        for level in &pattern.levels {
            at = match level {
                Level::Text(text) => at.texts.entry(text.clone()).or_default(),
                Level::Any => at.any.get_or_insert_default(),
            };
        }
        add_to(at.list(pattern.depth), queue);
    }

    /// Whether the queue was there. Branches that nobody needs any more are cut off.
    pub(crate) fn remove(&mut self, pattern: &Pattern, queue: &Arc<Queue>) -> bool {
        self.remove_at(&pattern.levels, pattern.depth, queue)
    }

    fn remove_at(&mut self, levels: &[Level], depth: Depth, queue: &Arc<Queue>) -> bool {
        let Some((level, rest)) = levels.split_first() else {
            return remove_from(self.list(depth), queue);
        };
        match level {
            Level::Text(text) => {
                let Some(branch) = self.texts.get_mut(text) else { return false };
                let removed = branch.remove_at(rest, depth, queue);
                if branch.is_empty() {
                    self.texts.remove(text);
                }
                removed
            }
            Level::Any => {
                let Some(branch) = &mut self.any else { return false };
                let removed = branch.remove_at(rest, depth, queue);
                if branch.is_empty() {
                    self.any = None;
                }
                removed
            }
        }
    }

    /// Appends the lists of all patterns that match the id with this text.
    pub(crate) fn audience(&self, text: &str, audience: &mut Vec<Subscribers>) {
        self.audience_of(Some(text), audience);
    }

    fn audience_of(&self, rest: Option<&str>, audience: &mut Vec<Subscribers>) {
        let list = if rest.is_some() { &self.below } else { &self.exact };
        if !list.is_empty() {
            audience.push(Arc::clone(list));
        }
        let Some(rest) = rest else { return };
        let (level, rest) = match rest.split_once('/') {
            Some((level, rest)) => (level, Some(rest)),
            None => (rest, None),
        };
        if let Some(branch) = self.texts.get(level) {
            branch.audience_of(rest, audience);
        }
        if let Some(branch) = &self.any {
            branch.audience_of(rest, audience);
        }
    }

    fn list(&mut self, depth: Depth) -> &mut Subscribers {
        match depth {
            Depth::Exact => &mut self.exact,
            Depth::Below => &mut self.below,
        }
    }
}
