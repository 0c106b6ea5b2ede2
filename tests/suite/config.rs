//! `config.yaml` of an application (`spec/harper-components.md` sections 1.2 to 1.4) and the root
//! configuration (section 5).

use std::process::Stdio;

use crate::harness::{App, Server, kora};

const GREETING: &str = "export class Greeting extends Resource { get() { return 'hi'; } }";

/// Serves an application with one configuration, and tells the status of each path.
async fn statuses(files: &[(&str, &str)], config: &str, paths: &[&str]) -> Vec<u16> {
    let app = App::new(&[&[("config.yaml", config)], files].concat());
    let server = app.run();
    let mut statuses = Vec::new();
    for path in paths {
        statuses.push(server.get(path).await.status);
    }
    statuses
}

#[tokio::test]
async fn files_and_paths_in_all_their_forms() {
    let files: &[(&str, &str)] = &[
        ("lib/one/greeting.js", GREETING),
        ("lib/two/other.js", "export class Other extends Resource { get() { return 1; } }"),
        ("lib/two/not.skip.js", "export class Skipped extends Resource { get() { return 1; } }"),
        ("dist/index.html", "<p>"),
        ("dist/sub/page.html", "<p>"),
    ];
    let paths =
        ["/Greeting", "/one/Greeting", "/two/Other", "/two/Skipped", "/page", "/app/Greeting"];
    for (files_option, expected) in [
        ("lib/one/greeting.js", [200, 404, 404, 404, 404, 404]),
        ("./lib/one/*.js", [200, 404, 404, 404, 404, 404]),
        ("/lib/one/*.js", [200, 404, 404, 404, 404, 404]),
        ("['lib/one/*.js', 'lib/**/other.js']", [200, 404, 200, 404, 404, 404]),
        ("lib/**", [404, 200, 200, 200, 404, 404]),
        ("lib/", [404, 200, 200, 200, 404, 404]),
        ("lib", [404, 200, 200, 200, 404, 404]),
        ("'lib/{one,two}/*.js'", [404, 200, 200, 200, 404, 404]),
        ("{ source: 'lib/**', ignore: '**/*.skip.js' }", [404, 200, 200, 404, 404, 404]),
        ("['lib/**', '!**/*.skip.js']", [404, 200, 200, 404, 404, 404]),
        ("lib/one/*.js\n  urlPath: ./", [404, 404, 404, 404, 404, 200]),
        ("lib/one/*.js\n  urlPath: .", [404, 404, 404, 404, 404, 200]),
        ("lib/one/*.js\n  urlPath: one", [404, 200, 404, 404, 404, 404]),
        ("lib/one/*.js\n  urlPath: /one/", [404, 200, 404, 404, 404, 404]),
        ("lib/one/*.js\n  path: /one", [404, 200, 404, 404, 404, 404]),
    ] {
        let config = format!("rest: true\njsResource:\n  files: {files_option}\n");
        assert_eq!(statuses(files, &config, &paths).await, expected, "{files_option}");
    }
    for (options, expected) in [
        ("{ files: dist/ }", [200, 200, 404]),
        ("{ files: dist/** }", [200, 200, 404]),
        ("{ root: dist }", [200, 200, 404]),
        ("{ root: ./dist, files: dist/sub/* }", [404, 200, 404]),
        ("{ files: dist/**, urlPath: ./ui }", [404, 404, 200]),
        // Everything, as it lies in the folder.
        ("{ files: '.' }", [404, 404, 404]),
    ] {
        let config = format!("static: {options}\n");
        let paths = ["/index.html", "/sub/page.html", "/app/ui/index.html"];
        assert_eq!(statuses(files, &config, &paths).await, expected, "{options}");
    }
    let whole = statuses(files, "static: { files: '.' }\n", &["/dist/index.html"]).await;
    assert_eq!(whole, [200]);
}

#[tokio::test]
async fn the_defaults_hold_without_a_file_and_a_file_replaces_them() {
    let files: &[(&str, &str)] = &[
        ("resources.js", GREETING),
        ("schema.graphql", "type Dog @table @export { id: ID @primaryKey }"),
        ("web/page.html", "<p>"),
    ];
    let paths = ["/Greeting", "/Dog/", "/page.html"];
    let app = App::new(files);
    let server = app.run();
    for path in paths {
        server.get(path).await.expect(200);
    }
    for (config, expected) in [
        ("rest: true\n", [404, 404, 404]),
        ("REST: true\ngraphqlSchema: true\n", [404, 200, 404]),
        ("rest: false\ngraphqlSchema: true\nstatic: true\n", [404, 404, 200]),
        ("graphqlSchema: true\n", [404, 404, 404]),
        (
            "rest: { webSocket: false }\njsResource: true\nstatic: false\ngraphqlSchema:\n",
            [200, 404, 404],
        ),
        // Code before the schema that it uses.
        (
            "jsResource: resources.js\ngraphqlSchema: { files: '*.graphql' }\nrest: true\n",
            [200, 200, 404],
        ),
    ] {
        assert_eq!(statuses(files, config, &paths).await, expected, "{config}");
    }
    let app = App::new(files);
    app.write("config.yaml", "rest: false\n");
    app.write("harper-config.yaml", "rest: true\njsResource: true\n");
    app.run().get("/Greeting").await.expect(200);
}

#[tokio::test]
async fn last_modified_is_sent_where_it_is_asked_for() {
    for (config, expected) in [("{ lastModified: true }", true), ("true", false)] {
        let app = App::new(&[
            ("config.yaml", &format!("rest: {config}\ngraphqlSchema: true\n")),
            ("schema.graphql", "type Dog @table @export { id: ID @primaryKey }"),
        ]);
        let server = app.run();
        server.put("/Dog/1", "{}").await.expect(204);
        let answer = server.get("/Dog/1").await.expect(200);
        assert_eq!(answer.header("last-modified").is_some(), expected, "{config}");
    }
}

#[tokio::test]
async fn what_is_unknown_is_told_once_and_tolerated() {
    let app = App::new(&[
        (
            "config.yaml",
            "rest: true\njsResource: { files: resources.js }\nsurprise: { a: 1 }\nhttp:\n  cors: true\n\
             mqtt: { network: {} }\nlogging: { level: info }\n'@acme/absent':\n  package: '@acme/absent'\n\
             off: false\nempty:\n",
        ),
        ("resources.js", GREETING),
    ]);
    let server = app.run_on(2);
    server.get("/Greeting").await.expect(200);
    let log = server.stderr.text();
    for (line, words) in [
        (3, "unknown key `surprise`; skipped: remove it, or name the package"),
        (4, "`http` is a setting of the host"),
        (6, "`mqtt` is a setting of the host"),
        (
            8,
            "the package @acme/absent of `@acme/absent` is not installed; skipped: install it into",
        ),
    ] {
        let told: Vec<&str> = log.lines().filter(|told| told.contains(words)).collect();
        assert_eq!(told.len(), 1, "{words}: {log}");
        assert!(told[0].contains(&format!("config.yaml:{line}: ")), "{}", told[0]);
    }
    assert!(!log.contains("`off`") && !log.contains("`empty`"), "{log}");
}

#[tokio::test]
async fn a_wrong_configuration_names_file_line_and_key_and_the_others_go_on() {
    for (config, line, words) in [
        ("rest: true\njsResource: [\n", 3, ""),
        ("rest: true\n\tstatic: x\n", 2, ""),
        ("- rest\n", 1, "expected `plugin: options` lines"),
        ("rest: true\nstatic:\n  files: 5\n", 2, "static: `files` must be a glob pattern"),
        ("rest: true\nstatic: 7\n", 2, "static: expected `files:` with a glob pattern"),
        ("rest:\n  lastModified: maybe\n", 1, "rest: `lastModified` must be true or false"),
        (
            "jsResource:\n  files: a.js\n  urlPath: ../x\n",
            1,
            "jsResource: `urlPath` must not contain `..`",
        ),
        (
            "jsResource:\n  files: ../x.js\n",
            1,
            "jsResource: `../x.js` leaves the application's folder",
        ),
        ("jsResource:\n  files: 'a[.js'\n", 1, "jsResource: `a[.js` is not a glob pattern"),
        ("x:\n  package: [1]\n", 1, "x: `package` must be the name of a package"),
        ("x:\n  package: y\n  timeout: soon\n", 1, "x: `timeout` must be in milliseconds"),
    ] {
        let app = App::new(&[
            ("broken/config.yaml", config),
            ("works/config.yaml", "rest: true\njsResource: { files: resources.js }\n"),
            ("works/resources.js", GREETING),
        ]);
        let server = app.run();
        server.get("/Greeting").await.expect(200);
        let place = format!("broken/config.yaml:{line}: {words}");
        let answer = server.get("/anything").await.expect(500);
        assert!(answer.body.contains(&place), "{config:?}: {answer:?}");
        server.stderr.wait_for(&place);
    }
}

/// A server with settings of the root configuration.
fn serve_root(app: &App, arguments: &[&str], variables: &[(&str, &str)]) -> Server {
    let mut command = kora();
    command.arg("run").arg(app.directory()).arg("--data").arg(app.data()).args(arguments);
    command.envs(variables.iter().copied());
    Server::spawn(command)
}

#[tokio::test]
async fn the_root_configuration_says_how_to_serve() {
    let app = App::new(&[
        (
            "harperdb-config.yaml",
            "componentsRoot: apps\nhttp:\n  port: 0\n  cors: true\n  corsAccessList: ['https://a.example']\n\
             threads: { count: 1 }\nnode: { hostname: from-file }\n",
        ),
        ("apps/one/config.yaml", "rest: true\njsResource: true\n"),
        (
            "apps/one/resources.js",
            "export class Config extends Resource {
               get() { return { port: server.config.http.port, hostname: server.hostname }; }
             }",
        ),
        ("apps/two/config.yaml", "graphqlSchema: true\n"),
        ("apps/two/schema.graphql", "type Dog @table @export { id: ID @primaryKey }"),
    ]);
    let server = serve_root(&app, &[], &[]);
    let config = server.get("/Config").await.expect(200).json();
    assert_eq!(config, serde_json::json!({"port": 0, "hostname": "from-file"}));
    server.get("/Dog/").await.expect(200);
    let origin = [("origin", "https://a.example")];
    // Pages of other origins are not trusted for being shown on this machine.
    let administrator = crate::users::as_administrator();
    let asked = [origin[0], ("authorization", administrator.as_str())];
    let preflight = server.send("OPTIONS", "/Dog/", &origin, "").await.expect(200);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("https://a.example"));
    assert_eq!(
        preflight.header("access-control-allow-methods"),
        Some("POST, GET, PUT, DELETE, PATCH, OPTIONS")
    );
    assert_eq!(
        preflight.header("access-control-allow-headers"),
        Some("Accept, Content-Type, Authorization")
    );
    let answer = server.send("GET", "/Dog/", &asked, "").await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://a.example"));
    let stranger = [("origin", "https://b.example"), asked[1]];
    let stranger = server.send("GET", "/Dog/", &stranger, "").await;
    assert_eq!(stranger.expect(200).header("access-control-allow-origin"), None);
    drop(server);
    let variables = [
        ("NODE_HOSTNAME", "from-variable"),
        ("HARPER_CONFIG", r#"{"node":{"hostname":"from-json"},"http":{"cors":false}}"#),
    ];
    let server = serve_root(&app, &["--HTTP_PORT=127.0.0.2:0"], &variables);
    assert!(server.address.to_string().starts_with("127.0.0.2:"), "{}", server.address);
    assert_eq!(server.get("/Config").await.expect(200).json()["hostname"], "from-variable");
    let answer = server.send("GET", "/Dog/", &asked, "").await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), None);
    drop(server);
    let forced = [("HARPER_SET_CONFIG", r#"{"node":{"hostname":"forced"}}"#), variables[0]];
    let server = serve_root(&app, &["--port", "0"], &forced);
    assert_eq!(server.get("/Config").await.expect(200).json()["hostname"], "forced");
}

#[tokio::test]
async fn the_root_configuration_says_who_is_trusted_and_what_is_compressed() {
    let file = "storage: { path: data }\nhttp: { compressionThreshold: 100 }\n\
                authentication: { authorizeLocal: false, enableSessions: false, cacheTTL: 0 }\n";
    let app = App::new(&[
        ("harper-config.yaml", file),
        ("components/app/config.yaml", "rest: true\njsResource: true\nlogin: true\n"),
        (
            "components/app/resources.js",
            "export class Text extends Resource {
               allowRead() { return true; }
               get() { return { user: this.getCurrentUser()?.username, text: 'a'.repeat(500) }; }
             }",
        ),
    ]);
    let server = serve_root(&app, &["--port", "0"], &[]);
    let gzip = ("accept-encoding", "gzip");
    let encoding = |headers: &hyper::HeaderMap| headers.contains_key("content-encoding");
    let (_, headers, _) = server.send_bytes("GET", "/Text", &[gzip], "").await;
    assert!(encoding(&headers), "{headers:?}");
    assert_eq!(server.get("/Text").await.expect(200).json().get("user"), None);
    // Without sessions nobody can log in.
    let (username, password) = crate::harness::ADMINISTRATOR;
    let login = serde_json::json!({"username": username, "password": password}).to_string();
    let json = [crate::harness::client::JSON];
    let answer = server.send("POST", "/login", &json, &login).await.expect(501);
    assert_eq!(answer.header("set-cookie"), None, "{answer:?}");
    drop(server);
    // Variables and flags stand above the file.
    let variables = [("HTTP_COMPRESSIONTHRESHOLD", "0")];
    let server = serve_root(&app, &["--port", "0", "--authorize-local"], &variables);
    let (_, headers, _) = server.send_bytes("GET", "/Text", &[gzip], "").await;
    assert!(!encoding(&headers), "{headers:?}");
    assert_eq!(server.get("/Text").await.expect(200).json()["user"], "local");
    drop(server);
    let variables = [("AUTHENTICATION_AUTHORIZELOCAL", "true")];
    let server = serve_root(&app, &["--port", "0"], &variables);
    assert_eq!(server.get("/Text").await.expect(200).json()["user"], "local");
}

#[tokio::test]
async fn the_environment_stands_in_options_and_a_components_root_beside_an_application() {
    let app = App::new(&[
        (
            "config.yaml",
            "rest: true\njsResource:\n  files: r.js\n  urlPath: '${KORA_TEST_MOUNT}/x'\n",
        ),
        ("r.js", GREETING),
    ]);
    let beside = App::new(&[
        ("other/config.yaml", "jsResource: { files: r.js }\n"),
        ("other/r.js", "export class Other extends Resource { get() { return 1; } }"),
    ]);
    let others = beside.directory();
    let root = others.to_str().unwrap();
    let variables = [("KORA_TEST_MOUNT", "mounted"), ("COMPONENTSROOT", root)];
    let server = serve_root(&app, &["--port", "0"], &variables);
    server.get("/mounted/x/Greeting").await.expect(200);
    server.get("/Other").await.expect(200);
}

#[test]
fn a_wrong_root_configuration_is_an_error_at_the_start() {
    let app = App::new(&[("harper-config.yaml", "threads: {}\nhttp:\n  port: many\n")]);
    let output = kora()
        .arg("run")
        .arg(app.directory())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        text.contains("harper-config.yaml:2: http: `port` must be a port, or host:port"),
        "{text}"
    );
}
