//! Whole applications, written as Harper's guides and the applications of `spec/harper-usage.md` are, with no
//! line that is Kora's own (`tests/applications`, `examples/bookshop`): each must do what its author meant.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::users::basic;
use crate::harness::client::{Answer, JSON};
use crate::harness::npm::packages;
use crate::harness::{App, Server};

const ANONYMOUS: (&str, &str) = ("x-forwarded-for", "192.0.2.1");

/// How the tests make users that no visitor may make.
const OPERATE: &str = "export class Operate extends Resource {\n\tpost(data) {\n\t\treturn \
                       server.operation(data);\n\t}\n}\n";

fn source(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A copy of an application in a folder of its own.
fn application(folder: &str) -> App {
    let app = App::new(&[]);
    copy(&source(folder), &app.directory());
    app
}

/// Gives an application the installed packages; `false` where there is no npm to install them with.
fn install(app: &App) -> bool {
    let Some(packages) = packages("npm") else { return false };
    let link = app.directory().join("node_modules");
    std::os::unix::fs::symlink(packages.join("node_modules"), link).unwrap();
    true
}

async fn post(server: &Server, path: &str, body: &Value) -> Answer {
    server.send("POST", path, &[JSON], &body.to_string()).await
}

#[tokio::test]
async fn notes() {
    let app = application("tests/applications/notes");
    let server = app.run();
    assert!(server.get("/").await.expect(200).body.contains("<h1>Notes</h1>"));
    server.until("/Note/welcome", |answer| answer.status == 200).await;

    // The exported table, by REST alone.
    let created = post(&server, "/Note/", &json!({"title": "Buy milk", "done": false})).await;
    let id = created.expect(201).json();
    let path = format!("/Note/{}", id.as_str().unwrap());
    server.send("PATCH", &path, &[JSON], r#"{"done":true}"#).await.expect(204);
    assert_eq!(server.get(&path).await.expect(200).json()["done"], true);
    let found = server.get("/Note/?done=true&select(title)").await.expect(200).json();
    assert_eq!(found, json!(["Buy milk"]));

    // Endpoints beside it, also as the members of an object.
    let greeting = server.send("GET", "/Greeting/Ada", &[ANONYMOUS], "").await.expect(200).json();
    assert_eq!(greeting, json!({"greeting": "Hello, Ada"}));
    let stats = server.get("/tools/stats").await.expect(200).json();
    assert_eq!(stats, json!({"open": 1, "done": 1}));
    let note = json!({"id": "b", "title": "Bread", "body": "and milk", "done": false});
    post(&server, "/Note/", &note).await.expect(201);
    assert_eq!(server.get("/tools/find?text=milk").await.expect(200).json(), json!(["Bread"]));
    server.send("DELETE", "/Note/b", &[], "").await.expect(200);
    post(&server, "/tools/clean", &json!({"olderThan": "x"})).await.expect(400);
    let cleaned = post(&server, "/tools/clean", &json!({"olderThan": 1})).await.expect(200);
    assert_eq!((cleaned.header("x-removed"), cleaned.json()), (Some("1"), json!({"removed": 1})));
    server.get(&path).await.expect(404);

    // A class over the table: what it adds to a record, what it makes of a POST.
    let shout = server.get("/TitledNote/welcome").await.expect(200).json();
    assert_eq!(shout["shout"], "WELCOME");
    let likes = (0..20).map(|_| async {
        post(&server, "/TitledNote/welcome", &json!({"action": "like"})).await.expect(200)
    });
    futures_util::future::join_all(likes).await;
    assert_eq!(server.get("/Note/welcome").await.json()["likes"], 20, "no like is lost");
}

#[tokio::test]
async fn weather() {
    let origin = App::new(&[
        ("config.yaml", "rest: true\njsResource: { files: resources.js }\n"),
        (
            "resources.js",
            "let serial = 0;\nlet down = false;\nexport class Station extends Resource {\n  \
             allowRead() { return true }\n  get() {\n    if (down) throw Object.assign(new \
             Error('down'), { statusCode: 503 });\n    if (this.getId() === 'nowhere') return \
             undefined;\n    return { temperature: 21.5, serial: ++serial };\n  }\n  post(data) { \
             down = data.down }\n}\n",
        ),
    ]);
    let origin = origin.run_on(1);
    let app = application("tests/applications/weather");
    app.write(".env", &format!("ORIGIN=http://{}\n", origin.address));
    let server = app.run();

    let first = server.get("/Forecast/oslo").await.expect(200).json();
    assert_eq!((&first["temperature"], &first["serial"]), (&json!(21.5), &json!(1)));
    assert_eq!(server.get("/Forecast/oslo").await.expect(200).json()["serial"], 1, "cached");
    server.get("/Forecast/nowhere").await.expect(404);

    // Many who ask for the same at once ask the origin once.
    let many = (0..20).map(|_| server.get("/Forecast/rome"));
    for answer in futures_util::future::join_all(many).await {
        assert_eq!(answer.expect(200).json()["serial"], 2);
    }
    post(&server, "/Refresh", &json!({"id": "rome"})).await.expect(200);
    assert_eq!(server.get("/Forecast/rome").await.expect(200).json()["serial"], 3);
    let no_cache = [("cache-control", "no-cache")];
    let fresh = server.send("GET", "/Forecast/rome", &no_cache, "").await.expect(200).json();
    assert_eq!(fresh["serial"], 4);

    post(&origin, "/Station/", &json!({"down": true})).await;
    server.get("/Forecast/bergen").await.expect(502);
    assert_eq!(server.get("/Forecast/rome").await.expect(200).json()["serial"], 4);
}

#[tokio::test]
async fn gatekeeper() {
    let app = application("tests/applications/gatekeeper");
    copy(&app.directory().join("packages"), &app.directory().join("node_modules"));
    let server = app.run_on(1);
    let a = [("x-client", "a")];
    for remaining in [1, 0] {
        let answer = server.send("GET", "/Hello", &a, "").await.expect(200);
        assert_eq!(answer.json(), json!({"remaining": remaining}));
    }
    let refused = server.send("GET", "/Hello", &a, "").await.expect(429);
    assert_eq!((refused.header("retry-after"), &*refused.body), (Some("60"), "Too many requests"));
    server.send("GET", "/Hello", &[("x-client", "b")], "").await.expect(200);
    server.stderr.wait_for("a has asked 3 times");
    server.stderr.wait_for("@example/not-installed");
}

#[tokio::test]
async fn report() {
    let app = application("tests/applications/report");
    if !install(&app) {
        return;
    }
    let server = app.run();
    let csv = [("content-type", "text/csv")];
    let rows = "id,region,amount\n1,north,10.5\n2,south,20\n3,north,4.5\n";
    let imported = server.send("POST", "/Import", &csv, rows).await.expect(200).json();
    assert_eq!(imported, json!({"contentType": "text/csv", "imported": 3}));
    server.send("POST", "/Import", &csv, "id,region\n\"1,north\n").await.expect(400);

    let sales = server.get("/Sales/").await.expect(200).json();
    assert_eq!(sales[0], json!({"id": "1", "amount": 10.5}));

    server.get("/Report").await.expect(401);
    let token = post(&server, "/Token", &json!({"region": "north"})).await.expect(200).json();
    let token = [("x-token", token["token"].as_str().unwrap())];
    let report = server.send("GET", "/Report", &token, "").await.expect(200).json();
    assert_eq!(report, json!({"region": "north", "total": 15, "currency": "EUR"}));
    let (status, headers, packed) =
        server.send_bytes("GET", "/Report?packed=1", &token, Vec::new()).await;
    assert_eq!((status, &headers["content-type"]), (200, &"application/gzip".parse().unwrap()));
    assert_eq!(packed[..2], [0x1f, 0x8b]);
}

/// As production applications are laid out: modules below `src`, classes exported under other names, counters
/// that are written from time to time, middleware that answers first.
#[tokio::test]
async fn redirector() {
    let app = application("tests/applications/redirector");
    let server = app.run_on(1);
    let rules = json!([
        {"id": "old", "path": "/old", "redirectURL": "https://shop.example/new"},
        {"id": "sale", "path": "/sale", "redirectURL": "/all", "host": "other.example", "statusCode": 302},
        {"id": "any", "path": "/sale", "redirectURL": "/some", "regex": false},
        {"id": "wrong", "path": 5, "redirectURL": "/"},
        {"id": "more", "path": "/x", "redirectURL": "/", "colour": "red"},
    ]);
    // A record that is created on the way makes the answer 201.
    let loaded = post(&server, "/redirect", &rules).await.expect(201).json();
    assert_eq!((&loaded["loaded"], &loaded["version"]), (&json!(3), &json!(1)), "{loaded}");
    let errors = loaded["errors"].to_string();
    assert!(errors.contains("Rule 4: ") && errors.contains("Rule 5: "), "{errors}");
    assert!(errors.contains("path") && errors.contains("colour"), "{errors}");
    server.stderr.wait_for("local has loaded 3 rules");
    server.send("POST", "/redirect", &[ANONYMOUS, JSON], "{}").await.expect(401);

    // Nothing holds before its version is the active one.
    server.get("/old").await.expect(404);
    let activated = post(&server, "/redirect", &json!({"activate": 1})).await.expect(200);
    assert_eq!(
        (activated.header("x-version"), activated.json()),
        (Some("1"), json!({"active": 1}))
    );
    let moved = server.send("GET", "/old", &[ANONYMOUS], "").await.expect(301);
    assert_eq!(moved.header("location"), Some("https://shop.example/new"));

    let checked = |path: &'static str| {
        let server = &server;
        async move { server.send("GET", path, &[ANONYMOUS], "").await }
    };
    let found = checked("/checkredirect?path=%2Fsale%3Fa%3D1%26b%3D2").await.expect(200);
    assert_eq!(found.header("cache-control"), Some("max-age=60"));
    assert_eq!(found.json(), json!({"location": "/some?a=1&b=2", "statusCode": 301}));
    let of_host = checked("/checkredirect?path=%2Fsale&h=other.example").await.expect(200).json();
    assert_eq!(of_host, json!({"location": "/all", "statusCode": 302}));
    let by_header = [ANONYMOUS, ("path", "/none")];
    let missed = server.send("GET", "/checkredirect", &by_header, "").await.expect(404);
    assert_eq!(
        (missed.header("cache-control"), missed.json()),
        (Some("no-store"), json!({"path": "/none"}))
    );
    checked("/checkredirect").await.expect(400);

    let used = server.until("/redirect/any", |answer| answer.json()["uses"] == 1).await.json();
    assert_eq!((&used["path"], &used["version"]), (&json!("/sale"), &json!(1)));
    server.until("/redirect/old", |answer| answer.json()["lastAccessed"].is_string()).await;

    // A version that holds stays; another one goes as a whole.
    server.send("DELETE", "/redirect/?version=1", &[], "").await.expect(409);
    post(&server, "/redirect", &json!({"activate": 2})).await.expect(200);
    server.send("DELETE", "/redirect/?version=1", &[], "").await.expect(200);
    assert_eq!(server.get("/redirect/").await.expect(200).json(), json!([]));
    server.get("/old").await.expect(404);
}

#[tokio::test]
async fn bookshop() {
    let app = application("examples/bookshop");
    if !install(&app) {
        return;
    }
    app.write("resources/operate.ts", OPERATE);
    let server = app.run();
    assert!(server.get("/").await.expect(200).body.contains("<h1>Bookshop</h1>"));

    // Visitors: what they may see and do.
    let visitor = |method: &'static str, path: &'static str, body: Value| {
        let server = &server;
        async move { server.send(method, path, &[ANONYMOUS, JSON], &body.to_string()).await }
    };
    let novels = visitor(
        "GET",
        "/Books/?tags=novel&sort(-price)&select(title,author{name},withTax)",
        json!(null),
    );
    assert_eq!(
        novels.await.expect(200).json(),
        json!([
            {"title": "The Dispossessed", "author": {"name": "Ursula K. Le Guin"}, "withTax": 12.84},
            {"title": "Invisible Cities", "author": {"name": "Italo Calvino"}, "withTax": 11.77},
            {"title": "A Wizard of Earthsea", "author": {"name": "Ursula K. Le Guin"}, "withTax": 10.17},
        ])
    );
    let book = visitor("GET", "/Books/cities", json!(null)).await.expect(200);
    assert_eq!(
        (&book.json()["available"], &book.json()["shop"]),
        (&json!(true), &json!("The Corner Bookshop"))
    );
    assert!(book.header("x-request-id").is_some());
    visitor("GET", "/Stock/", json!(null)).await.expect(401);
    visitor("POST", "/Books/", json!({"title": "X", "price": 1})).await.expect(401);
    visitor("GET", "/Orders/", json!(null)).await.expect(401);
    let cheapest = visitor("GET", "/Cheapest?tag=novel", json!(null)).await.expect(200).json();
    assert_eq!(cheapest[0]["author"]["name"], "Ursula K. Le Guin");
    assert_eq!(cheapest.as_array().unwrap().len(), 2);

    // The owner adds a book; zod says what is wrong with another.
    let book = json!({"title": "Marcovaldo", "price": 8, "stock": 1});
    let id = post(&server, "/Books/", &book).await.expect(200).json();
    let wrong = post(&server, "/Books/", &json!({"title": "Free", "price": 0})).await.expect(422);
    assert!(wrong.body.contains("price: Number must be greater than 0"), "{}", wrong.body);
    let stocked = server.get("/Stock/?title=Marcovaldo").await.json();
    assert_eq!(stocked[0]["id"], id);

    // Many want the last three copies.
    let mut placed = server.events("/Orders").await;
    let cart = json!({"items": [{"bookId": "cities", "quantity": 1}]});
    let tries = (0..8).map(|_| visitor("POST", "/Checkout", cart.clone()));
    let statuses = futures_util::future::join_all(tries).await;
    let sold = statuses.iter().filter(|answer| answer.status == 201).count();
    let late = statuses.iter().filter(|answer| answer.status == 409).count();
    assert_eq!((sold, late), (3, 5), "{statuses:?}");
    assert_eq!(server.get("/Stock/cities").await.json()["stock"], 0);
    assert!(
        statuses
            .iter()
            .filter(|one| one.status == 201)
            .all(|one| one.header("x-receipt").is_some())
    );
    for _ in 0..3 {
        assert_eq!(placed.next().await["total"], 14.5);
    }
    // One line that can't be delivered, and nothing of the order is.
    let mixed = json!({"items": [{"bookId": "earthsea", "quantity": 2}, {"bookId": "cities", "quantity": 1}]});
    visitor("POST", "/Checkout", mixed).await.expect(409);
    assert_eq!(server.get("/Stock/earthsea").await.json()["stock"], 8);
    visitor("POST", "/Checkout", json!({"items": []})).await.expect(400);
    visitor("POST", "/Checkout", json!({"items": [{"bookId": "none", "quantity": 1}]}))
        .await
        .expect(404);

    covers(&server).await;
    sessions(&server).await;

    // A recommendation is computed once.
    let first = server.get("/Recommended/utopia").await.expect(200).json();
    assert_eq!(first["titles"], json!(["The Dispossessed"]));
    assert_eq!(server.get("/Recommended/utopia").await.json(), first);

    let closed = application("examples/bookshop");
    closed.write(".env", "SHOP_CLOSED=1\n");
    assert!(install(&closed));
    let closed = closed.run();
    let answer = closed.get("/Books/").await.expect(503);
    assert_eq!((&*answer.body, answer.header("retry-after")), ("We are closed", Some("3600")));
}

async fn covers(server: &Server) {
    let image: Vec<u8> = (0..100_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    let png = [("content-type", "image/png")];
    let (status, ..) = server.send_bytes("PUT", "/Covers/cities", &png, image.clone()).await;
    assert_eq!(status, 204);
    let (status, headers, shown) =
        server.send_bytes("GET", "/Covers/cities", &[ANONYMOUS], Vec::new()).await;
    assert_eq!((status, &headers["content-type"]), (200, &"image/png".parse().unwrap()));
    assert_eq!(shown, image);
    server.put("/Covers/cities", "{}").await.expect(415);
    server.get("/Covers/none").await.expect(404);
}

async fn sessions(server: &Server) {
    let member = json!({"username": "ada", "password": "secret"});
    server.send("POST", "/Members", &[ANONYMOUS, JSON], &member.to_string()).await.expect(201);
    server.send("POST", "/Members", &[ANONYMOUS, JSON], &member.to_string()).await.expect(409);
    let keeper = json!({"operation": "add_user", "username": "keeper", "password": "secret",
        "role": "shopkeeper", "active": true});
    post(server, "/Operate", &keeper).await.expect(200);
    let wrong = json!({"username": "ada", "password": "no"}).to_string();
    server.send("POST", "/Session", &[ANONYMOUS, JSON], &wrong).await.expect(401);
    let right = json!({"username": "ada", "password": "secret"}).to_string();
    let login = server.send("POST", "/Session", &[ANONYMOUS, JSON], &right).await.expect(200);
    let cookie = login.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let session = [ANONYMOUS, JSON, ("cookie", &*cookie)];
    let who = server.send("GET", "/Session", &session, "").await.expect(200).json();
    assert_eq!(who, json!({"username": "ada", "role": "customer"}));

    let cart = json!({"items": [{"bookId": "earthsea", "quantity": 5}]}).to_string();
    let order = server.send("POST", "/Checkout", &session, &cart).await.expect(201).json();
    assert_eq!(order["total"], 47.5, "free shipping");
    let own = server.send("GET", "/Orders/", &session, "").await.expect(200).json();
    assert_eq!(own.as_array().unwrap().len(), 1);
    assert_eq!(own[0]["customer"], "ada");
    let keeper = basic("keeper", "secret");
    let all = [ANONYMOUS, ("authorization", &*keeper)];
    let all = server.send("GET", "/Orders/", &all, "").await.expect(200).json();
    assert_eq!(all.as_array().unwrap().len(), 4);
    let others = all.as_array().unwrap().iter().find(|order| order["customer"] == "guest").unwrap();
    let path = format!("/Orders/{}", others["id"].as_str().unwrap());
    server.send("GET", &path, &session, "").await.expect(404);

    server.send("DELETE", "/Session", &session, "").await.expect(200);
    let who = server.send("GET", "/Session", &session, "").await.expect(200).json();
    assert_eq!(who, json!({"username": null}));
}
