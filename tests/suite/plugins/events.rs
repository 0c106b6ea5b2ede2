//! What a plugin is told: of files and folders that come, change and go, of options, of its end.

use serde_json::json;

use crate::harness::client::Answer;
use crate::harness::{App, Server};

const PLUGIN: &str = r#"
export function handleApplication(scope) {
  const seen = [];
  scope.on('ready', () => seen.push('scope ready'));
  scope.on('close', () => console.warn('the plugin is closed'));
  scope.options.on('ready', () => seen.push('options ready'));
  scope.options.on('change', (key, value) => seen.push(['option', key.join('.'), value]));
  scope.options.on('remove', () => console.warn('the options are gone'));
  const handler = scope.handleEntry();
  for (const event of ['add', 'change', 'unlink', 'addDir', 'unlinkDir']) {
    handler.on(event, ({ urlPath }) => seen.push([event, urlPath]));
  }
  handler.on('ready', () => seen.push('files ready'));
  scope.resources.set('seen', { get: () => seen.splice(0) });
  scope.resources.set('update', { post: async () => { await handler.update('other/**'); return true; } });
  scope.resources.set('restart', { post: () => { scope.requestRestart(); return true; } });
}
"#;

fn config(rest: &str) -> String {
    format!("rest: true\n{rest}")
}

/// Asks until the plugin has told of all of `wanted`, in any order; nothing else may come.
async fn told(server: &Server, mut wanted: Vec<serde_json::Value>) {
    while !wanted.is_empty() {
        let some = |answer: &Answer| answer.json().as_array().is_some_and(|told| !told.is_empty());
        let answer = server.until("/seen", some).await.json();
        for one in answer.as_array().unwrap() {
            let at = wanted.iter().position(|wanted| wanted == one);
            wanted.remove(at.unwrap_or_else(|| panic!("{one} was told, not {wanted:?}")));
        }
    }
}

#[tokio::test]
async fn a_plugin_hears_of_everything_that_changes() {
    let probe = "probe:\n  package: probe\n  files: content/**\n";
    let app = App::new(&[
        ("config.yaml", &config(&format!("{probe}  label: a\n"))),
        ("content/a.md", "A"),
        ("content/sub/b.md", "B"),
        ("other/c.md", "C"),
        ("node_modules/probe/index.js", PLUGIN),
        ("node_modules/probe/package.json", r#"{"main":"index.js","type":"module"}"#),
    ]);
    let server = app.dev();
    let started = server.get("/seen").await.expect(200).json();
    assert_eq!(
        started,
        json!([
            ["add", "/a.md"],
            ["addDir", "/sub"],
            ["add", "/sub/b.md"],
            "files ready",
            "scope ready",
            "options ready"
        ])
    );
    app.write("content/a.md", "AA");
    told(&server, vec![json!(["change", "/a.md"])]).await;
    std::fs::remove_dir_all(app.directory().join("content/sub")).unwrap();
    told(&server, vec![json!(["unlink", "/sub/b.md"]), json!(["unlinkDir", "/sub"])]).await;
    std::fs::create_dir(app.directory().join("content/new")).unwrap();
    told(&server, vec![json!(["addDir", "/new"])]).await;
    app.write("content/new/d.md", "D");
    told(&server, vec![json!(["add", "/new/d.md"])]).await;
    app.write("config.yaml", &config(&format!("{probe}  label: b\n")));
    told(&server, vec![json!(["option", "label", "b"])]).await;
    // Other files from now on.
    server.send("POST", "/update", &[], "").await.expect(200);
    let gone = [("unlink", "/a.md"), ("unlink", "/new/d.md"), ("unlinkDir", "/new")];
    let changes = gone.into_iter().chain([("add", "/c.md")]);
    told(&server, changes.map(|(event, path)| json!([event, path])).collect()).await;

    // Who asks for it is loaded again with the next change, from the beginning.
    server.send("POST", "/restart", &[], "").await.expect(200);
    app.write("other/c.md", "CC");
    server.stderr.wait_for("the plugin is closed");
    let again = |answer: &Answer| answer.json().to_string().contains("options ready");
    let answer = server.until("/seen", again).await.json();
    assert_eq!(answer[0], json!(["add", "/a.md"]), "{answer}");
    app.write("config.yaml", &config("probe: false\n"));
    server.stderr.wait_for("the options are gone");
}
