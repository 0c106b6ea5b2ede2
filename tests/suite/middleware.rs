//! `server.http`: the chain before everything that answers (`spec/harper-components.md` section 4.2).

mod authentication;
mod streams;

use serde_json::{Value, json};

use crate::harness::client::{Answer, JSON};
use crate::harness::{App, Server};

const CONFIG: (&str, &str) = (
    "config.yaml",
    "rest: true\ngraphqlSchema: { files: schema.graphql }\njsResource: { files: resources.js }\n\
     static: { files: web/** }\n",
);
const SCHEMA: (&str, &str) =
    ("schema.graphql", "type Note @table @export {\n  id: ID @primaryKey\n  text: String\n}\n");

fn serve(module: &str) -> (App, Server) {
    let app =
        App::new(&[CONFIG, SCHEMA, ("resources.js", module), ("web/page.html", "<p>page</p>")]);
    let server = app.run();
    (app, server)
}

async fn with(server: &Server, path: &str, header: &str) -> Answer {
    server.send("GET", path, &[(header, "1")], "").await
}

#[tokio::test]
async fn listeners_answer_in_every_form() {
    let (_app, server) = serve(include_str!("middleware/chain.js"));
    let own = server.get("/own").await.expect(203);
    assert_eq!((own.header("x-a"), own.body.as_str()), (Some("1"), "own body"));
    assert_eq!(server.get("/data").await.expect(200).json(), json!({"a": [1]}));
    let response = server.get("/response").await.expect(418);
    assert_eq!(response.headers.get_all("set-cookie").iter().count(), 2);
    assert_eq!((response.header("content-length"), response.body.as_str()), (Some("4"), "told"));
    assert_eq!(server.get("/nothing").await.expect(404).body, "Not found\n");
    let thrown = server.get("/throw").await.expect(451);
    assert!(thrown.body.contains("no way"), "{thrown:?}");
    let stream = server.get("/stream").await.expect(200);
    assert_eq!(
        (stream.header("content-type"), stream.body.as_str()),
        (Some("text/x"), "part 0;part 1;part 2;")
    );
}

#[tokio::test]
async fn the_request_shows_everything() {
    let (_app, server) = serve(include_str!("middleware/chain.js"));
    let view = server.send("PATCH", "/view?a=1", &[("x-test", "t")], "").await.expect(200).json();
    assert_eq!(
        view,
        json!({
            "method": "PATCH", "url": "/view?a=1", "pathname": "/view", "protocol": "http",
            "hasPort": true, "ip": "127.0.0.1", "isWebSocket": false, "header": "t", "asObject": "t",
            "user": "local",
        })
    );
    let body = server.send("POST", "/body", &[], "streamed").await.expect(200).json();
    assert_eq!(body, json!({"text": "streamed"}));
    for (header, body, parsed) in [
        (JSON, r#"{"n":1}"#, json!({"n": 1})),
        (
            ("content-type", "application/x-www-form-urlencoded"),
            "a=1&b=2",
            json!({"a": "1", "b": "2"}),
        ),
        (("content-type", "text/plain"), "text", json!("text")),
        (("content-type", "text/csv"), "a,b", json!({"contentType": "text/csv", "data": "a,b"})),
    ] {
        let answer = server.send("POST", "/parsed", &[header], body).await.expect(200);
        assert_eq!(answer.json(), parsed, "{header:?}");
    }
    server.send("POST", "/parsed", &[JSON], "{").await.expect(400);
}

#[tokio::test]
async fn requests_and_responses_change_on_their_way() {
    let (_app, server) = serve(include_str!("middleware/chain.js"));
    let put = server.put("/rewrite/a", r#"{"text":"hi"}"#).await.expect(204);
    assert_eq!(put.header("x-passed"), Some("yes"));
    let got = server.get("/Note/a").await.expect(200);
    assert_eq!(got.json(), json!({"id": "a", "text": "hi"}));
    assert!(got.header("etag").is_some());
    assert_eq!(got.header("set-cookie"), Some("m=1"));
    assert_eq!(server.get("/header").await.expect(200).json(), json!({"header": "by middleware"}));
    assert_eq!(server.get("/Teapot").await.expect(418).json(), json!({"short": true}));
    let changed = with(&server, "/Note/a", "x-change").await.expect(200);
    assert_eq!(changed.body, r#"{"id":"a","text":"hi"}!"#);
    assert_eq!(with(&server, "/Note/a", "x-handler").await.header("x-handler"), Some("Note"));
    assert_eq!(with(&server, "/Note/a", "x-twice").await.header("x-second"), Some("200"));
    // Static files, and what nobody answers, pass as well.
    let page = server.get("/page.html").await.expect(200);
    assert_eq!((page.body.as_str(), page.header("x-passed")), ("<p>page</p>", Some("yes")));
    assert_eq!(server.get("/absent").await.expect(404).header("x-passed"), Some("yes"));
    let head = server.send("HEAD", "/Note/a", &[], "").await.expect(200);
    assert!(head.header("content-length").is_some() && head.body.is_empty());
    // A user that middleware takes away is gone for tables, too.
    server.get("/nobody").await.expect(401);
}

#[tokio::test]
async fn classes_see_what_middleware_has_made_of_the_request() {
    let (_app, server) = serve(include_str!("middleware/chain.js"));
    let seen = server.get("/Echo?q=1").await.expect(200).json();
    assert_eq!(
        seen,
        json!({
            "custom": "set by middleware", "order": ["first", "between", "second"],
            "url": "/Echo?q=1", "search": "?q=1",
        })
    );
    let peeked = server.send("POST", "/peeked", &[JSON], r#"{"n":7}"#).await.expect(200).json();
    assert_eq!(peeked, json!({"data": {"n": 7}, "custom": "set by middleware", "saw": 7}));
    let plain = server.send("POST", "/Echo", &[JSON], r#"{"n":8}"#).await.expect(200).json();
    assert_eq!(plain["data"], json!({"n": 8}));
}

#[tokio::test]
async fn paths_and_hosts_choose_listeners() {
    let (_app, server) = serve(include_str!("middleware/chain.js"));
    for (path, url) in
        [("/below/this", "/"), ("/below/this/x?y=1", "/x?y=1"), ("/below/this?y=1", "/?y=1")]
    {
        let answer = server.get(path).await.expect(200);
        assert_eq!(answer.json(), json!({"url": url}), "{path}");
    }
    server.get("/below/thisandthat").await.expect(404);
    assert_eq!(server.get("/moved/x").await.expect(200).json(), json!({"url": "/moved/x?changed"}));
    let special = server.send("GET", "/Note/", &[("host", "special.example")], "").await;
    assert_eq!(special.expect(200).body, "for the host");
}

#[tokio::test]
async fn sockets_and_event_streams_pass() {
    let (_app, server) = serve(
        "server.http((request, next) => {
           if (request.isWebSocket && request.url.startsWith('/refused')) {
             return { status: 403, headers: {}, body: 'no' };
           }
           request.custom = request.isWebSocket;
           return next(request);
         });
         export class Talk extends Resource {
           static loadAsInstance = false;
           async *connect(target, incoming) {
             yield { isWebSocket: this.getContext().isWebSocket, custom: this.getContext().custom };
           }
         }",
    );
    let mut socket = server.socket("/Talk").await;
    assert_eq!(socket.next().await, json!({"isWebSocket": true, "custom": true}));
    let mut events = server.events("/Talk").await;
    assert_eq!(events.next().await["custom"], json!(false));
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    assert_eq!(server.send("GET", "/refused", &upgrade, "").await.expect(403).body, "no");
}

#[tokio::test]
async fn one_component_stands_before_all_and_every_worker_knows_its_own_request() {
    let guard = "let count = 0;
        server.http(async (request, next) => {
          request.number = ++count;
          const response = await next(request);
          response.headers.set('x-guard', 'guard');
          return response;
        });
        export class Mine extends Resource {
          get() { return { number: this.getContext().number ?? null }; }
        }";
    let other = "export class Theirs extends Resource {
          get() { return { number: this.getContext().number ?? null }; }
        }";
    let config = "rest: true\njsResource: { files: resources.js }\n";
    let app = App::new(&[
        ("a/config.yaml", config),
        ("a/resources.js", other),
        ("b/config.yaml", config),
        ("b/resources.js", guard),
    ]);
    let server = app.run_on(3);
    for _ in 0..12 {
        let mine = server.get("/Mine").await.expect(200);
        assert!(mine.json()["number"].is_number(), "{mine:?}");
        let theirs = server.get("/Theirs").await.expect(200);
        assert_eq!(theirs.json(), json!({"number": Value::Null}));
        assert_eq!(theirs.header("x-guard"), Some("guard"));
    }
}

#[tokio::test]
async fn content_types_of_a_component_are_spoken() {
    let (_app, server) = serve(
        "contentTypes.set('application/x-lines', {
           q: 1,
           serialize: (data) => Object.entries(data).map((entry) => entry.join('=')).join('\\n'),
           *serializeStream(rows) { for (const row of rows) yield `${row.id}\\n`; },
           deserialize: (bytes) =>
             Object.fromEntries(new TextDecoder().decode(bytes).split('\\n').map((l) => l.split('='))),
         });",
    );
    let lines = ("content-type", "application/x-lines");
    server.send("PUT", "/Note/a", &[lines], "text=hello").await.expect(204);
    let json = server.get("/Note/a").await.expect(200);
    assert_eq!(json.json(), json!({"id": "a", "text": "hello"}));
    let accept = [("accept", "application/x-lines, application/json;q=0.5")];
    let spoken = server.send("GET", "/Note/a", &accept, "").await.expect(200);
    assert_eq!(spoken.header("content-type"), Some("application/x-lines"));
    assert_eq!(spoken.body, "id=a\ntext=hello");
    let rows = server.send("GET", "/Note/", &accept, "").await.expect(200);
    assert_eq!(rows.body, "a\n");
    let weak = [("accept", "application/x-lines;q=0.1, application/json")];
    let answer = server.send("GET", "/Note/a", &weak, "").await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn code_of_node_answers_by_its_own_objects() {
    let (_app, server) = serve(
        "server.http((request, next) => {
           if (!request.url.startsWith('/node')) return next(request);
           const { _nodeRequest: req, _nodeResponse: res } = request;
           let text = '';
           req.on('data', (chunk) => text += new TextDecoder().decode(chunk));
           req.on('end', () => {
             res.setHeader('X-Seen', req.headers['x-test']);
             res.writeHead(201, { 'content-type': 'text/x' });
             res.write(`${req.method} ${req.url} `);
             res.end(text);
           });
         });",
    );
    let answer = server.send("POST", "/node?a", &[("x-test", "t")], "sent").await.expect(201);
    assert_eq!(answer.body, "POST /node?a sent");
    assert_eq!(answer.header("x-seen"), Some("t"));
    assert_eq!(server.get("/node").await.expect(201).body, "GET /node ");
    server.get("/Note/").await.expect(200);
}

#[tokio::test]
async fn sockets_that_no_resource_answers_for_go_to_listeners() {
    let (_app, server) = serve(
        "server.ws((ws, request, completion, next) => {
           if (request.pathname !== '/chat') return next(ws, request, completion);
           ws.send(`hello ${request.search}`);
           ws.on('message', (data) => {
             if (String(data) === '\"bye\"' || String(data) === 'bye') ws.close();
             else ws.send(JSON.stringify({ echo: JSON.parse(String(data)) }));
           });
         });",
    );
    let mut socket = server.socket("/chat?x=1").await;
    assert_eq!(socket.read().await.1, b"hello ?x=1");
    socket.send(r#"{"n":1}"#).await;
    assert_eq!(socket.next().await, json!({"echo": {"n": 1}}));
    socket.send("\"bye\"").await;
    assert_eq!(socket.closed().await.code, None);
    // A table still answers for its own path, and what nobody takes is closed.
    let mut table = server.socket("/Note/").await;
    server.put("/Note/a", "{}").await.expect(204);
    assert_eq!(table.next().await["id"], "a");
    let closed = server.socket("/nobody").await.closed().await;
    assert!(closed.reason.contains("No resource was found to handle /nobody"), "{closed:?}");
}

#[tokio::test]
async fn listeners_of_requests_are_listeners_of_http() {
    let (_app, server) = serve(
        "server.request((request, next) => {
           request.headers.set('x-test', 'by a request listener');
           return next(request);
         }, { runFirst: true });
         export class header extends Resource {
           get() { return { header: this.getContext().headers.get('x-test') }; }
         }",
    );
    let seen = server.get("/header").await.expect(200).json();
    assert_eq!(seen, json!({"header": "by a request listener"}));
}

#[tokio::test]
async fn what_has_no_raw_socket_says_so() {
    let (_app, server) = serve(
        "server.upgrade(() => {});
         let refused;
         try { server.socket(() => {}); } catch (error) { refused = [error.statusCode, error.message]; }
         export class Refused extends Resource { get() { return { refused }; } }",
    );
    let refused = server.get("/Refused").await.expect(200).json();
    assert_eq!(refused["refused"][0], 501);
    server.stderr.wait_for("server.upgrade is not available in this version of Kora");
}

#[tokio::test]
async fn bodies_are_never_mixed_up() {
    let (_app, server) = serve(
        "server.http(async (request, next) => {
           const kind = request.headers.get('x-kind');
           if (kind === 'echo') return { status: 200, headers: {}, body: request.body };
           if (kind === 'first') {
             for await (const chunk of request.body) return { status: 200, headers: {}, body: chunk };
           }
           if (kind === 'data') await request.data;
           const response = await next(request);
           if (kind === 'spread') return { ...response };
           if (kind === 'piped') response.body = response.body.split('').reverse().join('');
           if (kind === 'twice') return next(request);
           return response;
         });
         export class Echo extends Resource {
           static loadAsInstance = false;
           post(target, data) { return new Response(data?.text ?? 'none'); }
         }",
    );
    let server = std::sync::Arc::new(server);
    let clients = (0..8).map(|client| {
        let server = server.clone();
        tokio::spawn(async move {
            for round in 0..12 {
                let text = format!("text-{client}-{round}");
                let body = json!({"text": text}).to_string();
                for kind in ["echo", "first", "data", "spread", "piped", "twice", "none"] {
                    let expected = match kind {
                        "echo" | "first" => body.clone(),
                        "piped" => text.chars().rev().collect(),
                        "twice" => "none".to_owned(),
                        _ => text.clone(),
                    };
                    let headers = [JSON, ("x-kind", kind)];
                    let answer = server.send("POST", "/Echo", &headers, &body).await.expect(200);
                    assert_eq!(answer.body, expected, "{kind}");
                }
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn middleware_is_reloaded_with_its_component() {
    let listener = |label: &str| {
        format!(
            "server.http(async (request, next) => {{
               const response = await next(request);
               response.headers.set('x-label', '{label}');
               return response;
             }});"
        )
    };
    let app = App::new(&[CONFIG, SCHEMA, ("resources.js", &listener("one"))]);
    let server = app.dev();
    assert_eq!(server.get("/Note/").await.header("x-label"), Some("one"));
    app.write("resources.js", &listener("two"));
    server.until("/Note/", |answer| answer.header("x-label") == Some("two")).await;
    app.write("resources.js", "export const nothing = 1;");
    server.until("/Note/", |answer| answer.header("x-label").is_none()).await;
}

#[tokio::test]
async fn a_call_that_is_run_again_keeps_what_middleware_has_made_of_the_request() {
    let (_app, server) = serve(
        "server.http((request, next) => {
           request.step = Number(request.headers.get('x-step'));
           return next(request);
         });
         export class Count extends Resource {
           static loadAsInstance = false;
           async post(target, data) {
             const context = this.getContext();
             const body = await context.data;
             const known = await tables.Note.get('n', context);
             await new Promise((resolve) => setTimeout(resolve, 2));
             const text = String(Number(known?.text ?? 0) + context.step * data.by * body.by);
             await tables.Note.put({ id: 'n', text }, context);
             return { user: context.user.username };
           }
         }",
    );
    let adding = (0..16).map(|_| async {
        let headers = [JSON, ("x-step", "2")];
        let answer = server.send("POST", "/Count", &headers, r#"{"by":3}"#).await.expect(200);
        assert_eq!(answer.json(), json!({"user": "local"}));
    });
    futures_util::future::join_all(adding).await;
    assert_eq!(server.get("/Note/n").await.expect(200).json()["text"], (16 * 2 * 9).to_string());
}
