//! What a component exports, as JavaScript's export walk reports it.

use std::sync::Arc;

use kora_resource::value::json;
use kora_resource::{Documentation, Map, Value, Verb, VerbSet};
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
}
