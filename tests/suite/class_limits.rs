//! Limits on classes: code that passes one is stopped from outside, its callers are told which, and its worker goes on
//! with a new isolate. On both engines.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::App;
use crate::harness::client::{Answer, JSON};

const MODULE: &str = include_str!("class_limits.ts");

/// How much later than its limit an answer may come here: the machine of a test is busy.
const SLACK: Duration = Duration::from_secs(5);

fn app(limits: &str) -> App {
    let config =
        format!("rest: true\njsResource: {{ files: resources.ts }}\nlimits: {{ {limits} }}\n");
    App::new(&[("config.yaml", config.as_str()), ("resources.ts", MODULE)])
}

#[tokio::test]
async fn each_limit_stops_what_passes_it_and_names_itself() {
    let app = app("cpu: 300ms, wallTime: 5s");
    let server = app.run();
    let cpu = ("limits.cpu, 300 ms", Duration::from_millis(300));
    let mut rows = vec![
        ("loop", 503, cpu),
        ("later", 503, cpu),
        ("timer", 503, cpu),
        ("promises", 503, cpu),
        ("sleep", 503, ("limits.wallTime, 5000 ms", Duration::from_secs(5))),
        ("recursion", 500, ("", Duration::from_secs(1))),
    ];
    // The other engine looks for a reason to stop between the steps of code, of which a match is one.
    if cfg!(feature = "v8") {
        rows.push(("regex", 503, cpu));
    }
    for (how, status, (named, limit)) in rows {
        let began = Instant::now();
        let answer = server.get(&format!("/Bad/?how={how}")).await.expect(status);
        assert!(began.elapsed() < limit + SLACK, "{how}: {:?}", began.elapsed());
        let title = answer.json()["title"].as_str().unwrap().to_owned();
        assert!(title.contains(named), "{how}: {answer:?}");
        if !named.is_empty() {
            assert!(title.starts_with("Bad was stopped"), "{how}: {title}");
        }
        assert_eq!(server.get("/Bad/").await.expect(200).json(), "fine", "after {how}");
    }
    server.stderr.wait_for("calls that ran: [Bad]; its worker starts again");
    // Where it was: the line of the loop, and of who called it. QuickJS knows the callers' lines only.
    let places = server.stderr.text();
    assert!(places.contains("resources.ts:25:"), "{places}");
    assert!(cfg!(feature = "quickjs") || places.contains("resources.ts:4:"), "{places}");
}

#[tokio::test]
async fn a_full_heap_stops_what_filled_it() {
    let app = app("cpu: 60s, memory: 128MB");
    let server = app.run();
    for how in ["memory", "buffer", "buffers"] {
        let answer = server.get(&format!("/Bad/?how={how}")).await;
        let title = answer.json()["title"].as_str().unwrap().to_owned();
        // QuickJS refuses one piece that is too large by an error, which code may catch.
        let is_refused = cfg!(feature = "quickjs") && how == "buffer";
        let (status, named) = match is_refused {
            true => (500, title.contains("limits.memory")),
            false => (503, title.starts_with("Bad was stopped") && title.contains("128 MiB")),
        };
        assert!(named && answer.status == status, "{how}: {answer:?}");
        assert_eq!(server.get("/Bad/").await.expect(200).json(), "fine", "after {how}");
    }
    // Often: V8 judges some of the collections useless, and was once believed.
    for _ in 0..20 {
        assert_eq!(server.get("/Bad/?how=garbage").await.expect(200).json(), "fine");
    }
    assert!(server.memory() < 1 << 30);
}

#[tokio::test]
async fn a_stream_that_never_goes_on_is_closed() {
    let app = app("cpu: 300ms");
    let server = app.run();
    let mut socket = server.socket("/Bad").await;
    assert_eq!(socket.next().await, json!("first"));
    let closed = socket.closed().await;
    assert!(closed.reason.contains("limits.cpu"), "{closed:?}");
    // A sequence whose first items are on their way ends with the reason.
    let cut = server.get("/Bad/?how=items").await.expect(200);
    assert!(cut.body.contains("limits.cpu"), "{cut:?}");
    server.get("/Bad/").await.expect(200);
}

#[tokio::test]
async fn neighbours_answer_meanwhile() {
    let app = app("cpu: 1s");
    let server = app.run_on(2);
    let mut stopped = std::pin::pin!(server.get("/Bad/?how=loop"));
    let mut answered = 0;
    let stopped = loop {
        tokio::select! {
            stopped = &mut stopped => break stopped,
            neighbour = server.get("/Bad/") => {
                neighbour.expect(200);
                answered += 1;
            }
        }
    };
    assert_eq!(stopped.status, 503, "{stopped:?}");
    assert!(answered >= 10, "{answered} answers");
}

#[tokio::test]
async fn what_waited_is_answered_by_the_new_isolate() {
    let app = app("cpu: 300ms");
    let server = app.run();
    let stopped = server.get("/Bad/?how=loop");
    // The only worker's code never gives way: these wait in its queue, but for what it has answered before.
    let waiting = futures_util::future::join_all((0..40).map(|_| server.get("/Bad/")));
    let (stopped, waiting) = tokio::join!(stopped, waiting);
    stopped.expect(503);
    for answer in waiting {
        answer.expect(200);
    }
}

#[tokio::test]
async fn who_had_begun_beside_a_loop_is_asked_again_or_told_to_ask_again() {
    let app = app("cpu: 300ms");
    let server = app.run();
    let get = server.get("/Bad/?how=patient");
    let post = server.send("POST", "/Bad/", &[JSON], "{}");
    let stopped = async {
        server.until("/Bad/?how=begun", |answer: &Answer| answer.body == "2").await;
        server.get("/Bad/?how=loop").await.expect(503)
    };
    let (get, post, stopped) = tokio::join!(get, post, stopped);
    // Who is stopped need not try again.
    assert!(stopped.body.contains("limits.cpu") && stopped.header("retry-after").is_none());
    assert_eq!(stopped.json()["code"], "LimitExceeded");
    assert_eq!(get.expect(200).json(), "fine");
    // Nobody but its client knows whether it may be done twice.
    let post = post.expect(503);
    assert!(post.body.contains("another call passed a limit"), "{post:?}");
    assert_eq!(post.header("retry-after"), Some("1"), "{post:?}");
    assert_eq!(server.get("/Bad/?how=begun").await.json(), 1);
}

#[tokio::test]
async fn a_module_that_never_ends_leaves_what_serves() {
    let module = "export class Late extends Resource {\n\tstatic loadAsInstance = false;\n\tallowRead() { \
                  return true; }\n\tget() { return 'fine'; }\n}\n";
    let config = "rest: true\njsResource: { files: resources.ts }\nlimits: { cpu: 300ms }\n";
    let app = App::new(&[
        ("late/config.yaml", config),
        ("late/resources.ts", module),
        ("good/config.yaml", config),
        ("good/resources.ts", MODULE),
    ]);
    let server = app.dev();
    server.get("/Late").await.expect(200);
    app.write("late/resources.ts", &format!("{module}let turns = 0;\nfor (;;) turns++;\n"));
    // Loading may take as long as a call may by default.
    let mut answered = 0;
    while !server.stderr.text().contains("Not reloaded") {
        server.get("/Bad/").await.expect(200);
        server.get("/Late").await.expect(200);
        answered += 1;
    }
    let line = server.stderr.wait_for("Not reloaded");
    assert!(line.contains("late: what runs while it loads was stopped"), "{line}");
    assert!(line.contains("limits.cpu, 10000 ms") && answered > 1, "{line}");
    // QuickJS does not know the line of the innermost code that it interrupts.
    if cfg!(feature = "v8") {
        server.stderr.wait_for("resources.ts:7:");
    }
    app.write("late/resources.ts", &module.replace("fine", "new"));
    server.until("/Late", |answer: &Answer| answer.body.contains("new")).await;
}

#[tokio::test]
async fn more_calls_than_may_run_are_refused() {
    let app = app("concurrency: 2");
    let server = app.run();
    let calls = (0..6).map(|_| server.get("/Bad/?how=soon"));
    let answers = futures_util::future::join_all(calls).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert!(!refused.is_empty() && refused.len() < 6, "{answers:?}");
    assert!(refused[0].body.contains("limits.concurrency"), "{refused:?}");
    server.get("/Bad/").await.expect(200);
}
