//! Static files (`spec/harper-components.md` section 2.2).

use crate::harness::{App, DOGS};

#[tokio::test]
async fn files_are_served_as_they_are_on_disk() {
    let app = App::new(DOGS);
    app.write("web/app.js", "1");
    app.write(".env", "SECRET=1");
    app.write("web/.hidden", "secret");
    let server = app.run();
    let page = server.get("/").await.expect(200);
    assert_eq!(page.body, "<h1>Dogs</h1>");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let tag = page.header("etag").unwrap().to_owned();
    server.send("GET", "/index.html", &[("if-none-match", &tag)], "").await.expect(304);
    let since = page.header("last-modified").unwrap().to_owned();
    server.send("GET", "/", &[("if-modified-since", &since)], "").await.expect(304);
    let head = server.send("HEAD", "/app.js", &[], "").await.expect(200);
    assert_eq!((head.body.as_str(), head.header("content-length")), ("", Some("1")));
    assert_eq!(server.get("/sub/").await.expect(200).body, "<h1>Sub</h1>");
    let redirect = server.get("/sub?x=1").await.expect(301);
    assert_eq!(redirect.header("location"), Some("/sub/?x=1"));

    app.write("web/app.js", "two");
    assert_eq!(server.get("/app.js").await.expect(200).body, "two");
    app.write("web/new.css", "a {}");
    assert_eq!(server.get("/new.css").await.expect(200).body, "a {}");

    for path in [
        "/.hidden",
        "/../schema.graphql",
        "/%2e%2e/schema.graphql",
        "/..%2fschema.graphql",
        "/%2e%2e%2fconfig.yaml",
        "/.env",
        "/sub/..%5c..%5cconfig.yaml",
        "//etc/passwd",
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_file_stands_before_a_resource_of_the_same_path() {
    let app = App::new(DOGS);
    app.write("web/Dog/readme.txt", "about dogs");
    let server = app.run();
    server.put("/Dog/rex", r#"{"name":"Rex"}"#).await.expect(204);
    assert_eq!(server.get("/Dog/readme.txt").await.expect(200).body, "about dogs");
    assert_eq!(server.get("/Dog/rex").await.expect(200).json()["name"], "Rex");
}

#[tokio::test]
async fn mounts_and_patterns() {
    let app = App::new(&[(
        "config.yaml",
        "rest: true\nstatic:\n  files: { source: 'site/**', ignore: '**/*.map' }\n  urlPath: app\n",
    )]);
    app.write("site/a/x.js", "x");
    app.write("site/a/x.js.map", "map");
    let server = app.run();
    assert_eq!(server.get("/app/a/x.js").await.expect(200).body, "x");
    server.get("/app/a/x.js.map").await.expect(404);
    server.get("/a/x.js").await.expect(404);
}
