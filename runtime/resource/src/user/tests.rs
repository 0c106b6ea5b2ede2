use proptest::prelude::*;

use super::*;
use crate::query::parse;
use crate::value::json;

fn value(text: &str) -> Value {
    json::parse(text.as_bytes()).expect("JSON")
}

fn text(value: &Value) -> String {
    let mut out = Vec::new();
    json::write(value, &mut out);
    String::from_utf8(out).expect("JSON is UTF-8")
}

#[test]
fn all_forms_of_a_permission_mean_the_same() {
    let long = r#"{"super_user":false,"data":{"tables":{"Dog":{"read":true,"insert":false,"update":false,"delete":true,"attribute_permissions":[{"attribute_name":"name","read":true,"insert":false,"update":false}]}}}}"#;
    let permission = Permission::from_value(&value(long)).expect("the long form");
    assert_eq!(text(&permission.to_value()), long);
    for short in [
        r#"{"data":{"Dog":{"read":true,"delete":true,"attributes":{"name":{"read":true}}}}}"#,
        r#"{"Dog":{"read":true,"delete":true,"attributes":{"name":{"read":true}}}}"#,
        r#"{"operations":["read_only"],"Dog":{"read":true,"insert":null,"delete":true,
            "attribute_permissions":[{"attribute_name":"name","read":true}]}}"#,
    ] {
        assert_eq!(Permission::from_value(&value(short)).as_ref(), Ok(&permission), "{short}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (wrong, message) in [
        ("5", "permission must be an object"),
        (r#"{"super_user":"yes"}"#, "super_user must be true or false"),
        (r#"{"structure_user":[1]}"#, "structure_user must list names of databases"),
        (r#"{"data":true}"#, "data must be an object"),
        (r#"{"data":{"tables":{"Dog":[]}}}"#, "data.tables.Dog must be an object"),
        (r#"{"data":{"Dog":{"read":1}}}"#, "data.Dog.read must be true or false"),
        (
            r#"{"Dog":{"read":true,"attributes":{"a":{"read":"x"}}}}"#,
            "Dog.attributes.a.read must be true or false",
        ),
        (
            r#"{"Dog":{"read":true,"attribute_permissions":[{"read":true}]}}"#,
            "Dog.attribute_permissions.attribute_name must name an attribute",
        ),
    ] {
        let error = Permission::from_value(&value(wrong)).expect_err(wrong);
        assert_eq!(error.to_string(), message, "{wrong}");
    }
}

#[test]
fn what_is_not_granted_is_refused() {
    let permission = Permission::from_value(&value(r#"{"data":{"Dog":{"read":true}}}"#));
    let permission = permission.expect("well formed");
    assert!(permission.may(Access::Read, "data", "Dog"));
    for access in [Access::Insert, Access::Update, Access::Delete] {
        assert!(!permission.may(access, "data", "Dog"));
    }
    assert!(!permission.may(Access::Read, "data", "Cat"));
    assert!(!permission.may(Access::Read, "other", "Dog"));
    let everything = Role::super_user().permission;
    assert!(Access::ALL.iter().all(|access| everything.may(*access, "system", "hdb_user")));
}

fn only(names: &[&str]) -> Attributes {
    Attributes::Only(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn queries_show_only_what_may_be_seen() {
    let readable = only(&["name", "age"]);
    for (query, select) in [
        ("", Ok("select(name,age,)")),
        ("name=x", Ok("select(name,age,)")),
        ("select(*,)", Ok("select(name,age,)")),
        ("select(*)", Ok("select(name,age,)")),
        ("select(name)", Ok("select(name)")),
        ("select(name,secret)", Ok("select(name,)")),
        ("select(secret,$id,$record,$updatedtime)", Ok("select($updatedtime,)")),
        ("select([name,secret])", Ok("select([name,$withheld])")),
        ("select(secret)", Err("secret")),
        ("secret=x", Err("secret")),
        ("name=x|(age=1&secret=gt=2)", Err("secret")),
        ("secret.part=x", Err("secret")),
        ("sort(secret)", Err("secret")),
        ("sort(name,-secret)", Err("secret")),
        ("id=x", Err("id")),
    ] {
        let mut query_ = parse(query).expect(query);
        match (readable.restrict(&mut query_, "id"), select) {
            (Ok(()), Ok(select)) => {
                assert_eq!(query_.select, parse(select).expect(select).select, "{query}");
            }
            (Err(error), Err(name)) => {
                assert_eq!(error.status(), 403, "{query}");
                let detail = error.detail.as_deref().and_then(Value::as_str).expect(query);
                assert_eq!(detail, format!("no permission for the attribute {name}"), "{query}");
            }
            (result, _) => panic!("{query}: {result:?}"),
        }
    }
}

#[test]
fn writes_keep_what_may_not_be_written() {
    let writable = only(&["name"]);
    let map = |text: &str| value(text).into_object().expect("an object");
    assert!(writable.require_all(&map(r#"{"id":1,"name":"x"}"#), "id").is_ok());
    assert!(writable.require_all(&map(r#"{"name":"x","age":1}"#), "id").is_err());
    let mut record = map(r#"{"id":1}"#);
    writable.preserve(&mut record, &map(r#"{"id":1,"name":"old","age":7,"extra":null}"#));
    assert_eq!(text(&Value::Object(record)), r#"{"id":1,"age":7,"extra":null}"#);
}

fn access() -> impl Strategy<Value = AccessSet> {
    proptest::sample::subsequence(Access::ALL.to_vec(), 0..=4)
        .prop_map(|accesses| accesses.into_iter().collect())
}

fn permissions() -> impl Strategy<Value = Permission> {
    // Tables must not be named as rights are: `{data: {read: true}}` would be a table `data`.
    let name = "[A-Z][a-z]{0,3}";
    // Records are deleted whole: an attribute has no such right.
    let attribute = (name, access()).prop_map(|(name, access)| {
        let of_attributes = [Access::Read, Access::Insert, Access::Update].into_iter();
        let access = of_attributes.filter(|of| access.contains(*of)).collect();
        AttributePermission { name, access }
    });
    let attributes = proptest::collection::vec(attribute, 0..4).prop_map(|mut attributes| {
        let mut seen = Vec::new();
        attributes.retain(|attribute| {
            let new = !seen.contains(&attribute.name);
            seen.push(attribute.name.clone());
            new
        });
        attributes
    });
    let table = (access(), attributes)
        .prop_map(|(access, attributes)| TablePermission { access, attributes });
    let tables = proptest::collection::vec((name, table), 0..3);
    let databases = proptest::collection::vec((name, tables), 0..3);
    let structure_user = prop_oneof![
        Just(StructureUser::Nowhere),
        Just(StructureUser::Everywhere),
        proptest::collection::vec(name, 0..3).prop_map(StructureUser::In),
    ];
    (any::<bool>(), structure_user, databases).prop_map(
        |(super_user, structure_user, databases)| Permission {
            super_user,
            structure_user,
            databases: databases
                .into_iter()
                .map(|(name, tables)| (name, tables.into_iter().collect()))
                .collect(),
        },
    )
}

proptest! {
    #[test]
    fn a_permission_survives_its_json(permission in permissions()) {
        prop_assert_eq!(Permission::from_value(&permission.to_value()), Ok(permission));
    }

    #[test]
    fn no_right_without_the_flag(permission in permissions(), database in "[A-Z][a-z]?", table in "[A-Z][a-z]?") {
        let granted = permission.databases.get(&database).and_then(|tables| tables.get(&table));
        for access in Access::ALL {
            let flagged = granted.is_some_and(|granted| granted.access.contains(access));
            prop_assert_eq!(
                permission.may(access, &database, &table),
                permission.super_user || flagged
            );
        }
    }
}
