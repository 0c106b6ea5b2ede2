//! The classes of the two guides that began Kora (`seeds/harper-websockets.md` and
//! `seeds/harper-realtime-guide.md`), pasted unedited: they must do what the guides' text promises.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::client::JSON;
use crate::harness::{App, Server};

const CONFIG: &str =
    "rest: true\ngraphqlSchema:\n  files: schema.graphql\njsResource:\n  files: resources/*\n";

const SCHEMA: &str = "type ExamplePeople @table @export {\n  id: ID @primaryKey\n  name: String\n}\n\
                      type Log @table @export {\n  id: ID @primaryKey\n  text: String\n}\n\
                      type Dog @table @export(name: \"dog\") {\n  id: ID @primaryKey\n  name: \
                      String\n}\n";

const EXAMPLE_SOCKET: &str = r#"import {
	type IterableEventQueue,
	RequestTarget,
	Resource,
	tables,
} from 'harperdb';

export class ExampleSocket extends Resource {
	async *connect(
		target: RequestTarget,
		incomingMessages: IterableEventQueue<any>,
	): AsyncIterable<any> {
		// Subscribe to changes in a specific table
		const subscription = await tables.ExamplePeople.subscribe(target);

		if (!incomingMessages) {
			// Server-Sent Events (SSE) mode: only outgoing messages
			return subscription;
		}

		// Handle incoming messages from the client
		for await (let message of incomingMessages) {
			// Process message and optionally yield responses
			yield { received: message };
		}
	}
}
"#;

const DOG_NOTES: &str = r#"export class DogNotes extends Resource {
	async *connect(incomingMessages) {
		for await (const message of incomingMessages) {
			// relay user notes for this dog
			yield { dogId: message.dogId, note: message.note };
		}
	}
}
"#;

/// The guide's snippets in its order, inside the class that it begins with.
const DOG_STATUS: &str = r#"export class DogStatus extends Resource {
	connect(incomingMessages) {
		const outgoing = super.connect();
const timer = setInterval(() => {
	outgoing.send({ dogId: '341', status: 'connection active' });
}, 1000);
incomingMessages.on('data', (message) => {
	outgoing.send({ dogId: message.dogId, note: message.note });
});
outgoing.on('close', () => {
	clearInterval(timer);
});
return outgoing;
	}
}
"#;

/// Makes the end of `DogStatus`'s timer visible, without a change of the class.
const TIMERS: &str = r#"import { tables } from 'harperdb';
const clear = globalThis.clearInterval;
globalThis.clearInterval = (timer) => {
	clear(timer);
	tables.Log.put({ id: 'cleared', text: 'the timer is gone' });
};
"#;

fn app(ending: &str) -> App {
    let app = App::new(&[("config.yaml", CONFIG), ("schema.graphql", SCHEMA)]);
    app.write("resources/aTimers.js", TIMERS);
    app.write("resources/exampleSocket.ts", EXAMPLE_SOCKET);
    app.write(&format!("resources/dogNotes.{ending}"), DOG_NOTES);
    app.write(&format!("resources/dogStatus.{ending}"), DOG_STATUS);
    app
}

#[tokio::test]
async fn the_realtime_guide() {
    let app = app("ts");
    let server = app.run();
    server.put("/ExamplePeople/ada", r#"{"name":"Ada"}"#).await.expect(204);
    server.put("/ExamplePeople/bob", r#"{"name":"Bob"}"#).await.expect(204);

    let mut events = server.events("/ExampleSocket").await;
    assert_eq!(events.response.status(), 200);
    assert_eq!(events.next().await["value"], json!({"id": "ada", "name": "Ada"}));
    assert_eq!(events.next().await["id"], "bob");
    server.put("/ExamplePeople/bob", r#"{"name":"Bobby"}"#).await.expect(204);
    let changed = events.next().await;
    assert_eq!((&changed["type"], &changed["value"]["name"]), (&json!("put"), &json!("Bobby")));
    server.send("DELETE", "/ExamplePeople/ada", &[], "").await.expect(200);
    assert_eq!(events.next().await["type"], "delete");

    // The target of the socket's own path is the subscription's.
    let mut one = server.events("/ExampleSocket/bob").await;
    assert_eq!(one.next().await["value"]["name"], "Bobby");
    server.put("/ExamplePeople/eve", r#"{"name":"Eve"}"#).await.expect(204);
    server.put("/ExamplePeople/bob", r#"{"name":"Robert"}"#).await.expect(204);
    assert_eq!(one.next().await["value"]["name"], "Robert");
    assert_eq!(events.next().await["id"], "eve");

    let mut socket = server.socket("/ExampleSocket").await;
    socket.send(r#"{"type":"ping"}"#).await;
    assert_eq!(socket.next().await, json!({"received": {"type": "ping"}}));
    for n in 0..20 {
        socket.send(&format!(r#"{{"n":{n}}}"#)).await;
    }
    for n in 0..20 {
        assert_eq!(socket.next().await, json!({"received": {"n": n}}));
    }
}

#[tokio::test]
async fn the_websockets_guide_in_javascript() {
    the_websockets_guide("js").await;
}

#[tokio::test]
async fn the_websockets_guide_in_typescript() {
    the_websockets_guide("ts").await;
}

async fn the_websockets_guide(ending: &str) {
    let app = app(ending);
    let server = app.run();
    server.put("/dog/341", r#"{"name":"Harper"}"#).await.expect(204);
    let mut profile = server.socket("/dog/341").await;
    assert_eq!(profile.next().await["value"]["name"], "Harper");
    server.send("PATCH", "/dog/341", &[JSON], r#"{"name":"Harper II"}"#).await.expect(204);
    assert_eq!(profile.next().await["value"]["name"], "Harper II");

    let mut notes = server.socket("/DogNotes/341").await;
    notes.send(r#"{"dogId":"341","note":"good with kids"}"#).await;
    assert_eq!(notes.next().await, json!({"dogId": "341", "note": "good with kids"}));

    let mut status = server.socket("/DogStatus/341").await;
    let pulse = json!({"dogId": "341", "status": "connection active"});
    assert_eq!(status.next().await, pulse);
    status.send(r#"{"dogId":"341","note":"sleeps"}"#).await;
    let note = loop {
        match status.next().await {
            message if message == pulse => {}
            other => break other,
        }
    };
    assert_eq!(note, json!({"dogId": "341", "note": "sleeps"}));
    assert_eq!(status.next().await, pulse, "the pulse goes on");
    server.get("/Log/cleared").await.expect(404);
    drop(status);
    server.until("/Log/cleared", |answer| answer.status == 200).await;
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// Serves an example from its own folder, with the data elsewhere.
fn serve(directory: &Path) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&["run"], directory, &folder.path().join("data"));
    (folder, server)
}

#[tokio::test]
async fn the_dog_profile_example() {
    let (_data, server) = serve(&example("dog-profile"));
    assert!(server.get("/").await.expect(200).body.contains("<h1 id=\"title\">Dog 341</h1>"));
    assert!(server.get("/page.js").await.expect(200).body.contains("/DogStatus/${dogId}"));
    let mut profile = server.socket("/dog/341").await;
    server.put("/dog/341", r#"{"id":"341","name":"Harper","breed":"Mix"}"#).await.expect(204);
    assert_eq!(profile.next().await["value"]["breed"], "Mix");
    let mut status = server.socket("/DogStatus/341").await;
    status.send(r#"{"dogId":"341","note":"hello"}"#).await;
    assert_eq!(status.next().await, json!({"dogId": "341", "note": "hello"}));
    assert_eq!(status.next().await["status"], "connection active");
    let mut notes = server.socket("/DogNotes/341").await;
    notes.send(r#"{"dogId":"341","note":"x","more":1}"#).await;
    assert_eq!(notes.next().await, json!({"dogId": "341", "note": "x"}));
}

#[tokio::test]
async fn the_live_people_example() {
    let (_data, server) = serve(&example("live-people"));
    assert!(server.get("/").await.expect(200).body.contains("<h1>Live people</h1>"));
    server.get("/page.js").await.expect(200);
    let mut people = server.events("/ExampleSocket").await;
    let created = r#"{"name":"Ada","city":"London"}"#;
    server.send("POST", "/ExamplePeople/", &[JSON], created).await.expect(201);
    let event = people.next().await;
    assert_eq!((&event["type"], &event["value"]["city"]), (&json!("put"), &json!("London")));
    let mut socket = server.socket("/ExampleSocket").await;
    socket.send(r#"{"type":"ping"}"#).await;
    assert_eq!(socket.next().await, json!({"received": {"type": "ping"}}));
}
