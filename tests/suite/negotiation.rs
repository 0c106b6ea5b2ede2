//! Which representation an answer takes (`spec/harper-rest.md` section 6.1).

use crate::harness::{App, DOGS};

#[tokio::test]
async fn accept_decides() {
    let app = App::new(DOGS);
    let server = app.run();
    server.put("/Dog/rex", r#"{"name":"Rex"}"#).await.expect(204);
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (accept, status) in [
        ("application/json", 200),
        ("*/*", 200),
        (browser, 200),
        ("text/html", 406),
        ("application/json;q=0", 406),
    ] {
        let answer = server.send("GET", "/Dog/rex", &[("accept", accept)], "").await;
        assert_eq!(answer.status, status, "{accept}");
        match status {
            200 => assert_eq!(answer.header("content-type"), Some("application/json"), "{accept}"),
            _ => assert!(answer.body.contains("application/json"), "{answer:?}"),
        }
    }
    server.send("GET", "/Dog/rex.json", &[("accept", "text/html")], "").await.expect(200);
}
