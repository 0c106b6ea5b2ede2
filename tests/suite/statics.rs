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

#[tokio::test]
async fn ranges() {
    let app = App::new(DOGS);
    app.write("web/digits.txt", "0123456789");
    let server = app.run();
    let whole = server.get("/digits.txt").await.expect(200);
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    assert_eq!(whole.header("cache-control"), Some("public, max-age=0"));
    let tag = whole.header("etag").unwrap().to_owned();
    assert!(tag.starts_with("W/\"a-"), "{tag}");
    for (range, status, body, content_range) in [
        ("bytes=2-4", 206, "234", Some("bytes 2-4/10")),
        ("bytes=7-", 206, "789", Some("bytes 7-9/10")),
        ("bytes=-2", 206, "89", Some("bytes 8-9/10")),
        ("bytes=0-99", 206, "0123456789", Some("bytes 0-9/10")),
        ("bytes=10-", 416, "", Some("bytes */10")),
        ("bytes=0-1,4-5", 200, "0123456789", None),
        ("lines=1-2", 200, "0123456789", None),
    ] {
        let answer = server.send("GET", "/digits.txt", &[("range", range)], "").await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{range}");
        assert_eq!(answer.header("content-range"), content_range, "{range}");
    }
    let current = [("range", "bytes=2-4"), ("if-range", tag.as_str())];
    server.send("GET", "/digits.txt", &current, "").await.expect(206);
    let old = [("range", "bytes=2-4"), ("if-range", "W/\"0-0\"")];
    server.send("GET", "/digits.txt", &old, "").await.expect(200);
    let head = server.send("HEAD", "/digits.txt", &[("range", "bytes=2-4")], "").await.expect(206);
    assert_eq!(head.header("content-length"), Some("3"));

    let large = "0123456789".repeat(100_000);
    app.write("web/large.txt", &large);
    assert_eq!(server.get("/large.txt").await.expect(200).body, large);
    let part =
        server.send("GET", "/large.txt", &[("range", "bytes=5-700004")], "").await.expect(206);
    assert_eq!(part.body, large[5..700_005]);
}

fn with_statics(options: &str) -> App {
    let app = App::new(&[
        (
            "config.yaml",
            &format!(
                "rest: true\ngraphqlSchema: {{ files: schema.graphql }}\nstatic:\n  files: site/**\n{options}"
            ),
        ),
        DOGS[1],
        ("site/index.html", "home"),
        ("site/about.html", "about"),
        ("site/docs/index.html", "docs"),
        ("site/Dog.html", "the page about dogs"),
        ("pages/missing.html", "nothing here"),
    ]);
    std::fs::write(app.directory().join("secret.txt"), "secret").unwrap();
    app
}

#[tokio::test]
async fn each_option_does_what_it_says() {
    // Options, and for each path the status and the beginning of the body.
    type Asked = (&'static str, u16, &'static str);
    let cases: &[(&str, &[Asked])] = &[
        (
            "",
            &[
                ("/about", 404, "Not found\n"),
                ("/docs/", 200, "docs"),
                ("/docs", 301, ""),
                ("/", 200, "home"),
                ("/Dog/", 200, "[]"),
            ],
        ),
        (
            "  index: false\n",
            &[("/docs/", 404, ""), ("/docs", 404, ""), ("/index.html", 200, "home")],
        ),
        (
            "  extensions: [html]\n",
            &[
                ("/about", 200, "about"),
                ("/about.html", 200, "about"),
                ("/none", 404, ""),
                ("/Dog", 200, "the page"),
            ],
        ),
        (
            "  extensions: [html]\n  after: rest\n",
            &[("/about", 200, "about"), ("/Dog", 200, "{"), ("/none", 404, "Not found\n")],
        ),
        (
            "  fallthrough: false\n",
            &[
                ("/none", 404, "File not found"),
                ("/Dog/", 404, "File not found"),
                ("/about.html", 200, "about"),
            ],
        ),
        (
            "  fallthrough: false\n  after: rest\n  notFound: pages/missing.html\n",
            &[
                ("/none", 404, "nothing here"),
                ("/Dog/", 200, "[]"),
                ("/Dog/none", 404, ""),
                ("/about.html", 200, "about"),
            ],
        ),
        (
            "  fallthrough: false\n  after: rest\n  notFound: { file: site/index.html, statusCode: 200 }\n",
            &[("/any/route", 200, "home"), ("/Dog/", 200, "[]")],
        ),
        (
            "  urlPath: app\n",
            &[
                ("/app/about.html", 200, "about"),
                ("/app/", 200, "home"),
                ("/app", 301, ""),
                ("/about.html", 404, ""),
                ("/application", 404, ""),
            ],
        ),
    ];
    for (options, rows) in cases {
        let app = with_statics(options);
        let server = app.run();
        for (path, status, body) in *rows {
            let answer = server.get(path).await;
            assert_eq!(answer.status, *status, "{options}{path}: {answer:?}");
            assert!(answer.body.starts_with(body), "{options}{path}: {answer:?}");
        }
        let warned = server.stderr.text().contains("answers every unmatched GET itself");
        assert_eq!(warned, *options == "  fallthrough: false\n", "{options}");
    }
    let app = with_statics("  urlPath: app\n");
    let server = app.run();
    let redirect = server.get("/app/docs?x=1").await.expect(301);
    assert_eq!(redirect.header("location"), Some("/app/docs/?x=1"));
    assert_eq!(server.get("/app?x=1").await.expect(301).header("location"), Some("/app/?x=1"));
}

#[tokio::test]
async fn links_out_of_the_application_are_not_followed() {
    let app = with_statics("");
    let outside = app.directory().parent().unwrap().join("outside.txt");
    std::fs::write(&outside, "outside").unwrap();
    let site = app.directory().join("site");
    std::os::unix::fs::symlink(&outside, site.join("out.txt")).unwrap();
    std::os::unix::fs::symlink(app.directory().parent().unwrap(), site.join("up")).unwrap();
    std::os::unix::fs::symlink("about.html", site.join("alias.html")).unwrap();
    let server = app.run();
    for path in
        ["/out.txt", "/up/outside.txt", "/up/app/secret.txt/../secret.txt", "/../secret.txt"]
    {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
    assert_eq!(server.get("/alias.html").await.expect(200).body, "about");
    std::fs::remove_file(site.join("about.html")).unwrap();
    server.get("/about.html").await.expect(404);
}

#[tokio::test]
async fn wrong_options_name_the_line() {
    let app = with_statics("  notFound: 5\n");
    let server = app.run();
    let failure = server.get("/").await.expect(500);
    assert!(failure.body.contains("config.yaml:3: static: `notFound`"), "{failure:?}");
}
