//! Derived attributes: what JavaScript must know of them to look them up.

use std::cell::RefCell;
use std::rc::Rc;

use deno_core::{OpState, op2, v8};
use kora_resource::Error;
use kora_resource::schema::{Derived, Relationship, Span, TableSchema};
use serde::Serialize;

use crate::error::OpError;
use crate::state::WorkerState;
use crate::values::{map_from_v8, to_v8};

/// A derived attribute as `harperdb/relations.ts` sees it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DerivedView {
    name: String,
    enumerable: bool,
    relationship: Option<RelationshipView>,
    inputs: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RelationshipView {
    own: String,
    is_foreign_key: bool,
    target: Option<u32>,
    target_name: String,
    there: Option<String>,
    target_key: String,
    is_many: bool,
    filter_missing: bool,
}

/// The derived attributes of the table of that number.
#[op2]
#[serde]
pub(crate) fn op_kora_derived(
    state: &mut OpState,
    #[smi] table: u32,
) -> Result<Vec<DerivedView>, OpError> {
    let worker = state.borrow::<WorkerState>();
    let schema = worker.table(table)?.schema();
    let derived = schema.attributes.iter().filter_map(|attribute| {
        let derived = attribute.derived.as_ref()?;
        let (relationship, inputs) = match derived {
            Derived::Relationship(found) => (Some(relationship(worker, &schema, found)), None),
            Derived::Computed(computed) => {
                let inputs = computed.expression.as_ref().map(|_| schema.inputs(&attribute.name));
                (None, inputs)
            }
        };
        let name = attribute.name.clone();
        Some(DerivedView { name, enumerable: attribute.enumerable, relationship, inputs })
    });
    Ok(derived.collect())
}

fn relationship(
    worker: &WorkerState,
    schema: &TableSchema,
    relationship: &Relationship,
) -> RelationshipView {
    let target = worker.tables.iter().position(|table| {
        table.database() == relationship.target.database
            && table.name() == relationship.target.table
    });
    let target_key =
        target.map_or_else(|| "id".to_owned(), |at| worker.tables[at].schema().primary_key.clone());
    RelationshipView {
        own: relationship.own_attribute(&schema.primary_key).to_owned(),
        is_foreign_key: relationship.from.is_some(),
        // As many tables as a worker has fit.
        target: target.and_then(|at| u32::try_from(at).ok()),
        target_name: relationship.target.table.clone(),
        there: relationship.to.clone().filter(|there| *there != target_key),
        target_key,
        is_many: relationship.span == Span::Many,
        filter_missing: relationship.filter_missing,
    }
}

/// The value that a computed attribute's expression has, given the attributes that it looks at.
#[op2(reentrant)]
pub(crate) fn op_kora_compute<'s, 'i>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, 'i>,
    #[smi] table: u32,
    #[string] name: &str,
    inputs: v8::Local<'s, v8::Value>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
    let inputs = map_from_v8(scope, inputs)?;
    let schema = state.borrow().borrow::<WorkerState>().table(table)?.schema();
    if schema.computed(name).is_none() {
        return Err(Error::internal(format!("{name} is not a computed attribute")).into());
    }
    Ok(match schema.value_of(name, &inputs) {
        Some(value) => to_v8(scope, &value),
        None => v8::undefined(scope).into(),
    })
}
