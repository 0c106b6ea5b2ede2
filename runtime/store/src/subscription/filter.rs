//! Conditions on a subscription: which events pass, and when a record leaves.
//!
//! An event carries what a record has become and not what it was. To tell a record that stops
//! matching from one that never did, the filter remembers by a hash of their keys which ones it has
//! let through. Past [`REMEMBERED`] it forgets them and takes every record for one that may have
//! matched: then `leave` events come for records that the reader has never seen, which it ignores.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use kora_resource::query::Filter;
use kora_resource::{Event, EventKind, EventValue, Frame, Query, Result, Value};

use crate::Table;
use crate::keys::encode_id;

/// How many records that match are remembered: 8 bytes each.
const REMEMBERED: usize = 100_000;

/// The conditions of one subscription.
#[derive(Debug)]
pub(super) struct EventFilter {
    filter: Filter,
    /// The records that match; `None` once they are too many.
    matching: Option<HashSet<u64>>,
}

impl EventFilter {
    /// `None` for a query without conditions. 404 for an attribute that the schema does not have.
    pub(super) fn new(table: &Table, mut query: Query) -> Result<Option<EventFilter>> {
        query.coerce(&table.schema())?;
        let filter = query.filter();
        Ok((!filter.is_empty()).then(|| EventFilter { filter, matching: Some(HashSet::new()) }))
    }

    /// Forgets which records match, before they are shown anew.
    pub(super) fn forget(&mut self) {
        self.matching = Some(HashSet::new());
    }

    /// The event, the `leave` event that it is to this subscription, or nothing.
    pub(super) fn pass(&mut self, frame: Arc<Frame>) -> Result<Option<Arc<Frame>>> {
        let event = &frame.event;
        let matches = match &event.value {
            EventValue::Record(record) => self.filter.matches(record)?,
            EventValue::Message(Value::Object(message)) => {
                return Ok(self.filter.matches_map(message).then_some(frame));
            }
            EventValue::Message(_) => return Ok(None),
            EventValue::Absent => false,
        };
        let mut hasher = DefaultHasher::new();
        encode_id(&event.id)?.hash(&mut hasher);
        let record = hasher.finish();
        if matches {
            if let Some(matching) = &mut self.matching {
                matching.insert(record);
                if matching.len() > REMEMBERED {
                    self.matching = None;
                }
            }
            return Ok(Some(frame));
        }
        if !self.matching.as_mut().is_none_or(|matching| matching.remove(&record)) {
            return Ok(None);
        }
        Ok(Some(match event.kind {
            EventKind::Put | EventKind::Patch => Frame::new(Event {
                kind: EventKind::Leave,
                value: EventValue::Absent,
                ..event.clone()
            }),
            EventKind::Delete | EventKind::Invalidate | EventKind::Message | EventKind::Leave => {
                frame
            }
        }))
    }
}
