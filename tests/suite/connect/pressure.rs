//! Clients that do not read: generators stop, queues stay bounded.

use serde_json::json;

use super::app;
use crate::harness::client::JSON;

const RESOURCES: &str = r#"
import { Resource } from 'harperdb';

let yielded = 0;
let closed = 0;
const text = 'x'.repeat(16 * 1024);

export class Endless extends Resource {
	async *connect() {
		while (true) yield { n: yielded++, text };
	}
}
export class Pushing extends Resource {
	connect() {
		const outgoing = super.connect();
		outgoing.on('close', () => closed++);
		const push = setInterval(() => {
			for (let n = 0; n < 64; n++) outgoing.send({ n, text });
		}, 1);
		outgoing.on('close', () => clearInterval(push));
		return outgoing;
	}
}
/** Sends no faster than the client reads, though `send` does not wait. */
export class Careful extends Resource {
	connect() {
		const outgoing = super.connect();
		const send = async () => {
			for (let n = 0; n < 2000; n++) {
				outgoing.send({ n, text });
				if (n % 16 === 15) await outgoing.waitForDrain();
			}
			outgoing.close();
		};
		send();
		return outgoing;
	}
}
export class Counts extends Resource {
	get() { return { yielded, closed }; }
}
"#;

/// More than the server may hold for one client that does not read.
const MUCH: u64 = 64 << 20;

#[tokio::test]
async fn a_generator_waits_for_its_client() {
    let app = app(RESOURCES);
    let server = app.run();
    let before = server.memory();
    for way in ["ws", "sse"] {
        let start = server.get("/Counts/").await.json()["yielded"].as_u64().unwrap();
        let (mut socket, mut events) = (None, None);
        if way == "ws" {
            socket = Some(server.socket("/Endless").await);
        } else {
            events = Some(server.events("/Endless").await);
        }
        // It stops: the count stays where it is over many answers of the same worker.
        let mut last = start;
        let mut still = 0;
        while still < 40 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            let now = server.get("/Counts/").await.json()["yielded"].as_u64().unwrap();
            still = if now == last && now > start { still + 1 } else { 0 };
            last = now;
            assert!(now - start < MUCH / (16 * 1024), "{way}: {now} and no end");
        }
        // And goes on when the client reads.
        while server.get("/Counts/").await.json()["yielded"].as_u64().unwrap() < last + 50 {
            match (&mut socket, &mut events) {
                (Some(socket), _) => drop(socket.next().await),
                (_, Some(events)) => drop(events.next().await),
                _ => unreachable!(),
            }
        }
    }
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 2 * MUCH, "the server has grown by {grown} bytes");
}

#[tokio::test]
async fn sending_without_end_to_a_client_that_does_not_read_closes_its_socket() {
    let app = app(RESOURCES);
    let server = app.run();
    let before = server.memory();
    let mut socket = server.socket("/Pushing/1").await;
    let mut other = server.socket("/Pushing/2").await;
    let counts = server.until("/Counts/", |answer| answer.json()["closed"] != 0).await;
    assert!(counts.json()["closed"].as_u64() >= Some(1));
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 2 * MUCH, "the server has grown by {grown} bytes");
    for socket in [&mut socket, &mut other] {
        let close = loop {
            match socket.read().await {
                (fastwebsockets::OpCode::Close, payload) => break payload,
                (fastwebsockets::OpCode::Text, _) => {}
                frame => panic!("{frame:?}"),
            }
        };
        assert_eq!(close[..2], 1013u16.to_be_bytes());
        assert!(close.len() > 2, "a reason");
    }
    server.until("/Counts/", |answer| answer.json()["closed"] == 2).await;
    server.send("POST", "/Log/", &[JSON], r#"{"text":"still there"}"#).await.expect(201);
}

#[tokio::test]
async fn code_that_waits_for_the_queue_to_drain_is_not_closed() {
    let app = app(RESOURCES);
    let server = app.run();
    let mut socket = server.socket("/Careful").await;
    // Long enough for a sender that does not wait to pass any bound.
    server.until("/Counts/", |answer| answer.status == 200).await;
    for n in 0..2000 {
        assert_eq!(socket.next().await["n"], json!(n));
    }
    assert_eq!(socket.closed().await.code, None);
}
