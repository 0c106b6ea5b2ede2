//! Hot reload: schema changes, broken files, sockets and requests over reloads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::harness::{App, DOGS, rounds};

const RELOADED: &str = "Reloaded Kora components, changed files: ";

fn schema(attributes: &str) -> String {
    format!("type Dog @table @export {{\n  id: ID @primaryKey\n  name: String\n{attributes}}}\n")
}

#[tokio::test]
async fn a_changed_schema_answers_the_next_request() {
    let app = App::new(DOGS);
    app.write("schema.graphql", &schema(""));
    let server = app.dev();
    server.put("/Dog/rex", r#"{"name":"Rex","owner":"Ann"}"#).await.expect(204);
    server.get("/Dog/?owner=Ann").await.expect(404);

    app.write("schema.graphql", &schema("  owner: String @indexed\n"));
    let line = server.stdout.wait_for(RELOADED);
    assert!(line.contains("schema.graphql") && line.ends_with(" ms)"), "{line}");
    let deadline = std::time::Instant::now() + crate::harness::DEADLINE;
    let found = loop {
        let answer = server.get("/Dog/?owner=Ann&select(id)").await;
        // 503 while the new index is built.
        if answer.status != 503 || std::time::Instant::now() > deadline {
            break answer.expect(200);
        }
    };
    assert_eq!(found.body, r#"["rex"]"#);

    app.write("schema.graphql", "type Cat @table @export {\n  id: ID @primaryKey\n}\n");
    server.stdout.wait_for_count(RELOADED, 2);
    server.get("/Cat/").await.expect(200);
    server.get("/Dog/").await.expect(404);
}

#[tokio::test]
async fn a_broken_schema_leaves_the_old_one_serving() {
    let app = App::new(DOGS);
    let server = app.dev();
    server.put("/Dog/rex", r#"{"name":"Rex"}"#).await.expect(204);
    app.write("schema.graphql", "type Dog @table @export {\n  id: ID @primaryKey\n  name:\n}\n");
    let line = server.stderr.wait_for("Not reloaded");
    assert!(line.contains("schema.graphql:") && line.contains("goes on"), "{line}");
    assert_eq!(server.get("/Dog/rex").await.expect(200).json()["name"], "Rex");
    app.write("schema.graphql", &schema("  ok: Int\n"));
    server.stdout.wait_for(RELOADED);
}

#[tokio::test]
async fn a_broken_configuration_names_file_and_line() {
    let app = App::new(DOGS);
    let server = app.dev();
    app.write("config.yaml", "rest: true\ngraphqlSchema:\n  files: 5\n");
    let line = server.stderr.wait_for("Not reloaded");
    assert!(line.contains("config.yaml:2: graphqlSchema"), "{line}");
    server.get("/Dog/").await.expect(200);
}

#[tokio::test]
async fn what_is_broken_from_the_start_answers_500_and_can_be_mended() {
    let app = App::new(DOGS);
    app.write("schema.graphql", "type Dog @table @export {\n  name String\n}\n");
    let server = app.dev();
    let line = server.stderr.wait_for("schema.graphql:2");
    assert!(line.starts_with("kora: "), "{line}");
    let answer = server.get("/Dog/rex").await.expect(500);
    assert!(answer.json()["title"].as_str().unwrap().contains("schema.graphql:2"), "{answer:?}");
    assert_eq!(server.get("/").await.expect(200).body, "<h1>Dogs</h1>");
    app.write("schema.graphql", DOGS[1].1);
    server.stdout.wait_for(RELOADED);
    server.get("/Dog/rex").await.expect(404);
}

#[tokio::test]
async fn a_new_application_in_the_folder_is_found() {
    let app = App::new(&[("dogs/config.yaml", DOGS[0].1), ("dogs/schema.graphql", DOGS[1].1)]);
    let server = app.dev();
    server.get("/Dog/").await.expect(200);
    app.write("cats/schema.graphql", "type Cat @table @export {\n  id: ID @primaryKey\n}\n");
    server.stdout.wait_for(RELOADED);
    server.get("/Cat/").await.expect(200);
    server.get("/Dog/").await.expect(200);
}

/// 20 edits by default; `KORA_RELOAD_ROUNDS=200` for the long run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_drop_no_table_socket_and_fail_no_request() {
    let edits = rounds("KORA_RELOAD_ROUNDS", 20);
    let app = App::new(DOGS);
    let server = Arc::new(app.dev());
    server.put("/Dog/live", r#"{"name":"Live","age":0}"#).await.expect(204);
    let mut socket = server.socket("/Dog/live").await;
    let mut events = server.events("/Dog/live").await;
    let stop = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicUsize::new(0));
    let writer = tokio::spawn({
        let (server, stop, written) = (server.clone(), stop.clone(), written.clone());
        async move {
            let mut age = 0;
            while !stop.load(Ordering::Relaxed) {
                age += 1;
                let body = format!(r#"{{"name":"Live","age":{age}}}"#);
                server.put("/Dog/live", &body).await.expect(204);
                server.get("/Dog/live").await.expect(200);
                written.store(age, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        }
    });
    let listener = tokio::spawn(async move {
        let mut last = -1;
        loop {
            let age = socket.next().await["value"]["age"].as_i64().unwrap();
            assert!(age == last + 1, "an event is missing or comes twice: {last}, {age}");
            last = age;
            assert_eq!(events.next().await["value"]["age"], age);
            if age == i64::MAX {
                break;
            }
        }
    });
    for edit in 0..edits {
        app.write("schema.graphql", &schema(&format!("  age: Int\n  extra{edit}: String\n")));
        let (server, count) = (server.clone(), edit + 1);
        tokio::task::spawn_blocking(move || server.stdout.wait_for_count(RELOADED, count))
            .await
            .unwrap();
        assert!(!writer.is_finished() && !listener.is_finished());
    }
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    assert!(written.load(Ordering::Relaxed) > edits / 2, "the writer made progress");
    assert!(!listener.is_finished(), "the sockets are still open");
    listener.abort();
}
