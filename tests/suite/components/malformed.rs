//! Everything that may be wrong with an application: each is told with its file and line, on the paths of the
//! component that is wrong, and the others do not notice.

use serde_json::json;

use crate::harness::{App, Server};

/// One application that is wrong: its files, and what must be said of it.
struct Wrong {
    files: &'static [(&'static str, &'static str)],
    told: &'static [&'static str],
}

const CODE: (&str, &str) =
    ("config.yaml", "rest: true\njsResource: { files: resources.js, urlPath: wrong }\n");
const SCHEMA: (&str, &str) =
    ("config.yaml", "rest: true\ngraphqlSchema: { files: s.graphql, urlPath: wrong }\n");

const MODULES: &[Wrong] = &[
    Wrong {
        files: &[
            CODE,
            ("resources.js", "export class A extends Resource {\n  get( { return 1 }\n}\n"),
        ],
        told: &["resources.js: SyntaxError: Expected ','", "resources.js:2:17"],
    },
    Wrong {
        files: &[
            CODE,
            ("resources.js", "export class A extends Resource {\n  get() { return 1 }\n"),
        ],
        told: &["SyntaxError: Unexpected token `<eof>`", "resources.js:2"],
    },
    Wrong {
        files: &[
            ("config.yaml", "rest: true\njsResource: { files: resources.ts, urlPath: wrong }\n"),
            ("resources.ts", "\ninterface A { b: ; }\n"),
        ],
        told: &["SyntaxError: Unexpected token `;`", "resources.ts:2:18"],
    },
    Wrong {
        files: &[
            CODE,
            ("resources.js", "import './fine.js';\nimport { x } from './none.js';\n"),
            ("fine.js", ""),
        ],
        told: &["Cannot find module ", "none.js imported from ", "resources.js:2"],
    },
    Wrong {
        files: &[
            CODE,
            ("resources.js", "import './a.js';\n"),
            ("a.js", "\nimport './deep/none';\n"),
        ],
        told: &["deep/none imported from ", "a.js:2"],
    },
    Wrong {
        files: &[CODE, ("resources.js", "\nimport z from 'zodd';\n")],
        told: &["Cannot find package 'zodd' imported from ", "resources.js:2: add it to"],
    },
    Wrong {
        files: &[
            CODE,
            ("resources.js", "\nimport { nope } from './a.js';\n"),
            ("a.js", "export const yes = 1;\n"),
        ],
        told: &["resources.js: SyntaxError: ", "'nope'"],
    },
    Wrong {
        files: &[CODE, ("resources.js", "\nimport { secrets } from 'harperdb';\n")],
        told: &["resources.js: SyntaxError: ", "'secrets'"],
    },
    Wrong {
        files: &[CODE, ("resources.js", "export const a = 1;\n\nthrow new Error('at the top');\n")],
        told: &["resources.js: Error: at the top\n", "resources.js:3:7"],
    },
    Wrong {
        files: &[
            CODE,
            ("resources.js", "import './a.js';\n"),
            ("a.js", "\nthrow new TypeError('inside');\n"),
        ],
        told: &["TypeError: inside\n", "a.js:2"],
    },
    Wrong {
        files: &[CODE, ("resources.js", "export const a = 1;\nthrow { message: 'no Error' };\n")],
        told: &["resources.js: it throws an object, which is no Error"],
    },
    Wrong {
        files: &[CODE, ("resources.js", "export const a = 1;\nthrow 'a string';\n")],
        told: &["resources.js: it throws a string, which is no Error"],
    },
    Wrong {
        files: &[CODE, ("resources.js", "\nawait Promise.reject(new Error('awaited'));\n")],
        told: &["Error: awaited\n", "resources.js:2"],
    },
    Wrong {
        files: &[
            CODE,
            ("resources.js", "\nconst { Nope } = tables;\nexport class A extends Nope {}\n"),
        ],
        told: &["TypeError: ", "resources.js:3"],
    },
    Wrong {
        files: &[
            CODE,
            ("resources.js", "import a from './a.json' with { type: 'json' };\n"),
            ("a.json", "{\n \"a\": ,\n}"),
        ],
        told: &["a.json:2:7: not valid JSON: expected a value"],
    },
    Wrong {
        files: &[CODE, ("resources.js", "\nimport a from './a.json';\n"), ("a.json", "{}")],
        told: &["a.json is JSON: import it by `with { type: 'json' }` in ", "resources.js:2"],
    },
    Wrong {
        files: &[CODE, ("resources.js", "\n\nconst x = require('nowhere');\n")],
        told: &["Cannot find module 'nowhere'", "resources.js:3"],
    },
    Wrong {
        files: &[CODE, ("resources.js", "\nserver.resources.set('x', 5);\n")],
        told: &["What is registered at x has none of the methods of a resource", "resources.js:2"],
    },
    Wrong {
        files: &[CODE, ("resources.js", "\nserver.http({});\n")],
        told: &["server.http needs a function", "resources.js:2"],
    },
    Wrong {
        files: &[
            CODE,
            ("resources.js", ""),
            ("package.json", "{ \"name\": \"x\",\n  \"dependencies\": { \"zod\": }\n}"),
        ],
        told: &["package.json:2:28: not valid JSON: expected a value"],
    },
    Wrong {
        files: &[
            CODE,
            ("resources.js", "import x from 'p';\nexport const a = x;\n"),
            ("node_modules/p/package.json", "{ \"name\": ,"),
        ],
        told: &[
            "Cannot import 'p' from ",
            "resources.js:1",
            "Malformed package.json",
            "node_modules/p/package.json",
        ],
    },
];

const SCHEMAS: &[Wrong] = &[
    Wrong {
        files: &[SCHEMA, ("s.graphql", "type Dog @table {\n  id: ID @primaryKey\n  name: \n}\n")],
        told: &["s.graphql:4:1: expected a Type, found `}`"],
    },
    Wrong {
        files: &[
            SCHEMA,
            (
                "s.graphql",
                "type Dog @table { id: ID @primaryKey }\ntype Dog @table { id: ID @primaryKey }\n",
            ),
        ],
        told: &["s.graphql:2:6: expected another name: type Dog is declared above"],
    },
    Wrong {
        files: &[
            SCHEMA,
            ("s.graphql", "type Dog @table(expiration: soon) {\n  id: ID @primaryKey\n}\n"),
        ],
        told: &["s.graphql:1:29: expected a number of seconds as expiration, found `soon`"],
    },
];

const CONFIGURATIONS: &[Wrong] = &[
    Wrong {
        files: &[("config.yaml", "rest: true\nstatic: true\nrest: false\n")],
        told: &["config.yaml:3: duplicate entry with key \"rest\""],
    },
    Wrong {
        files: &[("config.yaml", "just a text\n")],
        told: &["config.yaml:1: expected `plugin: options` lines"],
    },
    Wrong { files: &[("config.yaml", "rest: *none\n")], told: &["config.yaml:1: unknown anchor"] },
    Wrong {
        files: &[("config.yaml", "rest: true\njsResource: { files: { src: x } }\n")],
        told: &["config.yaml:2: jsResource: `source` must be a glob pattern"],
    },
    Wrong {
        files: &[("config.yaml", "jsResource: 7\n")],
        told: &["config.yaml:1: jsResource: expected `files:` with a glob pattern"],
    },
    Wrong {
        files: &[("config.yaml", "\nlimits: { cpus: 5 }\n")],
        told: &["config.yaml:2: limits: `cpus` is no limit"],
    },
    Wrong {
        files: &[("config.yaml", "permissions: { net: 5 }\n")],
        told: &["config.yaml:1: permissions: `net` must be a list of strings"],
    },
    Wrong {
        files: &[
            ("config.yaml", "rest: true\np: { package: ./p }\n"),
            ("p/config.yaml", "pluginModule: none.js\n"),
        ],
        told: &[
            "config.yaml:2: the plugin p did not start: `pluginModule: none.js` of ",
            "p/config.yaml is no file",
        ],
    },
];

const FINE: &[(&str, &str)] = &[
    (
        "fine/config.yaml",
        "rest: true\njsResource: { files: resources.js }\ngraphqlSchema: { files: s.graphql }\n",
    ),
    ("fine/resources.js", "export class Fine extends Resource { get() { return 'fine' } }\n"),
    ("fine/s.graphql", "type Cat @table @export { id: ID @primaryKey }\n"),
];

/// Adds a wrong application in a folder of its own; what it serves is below that folder's name.
fn add(app: &App, folder: &str, wrong: &Wrong) {
    for (file, text) in wrong.files {
        app.write(
            &format!("{folder}/{file}"),
            &text.replace("urlPath: wrong", &format!("urlPath: {folder}")),
        );
    }
}

/// Checks what is answered at `path` because of `wrong`.
async fn check(server: &Server, path: &str, wrong: &Wrong) {
    let Wrong { files, told } = wrong;
    let answer = server.get(path).await.expect(500);
    let title = answer.json()["title"].as_str().unwrap().to_owned();
    for words in *told {
        assert!(title.contains(words), "{files:?}: {words} is not in\n{title}");
    }
    // Nothing of the host's inside, and no file as a URL.
    for inner in ["file://", "ext:", "node:module", "#<Object>"] {
        assert!(!title.contains(inner), "{inner} in {title}");
    }
    server.stderr.wait_for(told[0].trim_end());
}

async fn check_fine(server: &Server) {
    assert_eq!(server.get("/Fine/").await.expect(200).json(), json!("fine"));
    server.put("/Cat/a", "{}").await.expect(204);
}

#[tokio::test]
async fn modules_and_schemas_that_can_not_be_loaded() {
    let app = App::new(FINE);
    let cases: Vec<_> = MODULES.iter().chain(SCHEMAS).enumerate().collect();
    for (number, wrong) in &cases {
        add(&app, &format!("wrong{number}"), wrong);
    }
    let server = app.run();
    for (number, wrong) in cases {
        check(&server, &format!("/wrong{number}/Any/1"), wrong).await;
    }
    check_fine(&server).await;
}

/// Without a configuration nobody knows the paths of an application: all that nobody else has are its own.
#[tokio::test]
async fn configurations_that_can_not_be_read() {
    for wrong in CONFIGURATIONS {
        let app = App::new(FINE);
        add(&app, "wrong", wrong);
        let server = app.run();
        check(&server, "/Any/1", wrong).await;
        check_fine(&server).await;
    }
}

/// What is odd is told, and the application serves all the same, as on Harper.
#[tokio::test]
async fn what_is_odd_is_told() {
    let config = "rest: { lastModifed: true }\ngraphqlSchema: { files: schemas/*.graphql }\n\
                  jsResource: { files: [dist/, 'src/*.js'] }\nstatic: { file: web }\nlogging: { level: loud }\n";
    let module = "export class Fine2 extends Resource { get() { return 2 } }\n\
                  export class NotOne { get() { return 1 } }\nexport const five = 5;\nexport default 7;\n\
                  export class Number5 extends Resource { static path = 5; get() { return 5 } }\n\
                  export class Rest extends Resource { static path = '/x/*rest/y'; get() { return 1 } }\n\
                  export class NoName extends Resource { static path = '/c/:'; get() { return 1 } }\n";
    let app = App::new(&[
        ("wrong/config.yaml", config),
        ("wrong/dist/index.js", module),
        // What a compiler puts beside it.
        ("wrong/dist/index.js.map", "{}"),
        ("wrong/dist/index.d.ts", "export declare class Fine2 {}\n"),
        ("wrong/dist/README.md", "# Nothing\n"),
        ("wrong/dist/page.html", "<p>"),
    ]);
    let server = app.run_on(2);
    assert_eq!(server.get("/Fine2/").await.expect(200).json(), json!(2));
    assert_eq!(server.get("/Number5/").await.expect(200).json(), json!(5));
    server.get("/NotOne/").await.expect(404);
    for told in [
        "wrong/config.yaml:1: rest: unknown option `lastModifed`; ignored: there are lastModified, webSocket",
        "wrong/config.yaml:2: graphqlSchema: no file matches `schemas/*.graphql`",
        "wrong/config.yaml:4: static: unknown option `file`; ignored: there are files, urlPath",
        "wrong/config.yaml:5: logging: `loud` is no level: there are trace, debug",
        "wrong/config.yaml:3: jsResource: skipped what is no JavaScript or TypeScript: dist/README.md and 1 more",
        "dist/index.js: NotOne has a method get but does not extend Resource: it gets no path",
        "dist/index.js: Number5: its static path is not a string but 5; its name is its path",
        "dist/index.js: Rest: *rest in /x/*rest/y stands for the rest of a path only where it is the last part",
        "dist/index.js: NoName: a parameter in /c/: has no name",
    ] {
        server.stderr.wait_for(told);
        let log = server.stderr.text();
        assert_eq!(log.lines().filter(|line| line.contains(told)).count(), 1, "{told}:\n{log}");
    }
    let log = server.stderr.text();
    for quiet in ["index.js.map", "index.d.ts", "src/*.js"] {
        assert!(!log.contains(quiet), "{quiet}:\n{log}");
    }
}
