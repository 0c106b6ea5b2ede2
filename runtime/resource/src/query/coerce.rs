//! A parsed query against a table's schema: its attributes must be there, and text becomes what
//! their types say (`spec/harper-rest.md` sections 3.4, 3.5 and 4).

use super::{Casting, Comparator, Compare, Condition, Operator, Query, Undeclared};
use crate::schema::{AttributeType, TableSchema, auto_cast, coerce_text};
use crate::value::date;
use crate::{Error, Result, Value};

impl Query {
    /// Gives every value the type of its attribute. 404 for an attribute that the schema does not
    /// have, 400 for a value that does not fit. Doing it again changes nothing.
    pub fn coerce(&mut self, schema: &TableSchema) -> Result<()> {
        let lookup = Lookup { schema, undeclared: self.undeclared };
        coerce_group(&mut self.conditions, self.operator, lookup)?;
        self.sort.iter().try_for_each(|sort| attribute_type(lookup, &sort.attribute).map(drop))
    }
}

/// Where attributes are looked up, and what of those that are not there.
#[derive(Clone, Copy)]
struct Lookup<'s> {
    schema: &'s TableSchema,
    undeclared: Undeclared,
}

fn coerce_group(
    conditions: &mut [Condition],
    operator: Operator,
    schema: Lookup<'_>,
) -> Result<()> {
    if operator == Operator::And {
        adopt_loose_bounds(conditions, schema.schema);
    }
    for condition in conditions {
        match condition {
            Condition::Compare(compare) => coerce_compare(compare, schema)?,
            Condition::Group { operator, conditions } => {
                coerce_group(conditions, *operator, schema)?;
            }
        }
    }
    Ok(())
}

/// `price=gt=100&lt=200`, as Harper's documentation writes a range: an equality with the "attribute"
/// `lt` right after a range is the range's other end, unless there is an attribute of that name.
fn adopt_loose_bounds(conditions: &mut [Condition], schema: &TableSchema) {
    for at in 1..conditions.len() {
        let (before, from_here) = conditions.split_at_mut(at);
        let (Some(Condition::Compare(range)), Some(Condition::Compare(loose))) =
            (before.last(), from_here.first_mut())
        else {
            continue;
        };
        let [name] = loose.attribute.as_slice() else { continue };
        let bound = match name.as_str() {
            "lt" | "le" | "gt" | "ge" => Comparator::from_name(name),
            _ => None,
        };
        let Some(comparator) = bound else { continue };
        let opposite = match (range.comparator.bound(), comparator.bound()) {
            (Some(one), Some(other)) => one != other,
            _ => false,
        };
        if opposite && loose.comparator == Comparator::Equals && schema.attribute(name).is_none() {
            loose.attribute.clone_from(&range.attribute);
            loose.comparator = comparator;
            loose.casting = Casting::Auto;
        }
    }
}

fn coerce_compare(compare: &mut Compare, schema: Lookup<'_>) -> Result<()> {
    let ty = attribute_type(schema, &compare.attribute)?;
    if let [first, nested @ ..] = compare.attribute.as_slice()
        && schema.schema.relationship(first).is_some()
    {
        if nested.is_empty() {
            return Err(Error::invalid(format!(
                "{first} is a relationship: a condition must name an attribute of it, as in \
                 {first}.id"
            )));
        }
        // The value is the other table's to coerce: its search does.
        return Ok(());
    }
    if compare.target.is_some() {
        return coerce_distance(compare);
    }
    let name = compare.attribute.join(".");
    let casting = std::mem::take(&mut compare.casting);
    let coerce = |value: &mut Value| coerce_value(value, &name, ty, casting);
    match compare.comparator {
        Comparator::Equals
        | Comparator::NotEqual
        | Comparator::Less
        | Comparator::LessEqual
        | Comparator::Greater
        | Comparator::GreaterEqual => coerce(&mut compare.value),
        Comparator::Contains
        | Comparator::StartsWith
        | Comparator::EndsWith
        | Comparator::NotContains
        | Comparator::NotStartsWith
        | Comparator::NotEndsWith => {
            if let Some(text) = string_form(&compare.value) {
                compare.value = Value::String(text);
            }
            Ok(())
        }
        Comparator::In | Comparator::NotIn => match &mut compare.value {
            Value::Array(items) => items.iter_mut().try_for_each(coerce),
            _ => Err(Error::invalid("\"in\" comparator requires an array value")),
        },
        Comparator::Between | Comparator::NotBetween => match &mut compare.value {
            Value::Array(ends) if ends.len() == 2 => ends.iter_mut().try_for_each(coerce),
            _ => Err(Error::invalid("\"between\" comparator requires an array of two values")),
        },
    }
}

/// A condition on how far a vector is: only an upper bound makes sense.
fn coerce_distance(compare: &Compare) -> Result<()> {
    match compare.comparator {
        Comparator::Less | Comparator::LessEqual if compare.value.as_f64().is_some() => Ok(()),
        _ => Err(Error::invalid(format!(
            "The condition on the distance of {} must be \"lt\" or \"le\" with a number",
            compare.attribute.join(".")
        ))),
    }
}

fn coerce_value(value: &mut Value, name: &str, ty: &AttributeType, casting: Casting) -> Result<()> {
    let Value::String(text) = value else { return Ok(()) };
    match (ty, casting) {
        (AttributeType::Any | AttributeType::Unknown(_), Casting::Declared) => {}
        (AttributeType::Any | AttributeType::Unknown(_), Casting::Auto) => *value = auto_cast(text),
        (ty, Casting::Declared | Casting::Auto) => *value = coerce_text(name, ty, text)?,
    }
    Ok(())
}

/// The type at the end of a path: each name but the first is looked up in the declared type of the
/// object before it, through arrays; where none is declared, anything goes.
fn attribute_type<'s>(lookup: Lookup<'s>, path: &[String]) -> Result<&'s AttributeType> {
    const ANY: &AttributeType = &AttributeType::Any;
    let schema = lookup.schema;
    let Some((first, nested)) = path.split_first() else {
        return Err(Error::invalid("attribute must be specified"));
    };
    if schema.relationship(first).is_some() {
        return Ok(ANY);
    }
    if let Some(computed) = schema.computed(first)
        && computed.expression.is_none()
    {
        return Err(Error::invalid(format!(
            "{first} is computed by a function: it can be selected, not searched or sorted by"
        )));
    }
    let mut ty = match schema.attribute(first) {
        Some(attribute) => &attribute.ty,
        None if *first == schema.primary_key => ANY,
        None if lookup.undeclared == Undeclared::Allowed => return Ok(ANY),
        None => return Err(Error::not_found(format!("{first} is not a defined attribute"))),
    };
    for name in nested {
        while let AttributeType::Array(element, _) = ty {
            ty = element;
        }
        let AttributeType::Object(object) = ty else { return Ok(ANY) };
        let Some(attribute) = object.attributes.iter().find(|known| known.name == *name) else {
            return Ok(ANY);
        };
        ty = &attribute.ty;
    }
    Ok(ty)
}

/// A scalar as the text that `contains` and its kin look at; `None` for what has no such form.
pub(super) fn string_form(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Int(n) => Some(n.to_string()),
        Value::Float(n) => Some(ryu_js::Buffer::new().format(*n).to_owned()),
        Value::BigInt(n) => Some(n.to_string()),
        Value::Date(ms) => date::to_iso(*ms),
        Value::Null | Value::Bytes(_) | Value::Array(_) | Value::Object(_) | Value::Blob(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::parse;
    use crate::schema::parse_one;

    fn schema() -> TableSchema {
        parse_one(
            "type Dog @table { id: ID @primaryKey name: String age: Int big: BigInt born: Date
             tags: [Int] any: Any odd: Strange home: Address }
             type Address { city: String number: Int }",
        )
    }

    /// The query's comparisons after coercion.
    fn coerced(text: &str) -> Result<Vec<(Comparator, Value)>> {
        let mut query = parse(text)?;
        query.coerce(&schema())?;
        let once = query.clone();
        query.coerce(&schema())?;
        assert_eq!(query, once, "coercing again changes nothing");
        Ok(query
            .conditions
            .into_iter()
            .map(|condition| match condition {
                Condition::Compare(compare) => (compare.comparator, compare.value),
                Condition::Group { .. } => panic!("no groups here"),
            })
            .collect())
    }

    #[test]
    fn values_get_the_attributes_type() {
        use Comparator::*;
        for (text, expected) in [
            ("age=5", (Equals, Value::Int(5))),
            ("age==5", (Equals, Value::Int(5))),
            ("age=", (Equals, Value::Null)),
            ("age==null", (Equals, Value::Null)),
            ("age=null", (Equals, Value::Null)),
            ("name=null", (Equals, Value::from("null"))),
            ("name==null", (Equals, Value::Null)),
            ("name==5", (Equals, Value::from("5"))),
            ("name==string:5", (Equals, Value::from("5"))),
            ("any=5", (Equals, Value::from("5"))),
            ("any==5", (Equals, Value::Int(5))),
            ("odd==true", (Equals, Value::Bool(true))),
            ("any==string:5", (Equals, Value::from("5"))),
            ("big=5", (Equals, Value::BigInt(5))),
            ("tags=5", (Equals, Value::Int(5))),
            ("home.number=5", (Equals, Value::Int(5))),
            ("home.other==5", (Equals, Value::Int(5))),
            ("born=gt=2024-01-05", (Greater, Value::Date(1_704_412_800_000.0))),
            ("age=ct=number:5", (Contains, Value::from("5"))),
            ("age=in=(1,2)", (In, Value::Array(vec![Value::Int(1), Value::Int(2)]))),
            ("age=between=(1,2)", (Between, Value::Array(vec![Value::Int(1), Value::Int(2)]))),
            ("any=not_in=(1,x)", (NotIn, Value::Array(vec![Value::Int(1), Value::from("x")]))),
        ] {
            assert_eq!(coerced(text).expect(text), [expected], "{text}");
        }
    }

    #[test]
    fn ranges_in_both_spellings() {
        use Comparator::*;
        for text in ["age=gt=1&=le=9", "age=gt=1&le=9", "age=gt=1&age=le=9", "age>1&age<=9"] {
            let expected = [(Greater, Value::Int(1)), (LessEqual, Value::Int(9))];
            assert_eq!(coerced(text).expect(text), expected, "{text}");
        }
        assert_eq!(coerced("age=5&lt=9").expect_err("no range before it").status(), 404);
    }

    #[test]
    fn unknown_attributes_and_unfit_values() {
        for (text, status, message) in [
            ("nose=1", 404, "nose is not a defined attribute"),
            ("sort(-nose)", 404, "nose is not a defined attribute"),
            ("(age=1|nose=2)", 404, "nose is not a defined attribute"),
            ("age=x", 400, "Invalid value for attribute age: \"x\", expecting Int"),
            ("home.number=x", 400, "Invalid value for attribute home.number: \"x\", expecting Int"),
        ] {
            let mut query = parse(text).expect(text);
            let error = query.coerce(&schema()).expect_err(text);
            assert_eq!((error.status(), error.message.as_str()), (status, message), "{text}");
        }
        let scalar = Compare::new(vec!["age".into()], Comparator::In, Value::Int(5));
        let conditions = vec![Condition::Compare(scalar)];
        let error =
            Query { conditions, ..Query::default() }.coerce(&schema()).expect_err("no list");
        assert_eq!(error.message, "\"in\" comparator requires an array value");
    }
}
