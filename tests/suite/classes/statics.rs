//! What a table's class tells and does as a whole, and how classes read URLs (sections 3.4 and 4).

use serde_json::json;

use super::{check, check_named, serve};

#[tokio::test]
async fn a_table_tells_of_itself() {
    let (_app, server) = serve(include_str!("statics.ts")).await;
    server.put("/Dog/a", r#"{"name":"Anna"}"#).await.expect(204);
    let age = json!({"name": "age", "type": "Int", "isPrimaryKey": false, "indexed": true,
        "nullable": true});
    check_named(
        &server,
        "/Statics/",
        vec![
            (
                "fields",
                json!([
                    "Dog",
                    "Dog",
                    "data",
                    "id",
                    ["name", "age"],
                    false,
                    null,
                    null,
                    true,
                    false,
                    true,
                    "made",
                    "changed",
                    age
                ]),
            ),
            ("counts", json!("put")),
            ("count", json!([{"recordCount": 20}, {"recordCount": 20}])),
            ("size", json!(["number", true])),
            (
                "history",
                json!([[["a", "put"], ["b", "put"], ["c", "put"], ["a", "put"]], [], true]),
            ),
            (
                "historyOfRecord",
                json!([["put", "Ann", "number", "number"], ["put", "Anna", "number", "number"]]),
            ),
            ("deleteHistory", json!([[], "Anna"])),
            ("unavailable", json!([501, 400])),
            ("attributes", json!([["extra", "loose"], true, 400, 400, 400, false, 400])),
            ("ttl", json!([3_600_000, 400])),
            ("ttlHolds", json!("put")),
            ("ttlSeen", json!(true)),
            ("ids", json!(["string", "5", 5, "5", true, false])),
            ("wrongId", json!([400, "Invalid value for attribute id: \"x\", expecting Int"])),
            (
                "parsing",
                json!(["a/b", false, 3,
                    [{"attribute": "age", "comparator": "greater_than", "value": "1"}]]),
            ),
        ],
    )
    .await;
    let described = server.get("/Dog").await.expect(200).json();
    assert_eq!((&described["records"], &described["name"]), (&json!("./"), &json!("Dog")));
    assert_eq!(
        described["attributes"][0],
        json!({"name": "id", "type": "ID", "isPrimaryKey": true})
    );
}

#[tokio::test]
async fn classes_may_read_urls_their_own_way() {
    let (_app, server) = serve(include_str!("statics.ts")).await;
    check(
        &server,
        vec![
            ("GET", "/Direct/a/b.c?x=1&y", "", 200, json!(["a/b.c?x=1&y", null])),
            (
                "GET",
                "/Direct/https://x.org/?q=a(b)",
                "",
                200,
                json!(["https://x.org/?q=a(b)", null]),
            ),
            ("GET", "/Parsed/a-b-c", "", 200, json!(["a", "b", "c"])),
            ("GET", "/ParsedObject/abc?q=1", "", 200, json!(["ABC", "1"])),
        ],
    )
    .await;
}
