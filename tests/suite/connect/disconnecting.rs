//! What a class learns of a client that goes away, whatever it waits for.

use fastwebsockets::OpCode;

use super::app;

const RESOURCES: &str = r#"
import { Resource, tables } from 'harperdb';

const log = (id, text) => tables.Log.put({ id, text });
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const atWork = new Set();
export class AtWork extends Resource {
	get(target) { return atWork.has(target.id); }
}

export class Messages extends Resource {
	async *connect(target, incoming) {
		try {
			yield 'ready';
			for await (const message of incoming ?? []) yield message;
			if (!incoming) await wait(50);
			while (!incoming) { await wait(5); yield 'tick'; }
		} finally {
			await log(target.id, 'messages');
		}
	}
}
export class Events extends Resource {
	async *connect(target) {
		try {
			yield 'ready';
			for await (const event of await tables.People.subscribe()) yield event;
		} finally {
			await log(target.id, 'events');
		}
	}
}
export class Timer extends Resource {
	async *connect(target) {
		try {
			yield 'ready';
			await wait(200);
			yield 'nobody hears this';
			await log(target.id + '-went-on', 'wrong');
		} finally {
			await log(target.id, 'timer');
		}
	}
}
export class Returned extends Resource {
	async *connect(target) {
		const subscription = await tables.People.subscribe();
		subscription.on('close', () => log(target.id, 'returned'));
		yield 'ready';
		return subscription;
	}
}
export class Queue extends Resource {
	connect(target) {
		const outgoing = super.connect();
		outgoing.on('close', () => log(target.id, 'queue'));
		outgoing.send('ready');
		return outgoing;
	}
}
/** Is still at work when its client goes. */
export class Slow extends Resource {
	async connect(target) {
		atWork.add(target.id);
		while (!(await tables.Log.get(target.id + '-go'))) await wait(5);
		const outgoing = super.connect();
		outgoing.on('close', () => log(target.id, 'slow'));
		return outgoing;
	}
}
/** Reads its first message before it returns a stream. */
export class Greeted extends Resource {
	async connect(target, incoming) {
		atWork.add(target.id);
		const { value, done } = await incoming[Symbol.asyncIterator]().next();
		if (done) await log(target.id, 'greeted');
		const outgoing = super.connect();
		outgoing.send({ hello: value });
		return outgoing;
	}
}
"#;

#[tokio::test]
async fn finally_blocks_run_and_close_is_heard() {
    let app = app(RESOURCES);
    let server = app.run();
    for class in ["Messages", "Events", "Timer", "Returned", "Queue"] {
        let mut closing = server.socket(&format!("/{class}/{class}-close")).await;
        assert_eq!(closing.next().await, "ready");
        closing.write(OpCode::Close, &1000u16.to_be_bytes()).await;
        let mut vanishing = server.socket(&format!("/{class}/{class}-gone")).await;
        assert_eq!(vanishing.next().await, "ready");
        drop(vanishing);
        let mut events = server.events(&format!("/{class}/{class}-sse")).await;
        assert_eq!(events.next_block().await.unwrap(), "data: ready");
        drop(events);
        for way in ["close", "gone", "sse"] {
            let logged = format!("/Log/{class}-{way}");
            let found = server.until(&logged, |answer| answer.status == 200).await;
            assert_eq!(found.json()["text"], class.to_lowercase());
            server.get(&format!("{logged}-went-on")).await.expect(404);
        }
    }
}

#[tokio::test]
async fn a_client_that_vanishes_while_connect_is_at_work_is_told_of() {
    let app = app(RESOURCES);
    let server = app.run();
    let slow = server.socket("/Slow/ws").await;
    server.until("/AtWork/ws", |answer| answer.body == "true").await;
    drop(slow);
    let accept = [("accept", "text/event-stream")];
    let events = server.open("GET", "/Slow/sse", &accept, "");
    tokio::select! {
        _ = events => panic!("the class has not answered"),
        _ = server.until("/AtWork/sse", |answer| answer.body == "true") => {}
    }
    for way in ["ws", "sse"] {
        server.put(&format!("/Log/{way}-go"), r#"{"text":"go"}"#).await.expect(204);
        server.until(&format!("/Log/{way}"), |answer| answer.status == 200).await;
    }
    let greeted = server.socket("/Greeted/1").await;
    server.until("/AtWork/1", |answer| answer.body == "true").await;
    drop(greeted);
    server.until("/Log/1", |answer| answer.status == 200).await;
    let mut greeted = server.socket("/Greeted/2").await;
    greeted.send(r#"{"name":"Ann"}"#).await;
    assert_eq!(greeted.next().await["hello"]["name"], "Ann");
}

#[tokio::test]
async fn the_server_stops_promptly_with_open_sockets() {
    let app = app(RESOURCES);
    let server = app.run();
    let mut sockets = Vec::new();
    for class in ["Messages", "Events", "Timer", "Returned", "Queue"] {
        let mut socket = server.socket(&format!("/{class}/{class}")).await;
        assert_eq!(socket.next().await, "ready");
        sockets.push(socket);
    }
    let mut events = server.events("/Events/sse").await;
    assert_eq!(events.next_block().await.unwrap(), "data: ready");
    let began = std::time::Instant::now();
    let stopped = tokio::task::spawn_blocking(move || server.terminate());
    for socket in &mut sockets {
        assert_eq!(socket.closed().await.code, Some(1001));
    }
    while events.next_block().await.is_some() {}
    assert!(stopped.await.unwrap().success());
    let took = began.elapsed();
    assert!(took < std::time::Duration::from_secs(5), "SIGTERM took {took:?}");
}
