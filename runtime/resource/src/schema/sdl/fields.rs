//! The directives of one field (`spec/harper-schema.md` section 3).

use apollo_parser::cst;

use super::SchemaError;
use super::document::{argument, argument_names, description, directive, offset};
use super::types::{Types, innermost};
use crate::schema::expression::Expression;
use crate::schema::{
    Assigned, Attribute, AttributeType, Computed, Derived, Distance, Embed, Relationship, Span,
    TableName, VectorIndex,
};

/// What an index for vectors can be told; what is not done yet is said.
const VECTOR_OPTIONS: [&str; 7] =
    ["type", "distance", "M", "efConstruction", "efConstructionSearch", "optimizeRouting", "mL"];
const VECTOR_OPTIONS_WITHOUT_EFFECT: [&str; 2] = ["quantization", "filterExpansion"];

impl Types<'_> {
    /// An attribute from its field, given what its type came to.
    pub(super) fn attribute(
        &mut self,
        field: &cst::FieldDefinition,
        name: String,
        ty: AttributeType,
        required: bool,
        derived: Option<Derived>,
    ) -> Result<Attribute, SchemaError> {
        let marked = |directive_name| directive(field.directives(), directive_name);
        let indexed = marked("indexed");
        let embed = marked("embed").map(|directive| Embed {
            source: argument(&directive, "source").map(|(text, _)| text),
            model: argument(&directive, "model").map(|(text, _)| text),
        });
        let mut vector = match &indexed {
            Some(directive) => self.vector_index(directive)?,
            None => None,
        };
        if embed.is_some() && indexed.is_none() {
            vector = Some(VectorIndex::default());
        }
        if let (Some(_), Some(directive)) = (&vector, &indexed)
            && !matches!(ty, AttributeType::Array(..) | AttributeType::Any)
        {
            let message = format!("expected the type [Float] of vectors for {name}, found {ty}");
            return Err(self.source.error(offset(directive), message));
        }
        if let (Some(Derived::Relationship(_)), Some(directive)) = (&derived, &indexed) {
            let message = format!("{name} is a relationship: index the attribute that it goes by");
            self.warn(offset(directive), message);
        }
        if let (Some(Derived::Computed(Computed { expression: None, .. })), Some(directive)) =
            (&derived, &indexed)
        {
            let message = format!(
                "{name} is computed by a function, which can't run where indexes are written: it \
                 is not indexed; `@computed(from: \"...\")` can be"
            );
            self.warn(offset(directive), message);
        }
        let indexable = match &derived {
            None => true,
            Some(Derived::Relationship(_)) => false,
            Some(Derived::Computed(computed)) => computed.expression.is_some(),
        };
        let expires_at = marked("expiresAt").is_some();
        Ok(Attribute {
            assigned: assigned(field, &name),
            name,
            ty,
            required,
            indexed: indexable && (indexed.is_some() || vector.is_some() || expires_at),
            vector: vector.filter(|_| indexable),
            expires_at,
            derived,
            enumerable: marked("enumerable").is_some(),
            hidden: marked("hidden").is_some(),
            authorized_roles: marked("allow").map(|allow| roles(&allow)).unwrap_or_default(),
            embed,
            description: description(field.description()),
        })
    }

    /// What `@relationship` or `@computed` makes of a field.
    pub(super) fn derived(
        &mut self,
        field: &cst::FieldDefinition,
        name: &str,
        ty: &cst::Type,
        database: &str,
    ) -> Result<Option<Derived>, SchemaError> {
        if let Some(directive) = directive(field.directives(), "relationship") {
            return self.relationship(&directive, name, ty, database).map(Some);
        }
        let Some(directive) = directive(field.directives(), "computed") else { return Ok(None) };
        let expression = match argument(&directive, "from") {
            None => None,
            Some((text, at)) => match Expression::parse(&text) {
                Ok(expression) => Some(expression.into()),
                Err(error) => {
                    let message = format!("the expression of {name} can't be read: {error}");
                    return Err(self.source.error(at, message));
                }
            },
        };
        let version = argument(&directive, "version").map(|(text, _)| text);
        Ok(Some(Derived::Computed(Computed { expression, version })))
    }

    fn relationship(
        &mut self,
        directive: &cst::Directive,
        name: &str,
        ty: &cst::Type,
        database: &str,
    ) -> Result<Derived, SchemaError> {
        let text = |name| argument(directive, name).map(|(text, _)| text);
        let (from, to) = (text("from"), text("to"));
        if from.is_none() && to.is_none() {
            let message = format!(
                "expected `from:` (the attribute here) or `to:` (the attribute there) in the \
                 relationship {name}"
            );
            return Err(self.source.error(offset(directive), message));
        }
        let is_list = match ty {
            cst::Type::NamedType(_) => false,
            cst::Type::ListType(_) => true,
            cst::Type::NonNullType(ty) => ty.list_type().is_some(),
        };
        if from.is_none() && !is_list {
            let message = format!(
                "expected a list as the type of {name}: by `to:` it leads to any number of records"
            );
            return Err(self.source.error(offset(ty), message));
        }
        let type_name = innermost(ty.clone()).unwrap_or_default();
        let target = self.table_of(&type_name, database).unwrap_or_else(|| {
            let message = format!(
                "type {type_name} is no table of this file: {name} leads to the table of that name \
                 in database {database}"
            );
            self.warn(offset(ty), message);
            TableName { database: database.to_owned(), table: type_name }
        });
        Ok(Derived::Relationship(Relationship {
            from,
            to,
            target,
            span: if is_list { Span::Many } else { Span::One },
            filter_missing: text("filterMissing").is_some_and(|flag| flag != "false"),
        }))
    }

    /// The options of `@indexed(type: "HNSW")`; `None` for an ordinary index.
    fn vector_index(
        &mut self,
        directive: &cst::Directive,
    ) -> Result<Option<VectorIndex>, SchemaError> {
        match argument(directive, "type") {
            None => return Ok(None),
            Some((kind, _)) if kind.eq_ignore_ascii_case("HNSW") => {}
            Some((kind, at)) => {
                let message = format!("unknown type of index `{kind}`: an ordinary one is kept");
                self.warn(at, message);
                return Ok(None);
            }
        }
        for (name, at) in argument_names(directive) {
            if VECTOR_OPTIONS_WITHOUT_EFFECT.contains(&name.as_str()) {
                self.warn(at, format!("{name} has no effect yet: vectors are kept whole"));
            } else if !VECTOR_OPTIONS.contains(&name.as_str()) {
                self.warn(at, format!("an HNSW index has no option {name}"));
            }
        }
        let mut index = VectorIndex::default();
        if let Some((text, at)) = argument(directive, "distance") {
            index.distance = Distance::from_name(&text).ok_or_else(|| {
                let message =
                    format!("expected cosine, euclidean or dotProduct as distance, found `{text}`");
                self.source.error(at, message)
            })?;
        }
        let number = |name: &str, least: f64, most: f64| match argument(directive, name) {
            None => Ok(None),
            Some((text, at)) => match text.parse::<f64>() {
                Ok(n) if (least..=most).contains(&n) => Ok(Some(n)),
                _ => {
                    let message = format!(
                        "expected a number from {least} to {most} as {name}, found `{text}`"
                    );
                    Err(self.source.error(at, message))
                }
            },
        };
        if let Some(m) = number("M", 2.0, 256.0)? {
            index.m = m as usize;
        }
        if let Some(ef) = number("efConstruction", 1.0, 10_000.0)? {
            index.ef_construction = ef as usize;
        }
        index.ef_search = number("efConstructionSearch", 1.0, 100_000.0)?.map(|ef| ef as usize);
        if let Some(spread) = number("optimizeRouting", 0.0, 1.0)? {
            index.optimize_routing = spread;
        }
        index.ml = number("mL", 0.0, 10.0)?;
        Ok(Some(index))
    }
}

impl Default for VectorIndex {
    fn default() -> VectorIndex {
        VectorIndex {
            distance: Distance::Cosine,
            m: 16,
            ef_construction: 100,
            ef_search: None,
            optimize_routing: 0.5,
            ml: None,
        }
    }
}

fn assigned(field: &cst::FieldDefinition, name: &str) -> Option<Assigned> {
    let marked = |directive_name| directive(field.directives(), directive_name).is_some();
    if marked("createdTime") || name == "__createdtime__" {
        Some(Assigned::CreatedTime)
    } else if marked("updatedTime") || name == "__updatedtime__" {
        Some(Assigned::UpdatedTime)
    } else {
        None
    }
}

/// `@allow(role: "a")` or `@allow(role: ["a", "b"])`.
fn roles(allow: &cst::Directive) -> Vec<String> {
    let Some((text, _)) = argument(allow, "role") else { return Vec::new() };
    let names = text.trim_start_matches('[').trim_end_matches(']').split([',', ' ']);
    let names = names.map(|name| name.trim().trim_matches('"'));
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
