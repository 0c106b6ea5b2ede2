//! Packages that a configuration names: plugins, the older extensions, nested applications
//! (`spec/harper-components.md` section 3).

mod events;

use serde_json::json;

use crate::harness::App;

const RESOURCES: &str = "export class Own extends Resource { get() { return { own: true }; } }";

/// What a plugin's scope has, shown as a resource.
const PROBE: &str = r#"
export const defaultTimeout = 20_000;
export async function handleApplication(scope) {
  const { name, appName, directory, resources, server, logger, options } = scope;
  await new Promise((done) => setTimeout(done, 5));
  const entries = [];
  const handler = scope.handleEntry((entry) => {
    const { eventType, entryType, urlPath, contents, stats } = entry;
    const text = contents && new TextDecoder().decode(contents);
    entries.push({ eventType, entryType, urlPath, text, size: stats.size, file: stats.isFile() });
  });
  let ready = 0;
  handler.on("ready", () => ready++).on("add", () => ready++);
  const only = [];
  scope.handleEntry({ files: { source: "content/**", ignore: "**/*.txt", only: "files" }, urlPath: "/u" },
    (entry) => only.push(entry.urlPath));
  const changes = [];
  options.on("change", (key, value, config) => changes.push({ key, value, all: config.files }));
  let closed = 0;
  scope.on("close", () => closed++);
  const helper = await scope.import("./helper.js");
  resources.set("probe", class extends Resource {
    static loadAsInstance = false;
    get() {
      return {
        name, appName, inside: directory.endsWith("/app"), files: options.get(["files"]),
        deep: options.get(["deep", "er"]), absent: options.get("absent") ?? null,
        env: options.get("env"), all: Object.keys(options.getAll()), root: Object.keys(options.getRoot()),
        same: server.resources === resources && globalThis.server === server,
        hasLogger: typeof logger.warn === "function", debug: typeof logger.debug,
        entries, ready, only, changes, helper: helper.default,
      };
    }
  });
  server.http(async (request, next) => {
    const response = await next(request);
    response.headers.set("x-plugin", options.get("label") ?? "none");
    return response;
  });
}
"#;

fn config(rest: &str) -> String {
    format!("rest: true\njsResource: {{ files: resources.js }}\n{rest}")
}

#[tokio::test]
async fn a_plugin_has_its_scope() {
    let config = config(
        "probe:\n  package: '@acme/probe'\n  files: content/**\n  deep: { er: 5 }\n  \
         env: '${KORA_ABSENT_FOR_TESTS} stays'\n",
    );
    let app = App::new(&[
        ("config.yaml", &config),
        ("resources.js", RESOURCES),
        ("helper.js", "export default 'helped';"),
        ("content/a.md", "A"),
        ("content/sub/b.txt", "BB"),
        ("node_modules/@acme/probe/config.yaml", "pluginModule: ./plugin.js\n"),
        ("node_modules/@acme/probe/package.json", r#"{"type":"module"}"#),
        ("node_modules/@acme/probe/plugin.js", PROBE),
    ]);
    let server = app.run_on(2);
    let probe = server.get("/probe").await.expect(200);
    assert_eq!(probe.header("x-plugin"), Some("none"));
    let file = |url: &str, text: &str| {
        json!({"eventType": "add", "entryType": "file", "urlPath": url, "text": text,
               "size": text.len(), "file": true})
    };
    let mut seen = probe.json();
    let folder = seen["entries"][1].take();
    assert_eq!((&folder["eventType"], &folder["urlPath"]), (&json!("addDir"), &json!("/sub")));
    assert_eq!(
        seen,
        json!({
            "name": "probe", "appName": "app", "inside": true, "files": "content/**", "deep": 5,
            "absent": null, "env": "${KORA_ABSENT_FOR_TESTS} stays",
            "all": ["package", "files", "deep", "env"], "root": ["rest", "jsResource", "probe"],
            "same": true, "hasLogger": true, "debug": "undefined",
            "entries": [file("/a.md", "A"), null, file("/sub/b.txt", "BB")],
            "ready": 3, "only": ["/u/a.md"], "changes": [], "helper": "helped",
        })
    );
    assert_eq!(server.get("/Own").await.expect(200).header("x-plugin"), Some("none"));
}

#[tokio::test]
async fn files_and_options_change_without_a_reload() {
    let text = |label: &str| {
        config(&format!("probe:\n  package: probe\n  files: content/**\n  label: {label}\n"))
    };
    let app = App::new(&[
        ("config.yaml", &text("before")),
        ("resources.js", RESOURCES),
        ("helper.js", "export default 1;"),
        ("content/a.md", "A"),
        ("node_modules/probe/index.js", PROBE),
        ("node_modules/probe/package.json", r#"{"main":"index.js","type":"module"}"#),
    ]);
    let server = app.dev();
    app.write("content/a.md", "AAA");
    let changed = server.until("/probe", |answer| answer.json()["entries"][1].is_object()).await;
    assert_eq!(changed.json()["entries"][1]["eventType"], "change");
    assert_eq!(changed.json()["entries"][1]["text"], "AAA");
    app.write("config.yaml", &text("after"));
    let told = server.until("/probe", |answer| answer.json()["changes"][0].is_object()).await;
    assert_eq!(
        told.json()["changes"],
        json!([{"key": ["label"], "value": "after", "all": "content/**"}])
    );
    assert_eq!(told.header("x-plugin"), Some("after"));
    // The module still knows what came before: nothing was loaded again.
    assert_eq!(told.json()["entries"].as_array().unwrap().len(), 2);
    // What no plugin takes loads the component again.
    app.write("helper.js", "export default 2;");
    server.until("/probe", |answer| answer.status == 200 && answer.json()["helper"] == 2).await;
}

#[tokio::test]
async fn plugins_start_in_order_of_the_file() {
    let plugin = |name: &str| {
        format!(
            "globalThis.order = [...globalThis.order ?? [], '{name}'];\nexport function handleApplication() {{}}"
        )
    };
    let app = App::new(&[
        (
            "config.yaml",
            "rest: true\none: { package: ./one }\njsResource: { files: resources.js }\ntwo: { package: 'file:two' }\n",
        ),
        (
            "resources.js",
            "order = [...order, 'resources'];\nexport class Order extends Resource { get() { return { order }; } }",
        ),
        ("one/package.json", "{}"),
        ("one/index.js", &plugin("one")),
        ("node_modules/x/x", ""),
        ("two/package.json", "{}"),
        ("two/index.js", &plugin("two")),
    ]);
    let config = "rest: true\none: { package: ./one }\njsResource: { files: resources.js }\n\
                  two: { package: 'file:two' }\n";
    app.write("config.yaml", config);
    let server = app.run();
    let order = server.get("/Order").await.expect(200).json();
    assert_eq!(order, json!({"order": ["one", "resources", "two"]}));
}

#[tokio::test]
async fn a_failing_plugin_leaves_the_others_alone() {
    let app = App::new(&[
        (
            "config.yaml",
            "rest: true\njsResource: { files: resources.js }\nbroken:\n  package: ./broken\n  urlPath: /broken\n\
             slow:\n  package: ./slow\n  urlPath: slow\n  timeout: 50\nboth:\n  package: ./both\n  urlPath: both\n\
             none:\n  package: ./none\n  urlPath: none\nsyntax:\n  package: ./syntax\n  urlPath: syntax\n\
             absent: { package: not-installed }\ngood: { package: ./good }\n",
        ),
        ("resources.js", RESOURCES),
        ("broken/config.yaml", "pluginModule: p.js\n"),
        ("broken/p.js", "export function handleApplication() {\n  throw new Error('no luck');\n}"),
        ("slow/config.yaml", "pluginModule: p.js\n"),
        ("slow/p.js", "export const handleApplication = () => new Promise(() => {});"),
        ("both/config.yaml", "pluginModule: p.js\n"),
        ("both/p.js", "export const handleApplication = () => {}, start = () => {};"),
        ("none/config.yaml", "pluginModule: p.js\n"),
        ("none/p.js", "export const nothing = 1;"),
        ("syntax/config.yaml", "pluginModule: p.js\n"),
        ("syntax/p.js", "\n\nexport const = 1;"),
        ("good/config.yaml", "pluginModule: p.js\n"),
        (
            "good/p.js",
            "export function handleApplication({ resources }) {
               resources.set('/good', { get: () => ({ good: true }) });
             }",
        ),
    ]);
    let server = app.run();
    assert_eq!(server.get("/Own").await.expect(200).json(), json!({"own": true}));
    assert_eq!(server.get("/good").await.expect(200).json(), json!({"good": true}));
    for (path, line, message) in [
        ("/broken", 3, "no luck"),
        ("/broken/deeper", 3, "p.js:2"),
        ("/slow", 6, "did not load within 50 ms"),
        ("/both", 10, "one or the other"),
        ("/none", 13, "exports neither handleApplication"),
        ("/syntax", 16, "p.js:3"),
    ] {
        let answer = server.get(path).await.expect(500);
        assert!(answer.body.contains(message), "{path}: {answer:?}");
        assert!(answer.body.contains(&format!("config.yaml:{line}: the plugin")), "{answer:?}");
        assert!(server.stderr.text().contains(message));
    }
    let warning = server.stderr.wait_for("the package not-installed of `absent`");
    assert!(warning.contains("config.yaml:19: "), "{warning}");
}

#[tokio::test]
async fn older_extensions_are_started() {
    let extension = "
        const seen = [];
        export function startOnMainThread(options) { seen.push(['main', options.mode]); }
        export function start({ server, resources, mode }) {
          seen.push(['start', mode, typeof server.http, resources === server.resources]);
          return {
            handleFile(contents, urlPath, path, resources) {
              seen.push(['file', new TextDecoder().decode(contents), urlPath]);
              resources.set(urlPath, { get: () => ({ served: urlPath }) });
            },
          };
        }
        export function setupFile(contents, urlPath) { seen.push(['setup', urlPath]); }
        export function handleDirectory(urlPath) {
          seen.push(['directory', urlPath]);
          return urlPath.endsWith('closed');
        }
        export function ready() {
          server.resources.set('seen', { get: () => ({ seen }) });
        }";
    let app = App::new(&[
        (
            "config.yaml",
            "rest: true\nold:\n  package: old\n  mode: m\n  path: /mounted\n  files: things/**\n",
        ),
        ("things/a.x", "A"),
        ("things/closed/b.x", "B"),
        ("things/open/c.x", "C"),
        ("node_modules/old/config.yaml", "extensionModule: ./ext\n"),
        ("node_modules/old/ext.js", extension),
    ]);
    let server = app.run();
    assert_eq!(
        server.get("/seen").await.expect(200).json()["seen"],
        json!([
            ["main", "m"],
            ["start", "m", "function", true],
            ["setup", "/mounted/a.x"],
            ["file", "A", "/mounted/a.x"],
            ["directory", "/mounted/closed"],
            ["directory", "/mounted/open"],
            ["setup", "/mounted/open/c.x"],
            ["file", "C", "/mounted/open/c.x"],
        ])
    );
    let served = server.get("/mounted/a.x").await.expect(200).json();
    assert_eq!(served, json!({"served": "/mounted/a.x"}));
}

#[tokio::test]
async fn a_package_may_be_an_application() {
    let app = App::new(&[
        (
            "config.yaml",
            "rest: true\njsResource: { files: resources.js }\nshop: { package: shop }\n",
        ),
        ("resources.js", RESOURCES),
        (
            "node_modules/shop/config.yaml",
            "graphqlSchema: { files: '*.graphql' }\njsResource: true\n",
        ),
        ("node_modules/shop/s.graphql", "type Ware @table @export { id: ID @primaryKey }"),
        (
            "node_modules/shop/resources.js",
            "export class Till extends Resource { get() { return { till: 1 }; } }",
        ),
    ]);
    let server = app.run();
    server.put("/Ware/1", "{}").await.expect(204);
    assert_eq!(server.get("/Till").await.expect(200).json(), json!({"till": 1}));
    assert_eq!(server.get("/Own").await.expect(200).json(), json!({"own": true}));
}

#[tokio::test]
async fn resources_are_a_map() {
    let app = App::new(&[
        ("config.yaml", "rest: true\ngraphqlSchema: { files: s.graphql }\njsResource: { files: r.js }\n"),
        ("s.graphql", "type Ware @table @export { id: ID @primaryKey }"),
        (
            "r.js",
            "const { resources } = server;
             class Deep extends Resource { get() { return {}; } }
             resources.set('/a/b', Deep);
             resources.set('gone', Deep);
             const had = resources.has('gone');
             resources.delete('gone');
             const match = (url) => {
               const found = resources.getMatch(url);
               return found ? [found.path, found.relativeURL] : null;
             };
             const result = {
               had, has: resources.has('gone'), table: resources.get('Ware').Resource === tables.Ware,
               deep: resources.get('a/b').Resource === Deep, keys: [...resources.keys()],
               pairs: [...resources].map(([path]) => path), size: resources.size,
               matches: ['/a/b/c?d', '/a/b.json', '/a', '/Ware/1'].map(match),
               config: typeof server.config, nodes: server.nodes, worker: server.workerIndex,
               directives: server.knownGraphQLDirectives.push('mine'),
               invalidated: typeof server.onInvalidatedUser(() => {}),
             };
             export class Result extends Resource { get() { return result; } }",
        ),
    ]);
    let server = app.run();
    assert_eq!(
        server.get("/Result").await.expect(200).json(),
        json!({
            "had": true, "has": false, "table": true, "deep": true, "keys": ["Ware", "a/b"],
            "pairs": ["Ware", "a/b"], "size": 2,
            "matches": [["a/b", "/c?d"], ["a/b", ""], null, ["Ware", "/1"]],
            "config": "object", "nodes": [], "worker": 0, "directives": 1, "invalidated": "undefined",
        })
    );
    server.get("/a/b").await.expect(200);
    server.get("/gone").await.expect(404);
}

#[tokio::test]
async fn files_that_a_plugin_can_not_have_are_its_failure() {
    let plugin = "export function handleApplication(scope) {
        scope.handleEntry(scope.options.get('files') ?? undefined);
      }";
    for (files, message) in [
        ("/content/*", "`/content/*` must not begin with a slash"),
        ("../other/*", "`../other/*` leaves the application's folder"),
        ("{ source: '**', only: some }", "`only` must be all, files or directories"),
        ("5", "expected `files:` with a glob pattern"),
        ("", "the configuration has no `files`"),
    ] {
        let config = format!("rest: true\nprobe:\n  package: ./p\n  files: {files}\n");
        let app = App::new(&[
            ("config.yaml", &config),
            ("p/config.yaml", "pluginModule: p.js\n"),
            ("p/p.js", plugin),
        ]);
        let answer = app.run().get("/").await.expect(500);
        assert!(answer.body.contains(message), "{files}: {answer:?}");
    }
}

#[tokio::test]
async fn a_plugin_is_code_of_node_with_the_environment_of_its_component() {
    let plugin = "import { basename } from 'node:path';
      import { EventEmitter } from 'node:events';
      export function handleApplication(scope) {
        const key = scope.options.get('key');
        scope.handleEntry((entry) => {
          if (entry.entryType !== 'file') return;
          const text = Buffer.isBuffer(entry.contents) ? entry.contents.toString('utf8') : 'no buffer';
          scope.resources.set(basename(entry.urlPath, '.txt'), { get: () => ({ key, text }) });
        });
      }";
    let app = App::new(&[
        (
            "config.yaml",
            "loadEnv: true\nrest: true\nacme:\n  package: '@acme/texts'\n  files: texts/*.txt\n  \
             key: '${ACME_TEXTS_KEY}'\n",
        ),
        (".env", "ACME_TEXTS_KEY=secret\n"),
        ("texts/hello.txt", "Hello"),
        ("node_modules/@acme/texts/package.json", r#"{"type":"module","exports":"./p.js"}"#),
        ("node_modules/@acme/texts/config.yaml", "pluginModule: p.js\n"),
        ("node_modules/@acme/texts/p.js", plugin),
    ]);
    let answer = app.run().get("/hello").await.expect(200);
    assert_eq!(answer.json(), json!({"key": "secret", "text": "Hello"}));
}
