//! The first administrator, and the command line for accounts.

use std::io::Write;
use std::process::{Output, Stdio};

use crate::harness::client::JSON;
use crate::harness::{ADMINISTRATOR, App, DOGS, Server, kora};

use super::{as_administrator, basic, send};

fn run(app: &App) -> Server {
    Server::start(&["run", "--authorize-local=false"], &app.directory(), &app.data())
}

#[tokio::test]
async fn a_generated_password_is_shown_once() {
    let app = App::new(DOGS);
    let mut command = kora();
    command.env_remove("HDB_ADMIN_USERNAME").env_remove("HDB_ADMIN_PASSWORD");
    let server = Server::start_command(command, 1, &["run"], &app.directory(), &app.data());
    let line = server.stdout.wait_for("The administrator HDB_ADMIN was made with the password ");
    let password = line.split("the password ").nth(1).unwrap().split(' ').next().unwrap();
    assert_eq!(password.len(), 24, "{line}");
    send(&server, &basic("HDB_ADMIN", password), "GET", "/Dog/", "").await.expect(200);
    assert!(!server.stderr.text().contains(password));
    assert!(server.terminate().success());
    // The environment of a later start changes nothing.
    let server = run(&app);
    assert!(!server.stdout.text().contains("administrator"), "{}", server.stdout.text());
    send(&server, &basic("HDB_ADMIN", password), "GET", "/Dog/", "").await.expect(200);
    send(&server, &as_administrator(), "GET", "/Dog/", "").await.expect(401);
}

#[tokio::test]
async fn users_outlive_the_server() {
    let app = App::new(DOGS);
    let server = run(&app);
    let authorization = as_administrator();
    let headers = [("authorization", authorization.as_str()), JSON];
    server.send("PUT", "/Dog/a", &headers, "{}").await.expect(204);
    assert!(!server.stdout.text().contains(ADMINISTRATOR.1));
    server.kill();
    let server = run(&app);
    send(&server, &authorization, "GET", "/Dog/a", "").await.expect(200);
    for path in ["/hdb_user/", "/system/hdb_user/", "/hdb_role/", "/hdb_session/"] {
        send(&server, &authorization, "GET", path, "").await.expect(404);
    }
}

#[tokio::test]
async fn the_command_line_manages_accounts() {
    let app = App::new(DOGS);
    let command = |arguments: &[&str], input: &str| -> Output {
        let mut child = kora()
            .args(arguments)
            .arg("--data")
            .arg(app.data())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads nothing may have gone by now.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    };
    let said = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = |output: Output| {
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(failed(command(&["user", "list"], "")).contains("there is no data in"));
    let server = run(&app);
    assert!(failed(command(&["user", "list"], "")).contains("a server is running on"));
    assert!(server.terminate().success());
    assert_eq!(said(&command(&["user", "list"], "")), "admin\tsuper_user\n");
    assert_eq!(said(&command(&["user", "add", "eve"], "first\n")), "eve successfully added\n");
    let missing = command(&["user", "add", "x", "--role", "none"], "x\n");
    assert!(failed(missing).contains("none role not found"));
    command(&["user", "set-password", "eve"], "second\n");
    let roles = said(&command(&["role", "list"], ""));
    assert_eq!(roles, "super_user\t{\"super_user\":true}\n");
    let server = run(&app);
    send(&server, &basic("eve", "first"), "GET", "/Dog/", "").await.expect(401);
    send(&server, &basic("eve", "second"), "GET", "/Dog/", "").await.expect(200);
    assert!(server.terminate().success());
    assert_eq!(said(&command(&["user", "remove", "eve"], "")), "eve successfully deleted\n");
    assert_eq!(said(&command(&["user", "list"], "")), "admin\tsuper_user\n");
}
