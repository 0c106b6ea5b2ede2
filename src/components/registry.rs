//! From a URL path to the resource that answers for it (`spec/harper-resources.md` section 2,
//! `spec/harper-rest.md` section 1). Immutable once it is part of a snapshot.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::sync::Arc;

use kora_resource::schema::Protocols;
use kora_resource::{Protocol, Resource};

use super::failed_resource::FailedResource;

/// Who runs a resource: decides how much of the request must be handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// The host itself: a table. It never looks at the request behind a call.
    Natively,
    /// Guest code, which may look at everything.
    ByGuest,
}

/// A resource under a path.
#[derive(Clone)]
pub struct Registration {
    /// Without a leading `/`; empty for the root.
    pub path: String,
    pub resource: Arc<dyn Resource>,
    /// Database and table behind it; what tells a replacement from a conflict.
    pub table: Option<(String, String)>,
    pub protocols: Protocols,
    pub served: Served,
}

/// A found resource, and what of the URL is left for it.
#[derive(Clone, Copy)]
pub struct Match<'r, 'u> {
    pub registration: &'r Arc<Registration>,
    /// Empty, or beginning with `/` or `?`.
    pub remainder: &'u str,
}

/// All resources by path.
#[derive(Default)]
pub struct Registry {
    by_path: HashMap<String, Arc<Registration>>,
}

impl Registry {
    /// Adds a resource. One of the same table replaces the older (a class that extends its table);
    /// one of another table or of none makes the path answer 500 for everything.
    pub fn insert(&mut self, registration: Registration) {
        match self.by_path.entry(registration.path.clone()) {
            MapEntry::Vacant(entry) => {
                entry.insert(Arc::new(registration));
            }
            MapEntry::Occupied(mut entry) if entry.get().table == registration.table => {
                entry.insert(Arc::new(registration));
            }
            MapEntry::Occupied(mut entry) => {
                let path = registration.path;
                let message = format!("Conflicting paths for {path}");
                tracing::warn!("{message}: two resources that are not of one table");
                entry.insert(Arc::new(Registration {
                    resource: FailedResource::new(path.clone(), message),
                    path,
                    table: None,
                    protocols: Protocols::default(),
                    served: Served::Natively,
                }));
            }
        }
    }

    /// Finds who answers `url` (path and query, with its leading `/`) over `protocol`: the longest
    /// path that ends at a `/`, then the part before the first dot, then the root.
    pub fn find<'r, 'u>(&'r self, url: &'u str, protocol: Protocol) -> Option<Match<'r, 'u>> {
        let url_without_slash = url.strip_prefix('/').unwrap_or(url);
        let path_end = url_without_slash.find('?').unwrap_or(url_without_slash.len());
        let path = &url_without_slash[..path_end];
        let mut end = path.len();
        while end > 0 {
            if let Some(registration) = self.visible(&path[..end], protocol) {
                return Some(Match { registration, remainder: &url_without_slash[end..] });
            }
            end = path[..end].rfind('/').unwrap_or(0);
        }
        if let Some((before, _)) = path.split_once('.')
            && !before.is_empty()
            && let Some(registration) = self.visible(before, protocol)
        {
            return Some(Match { registration, remainder: "" });
        }
        let registration = self.visible("", protocol)?;
        Some(Match { registration, remainder: if url.starts_with('/') { url } else { "" } })
    }

    /// All registrations, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Registration> {
        self.by_path.values().map(|registration| &**registration)
    }

    fn visible(&self, path: &str, protocol: Protocol) -> Option<&Arc<Registration>> {
        self.by_path.get(path).filter(|registration| registration.protocols.allows(protocol))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(path: &str, table: Option<&str>) -> Registration {
        Registration {
            path: path.to_owned(),
            resource: FailedResource::new(path, format!("{path}/{table:?}")),
            table: table.map(|table| ("data".to_owned(), table.to_owned())),
            protocols: Protocols::default(),
            served: Served::Natively,
        }
    }

    fn registry(paths: &[&str]) -> Registry {
        let mut registry = Registry::default();
        for path in paths {
            registry.insert(registration(path, None));
        }
        registry
    }

    fn find<'u>(registry: &Registry, url: &'u str) -> Option<(String, &'u str)> {
        let found = registry.find(url, Protocol::Rest)?;
        Some((found.registration.path.clone(), found.remainder))
    }

    #[test]
    fn matches_as_the_specification_says() {
        let registry = registry(&["Dog", "api/v1/Dog", "api"]);
        for (url, expected) in [
            ("/Dog", Some(("Dog", ""))),
            ("/Dog/", Some(("Dog", "/"))),
            ("/Dog/5", Some(("Dog", "/5"))),
            ("/Dog/5/x?y=/a", Some(("Dog", "/5/x?y=/a"))),
            ("/Dog?x=1", Some(("Dog", "?x=1"))),
            ("/Dog.json", Some(("Dog", ""))),
            ("/Dog/5.json", Some(("Dog", "/5.json"))),
            ("/dog/5", None),
            ("/Doge", None),
            ("/api/v1/Dog/5", Some(("api/v1/Dog", "/5"))),
            ("/api/v1/Cat", Some(("api", "/v1/Cat"))),
            ("/", None),
        ] {
            let expected = expected.map(|(path, rest)| (path.to_owned(), rest));
            assert_eq!(find(&registry, url), expected, "{url}");
        }
    }

    #[test]
    fn the_root_takes_what_is_left() {
        let registry = registry(&["", "Dog"]);
        assert_eq!(find(&registry, "/Cat/5"), Some((String::new(), "/Cat/5")));
        assert_eq!(find(&registry, "/Dog/5"), Some(("Dog".to_owned(), "/5")));
    }

    #[test]
    fn a_switched_off_protocol_does_not_see_the_resource() {
        let mut registry = Registry::default();
        let mut hidden = registration("Dog", None);
        hidden.protocols.sse = false;
        registry.insert(hidden);
        assert!(registry.find("/Dog/", Protocol::Sse).is_none());
        assert!(registry.find("/Dog/", Protocol::Rest).is_some());
    }

    #[test]
    fn the_class_of_a_table_replaces_it_and_strangers_conflict() {
        let mut registry = Registry::default();
        registry.insert(registration("Dog", Some("Dog")));
        registry
            .insert(Registration { served: Served::ByGuest, ..registration("Dog", Some("Dog")) });
        let found = registry.find("/Dog", Protocol::Rest).unwrap();
        assert_eq!(found.registration.served, Served::ByGuest);
        registry.insert(registration("Dog", Some("Cat")));
        let found = registry.find("/Dog", Protocol::Rest).unwrap();
        assert!(found.registration.table.is_none());
    }
}
