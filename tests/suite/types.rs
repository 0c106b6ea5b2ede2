//! `kora types`, and the declarations of the host's module, read by the TypeScript compiler itself.

use std::path::Path;
use std::process::Command;

use crate::harness::{App, kora};

const FILES: &[(&str, &str)] = &[
    ("config.yaml", "rest: true\ngraphqlSchema: { files: schema.graphql }\n"),
    (
        "schema.graphql",
        "type Dog @table @export {\n  id: ID @primaryKey\n  name: String!\n  age: Int\n  born: Date\n  \
         tags: [String]\n  home: Home\n}\ntype Home { city: String }\n\
         type Visit @table(database: \"log\") {\n  id: Int @primaryKey\n  dog: ID\n}\n",
    ),
    (
        "resources/dogs.ts",
        r#"
import { Resource, tables, databases, logger, transaction, type RequestTarget } from 'harperdb';
import host, { getContext } from 'harper';

export class Kennel extends Resource {
    static loadAsInstance = false;
    async get(target: RequestTarget) {
        const dog = await tables.Dog.get(target.id);
        const name: string | undefined = dog?.name;
        const city: string | null | undefined = dog?.home?.city;
        for await (const old of tables.Dog.search({ conditions: [{ attribute: 'age', comparator: 'gt', value: 9 }] })) {
            logger.info(old.name.length, old.getUpdatedTime());
        }
        const visit = await databases.log.Visit.get(5);
        return { name, city, dog: visit?.dog, user: getContext().user?.username, host: host.server.hostname };
    }
    async post(target: RequestTarget, data: any) {
        await transaction(async () => {
            await tables.Dog.put({ id: 'x', name: 'X' });
            await tables.Dog.patch('x', { age: 5 });
        });
        return tables.Dog.create(data);
    }
}

export class Dog extends tables.Dog {
    allowRead() { return true; }
    async get(query: any) { return super.get(query); }
    get isOld() { return (this.age ?? 0) > 9; }
}

// The globals, too.
export class Plain { static get() { return globalThis.tables.Dog.primaryKey; } }
"#,
    ),
    (
        "resources/wrong.ts",
        "import { tables } from 'harperdb';\nexport const wrong = async () => (await tables.Dog.get('x'))!.nose;\n",
    ),
    (
        "tsconfig.json",
        r#"{"compilerOptions":{"target":"esnext","module":"esnext","moduleResolution":"bundler","lib":["esnext","dom","dom.iterable","dom.asynciterable"],"types":[],"strict":true,"noEmit":true,"skipLibCheck":false},"include":["types","resources"]}"#,
    ),
];

#[test]
fn declarations_are_written() {
    let app = App::new(FILES);
    let done = kora().arg("types").arg(app.directory()).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let text = std::fs::read_to_string(app.directory().join("types/tables.d.ts")).unwrap();
    assert!(text.contains("Dog: Table<Records.Dog, string>;"), "{text}");
    assert!(app.directory().join("types/harperdb.d.ts").is_file());

    let empty = App::new(&[("config.yaml", "rest: true\n")]);
    let refused = kora().arg("types").arg(empty.directory()).output().unwrap();
    assert!(!refused.status.success());
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("no table is declared"),
        "{refused:?}"
    );
}

/// Needs `npm` and the package `typescript`; says so and passes where they are out of reach.
#[test]
fn the_typescript_compiler_agrees() {
    let app = App::new(FILES);
    assert!(kora().arg("types").arg(app.directory()).status().unwrap().success());
    let tools = tempfile::tempdir().unwrap();
    let Some(compiler) = typescript(tools.path()) else {
        eprintln!(
            "SKIPPED: the TypeScript compiler can't be installed here, so the declarations were not compiled"
        );
        return;
    };
    let output = Command::new("node")
        .arg(compiler)
        .args(["--project", "tsconfig.json", "--pretty", "false"])
        .current_dir(app.directory())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors: Vec<&str> = said.lines().filter(|line| line.contains("error TS")).collect();
    // The one mistake in the example is found, and nothing else.
    assert_eq!(errors.len(), 1, "{said}");
    assert!(errors[0].starts_with("resources/wrong.ts(2,") && errors[0].contains("nose"), "{said}");
}

fn typescript(folder: &Path) -> Option<std::path::PathBuf> {
    let installed = Command::new("npm")
        .args([
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--prefer-offline",
            "typescript@5",
        ])
        .arg("--prefix")
        .arg(folder)
        .current_dir(folder)
        .output()
        .ok()?;
    let compiler = folder.join("node_modules/typescript/bin/tsc");
    (installed.status.success() && compiler.is_file()).then_some(compiler)
}
