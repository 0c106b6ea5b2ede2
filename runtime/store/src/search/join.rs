//! Joins from their far end: the keys of the related records that match, collected before the search
//! goes through the table's own records. Worth it where they are few or cheap to find.

use std::collections::HashSet;

use kora_resource::query::{Comparator, Compare};
use kora_resource::{Id, Query, Result, Value};

use super::Search;
use super::predicate::{Join, Predicate};
use crate::keys::{Key, encode_id};

/// How many keys of related records are collected at most.
const MAX_KEYS: usize = 10_000;
/// How many entries are looked at for them at most.
const MAX_LOOKS: usize = 20_000;

/// Collects the keys of the first join that allows it, and answers them as a condition on the
/// table's own attribute: it can lead to the records by an index.
pub(super) fn lead(predicate: &mut Predicate) -> Result<Vec<Compare>> {
    let mut leads = Vec::new();
    for join in predicate.joins_mut() {
        if let Some((keys, values)) = collect(join)? {
            join.found(keys);
            let own = vec![join.relation.own.clone()];
            leads.push(Compare::new(own, Comparator::In, Value::Array(values)));
        }
    }
    Ok(leads)
}

/// The keys of all matches, encoded and as values; `None` if there are too many.
fn collect(join: &Join) -> Result<Option<(HashSet<Key>, Vec<Value>)>> {
    let query = Query { limit: Some(MAX_KEYS + 1), ..join.inner.clone() };
    let mut search = Search::begin(join.relation.target.clone(), query, Default::default())?;
    let (mut keys, mut values) = (HashSet::new(), Vec::new());
    let their_key = join.relation.target.schema().primary_key.clone();
    let there = join.relation.there.as_deref().unwrap_or(&their_key);
    loop {
        if search.looks() > MAX_LOOKS || keys.len() > MAX_KEYS {
            return Ok(None);
        }
        if search.ended() && search.is_drained() {
            return Ok(Some((keys, values)));
        }
        if !search.ended() {
            search.step()?;
        }
        for record in search.drain() {
            let map = record.to_map()?;
            let found = match map.get(there) {
                None | Some(Value::Null) => continue,
                Some(Value::Array(items)) if join.relation.there.is_some() => items.clone(),
                Some(value) => vec![value.clone()],
            };
            for value in found {
                let Some(id) = Id::from_value(&value) else { continue };
                let Ok(key) = encode_id(&id) else { continue };
                if keys.insert(key) {
                    values.push(value);
                }
            }
        }
    }
}
