//! Bodies that fail on their way through middleware, and clients that go before they are answered.

use http_body_util::BodyExt;
use serde_json::json;

use super::serve;
use crate::harness::{DEADLINE, Server};

const MODULE: &str = r#"
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const seen = [];

async function* torn() {
  yield "begun";
  await pause(60);
  throw new Error("torn");
}

server.http(async (request, next) => {
  const type = request.headers.get("x-type");
  if (request.pathname === "/own") {
    return { status: 200, headers: { "content-type": type }, body: torn() };
  }
  if (request.pathname === "/waits") {
    seen.push(`began, aborted: ${request.signal.aborted}`);
    request.signal.addEventListener("abort", () => seen.push(request.signal.reason.name));
    await pause(30_000);
  }
  const response = await next(request);
  if (request.headers.has("x-read")) {
    const body = response.body;
    response.body = (async function* () {
      for await (const chunk of body) yield chunk;
    })();
  }
  return response;
});

export class Torn extends Resource {
  get() {
    const headers = { "content-type": this.getContext().headers.get("x-type") };
    return new Response(ReadableStream.from(torn()).pipeThrough(new TextEncoderStream()), { headers });
  }
}
export class Waits extends Resource {
  async get() {
    this.getContext().signal.addEventListener("abort", () => seen.push("in the class"));
    seen.push("class began");
    await pause(30_000);
  }
}
export const Seen = { get: () => seen.splice(0) };
"#;

/// What came of the body before the connection was cut; panics where it came to an end.
async fn part(server: &Server, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut response = server.open("GET", path, headers, "").await.unwrap();
    assert_eq!(response.status(), 200, "{path} {headers:?}");
    let mut part = Vec::new();
    loop {
        let frame = tokio::time::timeout(DEADLINE, response.body_mut().frame()).await.unwrap();
        match frame {
            Some(Ok(frame)) => part.extend(frame.into_data().unwrap()),
            Some(Err(_)) => return part,
            None => panic!("{path} {headers:?}: {part:?} passes for the whole"),
        }
    }
}

#[tokio::test]
async fn a_body_that_fails_never_passes_for_the_whole() {
    let (_app, server) = serve(MODULE);
    for path in ["/own", "/Torn"] {
        for media_type in ["text/plain", "application/octet-stream"] {
            let plain = [("x-type", media_type)];
            assert_eq!(part(&server, path, &plain).await, b"begun", "{path} {media_type}");
            let read = [plain[0], ("x-read", "1")];
            assert_eq!(part(&server, path, &read).await, b"begun", "{path} {media_type}");
            let packed = [plain[0], ("accept-encoding", "gzip")];
            let begun = part(&server, path, &packed).await;
            let is_packed = begun.starts_with(&[0x1f, 0x8b]);
            assert_eq!(is_packed, media_type == "text/plain", "{path}: {begun:?}");
        }
    }
    server.stderr.wait_for("torn");
    server.get("/Note/").await.expect(200);
}

#[tokio::test]
async fn listeners_are_told_when_the_client_goes() {
    let (_app, server) = serve(MODULE);
    // More than once: the class is told even where middleware gives its request up first.
    let waits = [
        ("/waits", "began, aborted: false", "AbortError"),
        ("/Waits", "class began", "in the class"),
    ];
    for (path, began, told) in waits.iter().cycle().take(20) {
        {
            let leaving = server.get(path);
            tokio::pin!(leaving);
            let has_begun = server.until("/Seen", |answer| answer.json() == json!([began]));
            tokio::select! {
                answer = &mut leaving => panic!("answered {answer:?}"),
                _ = has_begun => {}
            }
        }
        server.until("/Seen", |answer| answer.json() == json!([told])).await;
    }
}
