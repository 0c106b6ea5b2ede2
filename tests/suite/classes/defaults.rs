//! What a class has without doing anything for it, and what code may add to the host (sections 3.4, 13 and 14).

use serde_json::json;

use super::{ask, check_named, serve};

#[tokio::test]
async fn classes_have_what_their_base_gives_them() {
    let (_app, server) = serve(include_str!("defaults.ts")).await;
    let body = r#"{"name":"Ann"}"#;
    for (path, status, answer) in [
        ("/Creates/", 200, json!("made of Ann")),
        ("/TargetCreates/", 200, json!("made of Ann")),
        ("/Creates/5", 405, json!(null)),
        ("/Nothing/", 405, json!(null)),
    ] {
        let created = ask(&server, "POST", path, body).await.expect(status);
        if status == 200 {
            assert_eq!(created.json(), answer, "{path}");
        }
    }
    server.get("/Nothing/5").await.expect(404);
    ask(&server, "PUT", "/Nothing/5", "{}").await.expect(405);
    let mut quiet = server.socket("/Quiet/").await;
    assert_eq!(quiet.next().await, json!({"only": "this"}), "no dog comes before it");
    check_named(
        &server,
        "/Checks/",
        vec![
            (
                "plain",
                json!([
                    "5",
                    null,
                    null,
                    false,
                    true,
                    null,
                    501,
                    "function",
                    "undefined",
                    "undefined"
                ]),
            ),
            (
                "operations",
                json!([
                    {"count": 3, "user": null},
                    {"count": 3, "user": "local"},
                    403,
                    401,
                    "registerOperation needs a `name` and a function `execute`"
                ]),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_cache_tells_where_a_record_comes_from() {
    let (_app, server) = serve(include_str!("defaults.ts")).await;
    let loaded =
        |loads, replaced, loaded| json!({"loads": loads, "replaced": replaced, "loaded": loaded});
    let first = server.get("/Cached/a").await.expect(200);
    assert_eq!((first.json(), first.header("age")), (loaded(1, json!(null), true), None));
    let second = server.get("/Cached/a").await.expect(200);
    assert_eq!(second.json(), loaded(1, json!(null), false));
    let fresh = [("cache-control", "no-cache")];
    let third = server.send("GET", "/Cached/a", &fresh, "").await.expect(200);
    assert_eq!(third.json(), loaded(2, json!([1, true]), true));
    check_named(&server, "/Checks/", vec![("everything", json!([true, []]))]).await;
}
