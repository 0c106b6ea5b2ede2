//! What is no guest of ours is refused with its reason, and changes nothing; what is one is served at once.

use serde_json::json;

use super::{GUEST, RUST, SCHEMA, rust};
use crate::harness::client::Answer;
use crate::harness::{App, guest};

/// A component that says it has the guest's interface and imports `import`.
fn asks_for(import: &str) -> Vec<u8> {
    let named = |name: &str| {
        let mut bytes = vec![0, name.len() as u8];
        bytes.extend(name.as_bytes());
        bytes
    };
    let section = |id: u8, content: Vec<u8>| [vec![id, content.len() as u8], content].concat();
    [
        b"\0asm\x0d\0\x01\0".to_vec(),
        // One type: an instance without exports.
        section(7, vec![1, 0x42, 0]),
        section(10, [vec![1], named(import), vec![5, 0]].concat()),
        section(11, [vec![1], named("kora:resource/guest@0.1.0"), vec![5, 0, 0]].concat()),
    ]
    .concat()
}

/// The example as if it had been built for another version of the world.
fn of_another_version() -> Vec<u8> {
    let mut bytes = guest::guest("examples/rust-guest");
    let (ours, other) = (b"@0.1.0", b"@0.0.9");
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(ours.len()).position(|window| window == ours) {
        at += found;
        bytes[at..at + other.len()].copy_from_slice(other);
    }
    bytes
}

#[tokio::test]
async fn what_is_no_guest_of_ours_is_refused_with_the_reason() {
    let app = App::new(&[RUST, SCHEMA]);
    app.write_bytes("resources/text.wasm", b"not WebAssembly");
    app.write_bytes("resources/torn.wasm", b"\0asm\x01\0\0\0\x01\xff");
    app.write_bytes("resources/bare.wasm", b"\0asm\x01\0\0\0");
    app.write_bytes("resources/other.wasm", b"\0asm\x0d\0\x01\0");
    app.write_bytes("resources/http.wasm", &asks_for("wasi:http/outgoing-handler@0.2.0"));
    app.write_bytes("resources/cloud.wasm", &asks_for("cloud:queue/queue@1.0.0"));
    app.write_bytes("resources/newer.wasm", &asks_for("kora:resource/tables@0.2.0"));
    app.write_bytes("resources/version.wasm", &of_another_version());
    app.write_bytes(GUEST, &guest::guest("examples/rust-guest"));
    let server = app.run();
    for (file, reason) in [
        ("text.wasm", "does not begin with the bytes"),
        ("torn.wasm", "torn.wasm: is"),
        ("bare.wasm", "is a component of another world"),
        ("other.wasm", "is a component of another world"),
        ("http.wasm", "asks for wasi:http/outgoing-handler@0.2.0: use kora:resource/http"),
        ("cloud.wasm", "asks for cloud:queue/queue@1.0.0: it is nothing that this server offers"),
        (
            "newer.wasm",
            "asks for kora:resource/tables@0.2.0: this server offers version 0.1.0 of it",
        ),
        ("version.wasm", "was built for kora:resource/guest@0.0.9, this server speaks"),
    ] {
        let line = server.stderr.wait_for(file);
        assert!(line.contains(reason), "{file}: {line}");
    }
    // The others are served, and what nobody answers for says what is wrong.
    server.put("/Dog/rex", r#"{"name":"Rex"}"#).await.expect(204);
    server.get("/Birthday/rex").await.expect(200);
    let missing = server.get("/Missing/").await.expect(500);
    assert!(missing.body.contains(".wasm"), "{missing:?}");
}

/// The same guest in other bytes: with a custom section more.
fn again(guest: &[u8]) -> Vec<u8> {
    [guest, &[0, 6, 5], b"again"].concat()
}

#[tokio::test]
async fn a_guest_is_replaced_while_it_serves() {
    let app = rust();
    let good = std::fs::read(app.directory().join(GUEST)).unwrap();
    let server = app.dev();
    let mut old = server.socket("/Echo").await;
    assert_eq!(old.next().await, json!("hello"));

    // One that does not load leaves the old one serving.
    app.write_bytes(GUEST, b"broken");
    let line = server.stderr.wait_for("Not reloaded");
    assert!(line.contains("kennel.wasm") && line.contains("\\0asm"), "{line}");
    server.get("/Motto/").await.expect(200);

    // A new one takes over; who listens to the old one goes on.
    app.write_bytes(GUEST, &again(&good));
    server.stdout.wait_for(GUEST);
    server.get("/Motto/").await.expect(200);
    assert_eq!(server.socket("/Echo").await.next().await, json!("hello"));
    old.send(r#"{"say":"still there"}"#).await;
    assert_eq!(old.next().await, json!({"heard": "still there"}));

    // A new file has its paths, one that is gone has none.
    let other = guest::guest("tests/fixtures/guests/misbehaving");
    app.write_bytes("resources/misbehaving.wasm", &other);
    server.until("/Bad/", |answer: &Answer| answer.status == 200).await;
    std::fs::remove_file(app.directory().join("resources/misbehaving.wasm")).unwrap();
    server.until("/Bad/", |answer: &Answer| answer.status == 404).await;
    server.get("/Motto/").await.expect(200);
}

#[tokio::test]
async fn compiled_code_is_kept_for_the_next_start() {
    let app = rust();
    app.run().terminate();
    let kept = || {
        let files = std::fs::read_dir(app.data().join(".wasm")).unwrap();
        files.map(|file| file.unwrap().path()).collect::<Vec<_>>()
    };
    let first = kept();
    assert_eq!(first.len(), 1, "{first:?}");
    // What is damaged is compiled anew.
    std::fs::write(&first[0], b"damaged").unwrap();
    let server = app.run();
    server.get("/Motto/").await.expect(200);
    assert_eq!(kept(), first);
    assert!(std::fs::metadata(&first[0]).unwrap().len() > 1000);
}
