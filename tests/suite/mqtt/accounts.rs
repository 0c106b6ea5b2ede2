//! Who a client is, and what it may publish and subscribe to.

use fastwebsockets::OpCode;
use mqtt_proto::QoS;
use mqtt_proto::v5::{Connect, ConnectReasonCode, Packet, PubackReasonCode, SubscribeReasonCode};
use serde_json::json;

use crate::harness::client::JSON;
use crate::harness::mqtt::connect;
use crate::harness::{ADMINISTRATOR, App, Server};

const ROLES: &str = "reader:\n  data:\n    Room: { read: true }\n\
     writer:\n  data:\n    Room: { insert: true, update: true }\n\
     partial:\n  permission:\n    data:\n      tables:\n        Room:\n          read: true\n          \
     insert: false\n          update: false\n          delete: false\n          attributes:\n            \
     id: { read: true }\n            name: { read: true }\n";

const OPERATE: &str = "import { Resource, server } from 'harperdb';\n\
     export class Operate extends Resource {\n\
     \tpost(data) { return server.operation(data, this.getContext(), false); }\n}\n";

fn app() -> App {
    App::new(&[
        (
            "config.yaml",
            "rest: true\ngraphqlSchema: { files: schema.graphql }\nroles: { files: roles.yaml }\n\
             jsResource: { files: resources.js }\n",
        ),
        (
            "schema.graphql",
            "type Room @table @export {\n  id: ID @primaryKey\n  name: String\n  secret: String\n}\n",
        ),
        ("roles.yaml", ROLES),
        ("resources.js", OPERATE),
    ])
}

/// A server that trusts nobody by his address, with a user for each role.
async fn serve(app: &App) -> Server {
    let server = Server::start(&["run", "--authorize-local=false"], &app.directory(), &app.data());
    for name in ["reader", "writer", "partial"] {
        let user =
            json!({"operation": "add_user", "username": name, "password": "p", "role": name});
        operate(&server, &user.to_string()).await;
    }
    server
}

async fn operate(server: &Server, operation: &str) {
    let headers = [("authorization", ADMINISTRATOR_BASIC), JSON];
    server.send("POST", "/Operate", &headers, operation).await.expect(200);
}

/// `admin:the secret of admin`.
const ADMINISTRATOR_BASIC: &str = "Basic YWRtaW46dGhlIHNlY3JldCBvZiBhZG1pbg==";

fn as_user(client_id: &str, name: &str, password: &str) -> Connect {
    let mut packet = connect(client_id);
    packet.username = Some(name.into());
    packet.password = Some(hyper::body::Bytes::copy_from_slice(password.as_bytes()));
    packet
}

#[tokio::test]
async fn who_a_client_is_decides_what_it_may() {
    let app = app();
    let server = serve(&app).await;
    for (packet, reason) in [
        (connect("c"), ConnectReasonCode::NotAuthorized),
        (as_user("c", "reader", "wrong"), ConnectReasonCode::BadUserNameOrPassword),
        (as_user("c", "nobody", "p"), ConnectReasonCode::BadUserNameOrPassword),
        (as_user("c", "reader", "p"), ConnectReasonCode::Success),
    ] {
        assert_eq!(server.mqtt(packet).await.connack.reason_code, reason);
    }
    let (name, password) = ADMINISTRATOR;
    let mut admin = server.mqtt(as_user("admin", name, password)).await;
    let mut reader = server.mqtt(as_user("reader", "reader", "p")).await;
    let mut writer = server.mqtt(as_user("writer", "writer", "p")).await;
    let mut partial = server.mqtt(as_user("partial", "partial", "p")).await;
    assert_eq!(reader.subscribe("Room/#", QoS::Level1).await, SubscribeReasonCode::GrantedQoS1);
    assert_eq!(partial.subscribe("Room/#", QoS::Level0).await, SubscribeReasonCode::GrantedQoS0);
    assert_eq!(writer.subscribe("Room/#", QoS::Level1).await, SubscribeReasonCode::NotAuthorized);
    assert_eq!(
        reader.subscribe("Operate/#", QoS::Level1).await,
        SubscribeReasonCode::NotAuthorized
    );
    let record = r#"{"name":"A","secret":"s"}"#;
    assert_eq!(
        reader.put("Room/a", record.as_bytes()).await.reason_code,
        PubackReasonCode::NotAuthorized
    );
    assert_eq!(
        writer.put("Room/a", record.as_bytes()).await.reason_code,
        PubackReasonCode::Success
    );
    let (_, seen) = reader.next_json().await;
    assert_eq!(seen, json!({"id": "a", "name": "A", "secret": "s"}));
    let (_, seen) = partial.next_json().await;
    assert_eq!(seen, json!({"id": "a", "name": "A"}), "what may not be read is left out");
    assert_eq!(writer.put("Room/a", b"").await.reason_code, PubackReasonCode::NotAuthorized);
    assert_eq!(admin.put("Room/a", b"").await.reason_code, PubackReasonCode::Success);
    // A user who is deactivated may do nothing from then on, also on a connection that is open.
    operate(&server, r#"{"operation":"alter_user","username":"writer","active":false}"#).await;
    assert_eq!(
        writer.put("Room/b", record.as_bytes()).await.reason_code,
        PubackReasonCode::NotAuthorized
    );
}

#[tokio::test]
async fn a_web_socket_s_upgrade_says_who_a_client_is() {
    let app = app();
    let server = serve(&app).await;
    for (authorization, reason) in [
        (Some("Basic cmVhZGVyOnA="), ConnectReasonCode::Success), // reader:p
        (Some("Basic cmVhZGVyOng="), ConnectReasonCode::NotAuthorized),
        (None, ConnectReasonCode::NotAuthorized),
    ] {
        let mut headers = vec![("sec-websocket-protocol", "mqtt")];
        headers.extend(authorization.map(|value| ("authorization", value)));
        let mut socket = server.socket_with("/", &headers).await;
        let packet = Packet::from(connect("c")).encode().unwrap();
        socket.write(OpCode::Binary, packet.as_ref()).await;
        match Packet::decode(&socket.read().await.1) {
            Ok(Some(Packet::Connack(connack))) => assert_eq!(connack.reason_code, reason),
            other => panic!("{other:?}"),
        }
    }
}
