//! Hot reload of classes: what the next request sees, what happens to sockets of the version before,
//! and that nothing of it is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mqtt_proto::QoS;
use mqtt_proto::v5::{DisconnectReasonCode, Packet};
use serde_json::json;

use crate::harness::client::{Answer, JSON};
use crate::harness::mqtt::connect;
use crate::harness::socket::Close;
use crate::harness::{App, DEADLINE, Server, rounds};

const CONFIG: &str =
    "rest: true\ngraphqlSchema:\n  files: schema.graphql\njsResource:\n  files: resources/*.ts\n";
const SCHEMA: &str = "type Dog @table @export {\n  id: ID @primaryKey\n  name: String\n}\n";

fn version(n: usize) -> String {
    format!(
        "import {{ Resource, tables, type RequestTarget }} from 'harperdb';\n\nexport class Version \
         extends Resource {{\n\tget(): {{ version: number }} {{\n\t\treturn {{ version: {n} }};\n\t}}\n\t\
         async post(target: RequestTarget, data: any) {{\n\t\tconst {{ name }} = await data;\n\t\tawait \
         tables.Dog.put({{ id: 'posted', name }});\n\t\treturn {n};\n\t}}\n\tasync *connect(target: \
         RequestTarget, incomingMessages: any) {{\n\t\tyield {{ version: {n} }};\n\t\tfor await \
         (const message of incomingMessages) yield {{ version: {n}, message }};\n\t}}\n}}\n"
    )
}

fn app() -> App {
    let app = App::new(&[("config.yaml", CONFIG), ("schema.graphql", SCHEMA)]);
    app.write("resources/version.ts", &version(0));
    app
}

async fn until_version(server: &Server, n: usize) {
    let wanted = |answer: &Answer| {
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["version"] == n
    };
    server.until("/Version/", wanted).await;
}

#[tokio::test]
async fn the_next_request_sees_it_and_open_sockets_live_on() {
    let app = app();
    let server = app.dev();
    until_version(&server, 0).await;
    let mut table = server.socket("/Dog/").await;
    let mut old = server.socket("/Version/").await;
    assert_eq!(old.next().await, json!({"version": 0}));

    app.write("resources/version.ts", &version(1));
    until_version(&server, 1).await;
    let mut new = server.socket("/Version/").await;
    assert_eq!(new.next().await, json!({"version": 1}));
    old.send(r#"{"n":1}"#).await;
    assert_eq!(old.next().await, json!({"version": 0, "message": {"n": 1}}));
    server.put("/Dog/rex", r#"{"name":"Rex"}"#).await.expect(204);
    assert_eq!(table.next().await["id"], "rex");

    // A new file has its path, a deleted one has none.
    app.write("resources/more.ts", "export const more = { get: (): string => 'more' };\n");
    server.until("/more/", |answer| answer.status == 200).await;
    std::fs::remove_file(app.directory().join("resources/more.ts")).unwrap();
    server.until("/more/", |answer| answer.status == 404).await;
    until_version(&server, 1).await;

    // A table's class takes the table's place, and gives it back.
    let own = "import { tables } from 'harperdb';\nexport class Dog extends tables.Dog {\n\tget() \
               {\n\t\treturn { own: true };\n\t}\n}\n";
    app.write("resources/dog.ts", own);
    server.until("/Dog/rex", |answer| answer.json()["own"] == true).await;
    std::fs::remove_file(app.directory().join("resources/dog.ts")).unwrap();
    server.until("/Dog/rex", |answer| answer.json()["name"] == "Rex").await;

    for n in 2..4 {
        old.send(&json!({ "n": n }).to_string()).await;
        assert_eq!(old.next().await, json!({"version": 0, "message": {"n": n}}));
    }
    new.send(r#"{"n":1}"#).await;
    assert_eq!(new.next().await["version"], 1);
    server.put("/Dog/rex", r#"{"name":"Max"}"#).await.expect(204);
    assert_eq!(table.next().await["value"]["name"], "Max");
}

#[tokio::test]
async fn what_does_not_load_leaves_the_old_one_serving_and_names_the_place() {
    let app = app();
    let server = app.dev();
    let cases = [
        ("export class Version {\n\tget() {\n\t\treturn 1 +;\n\t}\n}\n", ":3:1"),
        ("interface A {\n\tb: string;\n}\n\nthrow new Error('at the top');\n", ":5:7"),
        ("import { nothing } from './missing.js';\nexport { nothing };\n", "missing.js"),
        ("const a: number = 1;\nconst b = (a as any).c.d;\n", ":2:"),
    ];
    for (n, (text, place)) in cases.into_iter().enumerate() {
        app.write("resources/version.ts", text);
        let line = {
            let stderr = server.stderr.clone();
            let wait = move || stderr.wait_for_count("Not reloaded", n + 1);
            tokio::task::spawn_blocking(wait).await.unwrap()
        };
        let deadline = Instant::now() + DEADLINE;
        let named =
            if place == "missing.js" { place.to_owned() } else { format!("version.ts{place}") };
        while !server.stderr.text().contains(&named) {
            assert!(Instant::now() < deadline, "{place} is not in {line} and what follows");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(line.contains("version.ts"), "{line}");
        until_version(&server, 0).await;
    }
    app.write("resources/version.ts", &version(9));
    until_version(&server, 9).await;
}

/// What the old version has opened ends with it, and is told why: connecting again is all that it takes.
#[tokio::test]
async fn the_end_of_the_old_version_closes_its_sockets_and_no_others() {
    let app = app();
    let subscribing = "\nexport class Ticks extends Resource {\n\tstatic async *subscribe() {\n\t\tyield 1;\n\t\tawait new \
                       Promise(() => {});\n\t}\n}\n";
    app.write("resources/version.ts", &(version(0) + subscribing));
    let server = Server::start(&["dev", "--grace", "1s"], &app.directory(), &app.data());
    until_version(&server, 0).await;
    let mut table = server.socket("/Dog/").await;
    let mut socket = server.socket("/Version/").await;
    assert_eq!(socket.next().await, json!({"version": 0}));
    let mut events = server.events("/Version/").await;
    assert!(events.next_block().await.is_some());
    let mut client = server.mqtt(connect("c")).await;
    client.subscribe("Ticks", QoS::Level0).await;
    assert_eq!(&client.next().await.payload[..], b"1");

    app.write("resources/version.ts", &(version(1) + subscribing));
    until_version(&server, 1).await;
    let reason = "ServerError: the component was replaced".to_owned();
    assert_eq!(socket.closed().await, Close { code: Some(1012), reason });
    let last = events.next_block().await.expect("a last word");
    assert!(last.starts_with("event: harper-error\n") && last.contains("503"), "{last}");
    assert_eq!(events.next_block().await, None);
    match client.read().await {
        Some(Packet::Disconnect(end)) => {
            assert_eq!(end.reason_code, DisconnectReasonCode::ServerBusy);
        }
        other => panic!("{other:?}"),
    }
    let mut again = server.socket("/Version/").await;
    assert_eq!(again.next().await, json!({"version": 1}));
    server.put("/Dog/rex", r#"{"name":"Rex"}"#).await.expect(204);
    assert_eq!(table.next().await["id"], "rex");
}

/// A class has no log: who wants to go on where it was is told that something may be missing.
#[tokio::test]
async fn a_class_that_can_not_go_on_says_so() {
    let app = app();
    let passing = "import { Resource, tables } from 'harperdb';\nexport class Passing extends Resource {\n\tstatic connect(target) \
                   {\n\t\treturn tables.Dog.subscribe({ resume: target.resume });\n\t}\n}\n";
    app.write("resources/passing.ts", passing);
    let server = app.run();
    let mut socket = server.socket("/Version/?$resume=1-1").await;
    assert_eq!(socket.next().await["type"], "gap");
    assert_eq!(socket.next().await, json!({"version": 0}));
    let mut plain = server.socket("/Version/").await;
    assert_eq!(plain.next().await, json!({"version": 0}));
    // One that hands the position on keeps the promise of its table.
    let mut first = server.socket("/Passing/?$positions").await;
    let position = first.next().await["position"].as_str().unwrap().to_owned();
    server.put("/Dog/rex", r#"{"name":"Rex"}"#).await.expect(204);
    let mut later = server.socket(&format!("/Passing/?$positions&$resume={position}")).await;
    let mut event = later.next().await;
    while event["type"] == "position" {
        event = later.next().await;
    }
    assert_eq!((&event["type"], &event["id"]), (&json!("put"), &json!("rex")));
}

/// 20 edits by default; `KORA_RELOAD_ROUNDS=200` for the long run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_fail_no_request_of_a_class_and_leave_no_thread_behind() {
    let edits = rounds("KORA_RELOAD_ROUNDS", 20);
    let app = app();
    let server = Arc::new(app.dev());
    until_version(&server, 0).await;
    let threads = server.threads();
    let mut table = server.socket("/Dog/posted").await;
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..3 {
        let (server, stop, answered) = (server.clone(), stop.clone(), answered.clone());
        clients.spawn(async move {
            let mut last = 0;
            while !stop.load(Ordering::Relaxed) {
                match client {
                    0 => {
                        let answer = server.get("/Version/").await.expect(200).json();
                        let version = answer["version"].as_u64().unwrap();
                        assert!(version >= last, "{version} after {last}");
                        last = version;
                    }
                    1 => {
                        let body = r#"{"name":"Posted"}"#;
                        let answer = server.send("POST", "/Version/", &[JSON], body).await;
                        assert!(answer.status < 300, "{answer:?}");
                    }
                    _ => {
                        let mut socket = server.socket("/Version/").await;
                        assert!(socket.next().await["version"].is_u64());
                        socket.send(r#"{"n":1}"#).await;
                        assert_eq!(socket.next().await["message"]["n"], 1);
                    }
                }
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for edit in 1..=edits {
        app.write("resources/version.ts", &version(edit));
        until_version(&server, edit).await;
        if let Some(ended) = clients.try_join_next() {
            ended.unwrap();
            panic!("a client has ended");
        }
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    assert!(answered.load(Ordering::Relaxed) > edits, "the clients made progress");
    assert_eq!(table.next().await["value"]["name"], "Posted");
    let workers = |names: &[String]| names.iter().filter(|name| name.starts_with("js-")).count();
    let deadline = Instant::now() + DEADLINE;
    while workers(&server.threads()) > workers(&threads) {
        assert!(Instant::now() < deadline, "{:?} have become {:?}", threads, server.threads());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
