//! `server.mqtt`: code that watches the broker, and says who may connect.

use mqtt_proto::v5::{ConnectReasonCode, Disconnect};
use serde_json::{Value, json};

use crate::harness::mqtt::{connect, connect_durable};
use crate::harness::{App, Server};

const CODE: &str = r#"import { Resource, server, tables } from 'harperdb';

const tell = (what, about) => tables.Seen.put({ id: `${what} ${about}`, what });

server.mqtt.events.on('connection', (socket) => tell('connection', socket.remoteAddress));
server.mqtt.events.on('connected', (session, socket) => {
	if (session.socket !== socket || !socket.remotePort) throw new Error('another socket');
	tell('connected', `${session.sessionId} ${session.user.username} ${session.sessionWasPresent}`);
});
server.mqtt.events.on('disconnected', (session) => tell('disconnected', session.sessionId));
server.mqtt.events.once('auth-failed', (packet, socket, error) =>
	tell('auth-failed', `${packet.clientId} ${error.code} ${error.message}`));
server.mqtt.events.on('error', (error) => tell('error', error.message));
server.mqtt.authorizeClient = async (packet, user) => {
	await null;
	if (packet.clientId.startsWith('banned')) throw Object.assign(new Error('go away'), { code: 0x8a });
	if (packet.clientId === 'odd') throw new Error(`${packet.protocolVersion} ${packet.properties.userProperties.a}`);
	if (!user) throw new Error('nobody');
};

export class Sessions extends Resource {
	static loadAsInstance = false;
	get() { return [...server.mqtt.sessions].map((session) => session.sessionId).sort(); }
}
"#;

fn app() -> App {
    App::new(&[
        (
            "config.yaml",
            "rest: true\ngraphqlSchema: { files: schema.graphql }\njsResource: { files: r.js }\n",
        ),
        ("schema.graphql", "type Seen @table @export {\n  id: ID @primaryKey\n  what: String\n}\n"),
        ("r.js", CODE),
    ])
}

async fn until_seen(server: &Server, id: &str) {
    server.until(&format!("/Seen/{}", id.replace(' ', "%20")), |answer| answer.status == 200).await;
}

#[tokio::test]
async fn code_is_told_of_clients_and_asked_whether_they_may_connect() {
    let app = app();
    let server = app.run();
    let client = server.mqtt(connect("first")).await;
    assert_eq!(client.connack.reason_code, ConnectReasonCode::Success);
    until_seen(&server, "connection 127.0.0.1").await;
    until_seen(&server, "connected first local false").await;
    let mut other = server.mqtt(connect_durable("other")).await;
    until_seen(&server, "connected other local false").await;
    assert_eq!(server.get("/Sessions/").await.expect(200).json(), json!(["first", "other"]));

    for (name, reason, why) in [
        ("banned one", ConnectReasonCode::Banned, "go away"),
        ("banned two", ConnectReasonCode::Banned, "go away"),
        ("odd", ConnectReasonCode::NotAuthorized, "5 b"),
    ] {
        let mut packet = connect(name);
        let pair = mqtt_proto::v5::UserProperty { name: "a".into(), value: "b".into() };
        packet.properties.user_properties = vec![pair];
        let refused = server.mqtt(packet).await;
        assert_eq!(refused.connack.reason_code, reason, "{name}");
        assert_eq!(refused.connack.properties.reason_string.as_deref(), Some(why));
    }
    until_seen(&server, "auth-failed banned one 138 go away").await;

    drop(client);
    until_seen(&server, "disconnected first").await;
    other.send(&Disconnect::new_normal().into()).await;
    assert_eq!(other.read().await, None);
    until_seen(&server, "disconnected other").await;
    server.until("/Sessions/", |answer| answer.json() == json!([])).await;
    let mut again = server.mqtt(connect_durable("other")).await;
    until_seen(&server, "connected other local true").await;
    again.write(b"\xd0\x00").await;
    until_seen(&server, "error A client that is connected can't send this packet").await;

    let seen: Value = server.get("/Seen/?what=auth-failed").await.expect(200).json();
    assert_eq!(seen.as_array().unwrap().len(), 1, "it was listened to once: {seen}");
}

/// A component that only looks at the sessions, or at nothing at all, costs nobody his connection.
#[tokio::test]
async fn a_watcher_that_throws_is_its_own_trouble() {
    let app = app();
    let code = "import { server } from 'harperdb';\nserver.mqtt.events.on('connected', () => { throw new \
                Error('on purpose'); });\n";
    app.write("r.js", code);
    let server = app.run();
    for name in ["first", "second"] {
        let mut client = server.mqtt(connect(name)).await;
        assert_eq!(client.connack.reason_code, ConnectReasonCode::Success);
        client.expect_nothing().await;
    }
    let stderr = server.stderr.clone();
    tokio::task::spawn_blocking(move || stderr.wait_for_count("on purpose", 2)).await.unwrap();
}
