//! Components written in TypeScript, over HTTP (`spec/harper-resources.md` sections 1 to 11). Each theme has one application beside its test; what it answers is in the test's table.

mod answers;
mod conflicts;
mod contexts;
mod defaults;
mod failures;
mod iterables;
mod modules;
mod orders;
mod paths;
mod permissions;
mod records;
mod statics;
mod streams;
mod subscriptions;
mod tables;
mod targets;
mod transactions;
mod web;

use serde_json::{Value, json};

use crate::harness::client::{Answer, JSON};
use crate::harness::{App, Server};

/// The tables that the applications use. Some are exported, as applications do.
const SCHEMA: (&str, &str) = (
    "schema.graphql",
    "type Dog @table @export {\n  id: ID @primaryKey\n  name: String @indexed\n  age: Int @indexed\n  \
     breed: String\n}\n\
     type Count @table {\n  id: Int @primaryKey\n  n: Int\n}\n\
     type Note @table @export {\n  id: ID @primaryKey\n  at: Date\n  big: BigInt\n  bytes: Bytes\n  \
     any: Any\n}\n\
     type Typed @table {\n  id: ID @primaryKey\n  int: Int\n  long: Long\n  float: Float\n  \
     text: String\n  flag: Boolean\n  at: Date\n  big: BigInt\n  list: [String]\n  \
     made: Float @createdTime\n  changed: Float @updatedTime\n}\n\
     type Loose @table {\n  id: Any @primaryKey\n}\n\
     type Sealed @table @sealed {\n  id: ID @primaryKey\n  name: String!\n}\n",
);

const CONFIG: (&str, &str) = (
    "config.yaml",
    "rest: true\ngraphqlSchema: { files: schema.graphql }\n\
     jsResource: { files: ['resources/*.ts', 'resources/*.js'] }\n",
);

/// An application with one module of resources, and three dogs in its table.
async fn serve(module: &str) -> (App, Server) {
    let (app, server) = start(&[("resources/resources.ts", module)]);
    for (id, name, age) in [("a", "Ann", 1), ("b", "Bob", 2), ("c", "Cy", 3)] {
        let body = json!({"name": name, "age": age, "breed": "Pug"}).to_string();
        server.put(&format!("/Dog/{id}"), &body).await.expect(204);
    }
    (app, server)
}

/// An application with the schema and configuration of all themes.
fn start(modules: &[(&str, &str)]) -> (App, Server) {
    let app = App::new(&[&[CONFIG, SCHEMA], modules].concat());
    let server = app.run();
    (app, server)
}

/// Sends a request, with the body as JSON where there is one.
async fn ask(server: &Server, method: &str, path: &str, body: &str) -> Answer {
    let headers: &[_] = if body.is_empty() { &[] } else { &[JSON] };
    server.send(method, path, headers, body).await
}

/// Asks for each path in turn and compares what comes back; all differences are told at once.
async fn check(server: &Server, rows: Vec<(&str, &str, &str, u16, Value)>) {
    let mut wrong = Vec::new();
    for (method, path, body, status, expected) in rows {
        let answer = ask(server, method, path, body).await;
        let shown = match answer.body.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        };
        if answer.status != status || shown != expected {
            wrong.push(format!(
                "{method} {path} {body}\n  expected {status} {expected}\n  answered {} {shown}",
                answer.status
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Checks that answer 200 to a GET of `base` and a name.
async fn check_named(server: &Server, base: &str, rows: Vec<(&str, Value)>) {
    let paths: Vec<String> = rows.iter().map(|(name, _)| format!("{base}{name}")).collect();
    let rows = rows.into_iter().zip(&paths);
    check(server, rows.map(|((_, value), path)| ("GET", path.as_str(), "", 200, value)).collect())
        .await;
}
