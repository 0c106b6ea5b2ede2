//! Tables served without a class: each verb needs its right, attributes are withheld and kept. The same
//! rows hold for classes that extend the table, in both modes.

use serde_json::{Value, json};

use super::{as_administrator, as_user, send, serve};

#[tokio::test]
async fn each_verb_needs_its_right() {
    let (_app, server) = serve().await;
    for path in ["/Dog", "/Instance", "/Target"] {
        for (method, url, body, right) in [
            ("GET", "/a", "", "reader"),
            ("HEAD", "/a", "", "reader"),
            ("GET", "/", "", "reader"),
            ("GET", "/?name=Ann", "", "reader"),
            ("QUERY", "/", "{}", "reader"),
            ("PUT", "/a", r#"{"name":"Ann"}"#, "updater"),
            ("PUT", "/new", r#"{"name":"New"}"#, "inserter"),
            ("PATCH", "/a", r#"{"name":"Ann"}"#, "updater"),
            ("PATCH", "/new", r#"{"name":"New"}"#, "inserter"),
            ("POST", "/", r#"{"name":"Posted"}"#, "inserter"),
            ("DELETE", "/new", "", "deleter"),
            ("DELETE", "/?name=Nobody", "", "deleter"),
        ] {
            for user in ["reader", "inserter", "updater", "deleter", "nothing"] {
                send(&server, &as_administrator(), "DELETE", "/Dog/new", "").await.expect(200);
                let url = format!("{path}{url}");
                let answer = send(&server, &as_user(user), method, &url, body).await;
                let allowed = user == right;
                let note = format!("{method} {url} as {user}: {answer:?}");
                assert_eq!(answer.status == 403, !allowed, "{note}");
                assert!(!allowed || answer.status < 300, "{note}");
            }
            let url = format!("{path}{url}");
            send(&server, "", method, &url, body).await.expect(401);
        }
        // Making something within a record changes the record.
        let within = format!("{path}/a");
        let body = r#"{"name":"Ann"}"#;
        send(&server, &as_user("inserter"), "POST", &within, body).await.expect(403);
        send(&server, &as_user("updater"), "POST", &within, body).await.expect(405);
    }
}

#[tokio::test]
async fn attributes_are_withheld() {
    let (_app, server) = serve().await;
    let ann = json!({"id": "a", "name": "Ann", "age": 1});
    let bob = json!({"id": "b", "name": "Bob", "age": 2});
    for path in ["/Dog", "/Instance", "/Target"] {
        for (url, expected) in [
            ("/a", Ok(ann.clone())),
            ("/", Ok(json!([ann, bob]))),
            ("/?age=gt=1", Ok(json!([bob]))),
            ("/?sort(-age)", Ok(json!([bob, ann]))),
            ("/a.name", Ok(json!("Ann"))),
            ("/a.secret", Err(403)),
            ("/a?select(name,secret)", Ok(json!({"name": "Ann"}))),
            ("/?select(name,secret)", Ok(json!([{"name": "Ann"}, {"name": "Bob"}]))),
            ("/?select([name,secret])", Ok(json!([["Ann", null], ["Bob", null]]))),
            ("/?select(*,)", Ok(json!([ann, bob]))),
            ("/?select(secret)", Err(403)),
            ("/?secret=of%20a", Err(403)),
            ("/?name=Ann&secret==of*", Err(403)),
            ("/?(name=Ann|secret=x)", Err(403)),
            ("/?sort(secret)", Err(403)),
            ("/?sort(name,secret)", Err(403)),
        ] {
            let url = format!("{path}{url}");
            let answer = send(&server, &as_user("partial"), "GET", &url, "").await;
            let shown = if answer.status == 200 { Ok(answer.json()) } else { Err(answer.status) };
            assert_eq!(shown, expected, "{url}: {answer:?}");
        }
        let leaking = r#"{"conditions":[{"attribute":"secret","comparator":"sw","value":"of"}]}"#;
        let url = format!("{path}/");
        send(&server, &as_user("partial"), "QUERY", &url, leaking).await.expect(403);
        let url = format!("{path}/?secret=x");
        send(&server, &as_user("partial"), "DELETE", &url, "").await.expect(403);
    }
    let described = send(&server, &as_user("partial"), "GET", "/Dog", "").await.expect(200).json();
    let names: Vec<_> =
        described["attributes"].as_array().unwrap().iter().map(|a| a["name"].clone()).collect();
    assert_eq!(names, ["id", "name", "age"]);
}

#[tokio::test]
async fn attributes_are_refused_and_kept() {
    let (_app, server) = serve().await;
    for path in ["/Dog", "/Instance", "/Target"] {
        let dog = json!({"name": "Ann", "age": 1, "secret": "of a", "more": 5}).to_string();
        send(&server, &as_administrator(), "PUT", "/Dog/a", &dog).await.expect(204);
        send(&server, &as_administrator(), "DELETE", "/Dog/new", "").await.expect(200);
        let kept =
            |name: &str| json!({"id": "a", "name": name, "age": 1, "secret": "of a", "more": 5});
        for (method, url, body, status, stored) in [
            ("PUT", "/a", json!({"name": "Bea"}), 204, kept("Bea")),
            ("PUT", "/a", json!({"id": "a", "name": "Cy"}), 204, kept("Cy")),
            ("PATCH", "/a", json!({"name": "Di"}), 204, kept("Di")),
            ("PUT", "/a", json!({"name": "X", "age": 3}), 403, kept("Di")),
            ("PATCH", "/a", json!({"age": 3}), 403, kept("Di")),
            ("PATCH", "/a", json!({"secret": "known"}), 403, kept("Di")),
            ("PUT", "/new", json!({"name": "N", "secret": "s"}), 403, Value::Null),
            ("POST", "/", json!({"id": "new", "unlisted": 1}), 403, Value::Null),
            (
                "PUT",
                "/new",
                json!({"name": "N", "age": 9}),
                204,
                json!({"id": "new", "name": "N", "age": 9}),
            ),
        ] {
            let url = format!("{path}{url}");
            let answer = send(&server, &as_user("partial"), method, &url, &body.to_string()).await;
            assert_eq!(answer.status, status, "{method} {url} {body}: {answer:?}");
            let id = if url.ends_with("/a") { "a" } else { "new" };
            let path = format!("/Dog/{id}");
            let read = send(&server, &as_administrator(), "GET", &path, "").await;
            let read = if read.status == 200 { read.json() } else { Value::Null };
            assert_eq!(read, stored, "{method} {url} {body}");
        }
    }
}
