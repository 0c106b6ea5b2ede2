//! Packages: how they are found and run, ES modules and CommonJS in all mixtures, what a missing or a native one
//! says, installation, and well-known packages as they are published.

use serde_json::json;

use super::node::check;
use crate::harness::App;
use crate::harness::npm::packages;

const CONFIG: (&str, &str) =
    ("config.yaml", "rest: true\njsResource: { files: 'resources/*.{js,cjs,ts}' }\n");

/// Small packages, one a way of being a package.
const PACKAGES: &[(&str, &str)] = &[
    ("node_modules/plain/package.json", r#"{"name":"plain","version":"1.0.0"}"#),
    (
        "node_modules/plain/index.js",
        "exports.one = 1; exports.dir = __dirname.endsWith('plain'); exports.file = __filename.endsWith('index.js');\n\
         exports.own = require('./package.json').version; exports.self = this === exports;\n",
    ),
    ("node_modules/main/package.json", r#"{"name":"main","main":"./lib/start"}"#),
    (
        "node_modules/main/lib/start.js",
        "module.exports = function start() { return require('./other').two };\n\
      module.exports.named = 'n';\n",
    ),
    ("node_modules/main/lib/other.js", "sloppy = 2; exports.two = sloppy;\n"),
    (
        "node_modules/conditional/package.json",
        r##"{"name":"conditional","exports":{
          ".":{"deno":"./deno.mjs","import":"./import.mjs","require":"./require.cjs"},
          "./features/*":"./lib/*.mjs","./hidden/*":null,"./package.json":"./package.json"},
          "imports":{"#inner":"./lib/inner.mjs"}}"##,
    ),
    ("node_modules/conditional/deno.mjs", "export default 'deno';\n"),
    (
        "node_modules/conditional/import.mjs",
        "import inner from '#inner';\nexport default 'import ' + inner;\n",
    ),
    ("node_modules/conditional/require.cjs", "module.exports = 'require';\n"),
    ("node_modules/conditional/lib/a.mjs", "export default 'feature a';\n"),
    ("node_modules/conditional/lib/inner.mjs", "export default 'inner';\n"),
    ("node_modules/esm/package.json", r#"{"name":"esm","type":"module","main":"./esm.js"}"#),
    (
        "node_modules/esm/esm.js",
        "export const meta = import.meta.url.endsWith('esm.js');\nexport default 'esm';\n",
    ),
    (
        "node_modules/esm/wide.mjs",
        "import self, { meta } from './esm.js';\nimport { sep } from 'node:path';\nexport * from './esm.js';\n\
         export default [self, meta, sep];\n",
    ),
    (
        "node_modules/esm/named.mjs",
        "import esm from './esm.js';\nexport const named = `named ${esm}`;\n",
    ),
    ("node_modules/esm/waiting.mjs", "import './later.mjs';\nexport default 1;\n"),
    ("node_modules/esm/later.mjs", "await 1;\n"),
    (
        "node_modules/esm/failing.mjs",
        "import './esm.js';\nexport default 1;\nthrow new Error('failing on line three');\n",
    ),
    ("node_modules/@scope/pkg/package.json", r#"{"name":"@scope/pkg","main":"index.cjs"}"#),
    (
        "node_modules/@scope/pkg/index.cjs",
        "Object.defineProperty(exports, '__esModule', { value: true });\nexports.default = 'inner default';\n\
         exports.scoped = require('plain').one;\nexports.esm = require('esm').default;\n",
    ),
    ("node_modules/cyclic/package.json", r#"{"name":"cyclic"}"#),
    (
        "node_modules/cyclic/index.js",
        "exports.early = 1; exports.b = require('./b'); exports.late = 2;\n",
    ),
    (
        "node_modules/cyclic/b.js",
        "const a = require('./index'); module.exports = [a.early, a.late];\n",
    ),
    ("node_modules/reexport/package.json", r#"{"name":"reexport"}"#),
    ("node_modules/reexport/index.js", "module.exports = require('./real');\n"),
    ("node_modules/reexport/real.js", "module.exports = { x: 1, y: 2 };\n"),
    ("node_modules/native/package.json", r#"{"name":"native"}"#),
    ("node_modules/native/index.js", "module.exports = require('./build/addon.node');\n"),
    ("node_modules/native/build/addon.node", "\u{7f}ELF"),
    ("node_modules/finder/package.json", r#"{"name":"finder"}"#),
    ("node_modules/finder/index.js", "module.exports = require('bindings')('finder');\n"),
    ("node_modules/host/package.json", r#"{"name":"host"}"#),
    (
        "node_modules/host/index.js",
        "exports.same = require('harperdb').Resource === Resource && require('harper').tables === tables;\n",
    ),
    ("node_modules/broken/package.json", r#"{"name":"broken"}"#),
    ("node_modules/broken/index.js", "\n\nthrow new Error('broken on line three');\n"),
];

const MATRIX: &str = "import plain, { one, own } from 'plain';
import main, { named } from 'main';
import conditional from 'conditional';
import feature from 'conditional/features/a';
import esm, { meta } from 'esm';
import scope, { scoped } from '@scope/pkg';
import cyclic from 'cyclic';
import { x, y } from 'reexport';
import { same } from 'host';
import data from './data.json' with { type: 'json' };
import { createRequire } from 'node:module';
import * as local from '../lib/local.cjs';
import { typed } from '../lib/typed.js';
const require = createRequire(import.meta.url);
const late = await import('plain');
const message = async (work) => { try { return await work(); } catch (error) { return error.message.split('\\n')[0]; } };
const cases = {
  plain: () => [one, plain.dir, plain.file, own, plain.self, late.default === plain, require('plain') === plain],
  main: () => [main(), named],
  conditional: () => [conditional, require('conditional'), feature],
  hidden: () => message(() => import('conditional/hidden/a')),
  unexported: () => message(() => import('conditional/lib/a.mjs')),
  esm: () => [esm, meta, require('esm').default],
  wide: () => {
    const wide = require('esm/wide.mjs');
    return [wide.default, wide.meta, wide.__esModule, require('esm/wide.mjs') === wide];
  },
  namedOnly: () => [require('esm/named.mjs').named, require('esm/named.mjs').__esModule ?? null],
  waiting: () => message(() => { try { require('esm/waiting.mjs'); } catch (error) { throw new Error(error.code); } }),
  failing: async () => (await message(() => require('esm/failing.mjs'))).endsWith('failing on line three'),
  scope: () => [scope.default, scope.esm, scoped],
  cyclic: () => [cyclic.b, cyclic.late],
  reexport: () => [x, y],
  host: () => same,
  json: () => [data.answer, require('./data.json').answer],
  local: () => [local.default.name, local.viaRequire, local.extensionless],
  typed: () => typed(20),
  native: () => message(() => import('native')),
  finder: () => message(() => import('finder')),
  missing: () => message(() => import('not-there')),
  missingRequire: () => message(() => require('not-there')),
  inner: () => message(() => import('harperdb/resources/Table')),
  builtin: () => message(() => import('node:nothing')),
  broken: () => message(() => import('broken')),
};
export class Matrix extends Resource {
  static loadAsInstance = false;
  async get(target) { return { is: await cases[target.id]() }; }
}
";

#[tokio::test]
async fn es_modules_and_common_js_in_all_mixtures() {
    let files = [
        CONFIG,
        ("package.json", r#"{"name":"app","type":"module"}"#),
        ("resources/data.json", r#"{"answer": 42}"#),
        ("lib/package.json", "{}"),
        (
            "lib/local.cjs",
            "const viaRequire = require('./other').value;\n\
             module.exports = { name: __filename.split('/').pop(), viaRequire, extensionless: require('./folder') };\n",
        ),
        ("lib/other.js", "exports.value = 'from a script';\n"),
        ("lib/folder/index.js", "module.exports = 'index of a folder';\n"),
        ("lib/typed.ts", "export const typed = (n: number): number => n + 1;\n"),
        ("resources/matrix.js", MATRIX),
    ];
    let app = App::new(&[&files, PACKAGES].concat());
    let server = app.run();
    let folder = app.directory().canonicalize().unwrap();
    let native = format!(
        "package \"native\" needs a native addon ({}/node_modules/native/build/addon.node), which Kora can't load: \
         components run in a sandbox without machine code of their own; use a package in plain JavaScript or \
         WebAssembly instead",
        folder.display()
    );
    check(
        &server,
        "/Matrix/",
        vec![
            ("plain", json!([1, true, true, "1.0.0", true, true, true])),
            ("main", json!([2, "n"])),
            ("conditional", json!(["import inner", "require", "feature a"])),
            ("esm", json!(["esm", true, "esm"])),
            ("wide", json!([["esm", true, "/"], true, true, true])),
            ("namedOnly", json!(["named esm", null])),
            ("waiting", json!("ERR_REQUIRE_ASYNC_MODULE")),
            ("failing", json!(true)),
            ("scope", json!(["inner default", "esm", 1])),
            ("cyclic", json!([[1, null], 2])),
            ("reexport", json!([1, 2])),
            ("host", json!(true)),
            ("json", json!([42, 42])),
            ("local", json!(["local.cjs", "from a script", "index of a folder"])),
            ("typed", json!(21)),
            ("native", json!(native)),
            (
                "finder",
                json!(
                    "package \"finder\" needs a native addon (it requires \"bindings\"), which Kora can't load: use a \
                     package in plain JavaScript or WebAssembly instead"
                ),
            ),
            ("missingRequire", json!("Cannot find module 'not-there'")),
            ("broken", json!("broken on line three")),
        ],
    )
    .await;
    let line = |text: &str| MATRIX.lines().position(|line| line.contains(text)).unwrap() + 1;
    let file = folder.join("resources/matrix.js");
    let place = |text: &str| format!("{}:{}", file.display(), line(text));
    for (name, message) in [
        (
            "missing",
            format!(
                "Cannot find package 'not-there' imported from {}: add it to the component's package.json and run \
             `npm install`",
                place("'not-there'")
            ),
        ),
        (
            "inner",
            format!(
                "imported from {}: only \"harperdb\" itself",
                place("harperdb/resources/Table")
            ),
        ),
        (
            "builtin",
            format!(
                "No such built-in module: node:nothing, imported from {}",
                place("node:nothing")
            ),
        ),
        ("hidden", "conditional/hidden/a".to_owned()),
        ("unexported", "./lib/a.mjs".to_owned()),
    ] {
        let answer = server.get(&format!("/Matrix/{name}")).await.expect(200).json();
        assert!(
            answer["is"].as_str().unwrap().contains(&message),
            "{name}: {answer}\nnot {message}"
        );
    }
}

#[tokio::test]
async fn components_may_be_common_js() {
    let app = App::new(&[
        CONFIG,
        // Without a package.json the syntax decides.
        (
            "resources/script.js",
            "const path = require('path');\nclass Script extends Resource {\n  static loadAsInstance = false;\n  \
             get() { return { is: [path.basename(__filename), typeof require.resolve, this === undefined] } }\n}\n\
             module.exports = { Script };\n",
        ),
        (
            "resources/explicit.cjs",
            "const { Resource } = require('harperdb');\nexports.Explicit = class extends Resource {\n  static loadAsInstance = \
             false;\n  get() { return { is: require('../lib/shared').shared } }\n};\n",
        ),
        ("lib/shared.js", "exports.shared = 'shared';\n"),
        (
            "resources/module.ts",
            "export class Typed extends Resource {\n  static loadAsInstance = false;\n  get(): object { return { is: \
          typeof require } }\n}\n",
        ),
    ]);
    let server = app.run();
    check(&server, "/Script/", vec![("1", json!(["script.js", "function", false]))]).await;
    check(&server, "/Explicit/", vec![("1", json!("shared"))]).await;
    check(&server, "/Typed/", vec![("1", json!("undefined"))]).await;
}

#[tokio::test]
async fn a_module_that_fails_says_where() {
    for (module, messages) in [
        (
            "import x from 'left-pad';\n",
            &["resources/a.js:1: add it", "Cannot find package 'left-pad'"] as &[_],
        ),
        ("\n\nimport 'native';\n", &["package \\\"native\\\" needs a native addon"]),
        ("import 'broken';\n", &["broken on line three", "broken/index.js:3:7"]),
        ("import '/etc/hostname.js';\n", &["Cannot find module /etc/hostname.js"]),
        ("import x from '../../data/outside.js';\n", &["may not read", "permissions.read"]),
    ] {
        let app = App::new(&[&[CONFIG, ("resources/a.js", module)], PACKAGES].concat());
        std::fs::create_dir_all(app.data()).unwrap();
        std::fs::write(app.data().join("outside.js"), "export default 1").unwrap();
        let server = app.run();
        let answer = server.get("/Any/").await.expect(500);
        for message in messages {
            assert!(answer.body.contains(message), "{module}: {message} is not in {answer:?}");
        }
    }
}

#[tokio::test]
async fn well_known_packages_work_as_published() {
    let Some(packages) = packages("npm") else { return };
    let app = App::new(&[
        CONFIG,
        ("package.json", include_str!("../fixtures/npm/package.json")),
        ("resources/packages.js", include_str!("npm/packages.js")),
    ]);
    std::os::unix::fs::symlink(packages.join("node_modules"), app.directory().join("node_modules"))
        .unwrap();
    let server = app.run();
    let port = format!("?port={}", server.address.port());
    let (axios, undici) = (format!("axios{port}"), format!("undici{port}"));
    check(
        &server,
        "/Packages/",
        vec![
            ("dotenv", json!({"A": "1", "B": "x y"})),
            ("yaml", json!([{"a": [1, 2]}, "b: 1\n"])),
            ("xml", json!({"a": {"b": 1}})),
            ("uuid", json!([true, true])),
            ("zod", json!([false, "n"])),
            ("jose", json!({"a": 1})),
            ("jsonwebtoken", json!({"u": 1})),
            ("papaparse", json!([{"a": "1", "b": "2"}])),
            ("cronParser", json!(0)),
            (&axios, json!("pong")),
            (&undici, json!(["pong", "pong"])),
        ],
    )
    .await;
}

#[tokio::test]
async fn packages_are_installed_where_none_are() {
    if std::process::Command::new("npm").arg("--version").output().is_err() {
        eprintln!("SKIPPED: npm is not here, so nothing is installed");
        return;
    }
    let app = App::new(&[
        CONFIG,
        ("package.json", r#"{"name":"app","dependencies":{"greeter":"file:./greeter"}}"#),
        // Its script must not be run.
        (
            "greeter/package.json",
            r#"{"name":"greeter","version":"1.0.0","scripts":{"install":"touch ../ran"}}"#,
        ),
        ("greeter/index.js", "exports.greet = (name) => `Hello, ${name}`;\n"),
        (
            "resources/a.js",
            "import { greet } from 'greeter';\nexport class Greeting extends Resource {\n  static loadAsInstance = \
             false;\n  get(target) { return { is: greet(target.id) } }\n}\n",
        ),
    ]);
    let server = app.run();
    check(&server, "/Greeting/", vec![("Ada", json!("Hello, Ada"))]).await;
    assert!(!app.directory().join("ran").exists());
}

#[tokio::test]
async fn packages_that_cannot_be_installed_are_the_components_error() {
    let app = App::new(&[
        CONFIG,
        (
            "package.json",
            r#"{"dependencies":{"zod":"3"},"devEngines":{"packageManager":{"name":"no-such-manager"}}}"#,
        ),
        ("resources/a.js", "export class A extends Resource { get() { return 1 } }\n"),
    ]);
    let server = app.run();
    let answer = server.get("/A/").await.expect(500);
    for message in ["needs the packages zod", "no-such-manager install", "can't be started here"] {
        assert!(answer.body.contains(message), "{message} is not in {answer:?}");
    }
}
