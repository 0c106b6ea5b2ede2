//! The status matrix, path forms and errors of `spec/harper-rest.md` sections 1, 2, 5 and 7.

mod rows;

use serde_json::{Value, json};

use crate::harness::client::JSON;
use crate::harness::{App, DOGS, Server};

async fn with_rex() -> (App, Server) {
    let app = App::new(DOGS);
    let server = app.run();
    server.put("/Dog/rex", r#"{"name":"Rex","age":5}"#).await.expect(204);
    (app, server)
}

/// Method, path, body, status, body of the answer (`None` = empty, `"*"` = anything).
type Row = (&'static str, &'static str, &'static str, u16, Option<&'static str>);

#[tokio::test]
async fn the_status_matrix_of_tables() {
    let (_app, server) = with_rex().await;
    let rows: &[Row] = &[
        ("GET", "/Dog/rex", "", 200, Some(r#"{"id":"rex","name":"Rex","age":5}"#)),
        ("HEAD", "/Dog/rex", "", 200, None),
        ("GET", "/Dog/none", "", 404, None),
        ("HEAD", "/Dog/none", "", 404, None),
        ("GET", "/Dog/", "", 200, Some(r#"[{"id":"rex","name":"Rex","age":5}]"#)),
        ("PUT", "/Dog/ace", r#"{"name":"Ace","age":1}"#, 204, None),
        ("PUT", "/Dog/ace", r#"{"id":"ace","name":"Ace","age":2}"#, 204, None),
        ("PATCH", "/Dog/ace", r#"{"age":3}"#, 204, None),
        ("GET", "/Dog/ace", "", 200, Some(r#"{"id":"ace","name":"Ace","age":3}"#)),
        ("PATCH", "/Dog/bo", r#"{"name":"Bo"}"#, 204, None),
        ("GET", "/Dog/bo", "", 200, Some(r#"{"id":"bo","name":"Bo"}"#)),
        ("POST", "/Dog/", r#"{"id":"cleo","name":"Cleo"}"#, 201, Some(r#""cleo""#)),
        ("POST", "/Dog/", r#"{"id":"cleo","name":"Cleo"}"#, 409, Some("*")),
        ("POST", "/Dog/cleo", r#"{"name":"Cleo"}"#, 405, Some("*")),
        ("DELETE", "/Dog/cleo", "", 200, Some("true")),
        ("DELETE", "/Dog/cleo", "", 200, Some("true")),
        ("GET", "/Dog/cleo", "", 404, None),
        ("DELETE", "/Dog/?name=Bo", "", 200, Some("true")),
        ("GET", "/Dog/bo", "", 404, None),
        ("COPY", "/Dog/rex", "", 405, Some("*")),
        ("MOVE", "/Dog/rex", "", 405, Some("*")),
        ("BREW", "/Dog/rex", "", 418, Some("*")),
        ("LOCK", "/Dog/rex", "", 501, Some("*")),
        ("TRACE", "/Dog/rex", "", 200, Some("Kora is the terminating server")),
        ("GET", "/Nothing/rex", "", 404, Some("Not found\n")),
        ("GET", "/dog/rex", "", 404, Some("Not found\n")),
    ];
    for (method, path, body, status, expected) in rows {
        let headers: &[_] = if body.is_empty() { &[] } else { &[JSON] };
        let answer = server.send(method, path, headers, body).await;
        assert_eq!(answer.status, *status, "{method} {path}: {answer:?}");
        match expected {
            Some("*") => {}
            expected => assert_eq!(answer.body, expected.unwrap_or(""), "{method} {path}"),
        }
    }
}

#[tokio::test]
async fn created_records_have_a_location() {
    let (_app, server) = with_rex().await;
    let answer = server.send("POST", "/Dog/", &[JSON], r#"{"name":"New"}"#).await.expect(201);
    let id = answer.json();
    assert_eq!(answer.header("location"), id.as_str());
    let found = server.get(&format!("/Dog/{}", id.as_str().unwrap())).await.expect(200);
    assert_eq!(found.json()["name"], "New");
}

#[tokio::test]
async fn put_of_an_array_writes_all_its_records() {
    let (_app, server) = with_rex().await;
    let body = r#"[{"id":"a","name":"A"},{"id":"b","name":"B"}]"#;
    assert_eq!(server.put("/Dog/", body).await.expect(200).json(), json!([null, null]));
    server.get("/Dog/b").await.expect(200);
}

#[tokio::test]
async fn path_forms() {
    let (_app, server) = with_rex().await;
    server.put("/Dog/a%2Fb", r#"{"name":"Slash"}"#).await.expect(204);
    let description = server.get("/Dog").await.expect(200).json();
    assert_eq!(description["records"], "./");
    assert_eq!(description["name"], "Dog");
    assert!(description["attributes"].as_array().unwrap().len() >= 4);
    for (path, expected) in [
        ("/Dog/rex.name", json!("Rex")),
        ("/Dog/rex.age", json!(5)),
        ("/Dog/rex.json", json!({"id": "rex", "name": "Rex", "age": 5})),
        ("/Dog/a/b", json!({"id": "a/b", "name": "Slash"})),
        ("/Dog/a/", json!([{"id": "a/b", "name": "Slash"}])),
        ("/Dog?name=Rex", json!([{"id": "rex", "name": "Rex", "age": 5}])),
        ("/Dog/rex?select(name)", json!("Rex")),
        ("/Dog/rex?select(name,age)", json!({"name": "Rex", "age": 5})),
    ] {
        let answer = server.get(path).await.expect(200);
        assert_eq!(answer.json(), expected, "{path}");
    }
    server.get("/Dog/rex.breed").await.expect(404);
    server.get("/Dog/none.name").await.expect(404);
}

#[tokio::test]
async fn etags_rise_and_answer_304() {
    let (_app, server) = with_rex().await;
    let first = server.get("/Dog/rex").await.expect(200);
    let tag = first.header("etag").unwrap().to_owned();
    assert_eq!(tag.len(), 12);
    let condition = [("if-none-match", tag.as_str())];
    let again = server.send("GET", "/Dog/rex", &condition, "").await.expect(304);
    assert_eq!((again.body.as_str(), again.header("etag")), ("", Some(tag.as_str())));
    server.send("HEAD", "/Dog/rex", &condition, "").await.expect(304);
    server.put("/Dog/rex", r#"{"name":"Rex","age":6}"#).await.expect(204);
    let changed = server.send("GET", "/Dog/rex", &condition, "").await.expect(200);
    assert_ne!(changed.header("etag"), Some(tag.as_str()));
    assert_eq!(server.get("/Dog/").await.expect(200).header("etag"), None);
}

#[tokio::test]
async fn head_has_the_headers_of_get() {
    let (_app, server) = with_rex().await;
    let get = server.get("/Dog/rex").await.expect(200);
    let head = server.send("HEAD", "/Dog/rex", &[], "").await.expect(200);
    assert_eq!(head.body, "");
    for name in ["content-type", "content-length", "etag", "vary"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
    assert_eq!(get.header("content-type"), Some("application/json"));
    assert!(get.header("server-timing").unwrap().starts_with("hdb;dur="));
}

#[tokio::test]
async fn options_and_405_name_the_methods() {
    let (_app, server) = with_rex().await;
    let options = server.send("OPTIONS", "/Dog/", &[], "").await.expect(204);
    assert_eq!(options.header("allow"), Some("GET, HEAD, PUT, POST, DELETE, PATCH, QUERY"));
    let refused = server.send("MOVE", "/Dog/rex", &[], "").await.expect(405);
    assert_eq!(
        refused.header("allow"),
        Some("GET, PUT, POST, DELETE, PATCH, QUERY, TRACE, HEAD, OPTIONS")
    );
    let title = refused.json()["title"].clone();
    assert_eq!(title, "The Dog does not have a move method implemented to handle HTTP method MOVE");
}

#[tokio::test]
async fn errors_are_problem_objects() {
    let (_app, server) = with_rex().await;
    let body = r#"{"id":"rex","name":"Again"}"#;
    let conflict = server.send("POST", "/Dog/?x", &[JSON], body).await.expect(409);
    assert_eq!(conflict.header("content-type"), Some("application/json"));
    let problem = conflict.json();
    assert_eq!(problem["title"], "Record already exists");
    assert_eq!(problem["status"], 409);
    assert_eq!(problem["instance"], "/Dog/?x");
    assert_eq!(problem["type"], json!(format!("error:{}", problem["code"].as_str().unwrap())));
    let invalid = server.put("/Dog/rex", r#"{"name":"Rex","age":"old"}"#).await.expect(400);
    assert!(invalid.json()["title"].as_str().unwrap().contains("age"), "{invalid:?}");
}

#[tokio::test]
async fn malformed_json_names_line_and_column() {
    let (_app, server) = with_rex().await;
    let answer = server.put("/Dog/rex", "{\n  \"name\": }").await.expect(400);
    let title = answer.json()["title"].as_str().unwrap().to_owned();
    assert!(title.contains("line 2, column"), "{title}");
    assert_eq!(server.get("/Dog/rex").await.expect(200).json()["age"], 5);
}

#[tokio::test]
async fn too_large_bodies_are_refused() {
    let (_app, server) = with_rex().await;
    let body = format!(r#"{{"name":"{}"}}"#, "x".repeat(10_000_001));
    // The server may close before it has read everything; then the connection breaks.
    if let Ok(answer) = server.try_send("PUT", "/Dog/big", &[JSON], &body).await {
        let answer = answer.expect(413);
        let title: Value = answer.json()["title"].clone();
        assert_eq!(title, "Request body too large, maximum size is 10000000 bytes");
    }
    server.get("/Dog/big").await.expect(404);
    let app = App::new(DOGS);
    let arguments = ["run", "--HTTP_MAXREQUESTBODYSIZE=100"];
    let server = Server::start(&arguments, &app.directory(), &app.data());
    server.put("/Dog/small", r#"{"name":"x"}"#).await.expect(204);
    let body = format!(r#"{{"name":"{}"}}"#, "x".repeat(100));
    let refused = server.put("/Dog/large", &body).await.expect(413);
    assert_eq!(refused.json()["title"], "Request body too large, maximum size is 100 bytes");
}
