//! From a URL path to the resource that answers for it (`spec/harper-resources.md` section 2,
//! `spec/harper-rest.md` section 1). Immutable once it is part of a snapshot.

mod pattern;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use kora_resource::schema::Protocols;
use kora_resource::{Params, Protocol, Resource};

use super::failed_resource::FailedResource;
use pattern::Pattern;

/// Who runs a resource: decides how much of the request must be handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// The host itself: a table. It never looks at the request behind a call.
    Natively,
    /// Guest code, which may look at everything.
    ByGuest,
}

/// How a resource claims its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It replaces what is of the same table, and conflicts with anything else.
    Ordinary,
    /// It takes the path whoever has it.
    Forced,
    /// Its component has two resources for the path, which these words name: neither gets it.
    Disputed(String),
}

/// A resource under a path.
#[derive(Clone)]
pub struct Registration {
    /// Without a leading `/`; empty for the root. Segments may be parameters: `:id`, `*rest`.
    pub path: String,
    pub resource: Arc<dyn Resource>,
    /// Database and table behind it; what tells a replacement from a conflict.
    pub table: Option<(String, String)>,
    pub protocols: Protocols,
    pub served: Served,
    pub claim: Claim,
}

/// As messages name it.
impl fmt::Display for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.resource.name())?;
        match &self.table {
            Some((database, table)) => write!(f, " (table {database}.{table})"),
            None => Ok(()),
        }
    }
}

/// A found resource, and what of the URL is left for it.
#[derive(Clone)]
pub struct Match<'r, 'u> {
    pub registration: &'r Arc<Registration>,
    /// Empty, or beginning with `/` or `?`.
    pub remainder: &'u str,
    /// What the parameters of its path stand for.
    pub params: Params,
}

impl<'r, 'u> Match<'r, 'u> {
    fn plain(registration: &'r Arc<Registration>, remainder: &'u str) -> Match<'r, 'u> {
        Match { registration, remainder, params: Vec::new() }
    }
}

/// All resources by path.
#[derive(Default)]
pub struct Registry {
    by_path: HashMap<String, Arc<Registration>>,
    /// The paths with parameters, in the order in which they are asked.
    patterns: Vec<(Pattern, Arc<Registration>)>,
}

impl Registry {
    /// Adds a resource. One of the same table replaces the older (a class that extends its table), and
    /// so does one that insists; another one makes the path answer 500 for everything.
    pub fn insert(&mut self, registration: Registration) {
        let pattern = Pattern::parse(&registration.path);
        let known = match &pattern {
            None => self.by_path.get(&registration.path),
            Some(pattern) => {
                self.patterns.iter().find(|(known, _)| known == pattern).map(|(_, known)| known)
            }
        };
        let dispute = match (&registration.claim, known) {
            (Claim::Disputed(names), _) => Some(names.clone()),
            (Claim::Ordinary, Some(known)) if known.table != registration.table => {
                Some(format!("{known} and {registration}"))
            }
            (Claim::Ordinary | Claim::Forced, _) => None,
        };
        let registration = Arc::new(match dispute {
            Some(names) => conflicting(registration.path, &names),
            None => registration,
        });
        match pattern {
            None => drop(self.by_path.insert(registration.path.clone(), registration)),
            Some(pattern) => {
                self.patterns.retain(|(known, _)| *known != pattern);
                let at =
                    self.patterns.partition_point(|(known, _)| known.precedence(&pattern).is_le());
                self.patterns.insert(at, (pattern, registration));
            }
        }
    }

    /// Finds who answers `url` (path and query, with its leading `/`) over `protocol`: the longest
    /// path that ends at a `/`, then the part before the first dot, then paths with parameters, then
    /// the root.
    pub fn find<'r, 'u>(&'r self, url: &'u str, protocol: Protocol) -> Option<Match<'r, 'u>> {
        let url_without_slash = url.strip_prefix('/').unwrap_or(url);
        let path_end = url_without_slash.find('?').unwrap_or(url_without_slash.len());
        let path = &url_without_slash[..path_end];
        let mut end = path.len();
        while end > 0 {
            if let Some(registration) = self.visible(&path[..end], protocol) {
                return Some(Match::plain(registration, &url_without_slash[end..]));
            }
            end = path[..end].rfind('/').unwrap_or(0);
        }
        if let Some((before, _)) = path.split_once('.')
            && !before.is_empty()
            && let Some(registration) = self.visible(before, protocol)
        {
            return Some(Match::plain(registration, ""));
        }
        for (pattern, registration) in &self.patterns {
            if registration.protocols.allows(protocol)
                && let Some(params) = pattern.matches(path)
            {
                let remainder = &url_without_slash[path_end..];
                return Some(Match { registration, remainder, params });
            }
        }
        let registration = self.visible("", protocol)?;
        Some(Match::plain(registration, if url.starts_with('/') { url } else { "" }))
    }

    /// All registrations, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Registration> {
        let patterns = self.patterns.iter().map(|(_, registration)| registration);
        self.by_path.values().chain(patterns).map(|registration| &**registration)
    }

    fn visible(&self, path: &str, protocol: Protocol) -> Option<&Arc<Registration>> {
        self.by_path.get(path).filter(|registration| registration.protocols.allows(protocol))
    }
}

/// What answers for a path that two resources want.
fn conflicting(path: String, names: &str) -> Registration {
    let message = format!("Conflicting paths for {path}");
    tracing::warn!("{message}: {names} both want it, so it answers 500");
    Registration {
        resource: FailedResource::new(path.clone(), message),
        path,
        table: None,
        protocols: Protocols::default(),
        served: Served::Natively,
        claim: Claim::Forced,
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
            claim: Claim::Ordinary,
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
    fn parameters_come_after_paths_and_before_the_root() {
        let registry = registry(&["", "a", ":x/y", "*rest"]);
        for (url, path, params) in [
            ("/a/y", "a", &[][..]),
            ("/b/y?q", ":x/y", &[("x", "b")]),
            ("/b/z", "*rest", &[("rest", "b/z")]),
        ] {
            let found = registry.find(url, Protocol::Rest).expect(url);
            assert_eq!(found.registration.path, path, "{url}");
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            assert_eq!(found.params, params.iter().map(own).collect::<Vec<_>>());
        }
        assert_eq!(find(&registry, "/b/y?q"), Some((":x/y".to_owned(), "?q")));
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
        registry.insert(Registration { claim: Claim::Forced, ..registration("Dog", Some("Cat")) });
        let found = registry.find("/Dog", Protocol::Rest).unwrap();
        assert!(found.registration.table.is_some());
    }
}
