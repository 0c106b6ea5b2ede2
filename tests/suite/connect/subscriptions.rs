//! Subscriptions to tables that JavaScript reads.

use serde_json::{Value, json};

use super::app;
use crate::harness::{App, Server};

const RESOURCES: &str = r#"
import { Resource, tables, server } from 'harperdb';

/** Its options are the query: `/Feed/<id>?omitCurrent=true&previousCount=2&hasty=true`. */
export class Feed extends Resource {
	async *connect(target) {
		const options = { id: target.id ?? null };
		if (target.get('omitCurrent')) options.omitCurrent = true;
		if (target.get('previousCount')) options.previousCount = Number(target.get('previousCount'));
		if (target.get('startTime')) options.startTime = Number(target.get('startTime'));
		if (target.isCollection) options.isCollection = true;
		yield { ready: true };
		const subscribed = tables.People.subscribe(options);
		const subscription = target.get('hasty') ? subscribed : await subscribed;
		for await (const event of subscription) {
			yield { keys: Object.keys(event), ...event, worker: server.workerIndex };
			if (event.value?.name === 'the end') break;
		}
		yield { ended: true };
	}
}
export class Listening extends Resource {
	async connect() {
		const outgoing = super.connect();
		const subscription = await tables.People.subscribe({ omitCurrent: true });
		subscription.on('data', (event) => outgoing.send({ id: event.id, type: event.type }));
		subscription.on('close', () => outgoing.send({ ended: true }));
		outgoing.on('close', () => subscription.end());
		outgoing.send({ ready: true });
		return outgoing;
	}
}
export class Ending extends Resource {
	async *connect(target, incoming) {
		const subscription = await tables.People.subscribe();
		(async () => {
			for await (const message of incoming) subscription.end();
		})();
		for await (const event of subscription) yield { id: event.id };
		yield { ended: true };
	}
}
export class Publish extends Resource {
	async post(target, data) {
		await tables.People.publish(target.id ?? data.id, data.message);
		return { worker: server.workerIndex };
	}
}
"#;

async fn publish(server: &Server, body: Value) -> Value {
    let json = [crate::harness::client::JSON];
    let answer = server.send("POST", "/Publish/", &json, &body.to_string()).await;
    assert!(answer.status < 300, "{answer:?}");
    answer.json()
}

fn people() -> App {
    app(RESOURCES)
}

#[tokio::test]
async fn code_reads_events_and_own_messages() {
    let app = people();
    let server = app.run();
    server.put("/People/ann", r#"{"name":"Ann"}"#).await.expect(204);
    for path in ["/Feed/", "/Feed/?hasty=true"] {
        let mut feed = server.socket(path).await;
        assert_eq!(feed.next().await, json!({"ready": true}));
        let current = feed.next().await;
        assert_eq!(current["keys"], json!(["id", "localTime", "value", "version", "type"]));
        assert_eq!(current["value"]["name"], "Ann");
        assert!(current["version"].is_f64() || current["version"].is_i64(), "{current}");
        publish(&server, json!({"id": "topic", "message": {"name": "hello"}})).await;
        let message = feed.next().await;
        assert_eq!((&message["id"], &message["type"]), (&json!("topic"), &json!("message")));
        assert_eq!(message["value"], json!({"name": "hello"}));
        server.get("/People/topic").await.expect(404);
        server.put("/People/bob", r#"{"name":"Bob"}"#).await.expect(204);
        assert_eq!(feed.next().await["value"], json!({"id": "bob", "name": "Bob"}));
        server.send("DELETE", "/People/bob", &[], "").await.expect(200);
        assert_eq!(feed.next().await["type"], "delete");
        publish(&server, json!({"id": "x", "message": {"name": "the end"}})).await;
        assert_eq!(feed.next().await["type"], "message");
        assert_eq!(feed.next().await, json!({"ended": true}));
        assert_eq!(feed.closed().await.code, None);
    }
}

#[tokio::test]
async fn subscriptions_have_options_and_an_end() {
    let app = people();
    let server = app.run();
    for n in 0..5 {
        let body = format!(r#"{{"name":"{n}"}}"#);
        server.put(&format!("/People/{n}"), &body).await.expect(204);
    }
    let mut omitting = server.socket("/Feed/?omitCurrent=true").await;
    assert_eq!(omitting.next().await, json!({"ready": true}));
    // The subscription is made after `ready`: changes until it is there are not its own.
    let mut n = 0;
    let first = loop {
        server.put("/People/new", &format!(r#"{{"name":"new {n}"}}"#)).await.expect(204);
        n += 1;
        let next = tokio::time::timeout(std::time::Duration::from_millis(50), omitting.next());
        if let Ok(event) = next.await {
            break event;
        }
    };
    assert_eq!(first["id"], "new", "{first}");

    let mut previous = server.socket("/Feed/?previousCount=2").await;
    assert_eq!(previous.next().await, json!({"ready": true}));
    let (older, newer) = (previous.next().await, previous.next().await);
    assert!(older["version"].as_f64() < newer["version"].as_f64(), "{older} {newer}");
    assert_eq!(newer["id"], "new");

    let mut record = server.socket("/Feed/3").await;
    assert_eq!(record.next().await, json!({"ready": true}));
    let current = record.next().await;
    assert_eq!(current["value"]["name"], "3");
    let since = current["localTime"].to_string();
    server.put("/People/4", r#"{"name":"4 again"}"#).await.expect(204);
    server.put("/People/3", r#"{"name":"3 again"}"#).await.expect(204);
    assert_eq!(record.next().await["value"]["name"], "3 again");

    let mut since = server.socket(&format!("/Feed/?startTime={since}")).await;
    assert_eq!(since.next().await, json!({"ready": true}));
    let first = since.next().await;
    assert_eq!(first["value"]["name"], "4", "exclusive, and oldest first: {first}");

    let mut ending = server.socket("/Ending").await;
    for n in 0..5 {
        assert_eq!(ending.next().await["id"], n.to_string());
    }
    assert_eq!(ending.next().await["id"], "new");
    ending.send(r#"{"end":true}"#).await;
    assert_eq!(ending.next().await, json!({"ended": true}));
    assert_eq!(ending.closed().await.code, None);
}

/// Sockets of either worker hear what either worker and REST commit: once, and in order.
#[tokio::test]
async fn events_reach_the_sockets_of_all_workers() {
    let app = people();
    let server = app.run_on(2);
    let mut feeds = Vec::new();
    for n in 0..6 {
        let path = if n % 2 == 0 { "/Feed/?omitCurrent=true" } else { "/Feed/" };
        let mut feed = server.socket(path).await;
        assert_eq!(feed.next().await, json!({"ready": true}));
        feeds.push(feed);
    }
    let mut listening = server.socket("/Listening").await;
    assert_eq!(listening.next().await, json!({"ready": true}));
    // Each feed is there when it has heard something.
    for feed in &mut feeds {
        loop {
            publish(&server, json!({"id": "ready", "message": {"name": "ready"}})).await;
            let next = tokio::time::timeout(std::time::Duration::from_millis(100), feed.next());
            if next.await.is_ok() {
                break;
            }
        }
    }
    let mut writers = std::collections::BTreeSet::new();
    for n in 0..100 {
        if n % 2 == 0 {
            server.put(&format!("/People/n{n}"), r#"{"name":"x"}"#).await.expect(204);
        } else {
            let told = publish(&server, json!({"id": format!("n{n}"), "message": {"name": "m"}}));
            writers.insert(told.await["worker"].as_u64());
        }
    }
    assert_eq!(writers.len(), 2, "both workers have published");
    let mut readers = std::collections::BTreeSet::new();
    for feed in &mut feeds {
        let mut expected = 0;
        while expected < 100 {
            let event = feed.next().await;
            if event["id"] == "ready" {
                continue;
            }
            assert_eq!(event["id"], format!("n{expected}"));
            readers.insert(event["worker"].as_u64());
            expected += 1;
        }
    }
    assert_eq!(readers.len(), 2, "both workers serve sockets");
    let mut expected = 0;
    while expected < 100 {
        let event = listening.next().await;
        if event["id"] != "ready" {
            assert_eq!(event["id"], format!("n{expected}"));
            expected += 1;
        }
    }
}
