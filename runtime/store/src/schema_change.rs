//! Applies a schema to a table: its catalogue entry, its indexes (`spec/harper-schema.md` section 10).
//!
//! The catalogue changes in one job of the writer, and the table's definition is swapped right after
//! its commit and before the next write: from the first moment of a new index every write maintains
//! it. What is already stored is entered by a thread of its own in small jobs that take their turn
//! among the clients' writes; each saves how far it came, so that a crash loses one batch at most.
//! Entries of a dropped index are deleted the same way. A thread that fails says so in the log; the
//! work is taken up again when the store is opened next.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kora_resource::Map;
use kora_resource::schema::{Attribute, TableSchema, ValidateMode};

use crate::catalog::{self, IndexKind, IndexState, Progress, TableEntry};
use crate::database::Database;
use crate::environment::{ReadTxn, Trees};
use crate::error::TypeChange;
use crate::keys::{IndexEntry, Key, after_prefix, decode_id};
use crate::layout::{Header, TableId, id_of, record_key};
use crate::table::Definition;
use crate::vector::{Edit, Edits, vector_of};
use crate::writer::entries_of;
use crate::{StoreError, Table};

/// How many records or entries one job works on.
const BATCH: usize = 1000;
/// How many records one job enters into an index of vectors, and how long it may take for them besides
/// its commit: each costs from a fraction of a millisecond to several, by its length.
const VECTOR_BATCH: usize = 128;
const VECTOR_STEP: Duration = Duration::from_millis(20);

/// Refuses names that can't be those of folders or keys.
pub(crate) fn check_names(schema: &TableSchema) -> Result<(), StoreError> {
    let check = |what, name: &str| {
        let refuse = |reason| Err(StoreError::Name { what, name: name.to_owned(), reason });
        if name.is_empty() || name.len() > 250 {
            return refuse("it must have 1 to 250 bytes");
        }
        if name.contains(['/', '\\', '`', '\0']) || name.starts_with('.') {
            return refuse("it must not contain / \\ ` or begin with a dot");
        }
        Ok(())
    };
    check("database", &schema.database)?;
    check("table", &schema.table)
}

/// Refuses what can't be applied.
pub(crate) fn check(database: &Database, schema: &TableSchema) -> Result<(), StoreError> {
    let stored =
        database.environment().read(|txn, trees| catalog::table(txn, trees, &schema.table))?;
    match stored {
        Some(entry) if entry.primary_key != schema.primary_key => {
            Err(StoreError::PrimaryKeyChanged {
                table: schema.table.clone(),
                from: entry.primary_key,
                to: schema.primary_key.clone(),
            })
        }
        Some(entry) => check_types(database, schema, &entry),
        None => Ok(()),
    }
}

/// Refuses a type that stored values do not fit; values that are coerced when they are written fit.
fn check_types(
    database: &Database,
    schema: &TableSchema,
    entry: &TableEntry,
) -> Result<(), StoreError> {
    let changed: Vec<(&Attribute, &String)> = entry
        .types
        .iter()
        .filter_map(|(name, before)| Some((schema.attribute(name)?, before)))
        .filter(|(attribute, before)| {
            attribute.derived.is_none() && attribute.ty.to_string() != **before
        })
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = changed.iter().map(|(found, _)| found.name.clone()).collect();
    let mut after = Vec::new();
    loop {
        let mut unfit = None;
        let last = database.environment().read(|txn, trees| {
            visit(txn, trees, entry.id, &after, BATCH, &names, |id, map| {
                for (attribute, before) in &changed {
                    let held = map.get(&attribute.name).filter(|value| !value.is_null());
                    let (None, Some(value)) = (&unfit, held) else { continue };
                    let mut alone = Map::from_iter([(attribute.name.clone(), value.clone())]);
                    if let Err(error) = schema.validate(&mut alone, ValidateMode::Partial) {
                        unfit = Some(StoreError::TypeChanged(Box::new(TypeChange {
                            table: schema.table.clone(),
                            attribute: attribute.name.clone(),
                            from: (*before).clone(),
                            to: attribute.ty.to_string(),
                            id: decode_id(id).map_or_else(String::new, |id| id.to_string()),
                            problem: error.message,
                        })));
                    }
                }
            })
        })?;
        match (unfit, last) {
            (Some(error), _) => return Err(error),
            (None, None) => return Ok(()),
            (None, Some(last)) => after = last.to_vec(),
        }
    }
}

/// Brings the catalogue in line with the schema, and `table`'s definition if there is one already.
pub(crate) fn define(
    database: &Database,
    schema: &Arc<TableSchema>,
    table: Option<&Arc<Table>>,
) -> Result<TableEntry, StoreError> {
    let (schema, table) = (Arc::clone(schema), table.cloned());
    let wanted = Arc::clone(&schema);
    database.run(
        move |txn, trees| {
            let stored = catalog::table(txn, trees, &wanted.table)?;
            let entry = match stored.clone() {
                Some(entry) => entry,
                None => TableEntry {
                    id: TableId(catalog::allocate(txn, trees)?),
                    primary_key: wanted.primary_key.clone(),
                    types: Vec::new(),
                    indexes: Vec::new(),
                },
            };
            let entry = TableEntry { types: stored_types(&wanted), ..entry };
            let recipes = recipes(&wanted);
            let same = |index: &IndexState, recipe: &Recipe| {
                (index.attribute.as_str(), index.kind, index.recipe.as_str())
                    == (recipe.attribute.as_str(), recipe.kind, recipe.text.as_str())
            };
            let is_wanted = |index: &IndexState| recipes.iter().any(|recipe| same(index, recipe));
            let (mut indexes, dropped): (Vec<_>, Vec<_>) =
                entry.indexes.into_iter().partition(is_wanted);
            for index in dropped {
                catalog::put_garbage(txn, trees, index.id)?;
            }
            let empty = is_empty(txn, trees, entry.id)?;
            for recipe in &recipes {
                if indexes.iter().any(|index| same(index, recipe)) {
                    continue;
                }
                let progress = if empty {
                    Progress::Complete
                } else {
                    Progress::Building { after: Vec::new() }
                };
                let id = catalog::allocate(txn, trees)?;
                let Recipe { attribute, kind, text: recipe } = recipe.clone();
                indexes.push(IndexState { id, attribute, kind, recipe, progress });
            }
            let entry = TableEntry { indexes, ..entry };
            if stored.as_ref() != Some(&entry) {
                catalog::put_table(txn, trees, &wanted.table, &entry)?;
            }
            Ok(entry)
        },
        move |entry| {
            if let Some(table) = table {
                table.redefine(Definition { schema, indexes: entry.indexes.clone() });
            }
        },
    )
}

/// An index as the schema wants it.
#[derive(Debug, Clone)]
struct Recipe {
    attribute: String,
    kind: IndexKind,
    text: String,
}

fn recipes(schema: &TableSchema) -> Vec<Recipe> {
    let ordered = schema.indexed().map(|attribute| {
        let text = schema.computed(&attribute.name).map(|computed| {
            let expression = computed.expression.as_ref().map_or("", |found| found.text());
            format!("{expression}\n{}", computed.version.as_deref().unwrap_or_default())
        });
        Recipe {
            attribute: attribute.name.clone(),
            kind: IndexKind::Ordered,
            text: text.unwrap_or_default(),
        }
    });
    let vectors = schema.vectors().map(|(attribute, options)| Recipe {
        attribute: attribute.name.clone(),
        kind: IndexKind::Vectors,
        // How a search goes through the graph is not part of how it is built.
        text: format!("{} {} {}", options.distance.name(), options.m, options.ef_construction),
    });
    ordered.chain(vectors).collect()
}

fn stored_types(schema: &TableSchema) -> Vec<(String, String)> {
    let stored = schema.attributes.iter().filter(|attribute| attribute.derived.is_none());
    stored.map(|attribute| (attribute.name.clone(), attribute.ty.to_string())).collect()
}

/// Changes a table that is being served.
pub(crate) fn alter(table: &Arc<Table>, schema: Arc<TableSchema>) -> Result<(), StoreError> {
    if *table.schema() == *schema {
        return Ok(());
    }
    define(table.owner(), &schema, Some(table)).map(drop)
}

fn is_empty(txn: &ReadTxn<'_>, trees: &Trees, table: TableId) -> Result<bool, StoreError> {
    let first = trees.records.prefix_iter(txn, &record_key(table, &[]))?.next();
    Ok(first.transpose()?.is_none())
}

/// Starts a thread for each index that is not complete and has none yet.
pub(crate) fn build_indexes(table: &Arc<Table>, closing: &Arc<AtomicBool>) {
    let definition = table.definition();
    for index in &definition.indexes {
        if index.progress == Progress::Complete || !table.claim_build(index.id) {
            continue;
        }
        let (table, closing, index) = (Arc::clone(table), Arc::clone(closing), index.clone());
        in_background("index", move || {
            let result = build(&table, &index, &closing);
            table.release_build(index.id);
            match result {
                Ok(()) => {}
                Err(StoreError::Closed) => {}
                Err(error) => tracing::error!(
                    table = table.name(),
                    attribute = index.attribute,
                    %error,
                    "the index could not be built"
                ),
            }
        });
    }
}

/// Enters the stored records into an index, batch by batch, until it is complete, dropped or the
/// store closes.
fn build(table: &Arc<Table>, index: &IndexState, closing: &AtomicBool) -> Result<(), StoreError> {
    while !closing.load(Ordering::Acquire) {
        let (owner, id) = (Arc::clone(table), index.id);
        let for_commit = Arc::clone(table);
        let progress = table.owner().run(
            move |txn, trees| {
                // Not the definition: this job may run again, or the index be dropped by now.
                let Some(mut entry) = catalog::table(txn, trees, owner.name())? else {
                    return Ok(None);
                };
                let Some(state) = entry.indexes.iter_mut().find(|known| known.id == id) else {
                    return Ok(None);
                };
                let Progress::Building { after } = &state.progress else { return Ok(None) };
                let schema = owner.schema();
                let attribute = schema.attribute(&state.attribute);
                let vector = attribute.and_then(|attribute| attribute.vector.as_ref());
                let last = match (state.kind, vector) {
                    (IndexKind::Ordered, _) => {
                        let (entries, last) = batch(txn, trees, owner.id(), &schema, state, after)?;
                        for entry in entries {
                            trees.indexes.put(txn, &entry.key, &entry.data)?;
                        }
                        last
                    }
                    (IndexKind::Vectors, Some(options)) => {
                        let mut graphs = Edits::new(trees.indexes, owner.owner().vectors());
                        let graph = graphs.graph(txn, state.id, options)?;
                        let last = enter_vectors(txn, trees, owner.id(), graph, state, after)?;
                        graphs.flush(txn)?;
                        last
                    }
                    (IndexKind::Vectors, None) => return Ok(None),
                };
                state.progress = match last {
                    Some(last) => Progress::Building { after: last.to_vec() },
                    None => Progress::Complete,
                };
                catalog::put_table(txn, trees, owner.name(), &entry)?;
                Ok(Some(entry))
            },
            move |entry: &Option<TableEntry>| {
                if let Some(entry) = entry {
                    let definition = for_commit.definition();
                    let (schema, indexes) = (definition.schema.clone(), entry.indexes.clone());
                    for_commit.redefine(Definition { schema, indexes });
                }
            },
        )?;
        match progress {
            Some(entry) if is_building(&entry, index.id) => {}
            Some(_) | None => return Ok(()),
        }
    }
    Ok(())
}

fn is_building(entry: &TableEntry, index: u32) -> bool {
    let state = entry.indexes.iter().find(|known| known.id == index);
    state.is_some_and(|state| state.progress != Progress::Complete)
}

/// The entries of the records after `after`, and the last record's key if there may be more.
fn batch(
    txn: &ReadTxn<'_>,
    trees: &Trees,
    table: TableId,
    schema: &TableSchema,
    index: &IndexState,
    after: &[u8],
) -> Result<(Vec<IndexEntry>, Option<Key>), StoreError> {
    let inputs = schema.inputs(&index.attribute);
    let mut entries = Vec::new();
    let last = visit(txn, trees, table, after, BATCH, &inputs, |id, map| {
        entries.extend(entries_of(schema, index, map, id));
    })?;
    Ok((entries, last))
}

/// Enters the vectors of the records after `after`; the last record's key if there may be more.
fn enter_vectors(
    txn: &mut heed::RwTxn<'_>,
    trees: &Trees,
    table: TableId,
    graph: &mut Edit,
    index: &IndexState,
    after: &[u8],
) -> Result<Option<Key>, StoreError> {
    let mut found = Vec::new();
    let names = [index.attribute.clone()];
    let last = visit(txn, trees, table, after, VECTOR_BATCH, &names, |id, map| {
        let vector = map.get(&index.attribute).and_then(vector_of);
        found.extend(vector.map(|vector| (Key::from_slice(id), vector)));
    })?;
    let began = Instant::now();
    let mut found = found.into_iter().peekable();
    while let Some((id, vector)) = found.next() {
        // Vectors of before the index was declared may differ in length: the first one decides.
        let fits = graph.meta().is_none_or(|meta| meta.dimensions as usize == vector.len());
        if fits {
            // A write may have entered it already.
            graph.remove(txn, &id)?;
            graph.insert(txn, &id, vector)?;
        } else {
            tracing::warn!(
                attribute = index.attribute,
                numbers = vector.len(),
                "a vector of another length than the others of its index is not indexed"
            );
        }
        if began.elapsed() > VECTOR_STEP && found.peek().is_some() {
            return Ok(Some(id));
        }
    }
    Ok(last)
}

/// Goes through up to `limit` records after `after` with the properties of those `names`; answers
/// the last record's key if there may be more.
fn visit(
    txn: &ReadTxn<'_>,
    trees: &Trees,
    table: TableId,
    after: &[u8],
    limit: usize,
    names: &[String],
    mut each: impl FnMut(&[u8], &Map),
) -> Result<Option<Key>, StoreError> {
    let start = record_key(table, after);
    let end = after_prefix(&record_key(table, &[]));
    let low = Bound::Excluded(&start[..]);
    let high = end.as_ref().map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..]));
    for (count, stored) in trees.records.range(txn, &(low, high))?.enumerate() {
        let (key, bytes) = stored?;
        let id = id_of(key);
        let damaged = |what: &str| StoreError::damaged("a record", what);
        let header = Header::read(bytes).ok_or_else(|| damaged("no header"))?;
        let wanted = |name: &str| names.iter().any(|wanted| wanted == name);
        let map = kora_resource::value::msgpack::decode_properties(header.body, wanted)
            .map_err(|error| damaged(&error.to_string()))?;
        each(id, &map);
        if count + 1 == limit {
            return Ok(Some(Key::from_slice(id)));
        }
    }
    Ok(None)
}

/// Starts a thread that deletes what dropped indexes have left, if there is anything.
pub(crate) fn clear_garbage(database: &Arc<Database>, closing: &Arc<AtomicBool>) {
    let found = database.environment().read(catalog::garbage);
    if !matches!(found, Ok(Some(_))) {
        return;
    }
    let (database, closing) = (Arc::clone(database), Arc::clone(closing));
    in_background("drop index", move || {
        while !closing.load(Ordering::Acquire) {
            let step = database.run(
                |txn, trees| {
                    let Some(index) = catalog::garbage(txn, trees)? else { return Ok(None) };
                    let prefix = index.to_be_bytes();
                    let mut keys = Vec::with_capacity(BATCH);
                    for entry in trees.indexes.prefix_iter(txn, &prefix)?.take(BATCH) {
                        keys.push(Key::from_slice(entry?.0));
                    }
                    for key in &keys {
                        trees.indexes.delete(txn, key)?;
                    }
                    if keys.len() < BATCH {
                        catalog::remove_garbage(txn, trees, index)?;
                    }
                    Ok(Some(index))
                },
                |_| {},
            );
            match step {
                Ok(Some(index)) => database.vectors().forget(index),
                Ok(None) | Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::error!(%error, "entries of a dropped index could not be deleted");
                    return;
                }
            }
        }
    });
}

fn in_background(what: &str, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().name(what.to_owned()).spawn(work) {
        tracing::error!(%error, what, "could not start a thread: tried again at the next start");
    }
}
