//! The web's global names, as components use them.

use serde_json::json;

use super::{check_named, serve};

#[tokio::test]
async fn web_globals() {
    let (_app, server) = serve(include_str!("web.ts")).await;
    check_named(
        &server,
        "/Web/",
        vec![
            ("url", json!(["http://h.test/b?x=1&y=2#h", ["1", "2"], false])),
            ("text", json!([6, "žluť", "base"])),
            ("streams", json!(["A", "B"])),
            ("compression", json!(true)),
            ("abort", json!(["enough", "TimeoutError"])),
            ("crypto", json!(["ba7816bf8f01cfea", true, 8])),
            ("hmac", json!(32)),
            ("clone", json!([true, true, 1, 1, 2])),
            ("timers", json!(["micro", "tick", "tick"])),
            ("events", json!(["d"])),
            ("form", json!(["1", "f.txt"])),
            ("request", json!(["POST", "1", "b"])),
            ("fetchTable", json!([200, true, "Ann"])),
            ("fetchClass", json!([[{"a": [1]}, "1"], "application/json"])),
            ("fetchStream", json!(true)),
            ("fetchFails", json!(true)),
            ("webSocket", json!([true, {"hello": true}, {"echo": {"n": 1}}, true])),
            ("webSocketFails", json!(true)),
            ("intl", json!(["1970-01-01T00:00:00.000Z", "1234.5", "number"])),
            ("console", json!(true)),
        ],
    )
    .await;
    for text in [
        "from console.log",
        "from console.error",
        "from logger.info",
        "from a tagged logger",
        "from logger.error",
    ] {
        server.stderr.wait_for(text);
    }
}
