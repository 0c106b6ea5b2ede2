//! Who sends a request: headers, sockets, event streams, local clients.

use crate::harness::socket::Socket;
use crate::harness::{DOGS, Server};

use super::{as_administrator, as_user, base64, basic, operate, send, serve};
use serde_json::json;

async fn socket(server: &Server, path: &str, authorization: &str) -> Socket {
    let headers = [("authorization", authorization)];
    let headers = if authorization.is_empty() { &[][..] } else { &headers[..] };
    server.socket_with(path, headers).await
}

#[tokio::test]
async fn who_says_so_must_prove_it() {
    let (_app, server) = serve().await;
    let encoded = |text: &str| format!("Basic {}", base64(text.as_bytes()));
    for (authorization, status, error) in [
        (as_user("reader"), 200, ""),
        (as_user("reader").replace("Basic", "basic"), 200, ""),
        (basic("reader", "wrong"), 401, "Login failed"),
        (basic("reader", ""), 401, "Login failed"),
        (basic("nobody", "x"), 401, "Login failed"),
        (basic(&"n".repeat(3_000), "x"), 401, "Login failed"),
        (encoded("no colon"), 401, "Login failed"),
        ("Basic ???".to_owned(), 401, "Login failed"),
        ("Basic".to_owned(), 401, "Login failed"),
        ("Digest x".to_owned(), 401, "Login failed"),
        ("Bearer x".to_owned(), 401, "invalid token"),
    ] {
        // Also where nobody is asked for: who is wrong about themselves is told.
        for path in ["/Dog/a", "/Open", "/Public"] {
            let answer = send(&server, &authorization, "GET", path, "").await.expect(status);
            if status == 401 {
                assert_eq!(answer.json(), json!({ "error": error }), "{authorization}");
                assert_eq!(answer.header("www-authenticate"), Some("Basic"));
            }
        }
    }
    // An empty name with an empty password is nobody, as no header is.
    for authorization in [encoded(":"), String::new()] {
        let answer = send(&server, &authorization, "GET", "/Dog/a", "").await.expect(401);
        assert_eq!(answer.header("www-authenticate"), Some("Basic"));
        assert_eq!(answer.json()["title"], "Must login");
        assert_eq!(answer.json()["code"], "AccessViolation");
    }
    let answer = send(&server, &as_user("nothing"), "GET", "/Dog/a", "").await.expect(403);
    assert_eq!(answer.json()["title"], "Unauthorized access to resource");
}

#[tokio::test]
async fn a_change_of_a_user_counts_at_once() {
    let (_app, server) = serve().await;
    let reader = as_user("reader");
    send(&server, &reader, "GET", "/Dog/a", "").await.expect(200);
    let alter = |change: &str| {
        let text = format!(r#"{{"operation":"alter_user","username":"reader",{change}}}"#);
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    operate(&server, alter(r#""role":"nothing""#)).await.expect(200);
    send(&server, &reader, "GET", "/Dog/a", "").await.expect(403);
    operate(&server, alter(r#""role":"super""#)).await.expect(200);
    send(&server, &reader, "GET", "/Plain", "").await.expect(200);
    operate(&server, alter(r#""active":false"#)).await.expect(200);
    send(&server, &reader, "GET", "/Dog/a", "").await.expect(401);
    operate(&server, alter(r#""active":true,"password":"new""#)).await.expect(200);
    send(&server, &reader, "GET", "/Dog/a", "").await.expect(401);
    send(&server, &basic("reader", "new"), "GET", "/Dog/a", "").await.expect(200);
    operate(&server, json!({"operation": "drop_user", "username": "reader"})).await.expect(200);
    send(&server, &basic("reader", "new"), "GET", "/Dog/a", "").await.expect(401);
}

#[tokio::test]
async fn sockets_and_event_streams_are_asked_too() {
    let (_app, server) = serve().await;
    for (path, authorization, code, reason) in [
        ("/Dog/", String::new(), 3000, "AccessViolation: Must login"),
        ("/Dog/", basic("reader", "wrong"), 3000, "AccessViolation: Must login"),
        ("/Dog/", as_user("updater"), 3003, "AccessViolation: Unauthorized access to resource"),
        ("/Plain", String::new(), 3000, "AccessViolation: Must login"),
        ("/Plain", as_user("reader"), 3003, "AccessViolation: Unauthorized access to resource"),
        (
            "/Instance/",
            as_user("updater"),
            3003,
            "AccessViolation: Unauthorized access to resource",
        ),
        ("/Target/", String::new(), 3000, "AccessViolation: Must login"),
    ] {
        let close = socket(&server, path, &authorization).await.closed().await;
        assert_eq!((close.code, close.reason.as_str()), (Some(code), reason), "{path}");
    }
    let mut plain = socket(&server, "/Plain", &as_administrator()).await;
    assert_eq!(plain.next().await, "connected");
    for path in ["/Dog/a", "/Instance/a", "/Target/a"] {
        let mut whole = socket(&server, path, &as_user("reader")).await;
        assert_eq!(whole.next().await["value"]["secret"], "of a", "{path}");
        let mut partial = socket(&server, path, &as_user("partial")).await;
        let seen = json!({"id": "a", "name": "Ann", "age": 1});
        assert_eq!(partial.next().await["value"], seen, "{path}");
    }
    let partial = as_user("partial");
    for (authorization, status) in
        [("", 401), (as_user("updater").as_str(), 403), (partial.as_str(), 200)]
    {
        let mut headers = vec![("accept", "text/event-stream")];
        if !authorization.is_empty() {
            headers.push(("authorization", authorization));
        }
        let response = server.open("GET", "/Dog/", &headers, "").await.unwrap();
        assert_eq!(response.status().as_u16(), status);
    }
}

#[tokio::test]
async fn local_clients_are_trusted_where_the_server_says_so() {
    let app = crate::harness::App::new(DOGS);
    let start = |arguments: &[&str]| Server::start(arguments, &app.directory(), &app.data());
    for (arguments, status) in [
        (&["run"][..], 200),
        (&["run", "--authorize-local=false"], 401),
        (&["run", "--host", "0.0.0.0"], 401),
        (&["run", "--host", "0.0.0.0", "--authorize-local"], 200),
        (&["dev", "--host", "0.0.0.0"], 200),
        (&["dev", "--authorize-local=false"], 401),
    ] {
        let server = start(arguments);
        send(&server, "", "GET", "/Dog/", "").await.expect(status);
        // What somebody says of themselves goes before the trust in the place.
        send(&server, &basic("nobody", "x"), "GET", "/Dog/", "").await.expect(401);
        send(&server, &as_administrator(), "GET", "/Dog/", "").await.expect(200);
        for passed_on in [("x-forwarded-for", "1.2.3.4"), ("origin", "https://evil.example")] {
            server.send("GET", "/Dog/", &[passed_on], "").await.expect(401);
        }
        assert!(server.terminate().success());
    }
}
