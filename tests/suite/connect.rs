//! `connect` of classes over WebSocket and SSE (`spec/harper-realtime.md` sections 1 to 6).

mod disconnecting;
mod messages;
mod pressure;
mod streams;
mod subscriptions;
mod super_connect;

use crate::harness::App;

/// An application with the table `Log`, by which classes tell what happened to them, the table
/// `People`, and the resources of one file.
fn app(resources: &str) -> App {
    App::new(&[
        (
            "config.yaml",
            "rest: true\ngraphqlSchema:\n  files: schema.graphql\njsResource:\n  files: \
             resources/*.js\n",
        ),
        (
            "schema.graphql",
            "type Log @table @export {\n  id: ID @primaryKey\n  text: String\n}\ntype People \
             @table @export {\n  id: ID @primaryKey\n  name: String\n}\n",
        ),
        ("resources/all.js", resources),
    ])
}
