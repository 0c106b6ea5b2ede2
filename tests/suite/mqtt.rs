//! The MQTT broker on tables and classes (`spec/harper-realtime.md` section 8).

mod accounts;
mod interop;
mod limits;
mod properties;
mod publishing;
mod qualities;
mod sessions;
mod shared;
mod subscribing;
mod watching;

use crate::harness::App;

const CONFIG: &str =
    "rest: true\ngraphqlSchema:\n  files: schema.graphql\njsResource:\n  files: resources/*.ts\n";

/// An application with a table of open records and a class of topics of its own.
fn app() -> App {
    App::new(&[
        ("config.yaml", CONFIG),
        (
            "schema.graphql",
            "type Room @table @export {\n  id: ID @primaryKey\n  name: String\n}\ntype Hidden \
             @table @export(mqtt: false) {\n  id: ID @primaryKey\n}\n",
        ),
        (
            "resources/chat.ts",
            "import { Resource, tables } from 'harperdb';\n\nexport class Chat extends Resource {\n\
             \tstatic loadAsInstance = false;\n\tasync *subscribe(target: any) {\n\t\tyield { id: \
             'hello', value: { to: target.id ?? null, children: target.onlyChildren ?? false } };\n\
             \t\tyield { id: 'x/y', value: 1, type: 'message' };\n\t\tyield { id: 'skip', value: 2, \
             type: 'invalidate' };\n\t}\n\tasync publish(target: any, data: any) {\n\t\tif (data.fail) \
             throw Object.assign(new Error('not that'), { statusCode: 403 });\n\t\tawait \
             tables.Room.put({ id: target.id, name: data.text });\n\t}\n}\n\nexport class Rooms extends \
             tables.Room {\n\tstatic path = 'Rooms';\n}\n",
        ),
    ])
}
