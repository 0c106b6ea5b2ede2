//! The rows of the tables of `spec/harper-rest.md` sections 1, 2 and 5 that have no test of their own:
//! keys by type, methods, headers; of tables and of classes that hand on to them.

use serde_json::{Value, json};

use crate::harness::App;
use crate::harness::cases::{CONFIG, check};
use crate::harness::client::JSON;

const SCHEMA: (&str, &str) = (
    "schema.graphql",
    "type ByInt @table @export { id: Int @primaryKey n: Int }
type ByLong @table @export { id: Long @primaryKey n: Int }
type ByFloat @table @export { id: Float @primaryKey n: Int }
type ByBig @table @export { id: BigInt @primaryKey n: Int }
type ByBoolean @table @export { id: Boolean @primaryKey n: Int }
type ByDate @table @export { id: Date @primaryKey n: Int }
type ByAny @table @export { id: Any @primaryKey n: Int }
type Bare @table @export { n: Int }
type Dog @table @export { id: ID @primaryKey name: String @indexed n: Int home: Any count: Int }
",
);

/// A class over the table that changes nothing, and one that hands everything on.
const CLASSES: (&str, &str) = (
    "resources/over.ts",
    "import { Resource, tables } from 'harperdb';
export class Over extends tables.Dog {}
export class Handed extends Resource {
  static loadAsInstance = false;
  get(target: any) { return tables.Dog.get(target); }
  put(target: any, data: any) { return tables.Dog.put(target, data); }
  patch(target: any, data: any) { return tables.Dog.patch(target, data); }
  delete(target: any) { return tables.Dog.delete(target); }
}
export class OverKeys extends tables.ByInt {}
",
);

#[tokio::test]
async fn keys_have_the_type_of_the_primary_key() {
    let app = App::new(&[CONFIG, SCHEMA, CLASSES]);
    let server = app.run();
    let put = |path| ("PUT", path, r#"{"n":1}"#, 204, Value::Null);
    let get = |path, id| ("GET", path, "", 200, json!({"id": id, "n": 1}));
    let refused = |path, value: &str, ty: &str| {
        let text = format!("Invalid value for attribute id: \"{value}\", expecting {ty}");
        ("GET", path, "", 400, json!(text))
    };
    check(
        &server,
        &[
            put("/ByInt/$z"),
            get("/ByInt/35", json!(35)),
            put("/ByInt/-7"),
            get("/ByInt/-7", json!(-7)),
            ("GET", "/ByInt/35.n", "", 200, json!(1)),
            refused("/ByInt/x", "x", "Int"),
            refused("/ByInt/1.5", "1.5", "Int"),
            refused("/ByInt/2147483648", "2147483648", "Int"),
            get("/OverKeys/$z", json!(35)),
            refused("/OverKeys/x", "x", "Int"),
            put("/ByLong/9007199254740992"),
            get("/ByLong/9007199254740992", json!(9_007_199_254_740_992_i64)),
            refused("/ByLong/9007199254740993", "9007199254740993", "Long"),
            put("/ByFloat/1.5"),
            get("/ByFloat/1.5", json!(1.5)),
            refused("/ByFloat/one", "one", "Float"),
            put("/ByBig/12345678901234567890"),
            get("/ByBig/12345678901234567890", json!(12_345_678_901_234_567_890_u64)),
            put("/ByBig/5"),
            get("/ByBig/5", json!(5)),
            refused("/ByBig/x", "x", "BigInt"),
            put("/ByBoolean/true"),
            get("/ByBoolean/true", json!(true)),
            refused("/ByBoolean/yes", "yes", "Boolean"),
            put("/ByDate/2024-01-05"),
            get("/ByDate/1704412800000", json!("2024-01-05T00:00:00.000Z")),
            refused("/ByDate/soon", "soon", "Date"),
            put("/ByAny/5"),
            get("/ByAny/5", json!(5)),
            put("/ByAny/007"),
            get("/ByAny/007", json!("007")),
            put("/ByAny/false"),
            get("/ByAny/false", json!(false)),
            ("GET", "/ByAny/?select(id)", "", 200, json!([false, 5, "007"])),
            put("/Bare/x"),
            get("/Bare/x", json!("x")),
        ],
    )
    .await;
    let longest = "x".repeat(1900);
    server.put(&format!("/Dog/{longest}"), "{}").await.expect(204);
    for path in ["/Dog", "/Over", "/Handed"] {
        server.get(&format!("{path}/{longest}")).await.expect(200);
        server.get(&format!("{path}/{}", "x".repeat(2000))).await.expect(400);
    }
}

#[tokio::test]
async fn methods_of_tables_and_of_classes_over_them() {
    let app = App::new(&[CONFIG, SCHEMA, CLASSES]);
    let server = app.run();
    for base in ["/Dog", "/Over", "/Handed"] {
        let (one, two, all) = (format!("{base}/1"), format!("{base}/2"), format!("{base}/"));
        let by_name = format!("{base}/?name=B");
        let bare = format!("{base}?name=A");
        let part = format!("{base}/1?select(name)");
        check(
            &server,
            &[
                ("PUT", &one, r#"{"name":"A","n":1,"home":{"a":1,"b":2}}"#, 204, Value::Null),
                // The key of the URL is the one that is written.
                ("PUT", &two, r#"{"id":"9","name":"B"}"#, 204, Value::Null),
                ("GET", &two, "", 200, json!({"id": "2", "name": "B"})),
                // Shallow: nested objects are replaced, dotted names are names, increments are done.
                ("PATCH", &one, r#"{"home":{"c":3},"a.b":4,"count":{"__op__":"add","value":2}}"#, 204, Value::Null),
                ("PATCH", &one, r#"{"count":{"__op__":"add","value":3},"n":null}"#, 204, Value::Null),
                ("GET", &one, "", 200, json!({"id": "1", "name": "A", "n": null, "home": {"c": 3}, "count": 5, "a.b": 4})),
                ("GET", &part, "", 200, json!("A")),
                ("GET", &bare, "", 200, json!([{"id": "1", "name": "A", "n": null, "home": {"c": 3}, "count": 5, "a.b": 4}])),
                ("DELETE", &by_name, "", 200, json!(true)),
                ("GET", &two, "", 404, Value::Null),
                ("GET", &one, "", 200, json!({"id": "1", "name": "A", "n": null, "home": {"c": 3}, "count": 5, "a.b": 4})),
                ("DELETE", &two, "", 200, json!(true)),
                // A collection without a query is all of it.
                ("DELETE", &all, "", 200, json!(true)),
                ("GET", &all, "", 200, json!([])),
            ],
        )
        .await;
        server.send("PUT", &one, &[JSON], "").await.expect(400);
        server.get(&one).await.expect(404);
    }
    for (path, method) in [("/Over/1", "MOVE"), ("/Handed/1", "POST"), ("/Dog/1", "COPY")] {
        let headers = [JSON, ("destination", "/x")];
        let answer = server.send(method, path, &headers, "{}").await.expect(405);
        let title = answer.json()["title"].as_str().unwrap().to_owned();
        assert!(title.ends_with(&format!("to handle HTTP method {method}")), "{title}");
        assert!(answer.header("allow").is_some(), "{path}");
    }
    let described = server.get("/Dog").await.expect(200).json();
    assert_eq!(
        described["attributes"][0],
        json!({"name": "id", "type": "ID", "isPrimaryKey": true})
    );
    assert_eq!(
        described["attributes"][1],
        json!({"name": "name", "type": "String", "indexed": true})
    );
    assert!(described.get("recordCount").is_none(), "{described}");
}

#[tokio::test]
async fn tags_are_versions_and_conditions_are_exact() {
    let app = App::new(&[CONFIG, SCHEMA, CLASSES]);
    let server = app.run();
    server.put("/Dog/1", r#"{"name":"A"}"#).await.expect(204);
    let shown = server.get("/Dog/1?select($updatedtime)").await.expect(200).json();
    let mut last = 0.0;
    for base in ["/Dog/1", "/Over/1", "/Handed/1"] {
        let answer = server.get(base).await.expect(200);
        let tag = answer.header("etag").unwrap().to_owned();
        assert_eq!(Some(decoded(&tag)), shown.as_f64(), "{base}");
        for (condition, status) in [
            (tag.clone(), 304),
            (format!("W/{tag}"), 200),
            (format!("{tag}, \"other\""), 200),
            ("*".to_owned(), 200),
        ] {
            let headers = [("if-none-match", condition.as_str())];
            let answer = server.send("GET", base, &headers, "").await.expect(status);
            assert_eq!(answer.body.is_empty(), status == 304, "{base} {condition}");
        }
        last = decoded(&tag);
    }
    server.put("/Dog/1", r#"{"name":"A"}"#).await.expect(204);
    let next = decoded(server.get("/Dog/1").await.header("etag").unwrap());
    assert!(next > last, "{next} after {last}");
    let answer = server.get("/Dog/1").await;
    assert_eq!(answer.header("vary"), Some("Accept, Accept-Encoding"));
    assert!(answer.header("server").is_none());
}

/// The double that a tag's characters hold, as section 5.1 says: the two highest bits, which are the
/// same for all times of our days, have no room in it.
fn decoded(tag: &str) -> f64 {
    let v: Vec<u64> = tag.trim_matches('"').bytes().map(|byte| u64::from(byte) - 62).collect();
    let group = |at: usize| v[at] | v[at + 1] << 6 | v[at + 2] << 12 | v[at + 3] << 18;
    f64::from_bits(group(0) | group(4) << 24 | (v[8] | v[9] << 6) << 48 | 1 << 62)
}
