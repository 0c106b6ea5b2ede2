//! What part of a resource a URL (or a call from code) names: `RequestTarget` in Harper's words
//! (`spec/harper-resources.md` section 5, `spec/harper-rest.md` section 1.1).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::schema::TableSchema;
use crate::{Error, Id, Query, Result, query};

/// What the parameters of a path like `/widget/:id` found in a URL: names and decoded values.
pub type Params = Vec<(String, String)>;

/// A record, a collection or the resource itself, with the query that came with it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Target {
    /// What followed the resource's path, undecoded: `/341?select(name)`.
    pub url: String,
    /// The record's key, or the key prefix of a collection; `None` for the resource or the whole of it.
    pub id: Option<Id>,
    pub is_collection: bool,
    /// `name` of `/341.name`, if the schema declares it.
    pub property: Option<String>,
    /// A file extension that chooses the representation: `json` of `/341.json`.
    pub extension: Option<String>,
    /// The query text after `?`, undecoded, without the `?`.
    pub search: Option<String>,
    /// A query that code handed over instead of text.
    pub query: Option<Query>,
    /// What the resource's path found in the URL; empty where it has no parameters.
    pub params: Params,
}

impl Target {
    /// Reads what follows the resource's path in a URL: empty, or beginning with `/` or `?`.
    /// The id is decoded and coerced to the type of the primary key; 400 where it can't be. The
    /// search is kept as text: see [`Target::query`].
    pub fn parse(remainder: &str, schema: Option<&TableSchema>) -> Result<Target> {
        let (path, search) = match remainder.split_once('?') {
            Some((path, search)) => (path, Some(search).filter(|search| !search.is_empty())),
            None => (remainder, None),
        };
        let mut target = Target {
            url: remainder.to_owned(),
            search: search.map(str::to_owned),
            is_collection: path.is_empty() && search.is_some(),
            ..Target::default()
        };
        let Some(path) = path.strip_prefix('/') else { return Ok(target) };
        let path = target.take_suffix(path, schema)?;
        target.is_collection = path.is_empty() || path.ends_with('/');
        target.id = match (path, schema) {
            ("", _) => None,
            (path, Some(schema)) if schema.split_segments && path.contains('/') => {
                Some(segments(path, schema)?)
            }
            (path, Some(schema)) if !path.ends_with('/') => Some(schema.coerce_id(&decode(path)?)?),
            (path, _) => Some(Id::String(decode(path)?.into_owned())),
        };
        Ok(target)
    }

    /// Takes what follows the first dot of the path if it names a representation or a declared
    /// attribute; else the dot is part of the id. An encoded dot (`%2E`) always is.
    fn take_suffix<'p>(&mut self, path: &'p str, schema: Option<&TableSchema>) -> Result<&'p str> {
        let Some((before, suffix)) = path.split_once('.') else { return Ok(path) };
        if EXTENSIONS.contains(&suffix) {
            self.extension = Some(suffix.to_owned());
            return Ok(before);
        }
        let property = decode(suffix)?;
        if !before.is_empty() && schema.is_some_and(|schema| schema.attribute(&property).is_some())
        {
            self.property = Some(property.into_owned());
            return Ok(before);
        }
        Ok(path)
    }

    pub fn record(id: Id) -> Target {
        Target { id: Some(id), ..Target::default() }
    }

    pub fn collection() -> Target {
        Target { is_collection: true, ..Target::default() }
    }

    /// The query of this target: what code gave, or the parsed `search`, with its values coerced if
    /// there is a schema and the id of a collection as its prefix. 400 where the text is not a
    /// query, 404 for an attribute that the schema does not have; never fails for a target without
    /// a query.
    pub fn query(&self, schema: Option<&TableSchema>) -> Result<Query> {
        let mut query = match (&self.query, &self.search) {
            (Some(query), _) => query.clone(),
            (None, Some(search)) => query::parse(search)?,
            (None, None) => Query::default(),
        };
        if let Some(schema) = schema {
            query.coerce(schema)?;
        }
        if self.is_collection && self.id.is_some() {
            query.id_prefix.clone_from(&self.id);
        }
        Ok(query)
    }
}

/// What may follow the first dot to choose a representation (`spec/harper-rest.md` section 1.1).
const EXTENSIONS: [&str; 4] = ["json", "cbor", "msgpack", "csv"];

/// The key of several parts that a path names in a table with `@splitSegments`; of a collection, what
/// its keys begin with. Each part has the type of the primary key.
fn segments(path: &str, schema: &TableSchema) -> Result<Id> {
    let parts = path.strip_suffix('/').unwrap_or(path).split('/');
    let parts = parts.map(|part| schema.coerce_id(&decode(part)?));
    Ok(Id::Array(parts.collect::<Result<_>>()?))
}

fn decode(text: &str) -> Result<Cow<'_, str>> {
    percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| Error::invalid(format!("Percent-encoded text is not UTF-8 in '{text}'")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::parse_one;

    fn dog() -> TableSchema {
        parse_one("type Dog @table { id: ID @primaryKey name: String age: Int }")
    }

    #[test]
    fn reads_the_forms_of_a_path() {
        let dog = dog();
        for (text, id, collection, property, extension, search) in [
            ("", None, false, None, None, None),
            ("/", None, true, None, None, None),
            ("?x=1", None, true, None, None, Some("x=1")),
            ("/?x=1", None, true, None, None, Some("x=1")),
            ("/?", None, true, None, None, None),
            ("?", None, false, None, None, None),
            ("/5", Some("5"), false, None, None, None),
            ("/5?select(a,b)", Some("5"), false, None, None, Some("select(a,b)")),
            ("/5.name", Some("5"), false, Some("name"), None, None),
            ("/5.other", Some("5.other"), false, None, None, None),
            ("/5%2Ename", Some("5.name"), false, None, None, None),
            ("/5.json", Some("5"), false, None, Some("json"), None),
            ("/.csv?a=b", None, true, None, Some("csv"), Some("a=b")),
            ("/a/b", Some("a/b"), false, None, None, None),
            ("/a/", Some("a/"), true, None, None, None),
            ("/a/b/.json", Some("a/b/"), true, None, Some("json"), None),
            ("/%C3%A9%20%3F", Some("é ?"), false, None, None, None),
            ("/.name", Some(".name"), false, None, None, None),
        ] {
            let target = Target::parse(text, Some(&dog)).expect(text);
            assert_eq!(target.id, id.map(Id::from), "{text}");
            assert_eq!(target.is_collection, collection, "{text}");
            assert_eq!(target.property.as_deref(), property, "{text}");
            assert_eq!(target.extension.as_deref(), extension, "{text}");
            assert_eq!(target.search.as_deref(), search, "{text}");
            assert_eq!(target.url, text);
        }
    }

    #[test]
    fn ids_have_the_type_of_the_primary_key() {
        let cow = parse_one("type Cow @table { id: Int @primaryKey }");
        let id = |text, schema| Target::parse(text, schema).map(|target| target.id);
        assert_eq!(id("/5", Some(&cow)).ok(), Some(Some(Id::Number(5.0))));
        assert_eq!(id("/$zz", Some(&cow)).ok(), Some(Some(Id::Number(1295.0))));
        let error = id("/x", Some(&cow)).expect_err("not a number");
        assert_eq!(error.message, "Invalid value for attribute id: \"x\", expecting Int");
        assert_eq!(error.status(), 400);
        assert_eq!(id("/5", None).ok(), Some(Some(Id::from("5"))));
        assert_eq!(id("/%ff", None).expect_err("not UTF-8").status(), 400);
    }

    #[test]
    fn segments_are_the_parts_of_a_key() {
        let split = parse_one("type S @table @splitSegments { id: Any @primaryKey n: Int }");
        let array = |parts: &[Id]| Some(Id::Array(parts.to_vec()));
        for (text, id, collection) in [
            ("/a", Some(Id::from("a")), false),
            ("/a/b", array(&["a".into(), "b".into()]), false),
            ("/a/5.n", array(&["a".into(), Id::Number(5.0)]), false),
            ("/a%2Fb", Some(Id::from("a/b")), false),
            ("/a%2Fb/c", array(&["a/b".into(), "c".into()]), false),
            ("/a/", array(&["a".into()]), true),
            ("/a/b/", array(&["a".into(), "b".into()]), true),
            ("/", None, true),
        ] {
            let target = Target::parse(text, Some(&split)).expect(text);
            assert_eq!((target.id, target.is_collection), (id, collection), "{text}");
        }
    }

    #[test]
    fn a_collections_id_is_the_querys_prefix() {
        let target = Target::parse("/a/?name=x", Some(&dog())).expect("well formed");
        let query = target.query(Some(&dog())).expect("well formed");
        assert_eq!(query.id_prefix, Some(Id::from("a/")));
        assert_eq!(query.conditions.len(), 1);
        let record = Target::parse("/a", None).expect("well formed");
        assert_eq!(record.query(None).expect("no query"), Query::default());
        let unknown = Target::parse("/?nose=x", None).expect("well formed");
        assert_eq!(unknown.query(Some(&dog())).expect_err("unknown").status(), 404);
    }
}
