//! What a component exports, as JavaScript's export walk reports it.
//!
//! Each worker runs the component's modules for itself and may register more later. The table of all
//! exports is shared by the workers of a generation: a path has one number in all of them, and calls
//! go to workers that have registered it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kora_resource::schema::Protocols;
use kora_resource::value::json;
use kora_resource::{Documentation, Map, Value, Verb, VerbSet};
use serde::Deserialize;
use tokio::sync::watch;

/// One exported class or object with a path (`spec/harper-resources.md` section 2).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExportedClass {
    /// Below the component's root, without a leading slash.
    pub(crate) path: String,
    /// The class's name, for messages.
    pub(crate) name: String,
    /// The methods that the class or its instances have.
    pub(crate) methods: Vec<String>,
    /// The number of the table that the class extends.
    pub(crate) table: Option<u32>,
    /// The protocols that may not see it (`exportTypes` that are exactly `false`).
    pub(crate) hidden: Vec<String>,
    /// Whether it takes its path whoever has it.
    pub(crate) force: bool,
    /// The two resources that want this path, where they can't both have it.
    pub(crate) conflict: Option<String>,
    /// JSON of the static properties that only describe the class; `null` without any.
    pub(crate) documentation: Option<String>,
}

impl ExportedClass {
    /// The verbs among the methods. `search` is what a QUERY request reaches.
    pub(crate) fn verbs(&self) -> VerbSet {
        let has = |name: &str| self.methods.iter().any(|method| method == name);
        Verb::ALL
            .into_iter()
            .filter(|verb| has(verb.method()) || (*verb == Verb::Query && has("search")))
            .collect()
    }

    /// What the class says about itself. Properties of an unexpected type are left out.
    pub(crate) fn documentation(&self) -> Option<Arc<Documentation>> {
        let text = self.documentation.as_ref()?;
        let mut said = json::parse(text.as_bytes()).ok()?.into_object()?;
        let mut object = |name: &str| -> Option<Map> { said.shift_remove(name)?.into_object() };
        let (properties, output_schemas) = (object("properties"), object("outputSchemas"));
        let description = said.get("description").and_then(Value::as_str).map(str::to_owned);
        let hidden = said.get("hidden") == Some(&Value::Bool(true));
        Some(Arc::new(Documentation { description, properties, output_schemas, hidden }))
    }

    pub(crate) fn protocols(&self) -> Protocols {
        let visible = |name: &str| !self.hidden.iter().any(|hidden| hidden == name);
        Protocols {
            rest: visible("rest"),
            web_socket: visible("ws"),
            sse: visible("sse"),
            mqtt: visible("mqtt"),
        }
    }
}

/// The workers that have registered an export: one bit each.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServedBy(Arc<AtomicU64>);

impl ServedBy {
    /// Workers past the last bit share it: they run the same modules.
    fn bit(worker: usize) -> u64 {
        1 << worker.min(63)
    }

    pub(crate) fn contains(&self, worker: usize) -> bool {
        self.0.load(Ordering::Acquire) & ServedBy::bit(worker) != 0
    }

    fn add(&self, worker: usize) {
        self.0.fetch_or(ServedBy::bit(worker), Ordering::AcqRel);
    }
}

/// One entry of the table. Its number is its place; its revision rises when its class changes.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) class: ExportedClass,
    pub(crate) served_by: ServedBy,
    pub(crate) revision: u32,
}

/// All exports of a generation.
pub(crate) struct ExportTable {
    entries: Mutex<Vec<Entry>>,
    changes: watch::Sender<u64>,
}

impl Default for ExportTable {
    fn default() -> ExportTable {
        ExportTable { entries: Mutex::default(), changes: watch::Sender::new(0) }
    }
}

impl ExportTable {
    /// Enters what `worker` exports at a path; gives the path's number.
    pub(crate) fn register(&self, class: ExportedClass, worker: usize) -> usize {
        let mut entries = self.lock();
        let known = entries.iter().position(|entry| entry.class.path == class.path);
        let number = known.unwrap_or(entries.len());
        let changed = match entries.get_mut(number) {
            Some(entry) if entry.class == class => false,
            Some(entry) => {
                entry.class = class;
                entry.revision += 1;
                true
            }
            None => {
                entries.push(Entry { class, served_by: ServedBy::default(), revision: 0 });
                true
            }
        };
        entries[number].served_by.add(worker);
        drop(entries);
        if changed {
            self.changes.send_modify(|changes| *changes += 1);
        }
        number
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    /// The verbs of export `number`.
    pub(crate) fn verbs(&self, number: usize) -> VerbSet {
        self.lock().get(number).map_or(VerbSet::default(), |entry| entry.class.verbs())
    }

    /// Told whenever an export is added or changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The table is whole after each statement, so one that a panic left behind is still right.
    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
