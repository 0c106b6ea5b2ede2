//! The change log through the running server: what is replayed, what retention removes
//! (`spec/harper-realtime.md` section 3, `spec/harper-components.md` section 3).

use serde_json::json;

use crate::harness::mqtt::connect;
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

const DOORS: &[(&str, &str)] = &[
    (
        "config.yaml",
        "rest: true\ngraphqlSchema: { files: schema.graphql }\njsResource: { files: resources.ts }\n\
         dataLoader: { files: 'data/*' }\n",
    ),
    (
        "schema.graphql",
        "type Kept @table @export { id: ID @primaryKey n: Int @indexed }\n\
         type Brief @table(expiration: 0.3) @export { id: ID @primaryKey n: Int }\n\
         type Copy @table { id: ID @primaryKey n: Int }\n",
    ),
    ("data/kept.json", r#"{"table":"Kept","records":[{"id":"loaded","n":1}]}"#),
    (
        "resources.ts",
        "import { Resource, tables, transaction } from 'harperdb';\n\
         const { Kept, Copy } = tables as any;\n\
         Copy.sourcedFrom({ get: async (id: string) => ({ id, n: 7 }) });\n\
         const doors: any = {\n\
           put: () => Kept.put({ id: 'g', n: 1 }),\n\
           patch: () => Kept.patch('g', { n: 2 }),\n\
           create: () => Kept.create({ id: 'h', n: 1 }),\n\
           async update() { const kept = await Kept.update('h'); kept.n = 2; kept.addTo('n', 3); },\n\
           publish: () => Kept.publish('h', { n: 9 }),\n\
           invalidate: () => Kept.invalidate('h'),\n\
           async several() { await Kept.put({ id: 'i', n: 1 }); await Kept.put({ id: 'i', n: 2 }); \
             await Kept.put({ id: 'j', n: 1 }); await Kept.delete('g'); },\n\
           async failing() { await Kept.put({ id: 'k', n: 1 }); throw new Error('no'); },\n\
           fill: () => Copy.get('x'),\n\
         };\n\
         export class Door extends Resource {\n\
           static loadAsInstance = false;\n\
           async post(target: any) { await doors[target.id](); }\n\
         }\n\
         export class Told extends Resource {\n\
           static loadAsInstance = false;\n\
           async get(target: any) {\n\
             const told = [];\n\
             for await (const { type, id, value } of (tables as any)[target.id].getHistory()) {\n\
               told.push([type, id, value?.n ?? null]);\n\
             }\n\
             return told;\n\
           }\n\
         }\n",
    ),
];

/// An entry of the history: its type, the id, and the value of `n`.
type Told = (&'static str, &'static str, Option<i64>);

/// Whatever way a change takes, it is one entry of the log and one event, with the next position.
#[tokio::test]
async fn every_door_leads_to_one_entry() {
    let app = App::new(DOORS);
    let server = app.run();
    let mut events = server.events("/Kept/").await;
    assert_eq!(events.next().await["id"], "loaded");
    let json = "application/json";
    let doors: &[(&str, &str, &str, &str, &[Told])] = &[
        ("PUT", "/Kept/a", json, r#"{"n":1}"#, &[("put", "a", Some(1))]),
        ("PATCH", "/Kept/a", json, r#"{"n":2}"#, &[("put", "a", Some(2))]),
        ("POST", "/Kept/", json, r#"{"id":"b","n":1}"#, &[("put", "b", Some(1))]),
        (
            "PUT",
            "/Kept/",
            json,
            r#"[{"id":"c","n":1},{"id":"d","n":1}]"#,
            &[("put", "c", Some(1)), ("put", "d", Some(1))],
        ),
        (
            "POST",
            "/Kept/",
            "text/csv",
            "id,n\ne,1\nf,1\n",
            &[("put", "e", Some(1)), ("put", "f", Some(1))],
        ),
        ("DELETE", "/Kept/a", "", "", &[("delete", "a", None)]),
        ("DELETE", "/Kept/a", "", "", &[]),
        (
            "DELETE",
            "/Kept/?n=1&id=gt=c&id=lt=g",
            "",
            "",
            &[("delete", "d", None), ("delete", "e", None), ("delete", "f", None)],
        ),
        ("POST", "/Door/put", json, "{}", &[("put", "g", Some(1))]),
        ("POST", "/Door/patch", json, "{}", &[("put", "g", Some(2))]),
        ("POST", "/Door/create", json, "{}", &[("put", "h", Some(1))]),
        ("POST", "/Door/update", json, "{}", &[("put", "h", Some(5))]),
        ("POST", "/Door/publish", json, "{}", &[("message", "h", Some(9))]),
        ("POST", "/Door/invalidate", json, "{}", &[("invalidate", "h", None)]),
        (
            "POST",
            "/Door/several",
            json,
            "{}",
            &[("put", "i", Some(2)), ("put", "j", Some(1)), ("delete", "g", None)],
        ),
        ("POST", "/Door/failing", json, "{}", &[]),
    ];
    let mut expected = vec![json!(["put", "loaded", 1])];
    let mut last = None;
    for (method, path, content_type, body, told) in doors {
        let headers = [("content-type", *content_type)];
        let headers: &[_] = if body.is_empty() { &[] } else { &headers };
        let answer = server.send(method, path, headers, body).await;
        let is_failing = path.ends_with("failing");
        assert_eq!(answer.status >= 400, is_failing, "{method} {path}: {answer:?}");
        for (kind, id, n) in *told {
            let event = events.next().await;
            let shown = json!([event["type"], event["id"], event["value"]["n"]]);
            assert_eq!(shown, json!([kind, id, n]), "{method} {path}");
            expected.push(shown);
            let (_, seq) = events.last_id.as_deref().and_then(|id| id.split_once('-')).unwrap();
            let seq: u64 = seq.parse().unwrap();
            assert!(last.is_none_or(|last| seq == last + 1), "{method} {path}: {last:?}, {seq}");
            last = Some(seq);
        }
    }
    let mut client = server.mqtt(connect("doors")).await;
    client.put("Kept/m", br#"{"n":1}"#).await;
    client.publish("Kept/m", r#"{"n":2}"#).await;
    for told in [json!(["put", "m", 1]), json!(["message", "m", 2])] {
        let event = events.next().await;
        assert_eq!(json!([event["type"], event["id"], event["value"]["n"]]), told);
        expected.push(told);
    }
    assert_eq!(server.get("/Told/Kept").await.expect(200).json(), json!(expected));
    // What a source gives, and what is over.
    server.send("POST", "/Door/fill", &[], "").await.expect(204);
    let filled = json!([["put", "x", 7]]);
    assert_eq!(server.get("/Told/Copy").await.expect(200).json(), filled);
    server.put("/Brief/a", r#"{"n":1}"#).await.expect(204);
    let over = json!([["put", "a", 1], ["delete", "a", null]]);
    server.until("/Told/Brief", |answer| answer.json() == over).await;
    // The log outlives the server.
    server.kill();
    let server = app.run();
    assert_eq!(server.get("/Told/Kept").await.expect(200).json(), json!(expected));
}
