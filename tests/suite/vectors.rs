//! Vector search from code and by `QUERY` (`spec/harper-schema.md` section 12).

use serde_json::json;

use crate::harness::App;
use crate::harness::cases::{CONFIG, PROBE, check};

const SCHEMA: (&str, &str) = (
    "schema.graphql",
    "type Doc @table @export {
  id: ID @primaryKey
  kind: String @indexed
  cosine: [Float] @indexed(type: \"HNSW\")
  straight: [Float] @indexed(type: HNSW, distance: euclidean, M: 4, efConstruction: 20, efConstructionSearch: 10, optimizeRouting: 0.6, mL: 0.4)
  product: [Float] @indexed(type: \"HNSW\", distance: \"dotProduct\")
}
",
);

#[tokio::test]
async fn the_nearest_with_and_without_conditions() {
    let app = App::new(&[CONFIG, SCHEMA, PROBE]);
    let server = app.run();
    let docs = [("a", [1.0, 0.0]), ("b", [1.0, 1.0]), ("c", [0.0, 2.0]), ("d", [-1.0, 0.0])];
    let docs = docs.map(|(id, v)| {
        json!({"id": id, "kind": if id < "c" { "x" } else { "y" }, "cosine": v, "straight": v, "product": v})
    });
    server.put("/Doc/", &json!(docs).to_string()).await.expect(200);
    server.put("/Doc/e", r#"{"kind": "y"}"#).await.expect(204);
    let search = |query| json!({"table": "Doc", "query": query}).to_string();
    let near = |attribute: &str, limit: u32| {
        search(
            json!({"sort": {"attribute": attribute, "target": [1, 0]}, "select": ["id", "$distance"], "limit": limit}),
        )
    };
    let rows = |rows: &[(&str, f64)]| {
        let row = |(id, distance): &(&str, f64)| match distance.fract() == 0.0 {
            true => json!({"id": id, "$distance": *distance as i64}),
            false => json!({"id": id, "$distance": distance}),
        };
        json!(rows.iter().map(row).collect::<Vec<_>>())
    };
    let cosine = near("cosine", 1);
    let straight = near("straight", 3);
    let product = near("product", 2);
    let kind = search(
        json!({"conditions": [["kind", "y"]], "sort": {"attribute": "cosine", "target": [1, 0]}, "select": "id", "limit": 2}),
    );
    let within = search(
        json!({"conditions": [{"attribute": "straight", "comparator": "lt", "value": 1.5, "target": [1, 0]}], "select": ["id", "$distance"]}),
    );
    let within_kind = search(
        json!({"conditions": [["kind", "y"], {"attribute": "straight", "comparator": "le", "value": 5, "target": [1, 0]}], "select": "id", "sort": {"attribute": "id", "descending": true}}),
    );
    let other = search(
        json!({"sort": {"attribute": "cosine", "target": [1, 0], "distance": "euclidean", "ef": 5}, "select": ["id", "$distance"], "limit": 2}),
    );
    let all = search(json!({"sort": {"attribute": "straight", "target": [1, 0]}, "select": "id"}));
    let offset = search(
        json!({"sort": {"attribute": "straight", "target": [1, 0]}, "select": "id", "offset": 1, "limit": 2}),
    );
    let long = search(json!({"sort": {"attribute": "straight", "target": [1, 0, 0]}, "limit": 1}));
    let text = search(json!({"sort": {"attribute": "straight", "target": "near"}, "limit": 1}));
    let above = search(
        json!({"conditions": [{"attribute": "straight", "comparator": "gt", "value": 1, "target": [1, 0]}]}),
    );
    let query =
        json!({"sort": {"attribute": "straight", "target": [0, 2]}, "limit": 1, "select": ["id"]})
            .to_string();
    check(
        &server,
        &[
            ("POST", "/Probe/", &cosine, 200, rows(&[("a", 0.0)])),
            ("POST", "/Probe/", &straight, 200, rows(&[("a", 0.0), ("b", 1.0), ("d", 4.0)])),
            ("POST", "/Probe/", &product, 200, rows(&[("a", -1.0), ("b", -1.0)])),
            ("POST", "/Probe/", &kind, 200, json!(["c", "d"])),
            ("POST", "/Probe/", &within, 200, rows(&[("a", 0.0), ("b", 1.0)])),
            ("POST", "/Probe/", &within_kind, 200, json!(["d", "c"])),
            ("POST", "/Probe/", &other, 200, rows(&[("a", 0.0), ("b", 1.0)])),
            ("POST", "/Probe/", &all, 200, json!(["a", "b", "d", "c"])),
            ("POST", "/Probe/", &offset, 200, json!(["b", "d"])),
            ("POST", "/Probe/", &long, 400, json!("The target has 3 numbers, the vectors of straight have 2")),
            ("POST", "/Probe/", &text, 400, json!("A target must be an array of numbers")),
            ("POST", "/Probe/", &above, 400, json!("The condition on the distance of straight must be \"lt\" or \"le\" with a number")),
            ("QUERY", "/Doc/", &query, 200, json!([{"id": "c"}])),
            ("PUT", "/Doc/f", r#"{"cosine": [1]}"#, 400, json!("A vector has 1 numbers, those of its index have 2: to use others, remove @indexed, reload, and declare it again")),
            ("PATCH", "/Doc/d", r#"{"straight": [0, 2]}"#, 204, json!(null)),
            ("DELETE", "/Doc/c", "", 200, json!(true)),
            ("QUERY", "/Doc/", &query, 200, json!([{"id": "d"}])),
        ],
    )
    .await;
    server.terminate();
    let server = app.run();
    check(&server, &[("QUERY", "/Doc/", &query, 200, json!([{"id": "d"}]))]).await;
}
