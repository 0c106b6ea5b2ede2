//! From exports to paths, with parameters, by hand, late, and in conflict (section 2).

use serde_json::{Value, json};

use super::{ask, check, start};

#[tokio::test]
async fn paths_with_parameters() {
    let (_app, server) = start(&[("resources/resources.ts", include_str!("paths.ts"))]);
    let q = json!([{"attribute": "q", "comparator": "equals", "value": "1"}]);
    check(
        &server,
        vec![
            ("GET", "/widget/5", "", 200, json!(["5"])),
            ("GET", "/widget/a%20b%2Fc", "", 200, json!(["a b/c"])),
            ("GET", "/widget/fixed", "", 200, json!({"id": null, "path": "widget/fixed"})),
            ("GET", "/widget/fixed/7", "", 200, json!({"id": "7", "path": "widget/fixed"})),
            ("GET", "/widget/5/action/run", "", 200, json!(["5", "run"])),
            ("GET", "/widget/5/action", "", 404, json!("Not found\n")),
            ("GET", "/widget", "", 404, json!("Not found\n")),
            ("GET", "/files/a/b/c.txt", "", 200, json!(["a/b/c.txt"])),
            ("GET", "/files/a%20b/c", "", 200, json!(["a b/c"])),
            ("GET", "/wild/x/y", "", 200, json!(["x/y"])),
            ("GET", "/thing/9?x=1", "", 200, json!(["9", null])),
            ("GET", "/nested/g/9", "", 200, json!(["9", null])),
            ("GET", "/query/n?q=1", "", 200, json!(["n", "1", q])),
            ("PUT", "/counted/7", r#"{"n":1}"#, 204, Value::Null),
            ("GET", "/counted/7", "", 200, json!({"id": 7, "n": 1})),
            ("GET", "/counted/x", "", 400, server.get("/counted/x").await.json()),
        ],
    )
    .await;
    let mut events = server.events("/nested/group/5").await;
    assert_eq!(events.next().await, json!(5), "a text is sent as it is");
    let mut socket = server.socket("/widget/11").await;
    assert_eq!(socket.next().await, json!("11"));
}

#[tokio::test]
async fn everything_with_methods_gets_a_path() {
    let (_app, server) = start(&[("resources/resources.ts", include_str!("paths.ts"))]);
    let path = |path: &str| json!({"id": null, "path": path});
    check(
        &server,
        vec![
            ("GET", "/deep/a/b/c", "", 200, path("deep/a/b/c")),
            ("GET", "/deep/a/list", "", 200, json!("object")),
            ("GET", "/Alias/", "", 200, path("Alias")),
            ("GET", "/PlainObject/1", "", 200, json!(["get", "1"])),
            ("PUT", "/PlainObject/1", r#"{"a":1}"#, 200, json!(["put", "1", {"a": 1}])),
            ("POST", "/PlainObject/", r#"{"a":1}"#, 200, json!(["post", {"a": 1}])),
            ("DELETE", "/PlainObject/1", "", 200, json!(["delete", "1"])),
            (
                "PATCH",
                "/PlainObject/1",
                "{}",
                405,
                ask(&server, "PATCH", "/PlainObject/1", "{}").await.json(),
            ),
            ("PATCH", "/Foreign/1", r#"{"a":1}"#, 200, json!(["patch", "1", {"a": 1}])),
            ("GET", "/Foreign/1", "", 200, json!("1")),
            ("GET", "/number", "", 404, json!("Not found\n")),
            ("GET", "/nothing", "", 404, json!("Not found\n")),
            ("GET", "/NoResource", "", 404, json!("Not found\n")),
            ("GET", "/by/hand/", "", 200, path("by/hand")),
            ("GET", "/rest-only/", "", 200, path("rest-only")),
            ("GET", "/no-rest/", "", 404, json!("Not found\n")),
            ("GET", "/insists/", "", 200, json!([])),
            (
                "GET",
                "/Matches/",
                "",
                200,
                json!([["by/hand", "/5?x=1", {}], ["widget/:id", "", {"id": "7"}],
                    ["files/*rest", "", {"rest": "a/b"}], null, null, ["no-rest", "/", {}],
                    ["Alias", "", {}], true]),
            ),
            (
                "GET",
                "/Broken/",
                "",
                200,
                json!("What is registered at nothing has none of the methods of a resource"),
            ),
        ],
    )
    .await;
    let events = [("accept", "text/event-stream")];
    server.send("GET", "/rest-only/", &events, "").await.expect(404);
}

#[tokio::test]
async fn conflicting_paths_answer_nothing_else() {
    let (_app, server) = start(&[("resources/resources.ts", include_str!("paths.ts"))]);
    for (path, names) in
        [("twice", "Told and Count (table data.Count)"), ("Dog", "Dog (table data.Dog) and Dog")]
    {
        for method in ["GET", "PUT", "DELETE"] {
            let body = if method == "PUT" { "{}" } else { "" };
            let answer = ask(&server, method, &format!("/{path}/1"), body).await.expect(500);
            assert_eq!(answer.json()["title"], format!("Conflicting paths for {path}"));
        }
        let logged = server.stderr.wait_for(&format!("Conflicting paths for {path}: "));
        assert!(logged.contains(names), "{logged}");
    }
}

#[tokio::test]
async fn what_is_registered_later_is_served_too() {
    let (_app, server) = start(&[("resources/resources.ts", include_str!("paths.ts"))]);
    server.get("/late/").await.expect(404);
    let body = r#"{"path":"late","version":1}"#;
    check(&server, vec![("POST", "/Register/", body, 200, json!(true))]).await;
    let served = server.until("/late/5", |answer| answer.status == 200).await;
    assert_eq!(served.json(), json!(["late", 1, "5", true]));
    let body = r#"{"path":"late/:id","version":2}"#;
    check(&server, vec![("POST", "/Register/", body, 200, json!(true))]).await;
    // Of one path the last class has it.
    let body = r#"{"path":"late","version":3}"#;
    check(&server, vec![("POST", "/Register/", body, 200, json!(true))]).await;
    server.until("/late/5", |answer| answer.json() == json!(["late", 3, "5", true])).await;
}
