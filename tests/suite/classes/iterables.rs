//! `ExtendedIterable`, what searches give (section 4).

use serde_json::json;

use super::{check_named, serve};

#[tokio::test]
async fn results_are_mapped_filtered_and_joined() {
    let (_app, server) = serve(include_str!("iterables.ts")).await;
    let all = ["id", "name", "age", "breed"];
    check_named(
        &server,
        "/Iterables/",
        vec![
            ("map", json!([["0a", "1b", "2c"], ["a", "b", "c"]])),
            ("filter", json!([2, ["a"]])),
            ("flatMap", json!([["a", 1, "b", 2, "c", 3], ["a", "b", "c"], [1, 2, 3]])),
            ("concat", json!([["a", "b", "c", "x"], ["a", "b", "c", "async"]])),
            ("slice", json!([1, 1, 0, ["b", "c"]])),
            ("forEach", json!([null, [["a", 0], ["b", 1], ["c", 2], 1, 2, 3]])),
            ("mapError", json!([["a", "no Bob", "c"], ["a", "no Bob", "c"]])),
            ("asArray", json!([true, 3, 4, ["a", "b", "c"]])),
            ("done", json!([2, true])),
            ("columns", json!([all, ["id", "age"], ["name"]])),
            ("once", json!([3, 0])),
            ("times", json!([true, null, all, "undefined"])),
            ("syncOnly", json!("TypeError")),
        ],
    )
    .await;
    check_named(
        &server,
        "/Sequences/",
        vec![
            ("mapped", json!(["a", "b", "c"])),
            ("asyncMapped", json!(["a", "b", "c"])),
            ("filtered", json!(["b", "c"])),
            ("mapError", json!(["a", {"error": "b fails"}, "c"])),
            ("failing", json!(["a", "b", {"error": "Error: c fails"}])),
        ],
    )
    .await;
}
