//! Outgoing HTTP: only where config.yaml says so.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::misbehaving;

/// A server that answers each request with the value of its header `x-from`.
async fn answering() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            let from = text.lines().find_map(|line| line.strip_prefix("x-from: ")).unwrap_or("?");
            let answer =
                format!("HTTP/1.1 203 Fine\r\ncontent-length: {}\r\n\r\n{from}", from.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn only_hosts_that_are_named_are_reached() {
    let address = answering().await;
    let named = misbehaving(&format!("permissions: {{ net: ['{address}'] }}\n"));
    let server = named.run();
    let fetch = |url: String| {
        let url = url.replace(':', "%3A").replace('/', "%2F").replace(' ', "%20");
        format!("/Fetch/?url={url}")
    };
    let answer = server.get(&fetch(format!("http://{address}/x"))).await.expect(200);
    assert_eq!(answer.json(), json!([203, "guest"]));
    for url in [format!("http://localhost:{}/", address.port()), "http://127.0.0.1:1/".to_owned()] {
        let refused = server.get(&fetch(url)).await.expect(403);
        assert!(refused.body.contains("permissions.net"), "{refused:?}");
    }
    server.get(&fetch("no url".to_owned())).await.expect(400);

    let silent = misbehaving("");
    let refused = silent.run().get(&fetch(format!("http://{address}/"))).await.expect(403);
    assert!(refused.body.contains("permissions.net"), "{refused:?}");
}
