//! Sessions: the cookie's way there and back.

use crate::harness::Server;
use crate::harness::client::{Answer, JSON};
use serde_json::{Value, json};

use super::{as_user, send, serve};

/// `name=value` of the cookie that an answer sets.
fn cookie(answer: &Answer) -> String {
    let header = answer.header("set-cookie").unwrap_or_else(|| panic!("no cookie in {answer:?}"));
    header.split(';').next().unwrap().to_owned()
}

async fn with(server: &Server, cookie: &str, method: &str, path: &str, body: &str) -> Answer {
    let mut headers = vec![("cookie", cookie)];
    if !body.is_empty() {
        headers.push(JSON);
    }
    server.send(method, path, &headers, body).await
}

async fn me(server: &Server, cookie: &str) -> Value {
    with(server, cookie, "GET", "/Me", "").await.expect(200).json()["name"].clone()
}

#[tokio::test]
async fn a_login_lasts_until_the_logout() {
    let (_app, server) = serve().await;
    let reader = json!({"username": "reader", "password": "redaer"}).to_string();
    for path in ["/SignIn", "/login"] {
        let answer = send(&server, "", "POST", path, &reader).await.expect(200);
        let header = answer.header("set-cookie").unwrap().to_owned();
        let site = server.address.to_string().replace(['.', ':'], "_");
        assert!(header.starts_with(&format!("{site}-hdb-session=")), "{header}");
        assert!(header.contains("; Path=/;") && header.contains("; HttpOnly; SameSite=Lax"));
        let cookie = cookie(&answer);
        assert_eq!(me(&server, &cookie).await, "reader");
        with(&server, &cookie, "GET", "/Dog/a", "").await.expect(200);
        with(&server, &cookie, "PUT", "/Dog/a", "{}").await.expect(403);
        let mut socket = server.socket_with("/Dog/a", &[("cookie", &cookie)]).await;
        assert_eq!(socket.next().await["id"], "a");
        // Another site's page makes the browser send the cookie along, but not under its name.
        let foreign = [("cookie", cookie.as_str()), ("origin", "https://evil.example")];
        server.send("GET", "/Dog/a", &foreign, "").await.expect(401);
        // Who says who they are is that one, whatever the session says.
        let both = [("cookie", cookie.as_str()), ("authorization", &as_user("nothing"))];
        server.send("GET", "/Dog/a", &both, "").await.expect(403);
        let out = with(&server, &cookie, "POST", "/SignOut", "{}").await.expect(200);
        assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"), "{out:?}");
        assert_eq!(me(&server, &cookie).await, Value::Null);
    }
    for (path, body, status) in [
        ("/SignIn", json!({"username": "reader", "password": "x"}), 403),
        ("/login", json!({"username": "reader", "password": "x"}), 401),
        ("/login", json!({"username": "reader"}), 400),
    ] {
        let answer = send(&server, "", "POST", path, &body.to_string()).await.expect(status);
        assert!(answer.header("set-cookie").is_none());
    }
}

#[tokio::test]
async fn sessions_hold_what_code_puts_there() {
    let (_app, server) = serve().await;
    let first = send(&server, "", "GET", "/Session", "").await.expect(200);
    assert_eq!(first.json(), json!({}));
    assert!(first.header("set-cookie").is_none(), "a session begins when there is something in it");
    let answer = send(&server, "", "POST", "/Session", r#"{"cart":["bone"]}"#).await.expect(200);
    let anonymous = cookie(&answer);
    let id = anonymous.split_once('=').unwrap().1;
    let held = with(&server, &anonymous, "GET", "/Session", "").await.json();
    assert_eq!(held, json!({"id": id, "cart": ["bone"]}));
    let again = with(&server, &anonymous, "POST", "/Session", r#"{"step":2}"#).await.expect(200);
    assert!(again.header("set-cookie").is_none(), "the same session needs no other cookie");
    // Logging in keeps what is there under an id that nobody has seen before.
    let reader = json!({"username": "reader", "password": "redaer"}).to_string();
    let login = with(&server, &anonymous, "POST", "/SignIn", &reader).await.expect(200);
    let logged_in = cookie(&login);
    assert_ne!(logged_in, anonymous);
    let held = with(&server, &logged_in, "GET", "/Session", "").await.json();
    assert_eq!(
        (&held["cart"], &held["step"], &held["user"]),
        (&json!(["bone"]), &json!(2), &json!("reader"))
    );
    assert_eq!(with(&server, &anonymous, "GET", "/Session", "").await.json(), json!({}));
    with(&server, &logged_in, "POST", "/Session", r#"{"user":null}"#).await.expect(200);
    assert_eq!(me(&server, &logged_in).await, Value::Null);
    // An id that somebody made up is no session's.
    let (name, _) = anonymous.split_once('=').unwrap();
    let planted = format!("{name}=11111111-2222-3333-4444-555555555555");
    let login = with(&server, &planted, "POST", "/SignIn", &reader).await.expect(200);
    assert_ne!(cookie(&login), planted);
}

#[tokio::test]
async fn sessions_outlive_the_server() {
    let (app, server) = serve().await;
    let reader = json!({"username": "reader", "password": "redaer"}).to_string();
    let before = cookie(&send(&server, "", "POST", "/login", &reader).await.expect(200));
    assert!(server.terminate().success());
    let server = super::run(&app);
    // The port is another, and with it the cookie's name.
    let id = before.split_once('=').unwrap().1;
    let site = server.address.to_string().replace(['.', ':'], "_");
    assert_eq!(me(&server, &format!("{site}-hdb-session={id}")).await, "reader");
    send(&server, &as_user("reader"), "GET", "/Dog/a", "").await.expect(200);
}
