//! Blobs over HTTP and from classes (`spec/harper-resources.md` section 13).

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::json;

use crate::harness::client::JSON;
use crate::harness::{App, Server, rounds};

const FILES: &[(&str, &str)] = &[
    (
        "config.yaml",
        "rest: true\ngraphqlSchema: { files: schema.graphql }\njsResource: { files: resources.ts }\n",
    ),
    (
        "schema.graphql",
        "type File @table @export { id: ID @primaryKey name: String @indexed file: Blob second: Blob }\n\
         type Document @table @export { id: ID @primaryKey contentType: String data: Blob }\n",
    ),
    ("resources.ts", include_str!("blobs/resources.ts")),
];

/// The files of all blobs, wherever they are.
fn files(data: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![data.join("data/blobs"), data.join("staging")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => found.push(path),
            }
        }
    }
    found
}

/// Deleting is done right after the answer: waits for it.
async fn file_count(app: &App, count: usize) {
    for _ in 0..500 {
        if files(&app.data()).len() == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(files(&app.data()).len(), count, "{:?}", files(&app.data()));
}

fn text(size: usize) -> String {
    "0123456789abcdef".repeat(size / 16)
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_become_blobs_and_blobs_bodies() {
    let app = App::new(FILES);
    let server = app.run();
    let large = text(3 << 20);
    let png = [("content-type", "image/png")];
    // A document: its content type and its content.
    server.send("PUT", "/Document/a", &png, &large).await.expect(204);
    let answer = server.get("/Document/a").await.expect(200);
    assert_eq!(answer.header("content-type"), Some("image/png"));
    assert_eq!(answer.header("content-length"), Some(large.len().to_string().as_str()));
    assert!(answer.body == large, "{} bytes", answer.body.len());
    let tag = answer.header("etag").unwrap();
    server.send("GET", "/Document/a", &[("if-none-match", tag)], "").await.expect(304);
    let head = server.send("HEAD", "/Document/a", &[], "").await.expect(200);
    assert_eq!(head.header("content-length"), Some(large.len().to_string().as_str()));
    // A property of a record.
    server.put("/File/1", r#"{"name":"one"}"#).await.expect(204);
    server.send("PUT", "/File/1.file", &png, &large).await.expect(204);
    file_count(&app, 2).await;
    let record = server.get("/File/1").await.expect(200).json();
    assert_eq!(record["name"], "one");
    assert_eq!(record["file"]["description"], format!("Blob of {} bytes, image/png", large.len()));
    assert!(server.get("/File/1.file").await.expect(200).body == large);
    // Replaced, taken away, deleted: the files go with their mention.
    server.send("PUT", "/File/1.file", &png, &text(8192)).await.expect(204);
    file_count(&app, 2).await;
    assert_eq!(server.get("/File/1.file").await.expect(200).body.len(), 8192);
    server.send("PATCH", "/File/1", &[JSON], r#"{"name":"kept"}"#).await.expect(204);
    assert_eq!(server.get("/File/1.file").await.expect(200).body.len(), 8192);
    server.put("/File/1", r#"{"name":"bare"}"#).await.expect(204);
    file_count(&app, 1).await;
    server.get("/File/1.file").await.expect(404);
    server.send("DELETE", "/Document/a", &[], "").await.expect(200);
    file_count(&app, 0).await;
    // Strings are text, small ones within their record, and text is shown.
    for size in [16, 64 << 10] {
        let body = json!({"name": "t", "file": text(size)}).to_string();
        server.put("/File/t", &body).await.expect(204);
        let record = server.get("/File/t").await.expect(200).json();
        assert!(record["file"] == text(size), "{size}");
        let raw = server.get("/File/t.file").await.expect(200);
        assert_eq!(raw.header("content-type"), Some("text/plain"));
        assert!(raw.body == text(size));
        let listed = server.get("/File/?name=t").await.expect(200).json();
        assert_eq!(listed[0]["id"], "t");
    }
    let wrong = server.put("/File/w", r#"{"file":5}"#).await.expect(400).json();
    assert_eq!(wrong["title"], "Value 5 in property file must be a Blob");
    file_count(&app, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn classes_make_and_return_blobs() {
    let app = App::new(FILES);
    let server = app.run();
    let large = text(1 << 20);
    let png = [("content-type", "image/png")];
    let made = server.send("POST", "/Upload/", &png, &large).await.expect(200).json();
    assert_eq!(made["size"], large.len());
    for (how, status, content_type) in [
        ("", 200, "image/png"),
        ("?how=typed", 200, "application/x-own"),
        ("?how=response", 206, "image/png"),
        ("?how=web", 200, "text/x"),
    ] {
        let path = format!("/Download/{}{how}", made["id"].as_str().unwrap());
        let answer = server.get(&path).await.expect(status);
        assert_eq!(answer.header("content-type"), Some(content_type), "{how}");
        assert!(answer.body == large, "{how}: {} bytes", answer.body.len());
    }
    server.put("/File/text", &json!({"file": text(8192)}).to_string()).await.expect(204);
    let inside = server.get("/Download/text?how=record").await.expect(200).json();
    assert!(inside["inside"] == text(8192));
    let description = json!({"description": "Blob of 300000 bytes, application/x"});
    for (check, expected) in [
        (
            "sources",
            json!({
                "string": ["hello", "text/plain", 5, true],
                "bytes": 70_000,
                "buffer": 3,
                "async": 1_000_000,
                "iterable": "abc",
                "web": "web",
                "stream": 70_000,
                "sized": 20,
            }),
        ),
        ("api", json!([300_000, [0, 1], 300_000, {"file": description}])),
        ("failing", json!(["no more", "no more", null])),
        ("copies", json!([9000, 9000])),
    ] {
        assert_eq!(
            server.get(&format!("/Checks/{check}")).await.expect(200).json(),
            expected,
            "{check}"
        );
    }
    assert_eq!(server.get("/Checks/shared").await.expect(200).json(), "put");
    server.send("DELETE", "/File/b", &[], "").await.expect(200);
    for path in ["/File/a.file", "/File/a.second"] {
        let body = server.get(path).await.expect(200).body;
        assert_eq!(body.len(), 9000, "{path}");
    }
    assert!(server.get("/Checks/wrong").await.expect(200).body.contains("createBlob needs"));
    server.get("/Checks/aborted").await.expect(409);
    server.get("/File/aborted").await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_a_blob() {
    let app = App::new(FILES);
    let server = app.run();
    server
        .send("PUT", "/Document/warm", &[("content-type", "x/y")], &text(1 << 20))
        .await
        .expect(204);
    let size = 96 << 20;
    // The client's copy is another process's memory.
    let body = text(size);
    let before = server.memory();
    server.send("PUT", "/Document/big", &[("content-type", "x/y")], &body).await.expect(204);
    let mut response = server.open("GET", "/Document/big", &[], "").await.unwrap();
    let mut received = 0;
    while let Some(frame) = response.body_mut().frame().await {
        received += frame.unwrap().into_data().unwrap().len();
    }
    assert_eq!(received, size);
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 48 << 20, "{grown} bytes more");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_record_without_its_blob_after_a_kill() {
    let app = App::new(FILES);
    for round in 0..rounds("KORA_KILLS", 3) {
        let server = app.run();
        let size = 20_000 + round * 1000;
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let url = server.address;
                tokio::spawn(write_until_killed(url, writer, size))
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(150 + 70 * round as u64)).await;
        server.kill();
        let mut acknowledged = Vec::new();
        for writer in writers {
            acknowledged.extend(writer.await.unwrap());
        }
        assert!(!acknowledged.is_empty());
        let server = app.run();
        let records = server.get("/Document/").await.expect(200).json();
        let records = records.as_array().unwrap();
        for id in &acknowledged {
            assert!(records.iter().any(|record| record["id"] == **id), "{id} was acknowledged");
        }
        for record in records {
            let id = record["id"].as_str().unwrap();
            let body = server.get(&format!("/Document/{id}")).await.expect(200).body;
            assert!(body.len() >= 20_000, "{id}: {} bytes", body.len());
        }
        file_count(&app, records.len()).await;
        check_delete(&server, &acknowledged[0]).await;
        file_count(&app, records.len() - 1).await;
    }
}

async fn check_delete(server: &Server, id: &str) {
    server.send("DELETE", &format!("/Document/{id}"), &[], "").await.expect(200);
}

/// Puts one document after another over plain sockets; the ids of those that were acknowledged.
async fn write_until_killed(
    address: std::net::SocketAddr,
    writer: usize,
    size: usize,
) -> Vec<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut acknowledged = Vec::new();
    let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else { return acknowledged };
    let body = text(size);
    for n in 0.. {
        let id = format!("{writer}-{n}");
        let head = format!(
            "PUT /Document/{id} HTTP/1.1\r\nhost: x\r\ncontent-type: x/y\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut answer = [0; 1024];
        let sent = stream.write_all(format!("{head}{body}").as_bytes()).await;
        match (sent, stream.read(&mut answer).await) {
            (Ok(()), Ok(read)) if answer[..read].starts_with(b"HTTP/1.1 204") => {
                acknowledged.push(id);
            }
            _ => break,
        }
    }
    acknowledged
}
