use futures_util::StreamExt;
use kora_resource::{
    Call, Connect, EventKind, Item, Message, Opens, Reply, ReplyBody, Resource, StreamOptions,
    Target, Verb,
};

use super::*;

async fn call(
    table: &Arc<Table>,
    verb: Verb,
    url: &str,
    body: Option<Value>,
) -> kora_resource::Result<Reply> {
    let target = Target::parse(url, Some(&table.schema()))?;
    Arc::clone(table).call(Call { verb, target, body, context: Arc::default() }).await
}

async fn value(table: &Arc<Table>, url: &str) -> Option<Value> {
    let reply = call(table, Verb::Get, url, None).await.expect(url);
    match reply.body {
        ReplyBody::Absent => None,
        ReplyBody::Value(value) => Some(value),
        ReplyBody::Record(record) => {
            assert_eq!(reply.version, Some(record.version()));
            Some(Value::Object(record.to_map().expect("decodes")))
        }
        ReplyBody::Items(items) => Some(Value::Array(
            items
                .map(|item| match item.expect("an item") {
                    Item::Record(record) => Value::Object(record.to_map().expect("decodes")),
                    Item::Value(value) => value,
                })
                .collect()
                .await,
        )),
        ReplyBody::Raw { .. } | ReplyBody::Stream { .. } => panic!("a table has no raw replies"),
    }
}

#[tokio::test]
async fn verbs_on_records_and_collections() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    let body = |map: Map| Some(Value::Object(map));
    // The id in the URL is the key that is written.
    let reply = call(&table, Verb::Put, "/1", body(dog("other", "a", 1))).await.expect("puts");
    assert!(matches!(reply.body, ReplyBody::Absent));
    assert_eq!(value(&table, "/1").await, body(dog("1", "a", 1)));
    assert_eq!(value(&table, "/1.name").await, Some("a".into()));
    assert_eq!(value(&table, "/1.note").await, None);
    assert_eq!(value(&table, "/1?select(age)").await, Some(1.into()));
    assert_eq!(value(&table, "/2").await, None);
    call(&table, Verb::Patch, "/1", body(map([("age", 2.into())]))).await.expect("patches");
    call(&table, Verb::Patch, "/2", body(map([("age", 5.into())]))).await.expect("makes it");
    assert_eq!(
        value(&table, "/?age=gt=1&select(id)").await,
        Some(vec!["1".into(), "2".into()].into())
    );
    assert_eq!(value(&table, "?age=5&select(id)").await, Some(vec!["2".into()].into()));

    let reply = call(&table, Verb::Post, "/", body(map([("name", "new".into())]))).await;
    let reply = reply.expect("creates");
    let created = reply.created.expect("an id");
    assert!(matches!(reply.body, ReplyBody::Value(value) if value == created.to_value()));
    assert!(table.get(&created).expect("reads").is_some());
    let again = call(&table, Verb::Post, "/", body(dog("1", "b", 1))).await.expect_err("is there");
    assert_eq!((again.status(), &*again.message), (409, "Record already exists"));
    let error = call(&table, Verb::Post, "/1", body(map([]))).await.expect_err("not here");
    assert_eq!(error.status(), 405);

    let many = vec![Value::Object(dog("x/1", "x", 1)), Value::Object(dog("x/2", "x", 2))];
    let reply = call(&table, Verb::Put, "/", Some(many.into())).await.expect("puts");
    assert!(matches!(reply.body, ReplyBody::Value(Value::Array(nulls)) if nulls.len() == 2));
    assert_eq!(
        value(&table, "/x/?select(id)").await,
        Some(vec!["x/1".into(), "x/2".into()].into())
    );

    let query = map([
        (
            "conditions",
            Value::Array(vec![Value::Object(map([
                ("attribute", "age".into()),
                ("comparator", "equals".into()),
                ("value", 2.into()),
            ]))]),
        ),
        ("select", vec![Value::from("id")].into()),
    ]);
    let reply = call(&table, Verb::Query, "/", body(query)).await.expect("queries");
    let ReplyBody::Items(items) = reply.body else { panic!("a list") };
    assert_eq!(items.count().await, 2);

    for url in ["/1", "/1", "/?age=5"] {
        let reply = call(&table, Verb::Delete, url, None).await.expect(url);
        assert!(matches!(reply.body, ReplyBody::Value(Value::Bool(true))));
    }
    assert_eq!((value(&table, "/1").await, value(&table, "/2").await), (None, None));
    call(&table, Verb::Delete, "/x/", None).await.expect("deletes");
    assert_eq!(value(&table, "/?select(name)").await, Some(vec!["new".into()].into()));
    call(&table, Verb::Delete, "/", None).await.expect("deletes");
    assert_eq!(value(&table, "/").await, Some(Value::Array(vec![])));
}

#[tokio::test]
async fn the_table_describes_itself() {
    let fixture = Fixture::new();
    let table = fixture.table("type T @table { id: ID @primaryKey n: Int! @indexed }");
    let description = value(&table, "").await.expect("a description");
    assert_eq!(description.get("name"), Some(&"T".into()));
    assert_eq!(description.get("database"), Some(&"data".into()));
    let Some(Value::Array(attributes)) = description.get("attributes") else { panic!("a list") };
    assert_eq!(attributes[0].get("isPrimaryKey"), Some(&true.into()));
    assert_eq!(attributes[1].get("type"), Some(&"Int".into()));
    assert_eq!(attributes[1].get("indexed"), Some(&true.into()));
}

#[tokio::test]
async fn bodies_that_are_no_records_are_refused() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    for (verb, url, body) in [
        (Verb::Put, "/1", None),
        (Verb::Put, "/1", Some(Value::Int(1))),
        (Verb::Put, "/", Some(Value::Object(map([])))),
        (Verb::Put, "/", Some(Value::Array(vec![Value::Int(1)]))),
        (Verb::Put, "/a/", Some(Value::Object(dog("1", "a", 1)))),
        (Verb::Patch, "/", Some(Value::Object(map([])))),
        (Verb::Post, "/", Some(Value::from("x"))),
    ] {
        let error = call(&table, verb, url, body.clone()).await.err();
        assert_eq!(error.map(|e| e.status()), Some(400), "{verb:?} {url} {body:?}");
    }
}

#[tokio::test]
async fn connecting_is_subscribing() {
    let fixture = Fixture::new();
    let table = fixture.table(DOG);
    fixture.put(&table, dog("1", "a", 1)).await;
    let connect = Connect {
        target: Target::collection(),
        context: Arc::default(),
        incoming: None,
        opens: Opens::Connect,
        options: StreamOptions::default(),
    };
    let mut outgoing = Arc::clone(&table).connect(connect).await.expect("connects");
    call(&table, Verb::Publish, "/1", Some("hello".into())).await.expect("publishes");
    let mut kinds = Vec::new();
    while kinds.len() < 2 {
        match outgoing.next().await.expect("goes on").expect("a message") {
            Message::Event(frame) => kinds.push(frame.event.kind),
            Message::Position(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(kinds, [EventKind::Put, EventKind::Message]);
}
