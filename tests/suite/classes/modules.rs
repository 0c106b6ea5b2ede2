//! What a module may import, and which paths its exports get (sections 1 and 2).

use serde_json::json;

use super::{check, check_named, start};
use crate::harness::DEADLINE;

const LIBRARY: &[(&str, &str)] = &[
    (
        "lib/double.ts",
        "export interface Shape { side: number }\nexport const double = (n: number) => n * 2;\n",
    ),
    ("lib/half.ts", "export const half = (n: number) => n / 2;\n"),
    ("lib/settings.json", "{\"answer\": 42}"),
    (
        "resources/plain.js",
        "import { Context, User, Session, Table } from 'harperdb';\n\
         export const TypeNames = { get: () => [typeof Context, typeof User, typeof Session] };\n\
         export const Unimported = class extends Resource { get() { return typeof tables.Dog } };\n",
    ),
    (
        "resources/seed.js",
        "tables.Dog.put({ id: 'seed', name: 'Seed' });\nglobalThis.seeded = 1;\n",
    ),
];

#[tokio::test]
async fn imports_and_exports() {
    let module = ("resources/resources.ts", include_str!("modules.ts"));
    let (_app, server) = start(&[LIBRARY, &[module]].concat());
    check_named(
        &server,
        "/Named/",
        vec![
            ("sameObjects", json!(true)),
            ("globals", json!([])),
            ("hidden", json!([])),
            ("helpers", json!([4, 4, 42, true])),
            ("queue", json!("function")),
            ("generics", json!(1)),
            ("enums", json!([1, "Red"])),
            ("url", json!(true)),
            ("dynamic", json!(5)),
            ("worker", json!([0, "string"])),
            ("config", json!([true, 2, false])),
            ("strict", json!(true)),
            ("other", json!(["named", 7, "local"])),
        ],
    )
    .await;
    server.put("/Dog/a", r#"{"name":"Ann"}"#).await.expect(204);
    check(
        &server,
        vec![
            ("GET", "/alias/enums", "", 200, json!([1, "Red"])),
            ("GET", "/api/v1/a/b/enums", "", 200, json!([1, "Red"])),
            ("GET", "/api/v1/list", "", 200, json!(["plain object"])),
            ("GET", "/over/there", "", 200, json!("moved")),
            ("GET", "/over/there/5", "", 200, json!("moved")),
            ("GET", "/Foreign/5", "", 200, json!({"foreign": "5"})),
            ("GET", "/by-hand/", "", 200, json!("by hand")),
            ("GET", "/TypeNames/", "", 200, json!(["undefined", "undefined", "undefined"])),
            ("GET", "/Unimported/", "", 200, json!("function")),
            ("GET", "/Dog/a", "", 200, json!({"id": "a", "name": "Ann", "replaced": true})),
            ("GET", "/Dog/?name=Ann", "", 200, json!([{"id": "a", "name": "Ann"}])),
            ("GET", "/named/enums", "", 404, json!("Not found\n")),
            ("GET", "/version", "", 404, json!("Not found\n")),
            ("GET", "/helper", "", 404, json!("Not found\n")),
            ("GET", "/api", "", 404, json!("Not found\n")),
        ],
    )
    .await;
    // The module that only seeds did not wait for its write.
    let deadline = std::time::Instant::now() + DEADLINE;
    while server.get("/Dog/seed").await.status != 200 {
        assert!(std::time::Instant::now() < deadline, "the seed never arrives");
    }
}

#[tokio::test]
async fn default_exports_are_the_root() {
    let module = "export default class Root extends Resource {\n\
                  get(target) { return { id: target.id ?? null, url: target.url } }\n}\n";
    let (_app, server) = start(&[("resources/root.js", module)]);
    for (path, expected) in [
        ("/default/7", json!({"id": "7", "url": "/7"})),
        ("/7", json!({"id": "7", "url": "/7"})),
        ("/any/thing?x=1", json!({"id": null, "url": "/any/thing?x=1"})),
    ] {
        let answer = server.get(path).await.expect(200);
        if path != "/any/thing?x=1" {
            assert_eq!(answer.json(), expected, "{path}");
        } else {
            assert_eq!(answer.json()["url"], expected["url"], "{path}");
        }
    }
    server.get("/Dog/").await.expect(200);
}
