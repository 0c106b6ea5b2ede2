//! `dataLoader` (`spec/harper-components.md` section 2.4).

use serde_json::json;

use crate::harness::{App, Server};

const CONFIG: (&str, &str) = (
    "config.yaml",
    "rest: true\ngraphqlSchema: { files: schema.graphql }\ndataLoader: { files: 'data/*' }\n\
     jsResource: { files: resources.js }\n",
);
const SCHEMA: (&str, &str) = (
    "schema.graphql",
    "type Dog @table @export {\n  id: ID @primaryKey\n  name: String!\n  age: Int\n  born: Date\n}\n",
);
const DOGS: &str = "table: Dog\nrecords:\n  - id: a\n    name: Ann\n    age: 1\n    born: 2024-01-05\n  \
                    - id: b\n    name: Bob\n  - { id: c, name: Cy }\n";

fn app() -> App {
    App::new(&[
        CONFIG,
        SCHEMA,
        ("data/dogs.yaml", DOGS),
        ("data/cats.json", r#"{"database":"zoo","table":"Cat","records":[{"id":1,"name":"Tom"}]}"#),
        (
            "resources.js",
            "export class Cats { static async get() { const all = []; \
             for await (const cat of databases.zoo.Cat.search({})) all.push(cat); return all; } }",
        ),
    ])
}

async fn names(server: &Server) -> serde_json::Value {
    server.get("/Dog/?select(name)").await.expect(200).json()
}

#[tokio::test]
async fn files_fill_tables_and_leave_what_people_did() {
    let app = app();
    let server = app.run();
    assert_eq!(names(&server).await, json!(["Ann", "Bob", "Cy"]));
    let ann = server.get("/Dog/a").await.expect(200);
    assert_eq!(ann.json()["born"], "2024-01-05T00:00:00.000Z");
    let version = ann.header("etag").unwrap().to_owned();
    // A table that no schema declares is made.
    assert_eq!(server.get("/Cats").await.expect(200).json()[0]["name"], "Tom");
    server.put("/Dog/b", r#"{"name":"Edited"}"#).await.expect(204);
    server.send("DELETE", "/Dog/c", &[], "").await.expect(200);
    server.put("/Dog/e", r#"{"name":"Own"}"#).await.expect(204);
    drop(server);

    // Nothing has changed in the file: nothing is written.
    let server = app.run();
    assert_eq!(server.get("/Dog/a").await.header("etag"), Some(version.as_str()));
    assert_eq!(names(&server).await, json!(["Ann", "Edited", "Own"]));
    drop(server);

    let changed = DOGS.replace("age: 1", "age: 2").replace("Bob", "Bobby").replace("Cy", "Cyd")
        + "  - { id: d, name: Dee }\n  - { id: e, name: Theirs }\n";
    app.write("data/dogs.yaml", &changed);
    let server = app.run();
    assert_eq!(names(&server).await, json!(["Ann", "Edited", "Dee", "Own"]));
    assert_eq!(server.get("/Dog/a").await.json()["age"], 2);
}

#[tokio::test]
async fn a_changed_file_is_loaded_again() {
    let app = app();
    let server = app.dev();
    assert_eq!(server.get("/Dog/a").await.json()["age"], 1);
    app.write("data/dogs.yaml", &DOGS.replace("age: 1", "age: 5"));
    server.until("/Dog/a", |answer| answer.json()["age"] == 5).await;
}

#[tokio::test]
async fn what_is_wrong_is_told_with_file_and_line() {
    let app = app();
    app.write(
        "data/dogs.yaml",
        "table: Dog\nrecords:\n  - { id: a, name: Ann }\n  - id: b\n    age: old\n  - name: no key\n  - 5\n",
    );
    app.write("data/broken.json", "{\n  \"table\": }");
    app.write("data/nothing.yml", "records: []\n");
    let server = app.run();
    assert_eq!(names(&server).await, json!(["Ann"]));
    for expected in [
        "dogs.yaml:4: Dog: ",
        "dogs.yaml:6: Dog: Property id is required",
        "dogs.yaml:7: Dog: A record must be an object",
        "broken.json:2: ",
        "nothing.yml:1: expected the name of a table",
    ] {
        server.stderr.wait_for(expected);
    }
}
