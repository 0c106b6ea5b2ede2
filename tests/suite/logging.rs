//! `logger` and `console` (`spec/harper-components.md` section 4.3).

use serde_json::json;

use crate::harness::{App, Server, kora};

const LOGS: &str = "
  const tagged = logger.withTag('shop');
  for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'notify']) {
    logger[level]('root', level, { n: 1 });
    tagged[level]?.(`tagged ${level}`);
  }
  console.log('from console', 1);
  console.debug('quiet console');
  logger.error(new RangeError('as an error'));
  console.error('colour \\u001b[31mred');
  export class Levels extends Resource {
    get() { return { debug: typeof tagged.debug, info: typeof tagged.info, root: typeof logger.debug }; }
  }";

fn start(component: &str, arguments: &[&str]) -> (App, Server) {
    let config = format!("rest: true\njsResource: {{ files: r.js }}\n{component}");
    let app = App::new(&[("config.yaml", &config), ("r.js", LOGS)]);
    let mut command = kora();
    command.arg("run").arg(app.directory()).arg("--data").arg(app.data());
    command.args(["--port", "0", "--threads", "1"]).args(arguments);
    let server = Server::spawn(command);
    (app, server)
}

#[tokio::test]
async fn lines_have_time_thread_level_and_tags() {
    let (_app, server) = start("", &[]);
    let line = server.stderr.wait_for("root info");
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{line}");
    assert_eq!(rest, r#"[http/1] [info] [app]: root info {"n":1}"#);
    let tagged = server.stderr.wait_for("tagged fatal");
    assert!(tagged.ends_with("[http/1] [fatal] [app shop]: tagged fatal"), "{tagged}");
    assert!(server.stderr.wait_for("root notify").contains("[notify]"));
    assert!(server.stderr.wait_for("from console 1").contains("[http/1] [info] [app]:"));
    server.stderr.wait_for("RangeError: as an error");
    assert!(server.stderr.wait_for("colour").contains("\\u{1b}[31mred"));
    let log = server.stderr.text();
    assert!(!log.contains("root debug") && !log.contains("quiet console"), "{log}");
    let levels = server.get("/Levels").await.expect(200).json();
    assert_eq!(levels, json!({"debug": "undefined", "info": "function", "root": "function"}));
}

#[tokio::test]
async fn levels_come_from_the_root_the_component_and_the_flag() {
    for (component, arguments, debug, info) in [
        ("", &["--LOGGING_LEVEL=debug"][..], true, true),
        ("logging: { level: debug }\n", &[], true, true),
        ("logging: { level: debug }\n", &["--LOGGING_LEVEL=error"], true, true),
        ("logging: { level: error }\n", &[], false, false),
        ("", &["--LOGGING_LEVEL=warn"], false, false),
        ("", &["--log", "debug"], true, true),
    ] {
        let (_app, server) = start(component, arguments);
        server.stderr.wait_for("tagged notify");
        let log = server.stderr.text();
        assert_eq!(log.contains("root debug"), debug, "{component}{arguments:?}: {log}");
        assert_eq!(log.contains("tagged info"), info, "{component}{arguments:?}: {log}");
    }
}

#[tokio::test]
async fn the_log_may_go_to_a_file_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let root = format!("--LOGGING_ROOT={}", folder.path().display());
    let (_app, server) = start("", &[&root]);
    server.stderr.wait_for("colour");
    let log = std::fs::read_to_string(folder.path().join("hdb.log")).unwrap();
    assert!(log.contains("root warn"), "{log}");
}
