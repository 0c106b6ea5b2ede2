//! A component of another language's tools, with all that its interpreter imports of WASI: loaded as it is, and served
//! like one in Rust.

use serde_json::json;

use crate::harness::{App, python};

#[tokio::test]
async fn a_guest_in_python_answers() {
    let Some(guest) = python::guest() else { return };
    // Sockets are among what Python imports: they are there, and none can be opened.
    let imports = |name: &[u8]| guest.windows(name.len()).any(|window| window == name);
    assert!(imports(b"wasi:sockets/tcp@0.2") && imports(b"wasi:filesystem/types@0.2"));
    let app = App::new(&[
        ("config.yaml", include_str!("../../../examples/python-guest/config.yaml")),
        ("schema.graphql", include_str!("../../../examples/python-guest/schema.graphql")),
    ]);
    app.write_bytes("resources/kennel.wasm", &guest);
    let server = app.run();
    server.put("/Dog/rex", r#"{"name":"Rex","age":3}"#).await.expect(204);
    server.put("/Dog/bo", r#"{"name":"Bo","age":6}"#).await.expect(204);

    assert_eq!(server.get("/Greeting/rex").await.expect(200).json(), "Hello, Rex!");
    let unknown = server.get("/Greeting/tim").await.expect(404);
    assert_eq!(unknown.json()["code"], "UnknownDog");
    let ages = json!({"dogs": 2, "mean": 4.5, "median": 4.5, "deviation": 1.5});
    assert_eq!(server.get("/Ages/").await.expect(200).json(), ages);
    server.send("DELETE", "/Ages/", &[], "").await.expect(405);

    let mut events = server.events("/Watch/rex").await;
    assert_eq!(events.next().await, json!({"kind": "put", "name": "Rex"}));
    let older = server.send("POST", "/Birthday/rex", &[], "").await.expect(200);
    assert_eq!(older.json()["age"], 4);
    assert_eq!(events.next().await, json!({"kind": "put", "name": "Rex"}));
    assert_eq!(server.get("/Dog/rex").await.expect(200).json()["age"], 4);

    let mut socket = server.socket("/Watch/").await;
    socket.send(r#"{"say":"sit"}"#).await;
    assert_eq!(socket.next().await, json!({"heard": {"say": "sit"}}));
}
