//! What a guest says of itself: the JSON of `kora:resource/guest.manifest`.

use kora_resource::{Verb, VerbSet};
use serde_json::Value;

use crate::encoding::Encoding;

/// A guest's resources, in the order by which calls name them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Manifest {
    pub(crate) encoding: Encoding,
    pub(crate) resources: Vec<ResourceManifest>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ResourceManifest {
    /// Below the component's URL, without a leading slash.
    pub(crate) path: String,
    pub(crate) verbs: VerbSet,
    pub(crate) connect: bool,
    /// What looks at user and request.
    pub(crate) context: Readers,
    /// Database and table whose keys the ids in URLs are.
    pub(crate) table: Option<(String, String)>,
    /// Whether anybody may call it; without it only super users pass, as with classes.
    pub(crate) public: bool,
}

/// Which methods look at where a call comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Readers {
    pub(crate) verbs: VerbSet,
    pub(crate) connect: bool,
}

impl Manifest {
    /// Reads the manifest; what is not known in it is ignored, so that newer guests load here.
    ///
    /// # Errors
    /// What is wrong with it, naming the resource.
    pub(crate) fn parse(text: &str) -> Result<Manifest, String> {
        let json: Value = serde_json::from_str(text)
            .map_err(|error| format!("the manifest is no JSON: {error}"))?;
        let encoding = match json.get("encoding").map(|name| name.as_str().unwrap_or_default()) {
            None | Some("msgpack") => Encoding::Msgpack,
            Some("json") => Encoding::Json,
            Some(other) => return Err(format!("the manifest names an unknown encoding '{other}'")),
        };
        let resources = json
            .get("resources")
            .and_then(Value::as_array)
            .ok_or("the manifest has no list `resources`")?
            .iter()
            .enumerate()
            .map(|(number, resource)| {
                ResourceManifest::parse(resource)
                    .map_err(|message| format!("resource {number} of the manifest {message}"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if resources.is_empty() {
            return Err("the manifest names no resource".to_owned());
        }
        Ok(Manifest { encoding, resources })
    }
}

impl ResourceManifest {
    fn parse(json: &Value) -> Result<ResourceManifest, String> {
        let path = json.get("path").and_then(Value::as_str).ok_or("has no text `path`")?;
        let list = |name: &str| match json.get(name) {
            None => Ok(None),
            Some(Value::Array(names)) => Ok(Some(names)),
            Some(_) => Err(format!("('{path}') has a `{name}` that is no list")),
        };
        let verbs = list("verbs")?.map_or_else(VerbSet::default, |names| named(names));
        let context = match list("context")? {
            None => Readers { verbs, connect: true },
            Some(names) => {
                Readers { verbs: named(names), connect: names.iter().any(|name| name == "connect") }
            }
        };
        let connect = json.get("connect").and_then(Value::as_bool).unwrap_or(false);
        if verbs == VerbSet::default() && !connect {
            return Err(format!("('{path}') has neither a verb nor `connect`"));
        }
        let table = match json.get("table") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(match name.split_once('.') {
                Some((database, table)) => (database.to_owned(), table.to_owned()),
                None => ("data".to_owned(), name.clone()),
            }),
            Some(_) => return Err(format!("('{path}') has a `table` that is no text")),
        };
        let public = json.get("public").and_then(Value::as_bool).unwrap_or(false);
        Ok(ResourceManifest {
            path: path.trim_start_matches('/').to_owned(),
            verbs,
            connect,
            context,
            table,
            public,
        })
    }
}

/// The verbs that `names` names. One that this host does not know yet can't be called here: nothing to refuse.
fn named(names: &[Value]) -> VerbSet {
    let named = |verb: &Verb| names.iter().any(|name| name == verb.method());
    Verb::ALL.into_iter().filter(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_resources_and_skips_what_is_new() {
        let manifest = Manifest::parse(
            r#"{"new": 1, "resources": [
                {"path": "/Dog", "verbs": ["get", "fly"], "table": "pets.Dog", "public": true},
                {"path": "Pulse", "connect": true}]}"#,
        )
        .unwrap();
        assert_eq!(manifest.encoding, Encoding::Msgpack);
        assert_eq!(manifest.resources[0].path, "Dog");
        assert!(manifest.resources[0].verbs.contains(Verb::Get));
        assert_eq!(manifest.resources[0].table, Some(("pets".into(), "Dog".into())));
        assert!(manifest.resources[0].public && !manifest.resources[1].public);
        assert!(manifest.resources[1].connect);
        // Who does not say what it looks at is shown all.
        let all = Readers { verbs: manifest.resources[0].verbs, connect: true };
        assert_eq!(manifest.resources[0].context, all);
        let text = r#"{"resources": [{"path": "A", "verbs": ["get", "put"], "connect": true, "context": ["put"]}]}"#;
        let context = Manifest::parse(text).unwrap().resources[0].context;
        assert_eq!(context, Readers { verbs: VerbSet::default().with(Verb::Put), connect: false });
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, message) in [
            ("", "no JSON"),
            ("{}", "no list `resources`"),
            (r#"{"resources": []}"#, "no resource"),
            (
                r#"{"resources": [{"verbs": ["get"]}]}"#,
                "resource 0 of the manifest has no text `path`",
            ),
            (r#"{"resources": [{"path": "A"}]}"#, "('A') has neither"),
            (r#"{"resources": [{"path": "A", "verbs": 1}]}"#, "a `verbs` that is no list"),
            (
                r#"{"resources": [{"path": "A", "verbs": ["get"], "context": 1}]}"#,
                "a `context` that is no list",
            ),
            (r#"{"encoding": "xml", "resources": []}"#, "'xml'"),
        ] {
            let error = Manifest::parse(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
