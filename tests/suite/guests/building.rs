//! From nothing to an answering resource, as the README of kora-guest says.

use std::path::{Path, PathBuf};

use crate::harness::guest::{build, target_folder};
use crate::harness::{Server, kora};

/// `kora new --rust` in a folder that each run has again: cargo would keep what it compiled for every other.
fn new() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-in-rust");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    let made = kora().args(["new", "--rust"]).arg(&folder).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    folder
}

#[tokio::test]
async fn a_new_component_in_rust_builds_and_answers_and_so_does_what_is_saved() {
    let (run, dev) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dogs = new();
    let built = build(&dogs).unwrap();
    assert!(built.contains("resources/guest.wasm"), "{built}");
    let server = Server::start(&["run"], &dogs, run.path());
    server.put("/Dog/rex", r#"{"name":"Rex","age":3}"#).await.expect(204);
    let older = server.send("POST", "/Birthday/rex", &[], "").await.expect(200);
    assert_eq!(older.body, r#"{"id":"rex","name":"Rex","age":4}"#);
    // The stream tells of what comes after it was opened, which its client can't see.
    let mut socket = server.socket("/Birthday").await;
    let birthdays = async {
        loop {
            server.send("POST", "/Birthday/rex", &[], "").await.expect(200);
        }
    };
    tokio::select! {
        name = socket.next() => assert_eq!(name, "Rex"),
        () = birthdays => {}
    }

    // `kora dev` builds what is saved, and serves it.
    let mut command = kora();
    command.env("CARGO_TARGET_DIR", target_folder());
    let server = Server::start_command(command, 1, &["dev"], &dogs, dev.path());
    server.put("/Dog/rex", r#"{"name":"Rex","age":3}"#).await.expect(204);
    assert_eq!(server.send("POST", "/Birthday/rex", &[], "").await.expect(200).json()["age"], 4);
    let source = dogs.join("guest/src/lib.rs");
    let text = std::fs::read_to_string(&source).unwrap();
    std::fs::write(&source, text.replace("dog.age += 1", "dog.age += 100")).unwrap();
    server.stdout.wait_for("resources/guest.wasm");
    assert_eq!(server.send("POST", "/Birthday/rex", &[], "").await.expect(200).json()["age"], 104);

    // A mistake is the compiler's to tell, and leaves the guest that is there.
    std::fs::write(&source, text.replace("dog.age += 1", "dog.age += one")).unwrap();
    server.stderr.wait_for("Not built, the guest that is there goes on");
    server.stderr.wait_for("cannot find value `one`");
    server.send("POST", "/Birthday/rex", &[], "").await.expect(200);
    drop(server);
    assert!(build(&dogs).unwrap_err().contains("does not build"));
    assert!(dogs.join("resources/guest.wasm").is_file());
}

#[test]
fn a_folder_without_a_crate_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let error = build(folder.path()).unwrap_err();
    assert!(error.contains("no Cargo.toml") && error.contains("kora new --rust"), "{error}");
}
