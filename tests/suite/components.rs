//! Several applications in one host (`spec/harper-components.md` section 1.2).

mod malformed;

use serde_json::json;

use crate::harness::App;

const CONFIG: &str =
    "rest: true\ngraphqlSchema: { files: s.graphql }\njsResource: { files: r.js }\n";

fn class(name: &str, answer: &str) -> String {
    format!("export class {name} extends Resource {{ get() {{ return {answer}; }} }}")
}

#[tokio::test]
async fn applications_share_tables_and_keep_their_code_apart() {
    let a =
        "globalThis.secret = 1;\nexport class A extends Resource { get() { return { secret }; } }";
    let b = "export class B extends Resource {
        async get() { return { seen: typeof secret, dogs: await tables.Dog.getRecordCount?.() ?? null }; }
        static async post() { await tables.Dog.put({ id: 'b' }); return { done: true }; }
      }";
    let app = App::new(&[
        ("a/config.yaml", CONFIG),
        ("a/s.graphql", "type Dog @table @export { id: ID @primaryKey }"),
        ("a/r.js", a),
        ("b/config.yaml", "jsResource: { files: r.js }\n"),
        ("b/r.js", b),
    ]);
    let server = app.run();
    assert_eq!(server.get("/A").await.expect(200).json(), json!({"secret": 1}));
    assert_eq!(server.get("/B").await.expect(200).json()["seen"], "undefined");
    server.send("POST", "/B", &[], "").await.expect(200);
    server.get("/Dog/b").await.expect(200);
}

#[tokio::test]
async fn the_same_path_in_two_applications_is_a_conflict() {
    let app = App::new(&[
        ("a/config.yaml", CONFIG),
        ("a/s.graphql", "type Same @table @export { id: ID @primaryKey }"),
        ("b/config.yaml", CONFIG),
        ("b/r.js", &(class("Same", "2") + "\n" + &class("Other", "{ other: 2 }"))),
        ("b/s.graphql", ""),
    ]);
    let server = app.run();
    let same = server.get("/Same").await.expect(500);
    assert!(same.body.contains("Conflicting paths for Same"), "{same:?}");
    assert_eq!(server.get("/Other").await.expect(200).json(), json!({"other": 2}));
}

#[tokio::test]
async fn one_that_fails_leaves_the_others_alone() {
    let app = App::new(&[
        ("a/config.yaml", "rest: true\njsResource:\n  files: r.js\n  urlPath: a\n"),
        ("a/r.js", "\nthrow new Error('at load');"),
        ("b/config.yaml", "rest: true\ngraphqlSchema:\n  files: s.graphql\n  urlPath: b\n"),
        ("b/s.graphql", "type Dog @table @export {\n  id: ID @primaryKey\n  x: \n}"),
        ("c/config.yaml", "jsResource: { files: r.js }\n"),
        ("c/r.js", &class("Works", "{ works: true }")),
    ]);
    let server = app.run();
    assert_eq!(server.get("/Works").await.expect(200).json(), json!({"works": true}));
    let module = server.get("/a/anything").await.expect(500);
    assert!(module.body.contains("r.js") && module.body.contains("at load"), "{module:?}");
    assert!(module.body.contains(":2:"), "{module:?}");
    let schema = server.get("/b/Dog").await.expect(500);
    assert!(schema.body.contains("s.graphql:4"), "{schema:?}");
    server.get("/elsewhere").await.expect(404);
}

#[tokio::test]
async fn hidden_folders_and_node_modules_are_no_applications() {
    let app = App::new(&[
        ("a/config.yaml", "rest: true\njsResource: { files: r.js }\n"),
        ("a/r.js", &class("A", "{ a: 1 }")),
        (".hidden/config.yaml", "jsResource: { files: r.js }\n"),
        (".hidden/r.js", &class("Hidden", "1")),
        ("node_modules/x/config.yaml", "jsResource: { files: r.js }\n"),
        ("node_modules/x/r.js", &class("Module", "1")),
    ]);
    let server = app.run();
    server.get("/A").await.expect(200);
    server.get("/Hidden").await.expect(404);
    server.get("/Module").await.expect(404);
}
