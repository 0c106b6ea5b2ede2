//! Listeners before and behind authentication, sessions and compression in middleware.

use std::io::Read;

use serde_json::json;

use super::{CONFIG, SCHEMA};
use crate::harness::client::JSON;
use crate::harness::{ADMINISTRATOR, App, Server};
use crate::users::{as_administrator, basic};

/// Local clients are nobody.
fn serve() -> (App, Server) {
    let module = include_str!("authentication.js");
    let app =
        App::new(&[CONFIG, SCHEMA, ("resources.js", module), ("web/page.html", "<p>page</p>")]);
    let arguments = ["run", "--authorize-local=false"];
    let server = Server::start_on(2, &arguments, &app.directory(), &app.data());
    (app, server)
}

#[tokio::test]
async fn listeners_stand_on_both_sides_of_authentication() {
    let (_app, server) = serve();
    let nobody = json!({"user": null});
    let seen = server.get("/Who").await.expect(200).json();
    assert_eq!(
        seen,
        json!({
            "before": nobody, "behind": {"user": null, "seen": null}, "user": null, "extra": null,
            "pathname": "/Who",
        })
    );
    let administrator = as_administrator();
    let authorization = ("authorization", administrator.as_str());
    let seen = server.send("GET", "/Who", &[authorization], "").await.expect(200).json();
    assert_eq!(
        seen,
        json!({
            "before": nobody, "behind": {"user": ADMINISTRATOR.0, "seen": null},
            "user": ADMINISTRATOR.0, "extra": null, "pathname": "/Who",
        })
    );
    // Tables look at the same one.
    server.get("/Note/").await.expect(401);
    server.send("GET", "/Note/", &[authorization], "").await.expect(200);
    // A wrong password goes no further than authentication.
    let wrong = basic(ADMINISTRATOR.0, "wrong");
    let refused = server.send("GET", "/Who", &[("authorization", &wrong)], "").await.expect(401);
    assert_eq!(refused.json(), json!({"error": "Login failed"}));
    assert_eq!(refused.header("www-authenticate"), Some("Basic"));
    // Unless a listener before it says otherwise.
    let ticket = [("authorization", wrong.as_str()), ("x-ticket", "1")];
    let seen = server.send("GET", "/Who", &ticket, "").await.expect(200).json();
    let behind = json!({"user": null, "seen": "changed before authentication"});
    assert_eq!((&seen["behind"], &seen["user"]), (&behind, &json!(null)));
    assert_eq!(server.get("/refused").await.expect(401).header("www-authenticate"), Some("Basic"));
}

#[tokio::test]
async fn middleware_says_who_asks() {
    let (_app, server) = serve();
    let key = [("x-key", "secret")];
    let seen = server.send("GET", "/Who", &key, "").await.expect(200).json();
    assert_eq!(seen["user"], "by key");
    // A class of the component sees the very object.
    assert_eq!(seen["extra"], "own");
    let put = [("x-key", "secret"), JSON];
    server.send("PUT", "/Note/a", &put, r#"{"text":"t"}"#).await.expect(204);
    server.send("GET", "/Note/a", &key, "").await.expect(200);
    server.send("GET", "/Note/a", &[("x-key", "other")], "").await.expect(401);
}

#[tokio::test]
async fn a_listener_logs_in() {
    let (_app, server) = serve();
    let password = [("x-password", ADMINISTRATOR.1)];
    let entered = server.send("GET", "/enter", &password, "").await.expect(200);
    assert_eq!(entered.body, ADMINISTRATOR.0);
    let cookies: Vec<_> = entered.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies.len(), 1, "{entered:?}");
    let cookie = cookies[0].to_str().unwrap().split(';').next().unwrap();
    let seen = server.send("GET", "/Who", &[("cookie", cookie)], "").await.expect(200).json();
    assert_eq!(seen["behind"]["user"], ADMINISTRATOR.0);
    assert_eq!(seen["before"]["user"], json!(null));
    server.send("GET", "/enter", &[("x-password", "wrong")], "").await.expect(401);
}

#[tokio::test]
async fn bodies_are_compressed_behind_all_listeners() {
    let (_app, server) = serve();
    let text = "word ".repeat(1000);
    let administrator = as_administrator();
    let put = [("authorization", administrator.as_str()), JSON];
    let record = json!({"text": text}).to_string();
    server.send("PUT", "/Note/long", &put, &record).await.expect(204);
    let get = [put[0], ("accept-encoding", "gzip"), ("x-count", "1")];
    for (path, length) in [("/Note/long", Some("string")), ("/long", None)] {
        let (status, headers, body) = server.send_bytes("GET", path, &get, "").await;
        assert_eq!(
            (status, headers["content-encoding"].to_str().unwrap()),
            (200, "gzip"),
            "{path}"
        );
        assert!(headers["vary"].to_str().unwrap().contains("Accept-Encoding"), "{headers:?}");
        assert_eq!(headers.get("x-type").map(|value| value.to_str().unwrap()), length);
        let mut plain = String::new();
        flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut plain).unwrap();
        assert!(plain.len() >= 5000 && body.len() < 500, "{path}: {} {}", plain.len(), body.len());
        if let Some(seen) = headers.get("x-length") {
            assert_eq!(seen.to_str().unwrap(), plain.len().to_string());
        }
    }
}
