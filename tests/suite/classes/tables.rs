//! `tables.X.verb(...)` in every shape (sections 4 to 6).

use serde_json::json;

use super::{check_named, serve};

#[tokio::test]
async fn every_shape_of_the_table_methods() {
    let (_app, server) = serve(include_str!("tables.ts")).await;
    let ann = json!({"id": "a", "name": "Ann", "age": 1, "breed": "Pug"});
    check_named(
        &server,
        "/Shapes/",
        vec![
            ("getId", ann.clone()),
            ("getObject", json!("Ann")),
            ("getSelect", json!({"name": "Ann", "age": 1})),
            ("getTarget", json!("Bob")),
            ("getTargetSelect", json!("Bob")),
            ("getInContext", json!(["Ann", "Ann"])),
            ("getQuery", json!(["Bob"])),
            ("getParams", json!(["Bob"])),
            ("getAll", json!(["Ann", "Bob", "Cy"])),
            ("getMissing", json!(true)),
            ("getIsPromise", json!(true)),
            ("private", json!(["Ann", ["id", "name", "age", "breed"], "number", 1])),
            ("put", json!([true, ["P1", "P2", "P3", "P4", "P5", "P6"]])),
            ("putReplaces", json!({"id": "q", "name": "Q2"})),
            ("patch", json!({"id": "r", "name": "R2", "age": 20, "breed": "X"})),
            ("conflict", json!([[409, "Record already exists"], "Ann"])),
            ("delete", json!([[true, true, true, true, true], []])),
            ("deleteQuery", json!([[], "Ann"])),
            ("publish", json!([null, "Ann"])),
            ("search", json!(["Bob"])),
            ("searchList", json!(["Bob", "Cy"])),
            ("searchPairs", json!(["Cy"])),
            ("searchOr", json!(["Ann", "Cy"])),
            ("searchNested", json!(["Ann", "Cy"])),
            (
                "searchComparators",
                json!([["Ann", "Bob"], ["Ann"], ["Bob"], ["Bob", "Cy"], ["Ann", "Cy"]]),
            ),
            ("searchSort", json!([["Cy", "Bob", "Ann"], ["Bob"]])),
            ("searchSelect", json!([[{"id": "a", "age": 1}], ["Ann", "Bob", "Cy"]])),
            ("searchTarget", json!(["Cy", "Bob"])),
            ("searchErrors", json!([[404, "nothing is not a defined attribute"], 400])),
            ("iterate", json!(["Ann", "Bob", "Cy", 1, 2, "a", "b", "c"])),
            ("extended", json!([3, [1, 2, 3], ["b", "c"], 1, 5, 6, ["a", "b", "c"]])),
            ("many", json!([(6..=245).sum::<i64>(), 2, 2])),
            ("abandoned", json!(1)),
            (
                "statics",
                json!(["Dog", "Dog", "data", "id", ["id", "name", "age", "breed"], true, true]),
            ),
            ("noData", json!(400)),
            ("arrayIds", json!([{"id": ["a", 1], "n": 3}, true, null, 3])),
            ("bigIds", json!([1, null])),
            ("contexts", json!(["C", null])),
            ("longId", json!(400)),
            ("nullId", json!([400, 400])),
            ("copyMove", json!([[405, "The Dog does not have a copy method implemented"], 405])),
            ("typed", json!([true, "9223372036854775808", true, [1, 2, 255], true, [1, null]])),
            (
                "targets",
                json!(["x y", "Ann", true, "/x%20y?name=Ann&limit(5)", true, null, [["a", "1"]]]),
            ),
        ],
    )
    .await;
    server.get("/Shapes/badSearch").await.expect(404);
    let invalid = server.get("/Shapes/invalid").await.json();
    assert_eq!(invalid[0], 400, "{invalid}");
    assert!(invalid[1].as_str().unwrap().contains("age"), "{invalid}");
    // A record that was created on the way makes the answer 201, as Harper's fifth version has it.
    let posted = server.get("/Shapes/post").await;
    assert_eq!(posted.json(), json!(["string", 7]), "{posted:?}");
    let created = server.get("/Shapes/create").await;
    assert_eq!(created.json(), json!(["Created", "given", "Given", "named"]), "{created:?}");
    let generated = server.get("/Shapes/generated").await;
    assert_eq!(generated.json(), json!(["number", 1]), "{generated:?}");
}
