//! `super.connect()` of plain resources and of classes that extend a table.

use serde_json::json;

use super::app;

const RESOURCES: &str = r#"
import { Resource, tables } from 'harperdb';

export class Plain extends Resource {
	connect(incomingMessages) {
		const outgoing = super.connect();
		outgoing.send({ early: 1 });
		outgoing.send({ early: 2 });
		incomingMessages.on('data', (message) => {
			if (message.end) outgoing.close();
			else outgoing.send({ echo: message });
		});
		return outgoing;
	}
}
/** Its records, with what the class adds. */
export class People extends tables.People {
	async connect(incomingMessages) {
		const outgoing = await super.connect();
		outgoing.send({ hello: this.getId() });
		incomingMessages?.on('data', (message) => outgoing.send({ echo: message }));
		outgoing.on('close', () => tables.Log.put({ id: 'people-' + this.getId(), text: 'closed' }));
		return outgoing;
	}
}
/** Without await, as guides write it. */
export class Hasty extends tables.People {
	connect(incomingMessages) {
		const outgoing = super.connect();
		outgoing.send({ hello: this.getId() });
		incomingMessages?.on('data', (message) => outgoing.send({ echo: message }));
		outgoing.on('close', () => tables.Log.put({ id: 'hasty-' + this.getId(), text: 'closed' }));
		return outgoing;
	}
}
"#;

#[tokio::test]
async fn a_plain_resource_has_a_queue() {
    let app = app(RESOURCES);
    let server = app.run();
    let mut socket = server.socket("/Plain/5").await;
    assert_eq!(socket.next().await, json!({"early": 1}));
    assert_eq!(socket.next().await, json!({"early": 2}));
    for n in 0..100 {
        socket.send(&json!({ "n": n }).to_string()).await;
    }
    for n in 0..100 {
        assert_eq!(socket.next().await, json!({"echo": {"n": n}}));
    }
    socket.send(r#"{"end":true}"#).await;
    assert_eq!(socket.closed().await.code, None);
}

#[tokio::test]
async fn a_table_class_has_its_record_and_can_add_messages() {
    let app = app(RESOURCES);
    let server = app.run();
    for (class, log) in [("People", "people"), ("Hasty", "hasty")] {
        server.put("/People/ann", r#"{"name":"Ann"}"#).await.expect(204);
        let mut socket = server.socket(&format!("/{class}/ann")).await;
        let mut events = server.events(&format!("/{class}/ann")).await;
        let first = [socket.next().await, socket.next().await];
        assert!(first.contains(&json!({"hello": "ann"})), "{class}: {first:?}");
        assert!(first.iter().any(|one| one["value"]["name"] == "Ann"), "{class}: {first:?}");
        let first = [events.next().await, events.next().await];
        assert!(first.iter().any(|one| one["value"]["name"] == "Ann"), "{class}: {first:?}");
        socket.send(r#"{"n":1}"#).await;
        assert_eq!(socket.next().await, json!({"echo": {"n": 1}}), "{class}");
        server.put("/People/bob", r#"{"name":"Bob"}"#).await.expect(204);
        server.put("/People/ann", r#"{"name":"Anna"}"#).await.expect(204);
        assert_eq!(socket.next().await["value"]["name"], "Anna", "{class}");
        assert_eq!(events.next().await["value"]["name"], "Anna", "{class}");
        drop((socket, events));
        let logged = format!("/Log/{log}-ann");
        server.until(&logged, |answer| answer.status == 200).await;
    }
}
