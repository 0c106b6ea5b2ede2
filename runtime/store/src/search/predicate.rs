//! Conditions made ready to be tested on stored records of one table.
//!
//! Only the properties that the conditions look at are decoded. Conditions on related records
//! (`brand.name=X`) become joins: those of one `and` group that go by the same relationship must hold
//! for the same related record. A join looks its records up one by one, unless the keys of all that
//! match were collected before (see `join.rs`).

use std::collections::HashSet;
use std::sync::Arc;

use kora_resource::query::{Compare, Condition, Operator, Query, Undeclared};
use kora_resource::schema::TableSchema;
use kora_resource::value::msgpack;
use kora_resource::{Error, Map, Record, Result};

use super::nearest::Measure;
use super::reader::Reader;
use super::relation::{Relation, encoded};
use crate::Table;
use crate::keys::Key;

/// Conditions on the records of a table.
#[derive(Debug)]
pub(super) struct Predicate {
    schema: Arc<TableSchema>,
    test: Test,
    /// The stored properties that are looked at.
    names: Vec<String>,
    /// The computed attributes that are looked at.
    computed: Vec<String>,
}

#[derive(Debug)]
enum Test {
    Compare(Compare),
    /// A vector's distance, with the bound and whether it is part of it.
    Within(Measure, Compare),
    Join(Box<Join>),
    All(Vec<Test>),
    Any(Vec<Test>),
}

/// A condition on related records.
#[derive(Debug)]
pub(super) struct Join {
    /// The relationship's name.
    pub name: String,
    pub relation: Relation,
    /// What must hold for one of the related records.
    pub inner: Query,
    predicate: Predicate,
    /// The keys of all related records that match, if they were collected.
    keys: Option<HashSet<Key>>,
}

impl Predicate {
    /// Makes the conditions of a coerced query ready.
    pub(super) fn compile(table: &Arc<Table>, query: &Query) -> Result<Predicate> {
        let schema = table.schema();
        let compiler = Compiler { table, schema: &schema, undeclared: query.undeclared };
        let test = compiler.group(&query.conditions, query.operator)?;
        let mut predicate = Predicate {
            schema: Arc::clone(&schema),
            test,
            names: Vec::new(),
            computed: Vec::new(),
        };
        let (mut names, mut computed) = (Vec::new(), Vec::new());
        predicate.test.collect(&schema, &mut names, &mut computed);
        names.sort_unstable();
        names.dedup();
        (predicate.names, predicate.computed) = (names, computed);
        Ok(predicate)
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(&self.test, Test::All(tests) if tests.is_empty())
    }

    /// Whether a stored record satisfies the conditions.
    pub(super) fn matches(&self, record: &Record, reader: &Reader<'_, '_>) -> Result<bool> {
        if self.is_empty() {
            return Ok(true);
        }
        let wanted = |name: &str| self.names.iter().any(|wanted| wanted == name);
        let mut map = msgpack::decode_properties(record.body(), wanted)
            .map_err(|error| Error::internal(format!("damaged record: {error}")))?;
        for name in &self.computed {
            if let Some(value) = self.schema.value_of(name, &map) {
                map.insert(name.clone(), value);
            }
        }
        self.test.matches(&map, reader)
    }

    /// The joins that every match must satisfy.
    pub(super) fn joins(&self) -> Vec<&Join> {
        let Test::All(tests) = &self.test else { return Vec::new() };
        let joins = tests.iter().filter_map(|test| match test {
            Test::Join(join) => Some(&**join),
            Test::Compare(_) | Test::Within(..) | Test::All(_) | Test::Any(_) => None,
        });
        joins.collect()
    }

    /// The same, to be told what was found.
    pub(super) fn joins_mut(&mut self) -> Vec<&mut Join> {
        let Test::All(tests) = &mut self.test else { return Vec::new() };
        let joins = tests.iter_mut().filter_map(|test| match test {
            Test::Join(join) => Some(&mut **join),
            Test::Compare(_) | Test::Within(..) | Test::All(_) | Test::Any(_) => None,
        });
        joins.collect()
    }

    /// The distance that every match must be within, and of what.
    pub(super) fn within(&self) -> Option<(&Measure, &Compare)> {
        let tests = match &self.test {
            Test::All(tests) => tests.as_slice(),
            one => std::slice::from_ref(one),
        };
        tests.iter().find_map(|test| match test {
            Test::Within(measure, compare) => Some((measure, compare)),
            Test::Compare(_) | Test::Join(_) | Test::All(_) | Test::Any(_) => None,
        })
    }
}

impl Join {
    pub(super) fn found(&mut self, keys: HashSet<Key>) {
        self.keys = Some(keys);
    }

    /// The related records that match.
    pub(super) fn narrow(&self, record: &Record, reader: &Reader<'_, '_>) -> Result<bool> {
        reader.within(self.relation.target.owner(), |reader| self.predicate.matches(record, reader))
    }

    fn matches(&self, map: &Map, reader: &Reader<'_, '_>) -> Result<bool> {
        if let Some(keys) = &self.keys {
            let own = encoded(map.get(&self.relation.own));
            return Ok(own.iter().any(|key| keys.contains(key)));
        }
        for record in self.relation.load(reader, map)?.into_iter().flatten() {
            if self.narrow(&record, reader)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Test {
    fn matches(&self, map: &Map, reader: &Reader<'_, '_>) -> Result<bool> {
        match self {
            Test::Compare(compare) => Ok(compare.matches(map)),
            Test::Within(measure, compare) => Ok(measure.admits(map, compare)),
            Test::Join(join) => join.matches(map, reader),
            Test::All(tests) => {
                for test in tests {
                    if !test.matches(map, reader)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Test::Any(tests) => {
                for test in tests {
                    if test.matches(map, reader)? {
                        return Ok(true);
                    }
                }
                Ok(tests.is_empty())
            }
        }
    }

    fn collect(&self, schema: &TableSchema, names: &mut Vec<String>, computed: &mut Vec<String>) {
        match self {
            Test::Compare(compare) | Test::Within(_, compare) => {
                let Some(first) = compare.attribute.first() else { return };
                names.extend(schema.inputs(first));
                if schema.computed(first).is_some() {
                    computed.push(first.clone());
                }
            }
            Test::Join(join) => names.push(join.relation.own.clone()),
            Test::All(tests) | Test::Any(tests) => {
                tests.iter().for_each(|test| test.collect(schema, names, computed));
            }
        }
    }
}

struct Compiler<'a> {
    table: &'a Arc<Table>,
    schema: &'a TableSchema,
    undeclared: Undeclared,
}

impl Compiler<'_> {
    fn group(&self, conditions: &[Condition], operator: Operator) -> Result<Test> {
        let mut tests = Vec::with_capacity(conditions.len());
        // Conditions on related records, by relationship.
        let mut related: Vec<(String, Vec<Condition>)> = Vec::new();
        for condition in conditions {
            match condition {
                Condition::Group { operator, conditions } => {
                    tests.push(self.group(conditions, *operator)?);
                }
                Condition::Compare(compare) => match self.beyond(compare) {
                    Some((name, inner)) => {
                        let same = related.iter_mut().find(|(known, _)| *known == name);
                        match (same, operator) {
                            (Some((_, held)), Operator::And) => held.push(inner),
                            _ => related.push((name, vec![inner])),
                        }
                    }
                    None if compare.target.is_some() => {
                        let measure = Measure::of_condition(self.schema, compare)?;
                        tests.push(Test::Within(measure, compare.clone()));
                    }
                    None => tests.push(Test::Compare(compare.clone())),
                },
            }
        }
        for (name, conditions) in related {
            tests.push(Test::Join(Box::new(self.join(name, conditions)?)));
        }
        Ok(match operator {
            Operator::And => Test::All(tests),
            Operator::Or => Test::Any(tests),
        })
    }

    /// The relationship that a condition goes by, and what it says of the records at its end.
    fn beyond(&self, compare: &Compare) -> Option<(String, Condition)> {
        let (first, rest) = compare.attribute.split_first()?;
        if rest.is_empty() || self.schema.relationship(first).is_none() {
            return None;
        }
        let inner = Compare { attribute: rest.to_vec(), ..compare.clone() };
        Some((first.clone(), Condition::Compare(inner)))
    }

    fn join(&self, name: String, conditions: Vec<Condition>) -> Result<Join> {
        let relationship = self
            .schema
            .relationship(&name)
            .ok_or_else(|| Error::not_found(format!("{name} is not a defined attribute")))?;
        let relation = Relation::open(self.table, relationship)?;
        let mut inner = Query { conditions, undeclared: self.undeclared, ..Query::default() };
        inner.coerce(&relation.target.schema())?;
        let predicate = Predicate::compile(&relation.target, &inner)?;
        Ok(Join { name, relation, inner, predicate, keys: None })
    }
}
