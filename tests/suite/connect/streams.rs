//! What `connect` may return or throw, and how it is called.

use serde_json::{Value, json};

use super::app;
use crate::harness::Server;
use crate::harness::socket::Close;

const RESOURCES: &str = r#"
import { Resource } from 'harperdb';

export class Generator extends Resource {
	async *connect() { yield { n: 1 }; yield { n: 2 }; }
}
export class Finite extends Resource {
	*connect() { yield { n: 1 }; yield Promise.resolve({ n: 2 }); }
}
export class List extends Resource {
	connect() { return [{ n: 1 }, { n: 2 }]; }
}
export class Later extends Resource {
	async connect() { return new Set([{ n: 1 }, { n: 2 }]); }
}
export class OwnIterable extends Resource {
	connect() {
		let n = 0;
		return {
			[Symbol.asyncIterator]: () => ({
				next: async () => (n < 2 ? { value: { n: ++n }, done: false } : { done: true }),
			}),
		};
	}
}
export class Readable extends Resource {
	connect() { return ReadableStream.from([{ n: 1 }, { n: 2 }]); }
}
export class Returns extends Resource {
	async *connect() {
		yield { n: 1 };
		return (async function* () {
			return [{ n: 2 }];
		})();
	}
}

export class ThrowsAtOnce extends Resource {
	connect() { throw new Error('broken'); }
}
export class ThrowsTyped extends Resource {
	async connect() { throw new TypeError('of another type'); }
}
export class ThrowsLater extends Resource {
	async *connect() { yield { n: 1 }; throw new RangeError('too far'); }
}
export class ThrowsText extends Resource {
	async *connect() { throw 'just text'; }
}
export class ThrowsStatus extends Resource {
	connect(target) {
		throw Object.assign(new Error('no'), { statusCode: Number(target.id) });
	}
}
export class ThrowsStatusLater extends Resource {
	async *connect(target) {
		throw Object.assign(new Error('no'), { statusCode: Number(target.id) });
	}
}
export class Single extends Resource {
	connect() { return { only: 'one' }; }
}

const told = (target, incoming, request) => ({
	id: target?.id,
	collection: Boolean(target?.isCollection),
	query: target?.get?.('q') ?? null,
	incoming: incoming === null ? 'null' : typeof incoming?.on,
	request: request === undefined ? undefined : request.headers.get('x-test'),
});
export class TargetOnly extends Resource {
	async *connect(target) { yield told(target, this.nothing); }
}
export class IncomingOnly extends Resource {
	async *connect(incomingMessages) { yield told({ id: this.getId() }, incomingMessages); }
}
export class TargetFirst extends Resource {
	async *connect(target, incomingMessages) { yield told(target, incomingMessages); }
}
export class IncomingFirst extends Resource {
	async *connect(incoming, target) { yield told(target, incoming); }
}
export class Flagged extends Resource {
	static loadAsInstance = false;
	async *connect(a, b) { yield told(a, b); }
}
export class FlaggedInstance extends Resource {
	static loadAsInstance = true;
	async *connect(a, b) { yield told(b, a); }
}
export class Static extends Resource {
	static async *connect(target, incoming, request) { yield told(target, incoming, request); }
}
export const plain = {
	get() { return 1; },
	async *connect(target, incoming) { yield told(target, incoming); },
};
export class OwnContext extends Resource {
	async *connect() { yield { test: this.getContext().headers.get('x-test') }; }
}
export class Named extends Resource {
	async *connect() { yield 'greetings'; yield { event: 'another-message', data: 'hello again' }; }
}
"#;

async fn closed(server: &Server, path: &str) -> (Option<u16>, String) {
    let Close { code, reason } = server.socket(path).await.closed().await;
    (code, reason)
}

#[tokio::test]
async fn every_kind_of_stream_is_sent_and_ended() {
    let app = app(RESOURCES);
    let server = app.run();
    for path in
        ["/Generator", "/Finite", "/List", "/Later", "/OwnIterable", "/Readable", "/Returns"]
    {
        let mut socket = server.socket(path).await;
        assert_eq!(socket.next().await, json!({"n": 1}), "{path}");
        assert_eq!(socket.next().await, json!({"n": 2}), "{path}");
        assert_eq!(socket.closed().await, Close { code: None, reason: String::new() }, "{path}");
        let mut events = server.events(path).await;
        assert_eq!(events.next().await, json!({"n": 1}), "{path}");
        assert_eq!(events.next().await, json!({"n": 2}), "{path}");
        assert_eq!(events.next_block().await, None, "{path}");
    }
    let mut events = server.events("/Single").await;
    assert_eq!(events.next().await, json!({"only": "one"}));
    assert_eq!(events.next_block().await, None);
    let (code, reason) = closed(&server, "/Single").await;
    assert_eq!(code, Some(1011));
    assert!(reason.starts_with("TypeError: "), "{reason}");
    let mut events = server.events("/Named").await;
    assert_eq!(events.next_block().await.unwrap(), "data: greetings");
    let named = "event: another-message\ndata: hello again";
    assert_eq!(events.next_block().await.unwrap(), named);
}

#[tokio::test]
async fn what_is_thrown_is_the_reason_of_the_close() {
    let app = app(RESOURCES);
    let server = app.run();
    for (path, code, reason) in [
        ("/ThrowsAtOnce", 1011, "Error: broken"),
        ("/ThrowsTyped", 1011, "TypeError: of another type"),
        ("/ThrowsText", 1011, "Error: just text"),
        ("/ThrowsStatus/401", 3000, "Error: no"),
        ("/ThrowsStatus/403", 3003, "Error: no"),
        ("/ThrowsStatus/404", 1011, "Error: no"),
        ("/ThrowsStatusLater/401", 3000, "Error: no"),
        ("/ThrowsStatusLater/403", 3003, "Error: no"),
    ] {
        assert_eq!(closed(&server, path).await, (Some(code), reason.to_owned()), "{path}");
    }
    let mut later = server.socket("/ThrowsLater").await;
    assert_eq!(later.next().await, json!({"n": 1}));
    let reason = "RangeError: too far".to_owned();
    assert_eq!(later.closed().await, Close { code: Some(1011), reason });

    let mut at_once = server.events("/ThrowsStatus/403").await;
    assert_eq!(at_once.response.status(), 403);
    assert_eq!(at_once.response.headers()["content-type"], "text/event-stream");
    assert_eq!(at_once.next().await["title"], "no");
    assert_eq!(server.events("/ThrowsAtOnce").await.response.status(), 500);
    let mut later = server.events("/ThrowsLater").await;
    assert_eq!(later.next().await, json!({"n": 1}));
    let block = later.next_block().await.unwrap();
    assert!(block.starts_with("event: harper-error\ndata: {"), "{block}");
    assert!(block.contains("too far"), "{block}");
    assert_eq!(later.next_block().await, None);
    // None of it harmed the worker.
    assert_eq!(server.socket("/Generator").await.next().await, json!({"n": 1}));
}

#[tokio::test]
async fn classes_get_their_arguments_in_the_order_that_they_expect() {
    let app = app(RESOURCES);
    let server = app.run();
    let expected = |id: Value, incoming: Option<&str>| json!({"id": id, "collection": false, "query": null, "incoming": incoming});
    for path in ["TargetFirst", "IncomingFirst", "Flagged", "FlaggedInstance", "plain"] {
        let told = server.socket(&format!("/{path}/341")).await.next().await;
        assert_eq!(told, expected(json!("341"), Some("function")), "{path}");
        let told = server.events(&format!("/{path}/341")).await.next().await;
        assert_eq!(told, expected(json!("341"), Some("null")), "{path}");
    }
    let told = server.socket("/TargetFirst/?q=5").await.next().await;
    assert_eq!((&told["collection"], &told["query"]), (&json!(true), &json!("5")));
    let told = server.socket("/TargetOnly/5").await.next().await;
    assert_eq!(told["id"], "5");
    let told = server.events("/TargetOnly/5").await.next().await;
    assert_eq!(told["id"], "5");
    let told = server.socket("/IncomingOnly/5").await.next().await;
    assert_eq!((&told["id"], &told["incoming"]), (&json!("5"), &json!("function")));
    let told = server.events("/IncomingOnly/5").await.next().await;
    assert_eq!(told["incoming"], "null");

    let headers = [("x-test", "seen")];
    let told = server.socket_with("/Static/5", &headers).await.next().await;
    assert_eq!((&told["id"], &told["incoming"]), (&json!("5"), &json!("function")));
    assert_eq!(told["request"], "seen");
    let told = server.socket_with("/OwnContext", &headers).await.next().await;
    assert_eq!(told["test"], "seen");
}
