//! The command line: errors in one line, signals, the starter.

use std::process::Output;

use crate::harness::socket::Close;
use crate::harness::{App, DOGS, Server, kora};

fn run(arguments: &[&str]) -> Output {
    kora().args(arguments).output().unwrap()
}

/// Exit code 1 and one line on stderr; the line.
fn refusal(arguments: &[&str]) -> String {
    let output = run(arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[test]
fn a_missing_folder_is_said() {
    let line = refusal(&["run", "/nonexistent/dogs", "--port", "0"]);
    assert_eq!(line, "kora: there is no folder /nonexistent/dogs\n");
    let line = refusal(&["run", "Cargo.toml", "--port", "0"]);
    assert_eq!(line, "kora: Cargo.toml is not a folder\n");
}

#[test]
fn a_taken_port_is_said() {
    let app = App::new(DOGS);
    let server = app.run();
    let other = App::new(DOGS);
    let (directory, data) = (other.directory(), other.data());
    let port = server.address.port().to_string();
    let line = refusal(&[
        "run",
        directory.to_str().unwrap(),
        "--port",
        &port,
        "--data",
        data.to_str().unwrap(),
    ]);
    assert!(line.contains(&format!("127.0.0.1:{port} is in use")), "{line}");
}

#[test]
fn a_locked_data_directory_is_said() {
    let app = App::new(DOGS);
    let _server = app.run();
    let (directory, data) = (app.directory(), app.data());
    let line = refusal(&[
        "run",
        directory.to_str().unwrap(),
        "--port",
        "0",
        "--data",
        data.to_str().unwrap(),
    ]);
    assert!(line.contains(data.to_str().unwrap()) && line.contains("in use"), "{line}");
}

#[tokio::test]
async fn sigterm_closes_sockets_and_exits_0() {
    let app = App::new(DOGS);
    let server = app.run();
    server.put("/Dog/rex", r#"{"name":"Rex"}"#).await.expect(204);
    let mut socket = server.socket("/Dog/rex").await;
    socket.next().await;
    let mut events = server.events("/Dog/rex").await;
    events.next().await;
    let ended = tokio::task::spawn_blocking(move || server.terminate());
    let reason = "The server is stopping".to_owned();
    assert_eq!(socket.closed().await, Close { code: Some(1001), reason });
    assert_eq!(events.next_block().await, None);
    assert_eq!(ended.await.unwrap().code(), Some(0));
    // The lock is free again and the data is there.
    let again = app.run();
    again.get("/Dog/rex").await.expect(200);
}

#[test]
fn help_tells_what_to_do() {
    let text = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for wanted in ["kora new dogs", "kora dev dogs", "run", "dev", "new"] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    let text = String::from_utf8(run(&["run", "--help"]).stdout).unwrap();
    for wanted in ["--host", "--port", "9926", "--data", ".kora", "--threads", "--durability"] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
}

#[tokio::test]
async fn the_starter_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("dogs");
    let made = run(&["new", directory.to_str().unwrap()]);
    assert!(made.status.success());
    let line = refusal(&["new", directory.to_str().unwrap()]);
    assert!(line.contains("exists and is not empty"), "{line}");
    let server = Server::start(&["run"], &directory, &folder.path().join("data"));
    let page = server.get("/").await.expect(200);
    assert!(page.body.contains("<html"), "{page:?}");
    server.get("/Message/").await.expect(200);
}

#[tokio::test]
async fn http_2_without_tls_is_served() {
    let app = App::new(DOGS);
    let server = app.run();
    server.put("/Dog/rex", r#"{"name":"Rex"}"#).await.expect(204);
    let client: hyper_util::client::legacy::Client<_, String> =
        hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
            .http2_only(true)
            .build_http();
    let response = client.get(server.url("/Dog/rex").parse().unwrap()).await.unwrap();
    assert_eq!(
        (response.status(), response.version()),
        (hyper::StatusCode::OK, hyper::Version::HTTP_2)
    );
}
