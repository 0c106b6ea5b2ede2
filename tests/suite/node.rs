//! Node in components: built-in modules, globals, `process`, what is refused and by which setting it is
//! allowed, and `loadEnv` (`spec/harper-usage.md`, "Node built-in modules"; `spec/harper-components.md` section 2).

use serde_json::{Value, json};

use crate::harness::{App, Server};

const CONFIG: (&str, &str) =
    ("config.yaml", "rest: true\njsResource: { files: 'resources/*.js' }\n");

/// Compares what `base` and each name answer with; all differences are told at once.
pub async fn check(server: &Server, base: &str, rows: Vec<(&str, Value)>) {
    let mut wrong = Vec::new();
    for (name, expected) in rows {
        let answer = server.get(&format!("{base}{name}")).await;
        let shown: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        if answer.status != 200 || shown["is"] != expected {
            wrong
                .push(format!("{name}: expected {expected}\n  answered {} {shown}", answer.status));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn built_in_modules_and_globals() {
    let module = ("resources/builtins.js", include_str!("node/builtins.js"));
    let app = App::new(&[CONFIG, module]);
    let server = app.run();
    let http = format!("http?port={}", server.address.port());
    check(
        &server,
        "/Cases/",
        vec![
            (&http, json!([200, {"other": true}])),
            ("path", json!(["/b.txt", ".gz", true])),
            ("fs", json!([true, true, true, true])),
            ("fsPromises", json!(["hey", false])),
            ("fsStream", json!(true)),
            ("fsWrite", json!("own folder")),
            (
                "crypto",
                json!([
                    "2d711642",
                    36,
                    4,
                    true,
                    "K5DkHnwMyOL3XAKRDDiZzEaLoxY=",
                    "1d6f1f7051b420b93e23f010e486cfea",
                    "4329787752e75d1de359a05806e492d4"
                ]),
            ),
            ("cipher", json!("hello")),
            ("sign", json!(true)),
            ("webcrypto", json!(32)),
            ("url", json!(["/a/b", "file:///x%20y", "c=1"])),
            ("stream", json!(["A", "B"])),
            ("webStreams", json!(["web", true])),
            ("os", json!([true, "string", true, "\n", true])),
            ("timersPromises", json!(3)),
            ("zlib", json!(["abc", "br", "d", "async"])),
            ("assert", json!(["ERR_ASSERTION", "AssertionError"])),
            ("module", json!(["/", true, true, true])),
            ("workerThreads", json!([true, 0])),
            ("perfHooks", json!([true, true])),
            ("util", json!(["a-1", "{ a: { b: [ 1 ] } }", 7, true, true])),
            ("querystring", json!(["a=1&a=2", "1"])),
            ("events", json!(5)),
            ("dns", json!(true)),
            ("net", json!([4, true])),
            ("https", json!(["function", "https:"])),
            ("process", json!([true, true, true, 2, "number", true, "bigint", true, null])),
            ("processEnv", json!(["yes", true, true, null, true])),
            ("ticks", json!(["microtask", "tick", "immediate"])),
            ("asyncHooks", json!(3)),
            ("buffer", json!(["7a7a", "ab", 2, true, "hi"])),
            ("stringDecoder", json!(true)),
            ("timers", json!([true, false])),
            (
                "globals",
                json!([
                    "undefined",
                    true,
                    "function",
                    "function",
                    "function",
                    "undefined",
                    "undefined",
                    "undefined"
                ]),
            ),
            ("importMeta", json!([true, true, true, true, false])),
            ("dynamicImport", json!("/")),
            ("thisContext", json!(2)),
        ],
    )
    .await;
    refusals(&server).await;
}

/// Each refusal says which setting allows it, or why nothing does; the server goes on.
async fn refusals(server: &Server) {
    for (name, message) in [
        (
            "read",
            "component \"app\" may not read \"/etc/passwd\": allow it with permissions.read in config.yaml",
        ),
        (
            "readAsync",
            "may not read \"/etc/passwd\": allow it with permissions.read in config.yaml",
        ),
        ("readAbove", "may not read \"../data/x\": allow it with permissions.read in config.yaml"),
        (
            "write",
            "may not write \"/etc/kora-test\": allow it with permissions.write in config.yaml",
        ),
        ("run", "allow it with permissions.run in config.yaml"),
        ("runAsync", "may not run \"ls\": allow it with permissions.run in config.yaml"),
        ("listen", "may not open a port: allow it with permissions.listen in config.yaml"),
        ("httpListen", "may not open a port: allow it with permissions.listen in config.yaml"),
        (
            "exit",
            "process.exit(1) was called by component \"app\": a component can't end the server",
        ),
        ("chdir", "process.chdir() would act on the whole server"),
        ("abort", "process.abort() would act on the whole server"),
        ("kill", "process.kill() would act on the whole server"),
        ("fork", "child_process.fork() is not available in Kora"),
        ("link", "permissions.read in config.yaml"),
        ("worker", "worker_threads.Worker is not available in Kora"),
        ("context", "vm.createContext() is not available in Kora"),
    ] {
        let answer = server.get(&format!("/Refused/{name}")).await.expect(200).json();
        let shown = answer["is"].as_str().unwrap_or_else(|| panic!("{name}: {answer}"));
        assert!(shown.contains(message), "{name}: {shown}");
    }
}

const ALLOWED: &str = "import fs from 'node:fs';
import net from 'node:net';
import { execFileSync } from 'node:child_process';
const cases = {
  read: (folder) => fs.readFileSync(`${folder}/given.txt`, 'utf8'),
  write: (folder) => { fs.writeFileSync(`${folder}/made.txt`, 'x'); return fs.readFileSync(`${folder}/made.txt`, 'utf8'); },
  run: () => execFileSync('echo', ['hi']).toString(),
  runOther: () => { try { execFileSync('ls'); } catch (error) { return error.message.includes('permissions.run'); } },
  listen: () => new Promise((resolve, reject) => {
    const server = net.createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => { const { port } = server.address(); server.close(); resolve(port > 0); });
  }),
  net: async () => { try { await fetch('http://127.0.0.2:4999/'); } catch (error) { return error.message; } },
  socket: () => { try { new WebSocket('ws://127.0.0.2:4999/'); } catch (error) { return error.message; } },
};
export class Allowed extends Resource {
  static loadAsInstance = false;
  async get(target) { return { is: await cases[target.id](process.env.GIVEN) }; }
}
";

#[tokio::test]
async fn configuration_allows_what_it_names() {
    let given = tempfile::tempdir().unwrap();
    std::fs::write(given.path().join("given.txt"), "from outside").unwrap();
    let folder = given.path().display();
    let config = format!(
        "rest: true\njsResource: {{ files: 'resources/*.js' }}\nloadEnv: true\npermissions:\n  read: ['{folder}']\n  \
         write: ['{folder}']\n  run: [echo]\n  listen: true\n  net: [127.0.0.1]\n"
    );
    let environment = format!("GIVEN={folder}\n");
    let app = App::new(&[
        ("config.yaml", &config),
        (".env", &environment),
        ("resources/allowed.js", ALLOWED),
    ]);
    let server = app.run();
    let no_connection = "component \"app\" may not connect to \"127.0.0.2:4999\": allow it with permissions.net in \
                         config.yaml";
    check(
        &server,
        "/Allowed/",
        vec![
            ("read", json!("from outside")),
            ("write", json!("x")),
            ("run", json!("hi\n")),
            ("runOther", json!(true)),
            ("listen", json!(true)),
            ("net", json!(no_connection)),
            ("socket", json!(no_connection)),
        ],
    )
    .await;
}

#[tokio::test]
async fn wrong_permissions_are_told_with_file_and_line() {
    let app = App::new(&[
        ("config.yaml", "rest: true\njsResource: true\npermissions:\n  reed: [/x]\n"),
        ("resources.js", "export class A extends Resource { get() { return 1 } }\n"),
    ]);
    let server = app.run();
    let answer = server.get("/A/").await.expect(500);
    assert!(
        answer.body.contains("config.yaml:3: permissions: `reed` is no permission"),
        "{answer:?}"
    );
}

/// What first uses a module of the runtime goes on in its own context, also while others wait.
#[tokio::test]
async fn first_uses_keep_the_async_context() {
    let module = "import { AsyncLocalStorage } from 'node:async_hooks';
import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
const storage = new AsyncLocalStorage();
const uses = [
  () => setTimeout(() => {}, 1), () => process.stdout.write('x'), () => Buffer.from('x'), () => require('node:tls'),
  () => require('./needs.cjs'), () => require('./needs.mjs'), () => import('./late.js'), () => new ReadableStream(),
  () => fetch('http://127.0.0.1:1/').catch(() => {}),
];
const used = (n, use) => storage.run(n, async () => { await 1; await use(); return storage.getStore() === n; });
export class First extends Resource {
  static loadAsInstance = false;
  async get() {
    const kept = [];
    for (const use of uses) {
      // Others wait meanwhile, so that there is something to run.
      kept.push((await Promise.all([used(1, use), used(2, () => 0), used(3, async () => { await 2; })])).every(Boolean));
    }
    return { is: kept };
  }
}
";
    let app = App::new(&[
        ("config.yaml", "rest: true\njsResource: { files: 'resources/first.js' }\n"),
        ("resources/first.js", module),
        ("resources/needs.cjs", "exports.http = require('node:http2');\n"),
        ("resources/needs.mjs", "import 'node:readline';\nexport default 1;\n"),
        ("resources/late.js", "import 'node:dns';\n"),
    ]);
    let server = app.run();
    check(&server, "/First/", vec![("1", json!(vec![true; 9]))]).await;
}

#[tokio::test]
async fn inner_modules_of_the_runtime_are_refused() {
    for inner in ["ext:core/mod.js", "ext:deno_node/internal_binding/mod.ts"] {
        let fixed = format!("import '{inner}';\nexport class Inner extends Resource {{}}\n");
        let late = format!(
            "export class Late extends Resource {{\n  static loadAsInstance = false;\n  async get() {{\n    \
             try {{ return {{ is: Object.keys(await import('{inner}')) }}; }} catch (error) {{ return {{ is: error.message }}; }}\n  \
             }}\n}}\n"
        );
        let message = format!("Cannot import {inner}: it is an inner module of the runtime");
        let app = App::new(&[CONFIG, ("resources/late.js", &late)]);
        let server = app.run();
        check(&server, "/Late/", vec![("1", json!(message))]).await;
        let app = App::new(&[CONFIG, ("resources/fixed.js", &fixed)]);
        let server = app.run();
        let answer = server.get("/Inner/").await.expect(500);
        assert!(answer.body.contains(&message), "{answer:?}");
    }
}

#[tokio::test]
async fn load_env_comes_before_every_module() {
    let app = App::new(&[
        // Its place in the file does not matter.
        ("config.yaml", "rest: true\njsResource: true\nloadEnv: { files: ['.env', 'more.env'] }\n"),
        (".env", "# secrets\nKEY='a b'\nPATH=/nowhere\nMULTI=\"x\\ny\"\n"),
        ("more.env", "export LATER=1\n"),
        (
            "resources.js",
            "const seen = [process.env.KEY, process.env.PATH !== '/nowhere', process.env.MULTI, process.env.LATER];\n\
             export class Env extends Resource { static loadAsInstance = false; get() { return { is: seen } } }\n",
        ),
    ]);
    let server = app.run();
    check(&server, "/Env/", vec![("1", json!(["a b", true, "x\ny", "1"]))]).await;
    drop(server);
    app.write(
        "config.yaml",
        "rest: true\njsResource: true\nloadEnv: { files: .env, override: true }\n",
    );
    let server = app.run();
    check(&server, "/Env/", vec![("1", json!(["a b", false, "x\ny", null]))]).await;
}

#[tokio::test]
async fn what_nobody_catches_is_logged_and_everything_goes_on() {
    let app = App::new(&[
        CONFIG,
        (
            "resources/a.js",
            "Promise.reject(new Error('rejected while loading'));\n\
             setTimeout(() => { throw new Error('thrown by a timer') }, 1);\n\
             process.nextTick(() => { throw new Error('thrown by a tick') });\n\
             process.stdout.write('written to stdout\\n');\n\
             export class Lives extends Resource { static loadAsInstance = false; get() { return { is: true } } }\n",
        ),
    ]);
    let server = app.run();
    for message in
        ["rejected while loading", "thrown by a timer", "thrown by a tick", "written to stdout"]
    {
        server.stderr.wait_for(message);
    }
    check(&server, "/Lives/", vec![("1", json!(true))]).await;
}
