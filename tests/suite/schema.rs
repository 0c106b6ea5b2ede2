//! Schemas, validation and changes of schemas over HTTP (`spec/harper-schema.md` sections 1 to 5, 10).

mod directives;
mod malformed;
mod types;

use serde_json::json;

use crate::harness::App;
use crate::harness::cases::{CONFIG, check};

const SCHEMA: (&str, &str) = (
    "schema.graphql",
    r#""""All types"""
type All @table @export {
  id: ID @primaryKey
  string: String
  int: Int
  long: Long
  big: BigInt
  float: Float
  boolean: Boolean
  date: Date
  bytes: Bytes
  any: Any
  list: [Int!]
  needed: String!
  home: Home
  closed: Closed
  odd: Bool
  free: Object
  json: JSON
  color: Color
}
type Home { city: String! zip: Int }
type Closed @sealed { a: Int }
enum Color { red green }
scalar JSON
input New { a: Int }
union Both = All | Home
type Query { all: [All] }
type Mutation { add(a: New): All }
type Sealed @table @export @sealed { id: ID @primaryKey a: Int }
type Times @table @export { id: ID @primaryKey made: Date @createdTime changed: Float @updatedTime text: String @updatedTime }
type Numbered @table @export { id: Int @primaryKey n: Int }
type Keyless @table @export { n: Int }
type Empty @table @export {}
type Same @table(database: "one") @export(name: "one/same") { id: ID @primaryKey a: Int }
type Same @table(database: "two") @export(name: "two/same") { id: ID @primaryKey b: Int }
type Named @table(table: "other_name") @export(name: "/api/v1/", ws: false, sse: false, mqtt: false) { id: ID @primaryKey }
type Unseen @table @export(rest: false) { id: ID @primaryKey }
type Ending @table @export { id: ID @primaryKey until: Date @expiresAt }
type Roles @table(audit: false, replicate: false, eviction: 10) @export @hidden { id: ID @primaryKey a: Int @allow(role: ["x"]) @hidden b: [Float] @embed(source: "a", model: "m") }
"#,
);

const REQUIRED: &str = "is required (and not does not allow null values)";

#[tokio::test]
async fn validation_texts_and_coercions() {
    let app = App::new(&[CONFIG, SCHEMA]);
    let server = app.run();
    let refused =
        |body: &'static str, message: String| ("PUT", "/All/1", body, 400, json!(message));
    let wrong = |value: &str, property: &str, what: &str| {
        format!("Value {value} in property {property} must be {what}")
    };
    check(
        &server,
        &[
            refused(r#"{}"#, format!("Property needed {REQUIRED}")),
            refused(r#"{"needed":null}"#, format!("Property needed {REQUIRED}")),
            refused(r#"{"needed":"x","string":5}"#, wrong("5", "string", "a string")),
            refused(r#"{"needed":"x","int":"5"}"#, wrong("\"5\"", "int", "an integer (from -2147483648 to 2147483647)")),
            refused(r#"{"needed":"x","int":2147483648}"#, wrong("2147483648", "int", "an integer (from -2147483648 to 2147483647)")),
            refused(r#"{"needed":"x","long":1.5}"#, wrong("1.5", "long", "an integer (from -9007199254740992 to 9007199254740992)")),
            refused(r#"{"needed":"x","big":"y"}"#, wrong("\"y\"", "big", "a bigint")),
            refused(r#"{"needed":"x","float":"1"}"#, wrong("\"1\"", "float", "a number")),
            refused(r#"{"needed":"x","boolean":1}"#, wrong("1", "boolean", "a boolean")),
            refused(r#"{"needed":"x","date":"soon"}"#, wrong("\"soon\"", "date", "a Date")),
            refused(r#"{"needed":"x","bytes":5}"#, wrong("5", "bytes", "a Buffer or Uint8Array")),
            refused(r#"{"needed":"x","list":1}"#, wrong("1", "list", "an Array")),
            refused(r#"{"needed":"x","list":["a"]}"#, wrong("\"a\"", "list[*]", "an integer (from -2147483648 to 2147483647)")),
            refused(r#"{"needed":"x","list":[null]}"#, format!("Property list[*] {REQUIRED}")),
            refused(r#"{"needed":"x","home":5}"#, wrong("5", "home", "an object (Home)")),
            refused(r#"{"needed":"x","home":{}}"#, format!("Property home.city {REQUIRED}")),
            refused(r#"{"needed":"x","closed":{"b":1}}"#, "Property b is not allowed within object in property closed".into()),
            refused(r#"{"needed":5,"int":"x"}"#, [wrong("\"x\"", "int", "an integer (from -2147483648 to 2147483647)"), wrong("5", "needed", "a string")].join(". ")),
            ("PUT", "/All/1", r#"{"needed":"x","string":"s","int":1,"long":9007199254740992,"big":12345678901234567890,"float":1.5,"boolean":true,"date":"2024-01-05","any":[1],"list":[1],"home":{"city":"Oslo","more":1},"closed":{"a":1},"odd":1,"free":{},"json":[],"color":"blue","extra":1}"#, 204, json!(null)),
            ("GET", "/All/1?select([int,long,float,date,home,odd,extra])", "", 200, json!([1, 9007199254740992i64, 1.5, "2024-01-05T00:00:00.000Z", {"city": "Oslo", "more": 1}, 1, 1])),
            ("PATCH", "/All/1", r#"{"needed":null}"#, 400, json!(format!("Property needed {REQUIRED}"))),
            ("PATCH", "/All/1", r#"{"int":null}"#, 204, json!(null)),
            ("PUT", "/Sealed/1", r#"{"a":1}"#, 204, json!(null)),
            ("PUT", "/Sealed/1", r#"{"a":1,"b":2}"#, 400, json!("Property b is not allowed")),
            ("GET", "/All/?extra=1", "", 404, json!("extra is not a defined attribute")),
            ("PUT", "/one/same/1", r#"{"a":1}"#, 204, json!(null)),
            ("GET", "/two/same/", "", 200, json!([])),
            ("PUT", "/two/same/1", r#"{"b":1}"#, 204, json!(null)),
            ("GET", "/one/same/1", "", 200, json!({"id": "1", "a": 1})),
            ("PUT", "/api/v1/1", "{}", 204, json!(null)),
            ("GET", "/api/v1/1", "", 200, json!({"id": "1"})),
            ("PUT", "/Empty/1", r#"{"x":1}"#, 204, json!(null)),
            ("GET", "/Empty/1", "", 200, json!({"id": 1, "x": 1})),
            ("PUT", "/Ending/1", r#"{"until":"2000-01-01"}"#, 204, json!(null)),
            ("PUT", "/Ending/2", r#"{"until":"2999-01-01"}"#, 204, json!(null)),
            ("GET", "/Ending/?select(id)", "", 200, json!(["2"])),
            ("PUT", "/Roles/1", r#"{"a":1}"#, 204, json!(null)),
        ],
    )
    .await;
    server.get("/Unseen/").await.expect(404);
    let at = &server;
    let times = |body| async move {
        at.put("/Times/1", body).await.expect(204);
        at.get("/Times/1").await.expect(200).json()
    };
    let first = times("{}").await;
    let second = times(r#"{"made":"1990-01-01","changed":5}"#).await;
    assert_eq!(first["made"], second["made"], "kept by later puts, whatever they say");
    assert!(second["changed"].as_f64() > first["changed"].as_f64());
    assert!(first["text"].as_str().is_some_and(|text| text.ends_with('Z')), "{first}");
    let id = |answer: crate::harness::client::Answer| answer.expect(201).json().as_i64().unwrap();
    let headers = [crate::harness::client::JSON];
    let one = id(server.send("POST", "/Numbered/", &headers, "{}").await);
    let two = id(server.send("POST", "/Numbered/", &headers, "{}").await);
    assert_eq!(two, one + 1);
    id(server.send("POST", "/Keyless/", &headers, "{}").await);
}

#[tokio::test]
async fn schemas_change_without_losing_data() {
    let v1 = "type Dog @table @export { id: ID @primaryKey name: String age: Int }";
    let app = App::new(&[CONFIG, ("schema.graphql", v1)]);
    let server = app.dev();
    let dogs: Vec<_> = (0..300)
        .map(|n| json!({"id": format!("{n:03}"), "name": format!("n{}", n % 3), "age": n}))
        .collect();
    server.put("/Dog/", &json!(dogs).to_string()).await.expect(200);
    // An index, a relationship and another attribute more.
    app.write("schema.graphql", "type Dog @table @export { id: ID @primaryKey name: String @indexed age: Int motherId: ID mother: Dog @relationship(from: motherId) }");
    server.until("/Dog/?mother.name=x", |answer| answer.status == 200).await;
    let found =
        server.until("/Dog/?name=n1&select(id)&limit(2)", |answer| answer.status == 200).await;
    assert_eq!(found.json(), json!(["001", "004"]));
    server
        .send("PATCH", "/Dog/005", &[crate::harness::client::JSON], r#"{"motherId":"001"}"#)
        .await
        .expect(204);
    assert_eq!(
        server.get("/Dog/?mother.name=n1&select(id)").await.expect(200).json(),
        json!(["005"])
    );
    // An attribute less: its data stays.
    app.write(
        "schema.graphql",
        "type Dog @table @export { id: ID @primaryKey name: String @indexed }",
    );
    server.until("/Dog/?age=5", |answer| answer.status == 404).await;
    assert_eq!(server.get("/Dog/005").await.expect(200).json()["age"], json!(5));
    // A type that the records do not fit: refused, the old schema goes on.
    app.write(
        "schema.graphql",
        "type Dog @table @export { id: ID @primaryKey name: Int @indexed }",
    );
    server.stderr.wait_for("To migrate");
    assert_eq!(
        server.get("/Dog/?name=n1&limit(1)&select(id)").await.expect(200).json(),
        json!(["001"])
    );
}
