//! What a source may answer, nothing among it, and who it is told to write for
//! (`spec/harper-resources.md` section 13): the same from URLs and from a class.

use serde_json::{Value, json};

use super::control;
use crate::harness::App;
use crate::harness::cases::check;

const FILES: &[(&str, &str)] = &[
    (
        "config.yaml",
        "rest: true\ngraphqlSchema: { files: schema.graphql }\njsResource: { files: resources.ts }\n",
    ),
    (
        "schema.graphql",
        "type Maybe @table @export { id: ID @primaryKey name: String by: String }\n",
    ),
    ("resources.ts", include_str!("answers.ts")),
];

#[tokio::test]
async fn of_sources_and_what_is_kept_of_them() {
    let app = App::new(FILES);
    let server = app.run_on(1);
    let get = |path, status, body| ("GET", path, "", status, body);
    check(
        &server,
        &[
            // Nothing: 404, and nothing is kept of what never was.
            get("/Maybe/none", 404, Value::Null),
            get("/Maybe/none", 404, Value::Null),
            get("/Maybe/none%3F", 404, Value::Null),
            get("/Ask/twice", 200, json!(["nothing", "nothing"])),
            // What is no object can't be kept, and a refusal is passed on.
            get("/Maybe/scalar", 500, json!("A source must return an object, but it returned a number while resolving record scalar for Maybe")),
            get("/Maybe/refused", 403, json!("not you while resolving record refused for Maybe")),
            get("/Ask/asked", 200, json!({"none": 2, "none?": 1, "none-code": 2, "scalar": 1, "refused": 1})),
        ],
    )
    .await;
    // Responses are kept, and given again as they were.
    for (id, status, own, content_type, body) in [
        ("absent", 404, "1", "text/plain;charset=UTF-8", "nothing here"),
        ("page", 200, "2", "text/html", "<p>text</p>"),
        ("data", 410, "3", "application/json", r#"{"why":"over"}"#),
    ] {
        for round in 1..=2 {
            let answer = server.get(&format!("/Maybe/{id}")).await.expect(status);
            assert_eq!((answer.body.as_str(), answer.header("x-own")), (body, Some(own)), "{id}");
            assert_eq!(answer.header("content-type"), Some(content_type), "{id}");
            assert_eq!(answer.header("age").is_some(), round == 2, "{id}");
        }
        assert_eq!(server.get("/Ask/asked").await.json()[id], 1, "{id} is asked once");
        // What it is kept as can be asked for, too.
        let kept = server.get(&format!("/Maybe/{id}?select(headers)")).await.expect(200).json();
        assert_eq!(kept["x-own"], own);
    }
    // A record whose source has it no longer is gone, from lists too, until it comes again.
    server.get("/Maybe/was").await.expect(200);
    server.get("/Ask/leave").await.expect(200);
    server.get("/Maybe/was").await.expect(200);
    server.send("GET", "/Maybe/was", &control("no-cache"), "").await.expect(404);
    server.get("/Maybe/was").await.expect(404);
    assert_eq!(server.get("/Maybe/?name=was").await.expect(200).json(), json!([]));
    server.get("/Ask/come").await.expect(200);
    assert_eq!(server.get("/Maybe/was").await.expect(200).json()["name"], "was");
}

#[tokio::test]
async fn sources_know_for_whom_they_write() {
    let app = App::new(FILES);
    let server = app.run_on(1);
    for base in ["/Maybe", "/Ask"] {
        let one = format!("{base}/1");
        check(
            &server,
            &[
                ("PUT", &one, r#"{"name":"A"}"#, 204, Value::Null),
                ("PATCH", &one, r#"{"name":"B"}"#, 204, Value::Null),
                ("GET", "/Maybe/1", "", 200, json!({"id": "1", "name": "B"})),
                ("DELETE", &one, "", 200, json!(true)),
                (
                    "GET",
                    "/Ask/told",
                    "",
                    200,
                    json!([
                        ["put", "1", "A", "local", "local"],
                        ["patch", "1", "B", "local", "local"],
                        ["delete", "1", null, "local", "local"],
                    ]),
                ),
            ],
        )
        .await;
    }
    assert_eq!(server.get("/Maybe/2").await.expect(200).json()["by"], "local");
}
