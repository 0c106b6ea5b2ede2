//! Who may do what with a table (`spec/harper-resources.md` section 11).

use std::sync::Arc;

use futures_util::StreamExt;
use kora_resource::value::json;
use kora_resource::{
    Call, Connect, Context, EventValue, Item, Message, Opens, Permission, Reply, ReplyBody,
    Resource, Result, Role, StreamOptions, Target, User, Value, Verb,
};

use super::*;
use crate::Table;

fn user(permission: &str) -> Option<Arc<User>> {
    let permission = json::parse(permission.as_bytes()).expect("JSON");
    let permission = Permission::from_value(&permission).expect("a permission");
    let role = Role { permission, ..Role::super_user() };
    Some(Arc::new(User { role: Arc::new(role), ..User::unstored_super_user("u") }))
}

fn context(user: Option<Arc<User>>) -> Arc<Context> {
    Arc::new(Context { user, authorize: true, ..Context::default() })
}

async fn ask(
    table: &Arc<Table>,
    context: &Arc<Context>,
    verb: Verb,
    url: &str,
    body: &str,
) -> Result<Reply> {
    let target = Target::parse(url, Some(&Table::schema(table))).expect(url);
    let body = (!body.is_empty()).then(|| json::parse(body.as_bytes()).expect("JSON"));
    let call = Call { verb, target, body, context: Arc::clone(context) };
    Arc::clone(table).call(call).await
}

fn text(value: &Value) -> String {
    let mut out = Vec::new();
    json::write(value, &mut out);
    String::from_utf8(out).expect("JSON is UTF-8")
}

async fn shown(reply: Reply) -> String {
    match reply.body {
        ReplyBody::Absent => String::new(),
        ReplyBody::Value(value) => text(&value),
        ReplyBody::Record(record) => text(&Value::Object(record.to_map().expect("a record"))),
        ReplyBody::Items(items) => {
            let items: Vec<_> = items.collect().await;
            let items = items.into_iter().map(|item| match item.expect("an item") {
                Item::Record(record) => Value::Object(record.to_map().expect("a record")),
                Item::Value(value) => value,
            });
            text(&Value::Array(items.collect()))
        }
        ReplyBody::Raw { .. } | ReplyBody::Stream { .. } => "raw".to_owned(),
    }
}

#[tokio::test]
async fn each_verb_needs_its_right() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    let rows: &[(Verb, &str, &str, &str)] = &[
        (Verb::Get, "/a", "", "read"),
        (Verb::Get, "/", "", "read"),
        (Verb::Get, "/a.name", "", "read"),
        (Verb::Get, "", "", "read"),
        (Verb::Query, "/", "{}", "read"),
        (Verb::Put, "/a", "{}", "update"),
        (Verb::Put, "/new", "{}", "insert"),
        (Verb::Put, "", r#"[{"id":"a"}]"#, "update"),
        (Verb::Put, "", r#"[{"id":"new"}]"#, "insert"),
        (Verb::Patch, "/a", "{}", "update"),
        (Verb::Patch, "/new", "{}", "insert"),
        (Verb::Post, "/", "{}", "insert"),
        (Verb::Delete, "/a", "", "delete"),
        (Verb::Delete, "/", "", "delete"),
        (Verb::Publish, "", "1", "insert"),
        (Verb::Publish, "/a", "1", "update"),
    ];
    for (verb, url, body, right) in rows {
        for granted in ["read", "insert", "update", "delete"] {
            fixture.put(&table, dog("a", "Ann", 1)).await;
            fixture.delete(&table, "new").await;
            let context = context(user(&format!(r#"{{"data":{{"Dog":{{"{granted}":true}}}}}}"#)));
            let status =
                ask(&table, &context, *verb, url, body).await.err().map(|error| error.status());
            let expected = (granted != *right).then_some(403);
            assert_eq!(status, expected, "{verb:?} {url} {body} with {granted}");
        }
        for (who, expected) in [
            (None, Some(401)),
            (user(r#"{"data":{"Cat":{"read":true,"update":true}}}"#), Some(403)),
            (user(r#"{"super_user":true}"#), None),
        ] {
            let answered = ask(&table, &context(who), *verb, url, body).await;
            assert_eq!(answered.err().map(|error| error.status()), expected, "{verb:?} {url}");
        }
        let unchecked = Arc::<Context>::default();
        fixture.put(&table, dog("a", "Ann", 1)).await;
        ask(&table, &unchecked, *verb, url, body).await.expect("nobody asks");
    }
    let inserting = context(user(r#"{"data":{"Dog":{"insert":true}}}"#));
    let within = ask(&table, &inserting, Verb::Post, "/a", "{}").await;
    assert_eq!(within.expect_err("an update").status(), 403);
}

#[tokio::test]
async fn attributes_are_withheld_and_kept() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    fixture.put(&table, dog("a", "Ann", 1)).await;
    let who = context(user(
        r#"{"data":{"Dog":{"read":true,"insert":true,"update":true,"delete":true,"attributes":{
            "id":{"read":true},"name":{"read":true,"insert":true,"update":true},
            "age":{"insert":true}}}}}"#,
    ));
    let reads = [
        ("/a", Ok(r#"{"id":"a","name":"Ann"}"#)),
        ("/", Ok(r#"[{"id":"a","name":"Ann"}]"#)),
        ("/a.name", Ok(r#""Ann""#)),
        ("/a.age", Err(403)),
        ("/a?select(age,name)", Ok(r#"{"name":"Ann"}"#)),
        ("/a?select(age)", Err(403)),
        ("/?name=Ann&select([id,age])", Ok(r#"[["a",null]]"#)),
        ("/?age=1", Err(403)),
        ("/?sort(age)", Err(403)),
    ];
    for (url, expected) in reads {
        let answer = match ask(&table, &who, Verb::Get, url, "").await {
            Ok(reply) => Ok(shown(reply).await),
            Err(error) => Err(error.status()),
        };
        assert_eq!(answer, expected.map(str::to_owned), "{url}");
    }
    let by_age = r#"{"conditions":[{"attribute":"age","value":1}]}"#;
    let queried = ask(&table, &who, Verb::Query, "/", by_age).await;
    assert_eq!(queried.expect_err("tells of the age").status(), 403);
    let deleted = ask(&table, &who, Verb::Delete, "/?age=1", "").await;
    assert_eq!(deleted.expect_err("tells of the age").status(), 403);
    for (verb, url, body, expected) in [
        (Verb::Put, "/a", r#"{"id":"a","name":"Bea"}"#, Ok(r#"{"id":"a","name":"Bea","age":1}"#)),
        (Verb::Patch, "/a", r#"{"name":"Cy"}"#, Ok(r#"{"id":"a","name":"Cy","age":1}"#)),
        (Verb::Put, "/a", r#"{"name":"Di","age":2}"#, Err(403)),
        (Verb::Patch, "/a", r#"{"age":2}"#, Err(403)),
        (Verb::Put, "/a", r#"{"extra":2}"#, Err(403)),
        (Verb::Put, "/b", r#"{"name":"Eve","age":5}"#, Ok(r#"{"id":"b","name":"Eve","age":5}"#)),
        (Verb::Put, "/c", r#"{"extra":5}"#, Err(403)),
    ] {
        let written = ask(&table, &who, verb, url, body).await.map_err(|error| error.status());
        assert_eq!(written.err(), expected.err(), "{verb:?} {url} {body}");
        if let Ok(expected) = expected {
            let unchecked = Arc::<Context>::default();
            let stored = ask(&table, &unchecked, Verb::Get, url, "").await.expect("is there");
            // Maps are equal whatever the order of their properties.
            let value = |text: &str| json::parse(text.as_bytes()).expect("JSON");
            let stored = value(&shown(stored).await);
            assert_eq!(stored, value(expected), "{verb:?} {url} {body}");
        }
    }
}

#[tokio::test]
async fn subscribers_see_what_they_may_read() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    fixture.put(&table, dog("a", "Ann", 1)).await;
    let connect = |who| Connect {
        target: Target::collection(),
        context: context(who),
        incoming: None,
        opens: Opens::Subscribe,
        options: StreamOptions::default(),
    };
    let refused = Arc::clone(&table).connect(connect(None)).await;
    assert_eq!(refused.err().map(|error| error.status()), Some(401));
    let blind = user(r#"{"data":{"Dog":{"insert":true,"update":true,"delete":true}}}"#);
    let refused = Arc::clone(&table).connect(connect(blind)).await;
    assert_eq!(refused.err().map(|error| error.status()), Some(403));
    let who = user(r#"{"data":{"Dog":{"read":true,"attributes":{"name":{"read":true}}}}}"#);
    let stream = Arc::clone(&table).connect(connect(who)).await.expect("may read");
    fixture.put(&table, dog("b", "Bob", 2)).await;
    let message = r#"{"id":"a","name":"said","age":9}"#;
    ask(&table, &Arc::default(), Verb::Publish, "/a", message).await.expect("publishes");
    let mut frames = stream.filter_map(|message| {
        std::future::ready(match message.expect("no failure") {
            Message::Event(frame) => Some(frame),
            Message::Position(_) => None,
            other => panic!("{other:?}"),
        })
    });
    for expected in [r#"{"name":"Ann"}"#, r#"{"name":"Bob"}"#, r#"{"name":"said"}"#] {
        let frame = frames.next().await.expect("an event");
        let value = match &frame.event.value {
            EventValue::Record(record) => Value::Object(record.to_map().expect("a record")),
            EventValue::Message(message) => message.clone(),
            EventValue::Absent => Value::Null,
        };
        assert_eq!(text(&value), expected);
    }
}

#[tokio::test]
async fn filters_do_not_tell_of_what_is_withheld() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    let filtered = |attribute: &str| {
        let who = user(r#"{"data":{"Dog":{"read":true,"attributes":{"name":{"read":true}}}}}"#);
        let filter = kora_resource::query::parse(&format!("{attribute}=1")).expect("a query");
        let options = StreamOptions { filter: Some(filter), ..StreamOptions::default() };
        let target = Target::collection();
        let context = context(who);
        let opens = Opens::Subscribe;
        Arc::clone(&table).connect(Connect { target, context, incoming: None, opens, options })
    };
    let refused = filtered("age").await;
    assert_eq!(refused.err().map(|error| error.status()), Some(403));
    assert!(filtered("name").await.is_ok());
}
