//! What a component exports, as JavaScript's export walk reports it.

use kora_resource::{Verb, VerbSet};
use serde::Deserialize;

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
}
