//! Topics and filters as what they name: a resource, and an id or a pattern below its path
//! (`spec/harper-realtime.md` section 8, "Topic -> resource" and "Wildcards").

use std::sync::Arc;

use kora_resource::{
    Depth, Error, Id, Level, Params, Pattern, Protocol, Result, StreamOptions, Target,
};

use crate::components::Components;
use crate::components::registry::Registration;

/// A resource and what of it is meant.
pub(super) struct Place {
    pub(super) registration: Arc<Registration>,
    pub(super) target: Target,
}

/// What a filter subscribes to.
pub(super) struct Filtered {
    pub(super) place: Place,
    pub(super) options: StreamOptions,
    /// Which ids of the resource's events pass; classes may yield others.
    pub(super) pattern: Option<Pattern>,
}

/// The place of a topic. 404 if nobody answers for it, 400 for one that has wildcards.
pub(super) fn of_topic(components: &Components, topic: &str) -> Result<Place> {
    if topic.is_empty() || topic.contains(['+', '#', '\0']) {
        return Err(Error::invalid(format!("'{topic}' is not the name of a topic")));
    }
    let (registration, rest, params) = find(components, topic)?;
    let target = match rest {
        "" if !params.is_empty() => Target { url: String::new(), params, ..Target::default() },
        // `T` and `T/` are both the topic of the resource itself.
        "" | "/" => Target { url: rest.to_owned(), ..Target::default() },
        rest => record(&registration, rest)?,
    };
    Ok(Place { registration, target })
}

/// What a filter subscribes to. Wildcards may only follow a resource's path. 404 if nobody answers
/// for it, 400 for a filter that is not well formed.
pub(super) fn of_filter(components: &Components, filter: &str) -> Result<Filtered> {
    let is_wild = |level: &&str| !level.contains(['+', '#']);
    let literal: Vec<&str> = filter.split('/').take_while(is_wild).collect();
    let literal = literal.join("/");
    if literal.len() == filter.len() {
        let mut place = of_topic(components, filter)?;
        let is_own = place.target.id.is_none() && place.target.params.is_empty();
        let pattern = is_own.then(root);
        let options = StreamOptions { pattern: pattern.clone(), ..StreamOptions::default() };
        if place.registration.resource.schema().is_some() && pattern.is_some() {
            // A table's own topic is not its collection.
            place.target.is_collection = false;
        }
        return Ok(Filtered { place, options, pattern: None });
    }
    let (registration, _, params) = find(components, &literal)?;
    if !params.is_empty() {
        let text =
            format!("Wildcards can't follow the path of {} with its parameters", registration.path);
        return Err(Error::invalid(text));
    }
    let below = filter.get(registration.path.len()..).unwrap_or_default();
    let pattern = Pattern::parse(below.strip_prefix('/').unwrap_or(below))?;
    let prefix = pattern.prefix();
    let is_prefix =
        pattern.depth == Depth::Below && pattern.levels.iter().all(|level| *level != Level::Any);
    let only_children = pattern == Pattern::children(&prefix);
    let target = Target {
        url: format!("/{prefix}"),
        id: (!prefix.is_empty()).then_some(Id::String(prefix)),
        is_collection: true,
        ..Target::default()
    };
    let options = StreamOptions {
        only_children,
        pattern: (!is_prefix && !only_children).then(|| pattern.clone()),
        ..StreamOptions::default()
    };
    let pattern = (!is_prefix || !pattern.levels.is_empty()).then_some(pattern);
    Ok(Filtered { place: Place { registration, target }, options, pattern })
}

/// The topic of a resource's event.
pub(super) fn of_event(registration: &Registration, id: &Id) -> String {
    match registration.path.as_str() {
        "" => id.to_string(),
        path => format!("{path}/{id}"),
    }
}

/// The pattern of the resource's own topic.
fn root() -> Pattern {
    Pattern { levels: Vec::new(), depth: Depth::Exact }
}

/// Who answers for a topic, what of it is left, and what the parameters of the path stand for, which
/// leave nothing.
fn find<'t>(
    components: &Components,
    topic: &'t str,
) -> Result<(Arc<Registration>, &'t str, Params)> {
    // Where a query would begin the name of a topic ends.
    let topic = topic.split('?').next().unwrap_or_default();
    let url = format!("/{topic}");
    let snapshot = components.snapshot();
    let found = snapshot.registry.find(&url, Protocol::Mqtt).and_then(|found| {
        if !found.params.is_empty() {
            return Some((Arc::clone(found.registration), "", found.params));
        }
        let rest = topic.get(found.registration.path.len()..)?;
        let is_whole =
            found.registration.path.is_empty() || rest.is_empty() || rest.starts_with('/');
        is_whole.then(|| (Arc::clone(found.registration), rest, Params::new()))
    });
    found.ok_or_else(|| {
        Error::not_found(format!("No resource was found to handle the topic {topic}"))
    })
}

fn record(registration: &Registration, rest: &str) -> Result<Target> {
    let text = rest.strip_prefix('/').unwrap_or(rest);
    let id = match registration.resource.schema() {
        Some(schema) => schema.coerce_id(text)?,
        None => Id::from(text),
    };
    Ok(Target { url: format!("/{text}"), id: Some(id), ..Target::default() })
}
