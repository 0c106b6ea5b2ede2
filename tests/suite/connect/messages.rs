//! The client's messages on their way to a class.

use fastwebsockets::OpCode;
use serde_json::{Value, json};

use super::app;

const RESOURCES: &str = r#"
import { Resource } from 'harperdb';

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const shown = (message) =>
	message?.data instanceof Uint8Array
		? { contentType: message.contentType, bytes: [...message.data] }
		: message;

export class Echo extends Resource {
	async *connect(incomingMessages) {
		for await (const message of incomingMessages) yield { got: shown(message) };
	}
}
/** Begins to read long after the client began to write. */
export class Late extends Resource {
	async connect(target, incoming) {
		await wait(100);
		return (async function* () {
			await wait(100);
			for await (const message of incoming) yield message;
		})();
	}
}
export class Listening extends Resource {
	async connect(target, incoming) {
		await wait(50);
		const outgoing = super.connect();
		let count = 0;
		incoming.on('data', (message) => {
			if (message.fail) throw new Error('not that one');
			outgoing.send({ ...message, count: ++count });
		});
		return outgoing;
	}
}
/** Answers bytes as they came. */
export class Raw extends Resource {
	async *connect(incomingMessages) {
		for await (const message of incomingMessages) yield message;
	}
}
"#;

#[tokio::test]
async fn messages_are_decoded_by_their_type() {
    let app = app(RESOURCES);
    let server = app.run();
    let octets =
        |text: &str| json!({"contentType": "application/octet-stream", "bytes": text.as_bytes()});
    let mut guessed = server.socket("/Echo").await;
    for (text, expected) in [
        (r#"{"a":[1,null]}"#, json!({"a": [1, null]})),
        ("[1]", octets("[1]")),
        ("5", octets("5")),
        ("plain", octets("plain")),
        ("{broken", octets("{broken")),
        ("", octets("")),
    ] {
        guessed.send(text).await;
        assert_eq!(guessed.next().await, json!({ "got": expected }), "{text}");
    }
    guessed.write(OpCode::Binary, br#"{"b":1}"#).await;
    assert_eq!(guessed.next().await, json!({"got": {"b": 1}}));
    guessed.write(OpCode::Binary, &[0, 255, 7]).await;
    let bytes = json!({"contentType": "application/octet-stream", "bytes": [0, 255, 7]});
    assert_eq!(guessed.next().await, json!({ "got": bytes }));

    for (content_type, text, expected) in [
        ("application/json", "[1]", json!([1])),
        ("application/json", "0", json!(0)),
        ("text/plain", "hi", json!("hi")),
        ("text/plain", "", json!("")),
        ("text/csv", "a,b", json!({"contentType": "text/csv", "data": "a,b"})),
        ("image/png", "x", json!({"contentType": "image/png", "bytes": [120]})),
    ] {
        let mut socket = server.socket_with("/Echo", &[("content-type", content_type)]).await;
        socket.send(text).await;
        assert_eq!(socket.next().await, json!({ "got": expected }), "{content_type}");
    }
    let mut typed = server.socket_with("/Echo", &[("content-type", "application/json")]).await;
    typed.send("{broken").await;
    assert_eq!(typed.closed().await.code, Some(1007));

    let mut raw = server.socket("/Raw").await;
    raw.write(OpCode::Binary, &[0, 255, 7]).await;
    assert_eq!(raw.read().await, (OpCode::Binary, vec![0, 255, 7]));
}

#[tokio::test]
async fn early_messages_are_neither_lost_nor_reordered() {
    let app = app(RESOURCES);
    let server = app.run();
    for class in ["Late", "Listening"] {
        let mut socket = server.socket(&format!("/{class}/1")).await;
        for n in 0..200 {
            socket.send(&format!(r#"{{"n":{n}}}"#)).await;
        }
        for n in 0..200 {
            assert_eq!(socket.next().await["n"], n, "{class}");
        }
    }
}

#[tokio::test]
async fn what_a_listener_throws_closes_its_socket_only() {
    let app = app(RESOURCES);
    let server = app.run();
    let mut other = server.socket("/Listening/1").await;
    let mut socket = server.socket("/Listening/2").await;
    socket.send(r#"{"n":1}"#).await;
    assert_eq!(socket.next().await, json!({"n": 1, "count": 1}));
    socket.send(r#"{"fail":true}"#).await;
    let close = socket.closed().await;
    assert_eq!((close.code, close.reason.as_str()), (Some(1011), "Error: not that one"));
    other.send(r#"{"n":2}"#).await;
    assert_eq!(other.next().await, json!({"n": 2, "count": 1}));
}

/// Sockets that come and go get their own messages, whatever numbers they are known by inside.
#[tokio::test]
async fn sockets_do_not_mix_over_many_generations() {
    let app = app(RESOURCES);
    let server = app.run();
    let mut kept = server.socket("/Echo").await;
    for round in 0..30 {
        let mut sockets = Vec::new();
        for n in 0..5 {
            let mut socket = server.socket("/Echo").await;
            socket.send(&json!({"round": round, "n": n}).to_string()).await;
            sockets.push(socket);
        }
        for (n, socket) in sockets.iter_mut().enumerate() {
            assert_eq!(socket.next().await["got"], json!({"round": round, "n": n}));
        }
        if round % 2 == 0 {
            // Half of them leave in the middle of a message for nobody.
            for mut socket in sockets {
                socket.send(r#"{"for":"nobody"}"#).await;
            }
        }
        kept.send(&json!({ "round": round }).to_string()).await;
        let Value::Object(answer) = kept.next().await else { panic!("an object") };
        assert_eq!(answer["got"], json!({ "round": round }));
    }
}
