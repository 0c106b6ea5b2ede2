//! `roles.yaml`: applied at the start and on reload, its mistakes told with their places.

use crate::harness::{App, Server};

use super::{CONFIG, MODULE, SCHEMA, as_administrator, as_user, operate, run, send, serve};
use serde_json::json;

#[tokio::test]
async fn mistakes_are_told_and_leave_the_others_alone() {
    let roles = "good:\n  data:\n    Dog: { read: true }\nbad:\n  data:\n    Dog:\n      read: 5\n\
                 loose:\n  data:\n    Cat: { read: true }\n    Dog:\n      read: true\n      \
                 attributes:\n        nose: { read: true }\n";
    let app = App::new(&[CONFIG, SCHEMA, ("roles.yaml", roles), ("resources.ts", MODULE)]);
    let server = run(&app);
    for wanted in [
        "roles.yaml:7: the role bad: data.Dog.read must be true or false",
        "roles.yaml:10: the role loose names the table data.Cat, which does not exist",
        "roles.yaml:14: the role loose names the attribute nose, which data.Dog does not declare",
    ] {
        server.stderr.wait_for(wanted);
    }
    let listed = operate(&server, json!({"operation": "list_roles"})).await.expect(200);
    for (role, is_there) in [("good", true), ("loose", true), ("bad", false)] {
        assert_eq!(listed.body.contains(&format!("\"role\":\"{role}\"")), is_there, "{role}");
    }
    drop(server);
    app.write("roles.yaml", "good: [\n");
    let server = run(&app);
    server.stderr.wait_for("roles.yaml:");
    send(&server, &as_administrator(), "GET", "/Dog/", "").await.expect(200);
}

#[tokio::test]
async fn a_reload_brings_roles_up_to_date() {
    let (app, server) = serve().await;
    assert!(server.terminate().success());
    let server = Server::start(&["dev", "--authorize-local=false"], &app.directory(), &app.data());
    send(&server, &as_user("reader"), "PUT", "/Dog/a", "{}").await.expect(403);
    app.write("roles.yaml", "reader:\n  data:\n    Dog: { read: true, update: true }\n");
    server.stdout.wait_for("eloaded");
    send(&server, &as_user("reader"), "PUT", "/Dog/a", "{}").await.expect(204);
    // A role that is no longer in the file stays.
    send(&server, &as_user("updater"), "PUT", "/Dog/a", "{}").await.expect(204);
}
