//! The change log through the running server: what is replayed, what retention removes
//! (`spec/harper-realtime.md` section 3, `spec/harper-components.md` section 3).

use serde_json::json;

use crate::harness::{App, Server};

const FILES: &[(&str, &str)] = &[
    (
        "config.yaml",
        "rest: true\ngraphqlSchema: { files: schema.graphql }\njsResource: { files: resources.ts }\n",
    ),
    (
        "schema.graphql",
        "type Kept @table @export { id: ID @primaryKey n: Int }\n\
         type Silent @table(audit: false) @export { id: ID @primaryKey n: Int }\n",
    ),
    (
        "resources.ts",
        "import { Resource, tables, transaction } from 'harperdb';\n\
         // What a subscription from the beginning tells before something new happens.\n\
         async function told(table: any, mark: string) {\n\
           const events = await table.subscribe({ startTime: 1, isCollection: true });\n\
           await transaction({ transaction: undefined }, () => table.publish(null, { id: mark }));\n\
           const ids: string[] = [];\n\
           for await (const event of events) {\n\
             if (event.type === 'message' && event.value.id === mark) break;\n\
             if (event.type !== 'message') ids.push(`${event.type} ${event.id}`);\n\
           }\n\
           return ids;\n\
         }\n\
         export class Told extends Resource {\n\
           static loadAsInstance = false;\n\
           get(target: any) { return told((tables as any)[target.id], crypto.randomUUID()); }\n\
         }\n",
    ),
];

fn start(app: &App, age: &str) -> Server {
    Server::start(&["run", "--history-age", age], &app.directory(), &app.data())
}

#[tokio::test]
async fn changes_are_told_again_until_they_are_too_old() {
    let app = App::new(FILES);
    let server = start(&app, "1h");
    for n in 0..3 {
        server.put("/Kept/a", &json!({"n": n}).to_string()).await.expect(204);
        server.put("/Silent/a", &json!({"n": n}).to_string()).await.expect(204);
    }
    server.send("DELETE", "/Kept/a", &[], "").await.expect(200);
    let told = json!(["put a", "put a", "put a", "delete a"]);
    assert_eq!(server.get("/Told/Kept").await.expect(200).json(), told);
    // A table without a history has its records and its live events all the same.
    assert_eq!(server.get("/Told/Silent").await.expect(200).json(), json!([]));
    assert_eq!(server.get("/Silent/a").await.expect(200).json()["n"], 2);
    server.kill();
    // The same after a crash, and nothing once it is too old.
    let server = start(&app, "1h");
    assert_eq!(server.get("/Told/Kept").await.expect(200).json(), told);
    drop(server);
    let server = start(&app, "0.5s");
    server.put("/Kept/b", "{}").await.expect(204);
    server.until("/Told/Kept", |answer| answer.json() == json!([])).await;
    assert_eq!(server.get("/Kept/b").await.expect(200).json(), json!({"id": "b"}));
    drop(server);
    let server = start(&app, "1h");
    server.put("/Kept/c", "{}").await.expect(204);
    assert_eq!(server.get("/Told/Kept").await.expect(200).json(), json!(["put c"]));
}
