//! The directives of types and fields, over HTTP and from a class (`spec/harper-schema.md` sections 2,
//! 3 and 7; `spec/harper-rest.md` section 1).

use serde_json::{Value, json};

use crate::harness::App;
use crate::harness::cases::{CONFIG, PROBE, check};
use crate::harness::client::JSON;

const SCHEMA: (&str, &str) = (
    "schema.graphql",
    r#"type Split @table @export @splitSegments { id: Any @primaryKey n: Int }
type SplitToo @table(splitSegments: true) @export { id: [ID] @primaryKey n: Int }
type Root @table @export(name: "") { id: ID @primaryKey n: Int }
type Deep @table(schema: "old", table: deeper) @export(name: "api/v2/deep") { id: ID @primaryKey }
type Kept @table(expiration: 0.05, scanInterval: 3600) @export { id: ID @primaryKey }
type Swept @table(expiration: 0.05, eviction: 0, scanInterval: 0.1) @export { id: ID @primaryKey }
type Times @table @export {
  id: ID @primaryKey
  asDate: Date @createdTime
  asText: String @createdTime
  asNumber: Float @createdTime
  __updatedtime__: Float
}
type Sum @table @export {
  id: ID @primaryKey
  a: Int
  twice: Int @computed(from: "a * 2", version: VERSION) @indexed
  shown: Int @computed(from: "a + 1") @enumerable
}
type Unexported @table { id: ID @primaryKey }
type Loose @table @export { id: ID @primaryKey in: Inner }
type Inner @sealed { a: Int }
"#,
);

const CODE: (&str, &str) = (
    "resources/code.ts",
    "import { Resource, databases, tables } from 'harperdb';
// A source that answers once: what is shown of it later is what is still stored.
const once = () => {
  let asked = false;
  return {
    get() {
      if (asked) throw Object.assign(new Error('down'), { statusCode: 503 });
      asked = true;
      return {};
    },
  };
};
tables.Kept.sourcedFrom(once());
tables.Swept.sourcedFrom(once());
export class Keys extends Resource {
  static loadAsInstance = false;
  async post(_target: any, data: any) {
    await tables.Split.put({ id: data.id, n: 9 });
    return [(await tables.Split.get(data.id)).n, typeof databases.old.deeper, typeof tables.Unexported];
  }
}
export class Splits extends tables.Split {
  static loadAsInstance = false;
  get(target: any) { return { id: target.id, isCollection: target.isCollection ?? false }; }
}
",
);

fn schema(version: u32) -> String {
    SCHEMA.1.replace("VERSION", &version.to_string())
}

#[tokio::test]
async fn of_types_and_fields() {
    let app = App::new(&[CONFIG, ("schema.graphql", &schema(1)), PROBE, CODE]);
    let server = app.run_on(1);
    let get = |path, expected| ("GET", path, "", 200, expected);
    let done = |method, path, body| (method, path, body, 204, Value::Null);
    check(
        &server,
        &[
            // @splitSegments: the segments are the parts of the key.
            done("PUT", "/Split/a/b", r#"{"n":1}"#),
            done("PUT", "/Split/a/5", r#"{"n":2}"#),
            done("PUT", "/Split/a", r#"{"n":3}"#),
            done("PUT", "/Split/ab/c", r#"{"n":4}"#),
            done("PUT", "/Split/a%2Fb", r#"{"n":5}"#),
            get("/Split/a/b", json!({"id": ["a", "b"], "n": 1})),
            get("/Split/a/5", json!({"id": ["a", 5], "n": 2})),
            get("/Split/a", json!({"id": "a", "n": 3})),
            get("/Split/a%2Fb", json!({"id": "a/b", "n": 5})),
            get("/Split/a/5.n", json!(2)),
            get("/Split/a/?select(n)", json!([2, 1])),
            get("/Split/a/?n=1&select(n)", json!([1])),
            get("/Splits/a/b", json!({"id": ["a", "b"], "isCollection": false})),
            get("/Splits/a/", json!({"id": ["a"], "isCollection": true})),
            ("POST", "/Keys/", r#"{"id":["x","y"]}"#, 200, json!([9, "function", "function"])),
            get("/Split/x/y.n", json!(9)),
            ("POST", "/Split/", r#"{"id":["p","q"],"n":6}"#, 201, json!(["p", "q"])),
            get("/Split/p/q.n", json!(6)),
            ("DELETE", "/Split/a/b", "", 200, json!(true)),
            ("GET", "/Split/a/b", "", 404, Value::Null),
            done("PUT", "/SplitToo/a/b", r#"{"n":1}"#),
            get("/SplitToo/a/b.n", json!(1)),
            // @export(name: ""): what no other path takes.
            done("PUT", "/anything", r#"{"n":1}"#),
            get("/anything", json!({"id": "anything", "n": 1})),
            get("/", json!([{"id": "anything", "n": 1}])),
            get("/?n=1&select(id)", json!(["anything"])),
            get("/anything.n", json!(1)),
            ("GET", "/nothing", "", 404, Value::Null),
            // @table(schema:) is the old name of the database; a path has any number of parts.
            done("PUT", "/api/v2/deep/1", "{}"),
            get("/api/v2/deep/", json!([{"id": "1"}])),
            // @sealed on a nested type.
            (
                "PUT",
                "/Loose/1",
                r#"{"in":{"b":1}}"#,
                400,
                json!("Property b is not allowed within object in property in"),
            ),
            done("PUT", "/Loose/1", r#"{"in":{"a":1},"b":1}"#),
            // @computed, by index and shown.
            done("PUT", "/Sum/1", r#"{"a":4}"#),
            get("/Sum/?twice=8", json!([{"id": "1", "a": 4, "shown": 5}])),
            (
                "PUT",
                "/Sum/1",
                r#"{"twice":4}"#,
                400,
                json!("Computed property twice may not be directly assigned a value"),
            ),
        ],
    )
    .await;
    let description = server.get("/api/v2/deep").await.expect(200).json();
    assert_eq!((&description["name"], &description["database"]), (&json!("deeper"), &json!("old")));
    times(&server).await;
    // What is over is gone for readers at once, and from the disk when it is looked for.
    for table in ["Kept", "Swept"] {
        server.get(&format!("/{table}/1")).await.expect(200);
        server.until(&format!("/{table}/1"), |answer| answer.status == 503).await;
        assert_eq!(server.get(&format!("/{table}/")).await.expect(200).json(), json!([]));
    }
    let stale = [("cache-control", "stale-if-error")];
    while server.send("GET", "/Swept/1", &stale, "").await.status == 200 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    server.send("GET", "/Kept/1", &stale, "").await.expect(200);
    drop(server);
    // Another version of a computed attribute builds its index anew.
    app.write("schema.graphql", &schema(2));
    let server = app.run();
    let found = server.until("/Sum/?twice=8&select(a)", |answer| answer.status == 200).await;
    assert_eq!(found.json(), json!([4]));
}

/// Assigned times have the form of their type, are the transaction's, and are never the client's.
async fn times(server: &crate::harness::Server) {
    server.put("/Times/1", r#"{"asNumber":5,"__updatedtime__":5}"#).await.expect(204);
    let first = server.get("/Times/1").await.expect(200).json();
    assert!(first["asDate"].as_str().is_some_and(|text| text.ends_with('Z')), "{first}");
    assert_eq!(first["asDate"], first["asText"]);
    assert_eq!(first["asNumber"], first["__updatedtime__"]);
    assert!(first["asNumber"].as_f64() > Some(1.6e12), "{first}");
    server.send("PATCH", "/Times/1", &[JSON], r#"{"asNumber":5}"#).await.expect(204);
    let second = server.get("/Times/1").await.expect(200).json();
    assert_eq!(first["asNumber"], second["asNumber"]);
    assert!(second["__updatedtime__"].as_f64() > first["__updatedtime__"].as_f64());
}
