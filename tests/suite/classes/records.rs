//! Records that change: `update`, tracked properties, increments (section 9).

use serde_json::{Value, json};

use super::{ask, check, check_named, serve};

#[tokio::test]
async fn records_are_changed_by_assignments() {
    let (_app, server) = serve(include_str!("records.ts")).await;
    let integers = |name: &str, value: &str| {
        json!([400, format!("{name} must be an integer, attempt to assign {value}")])
    };
    let wrong = |name: &str, what: &str, value: &str| {
        json!([400, format!("{name} must be {what}, attempt to assign {value}")])
    };
    check_named(
        &server,
        "/Records/",
        vec![
            (
                "update",
                json!(["Updated", 2, "X",
                    {"id": "u1", "name": "Updated", "age": 2, "breed": "X"}]),
            ),
            ("updateWithChanges", json!([5, 5, 5])),
            ("updateOutside", json!([3, 10])),
            (
                "updateInTransaction",
                json!([{"id": "u3", "name": "New", "age": 3}, {"id": "u3", "name": "New", "age": 3}]),
            ),
            ("aborted", json!([[418, "no"], null])),
            (
                "nested",
                json!([1, {"list": [1, 2], "deep": {"a": {"b": 2}}, "same": {"x": 1}}, [1, 2, 3]]),
            ),
            ("nestedUntouched", json!([null, {"any": {"a": [1, 2]}}])),
            ("dates", json!([[true, "bigint"], "2024-01-02T03:04:05.000Z", "5"])),
            ("rounding", json!([2, -2, [2, -2]])),
            (
                "types",
                json!([
                    integers("int", "\"1\""),
                    integers("int", "2147483648"),
                    integers("long", "an object"),
                    wrong("float", "a number", "\"1\""),
                    wrong("text", "a string", "1"),
                    wrong("flag", "a boolean", "1"),
                    wrong("at", "a Date", "\"soon\""),
                    wrong("big", "a BigInt", "\"x\""),
                    wrong("list", "an array", "1"),
                    [400, "The primary key of a record can not be changed"],
                ]),
            ),
            (
                "sealed",
                json!([[400, "Property extra is not allowed"], [400, "Property extra is not allowed"]]),
            ),
            (
                "undeclared",
                json!(["red", null,
                    {"id": "x1", "name": "X", "colour": "red", "tags": ["a", "b"], "size": 3},
                    {"id": "x1", "name": "X", "colour": "red", "tags": ["a", "b"], "size": 3}]),
            ),
            ("deleted", json!([null, {"id": "x2", "name": "X"}])),
            (
                "increments",
                json!([7, {"id": 2, "n": 7, "fresh": 1}, {"id": 3, "n": -4}]),
            ),
            (
                "incrementsAreNumbers",
                json!(vec![[json!(400), json!("Can not add or subtract a non-numeric value")]; 3]),
            ),
            ("crdt", json!([7, 7])),
            (
                "members",
                json!(["m1", true, "number", null, false, null, true, {"id": "m1", "name": "M"},
                    "local", true, 501, false]),
            ),
            ("validate", json!([["returned", null], 400, 400])),
            ("wrongUpdate", json!([400, 400])),
        ],
    )
    .await;
    server.get("/Records/unchanged").await.expect(404);
}

#[tokio::test]
async fn instances_save_what_they_are_told_to() {
    let (_app, server) = serve(include_str!("records.ts")).await;
    let shown = json!({"id": "a", "name": "Ann", "age": 1, "breed": "Pug", "shown": 2});
    let seen = json!({"id": "c", "name": "Cy", "age": 3, "breed": "Pug", "seen": true});
    check(
        &server,
        vec![
            ("GET", "/Assigning/a", "", 200, shown),
            ("GET", "/Dog/a", "", 200, json!({"id": "a", "name": "Ann", "age": 1, "breed": "Pug"})),
            ("GET", "/Assigning/none", "", 404, Value::Null),
            ("POST", "/Assigning/a", r#"{"name":"Posted"}"#, 200, json!("Posted")),
            (
                "GET",
                "/Dog/a",
                "",
                200,
                json!({"id": "a", "name": "Posted", "age": 1, "breed": "Pug", "posted": true}),
            ),
            ("PUT", "/Assigning/b", r#"{"name":"Put"}"#, 204, Value::Null),
            ("GET", "/Dog/b", "", 200, json!({"id": "b", "name": "Put"})),
            ("PATCH", "/Assigning/b", r#"{"age":4}"#, 204, Value::Null),
            ("GET", "/Dog/b", "", 200, json!({"id": "b", "name": "Put", "age": 8})),
            ("DELETE", "/Assigning/b", "", 200, json!(true)),
            ("GET", "/Dog/b", "", 404, Value::Null),
            ("GET", "/Mutable/c", "", 200, seen),
            ("GET", "/Dog/c", "", 200, json!({"id": "c", "name": "Cy", "age": 3, "breed": "Pug"})),
            ("POST", "/Counter/7", r#"{"by":3}"#, 200, json!("added")),
            ("POST", "/Counter/7", r#"{"by":2}"#, 200, json!("added")),
            ("GET", "/Counter/7", "", 200, json!({"id": 7, "n": 5})),
        ],
    )
    .await;
}

/// Nobody who only adds looks at the number: none is refused, none is run twice.
#[tokio::test]
async fn increments_conflict_with_nobody() {
    let (_app, server) = serve(include_str!("records.ts")).await;
    let requests = (0..30).map(|_| ask(&server, "POST", "/Increment/", r#"{"id":9}"#));
    for answer in futures_util::future::join_all(requests).await {
        answer.expect(204);
    }
    assert_eq!(server.get("/Counter/9").await.json()["n"], 30);
}
