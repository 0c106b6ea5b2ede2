//! What an application's `config.yaml` says about guests in WebAssembly.
//!
//! ```yaml
//! wasmResource:
//!   files: resources/*.wasm   # the default
//! guest: { greeting: hello }  # whatever the guest's own code asks for by `config()`
//! permissions:
//!   net: [api.example.com]    # hosts that it may reach; none without this
//! ```

use serde_yaml_ng::Value;

use super::file_set::FileSet;

/// The files that `wasmResource: true` stands for.
pub(super) const DEFAULT_FILES: &str = "resources/*.wasm";

/// The keys together.
#[derive(Debug, Clone, Default)]
pub struct GuestOptions {
    pub files: Option<FileSet>,
    /// What is below `guest`, as a JSON text; empty without it.
    pub config: String,
    /// Hosts that a guest may reach over HTTP: `example.com`, `example.com:8080`, `*.example.com`, `*`.
    pub allowed_hosts: Vec<String>,
}

/// What is below `guest`, as a JSON text.
pub(super) fn config(options: &Value) -> Result<String, String> {
    serde_json::to_string(options).map_err(|error| format!("can't be given to a guest: {error}"))
}

/// The hosts of `permissions.net`. Without the key a guest reaches none: unlike a class, which comes from Harper and
/// may connect anywhere unless it is told otherwise.
pub(super) fn allowed_hosts(permissions: &Value) -> Vec<String> {
    match permissions.get("net") {
        Some(Value::Bool(true)) => vec!["*".to_owned()],
        Some(Value::String(host)) => vec![host.clone()],
        Some(Value::Sequence(hosts)) => {
            hosts.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(text: &str) -> Value {
        serde_yaml_ng::from_str(text).unwrap()
    }

    #[test]
    fn a_guest_reaches_what_is_named_and_nothing_else() {
        assert!(allowed_hosts(&yaml("read: [/a]")).is_empty());
        assert!(allowed_hosts(&yaml("net: false")).is_empty());
        assert_eq!(allowed_hosts(&yaml("net: true")), ["*"]);
        assert_eq!(allowed_hosts(&yaml("net: a.test")), ["a.test"]);
        assert_eq!(allowed_hosts(&yaml("net: [a.test, 'b.test:81']")), ["a.test", "b.test:81"]);
    }

    #[test]
    fn its_own_configuration_is_json() {
        assert_eq!(config(&yaml("a: [1, x]\nb: null")).unwrap(), r#"{"a":[1,"x"],"b":null}"#);
    }
}
