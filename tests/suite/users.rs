//! Users, roles, permissions, sessions: what somebody who says who they are may do, over the wire
//! (`spec/harper-resources.md` sections 7, 11 and 14, `spec/harper-rest.md` section 9). Clients on the
//! same machine are nobody here, unlike in the other tests.

mod administrator;
mod authentication;
mod classes;
mod operations;
mod relations;
mod roles;
mod sessions;
mod tables;

use serde_json::{Value, json};

use crate::harness::client::{Answer, JSON};
use crate::harness::{ADMINISTRATOR, App, Server};

const CONFIG: (&str, &str) = (
    "config.yaml",
    "rest: true\ngraphqlSchema: { files: schema.graphql }\nroles: { files: roles.yaml }\n\
     login: true\njsResource: { files: resources.ts }\n",
);

const SCHEMA: (&str, &str) = (
    "schema.graphql",
    "type Dog @table @export {\n  id: ID @primaryKey\n  name: String @indexed\n  age: Int @indexed\n  \
     secret: String\n}\n",
);

/// Each role is also the name of its user.
const ROLES: (&str, &str) = (
    "roles.yaml",
    "super:\n  super_user: true\n\
     nothing: {}\n\
     reader:\n  data:\n    Dog: { read: true }\n\
     inserter:\n  data:\n    Dog: { insert: true }\n\
     updater:\n  data:\n    Dog: { update: true }\n\
     deleter:\n  data:\n    Dog: { delete: true }\n\
     partial:\n  permission:\n    data:\n      tables:\n        Dog:\n          read: true\n          \
     insert: true\n          update: true\n          delete: true\n          attributes:\n            \
     id: { read: true }\n            name: { read: true, insert: true, update: true }\n            \
     age: { read: true, insert: true }\n",
);

const USERS: [&str; 7] =
    ["super", "nothing", "reader", "inserter", "updater", "deleter", "partial"];

const MODULE: &str = include_str!("users/resources.ts");

/// A `Basic` header's value.
pub fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", base64(format!("{username}:{password}").as_bytes()))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let index = bits >> (18 - 6 * digit) & 63;
            let is_padding = digit > chunk.len();
            text.push(if is_padding { '=' } else { char::from(DIGITS[index as usize]) });
        }
    }
    text
}

/// The header of a user whose password is the name backwards.
fn as_user(name: &str) -> String {
    let password: String = name.chars().rev().collect();
    basic(name, &password)
}

pub fn as_administrator() -> String {
    basic(ADMINISTRATOR.0, ADMINISTRATOR.1)
}

fn app() -> App {
    App::new(&[CONFIG, SCHEMA, ROLES, ("resources.ts", MODULE)])
}

fn run(app: &App) -> Server {
    Server::start(&["run", "--authorize-local=false"], &app.directory(), &app.data())
}

/// A server with the users of all roles and two dogs.
async fn serve() -> (App, Server) {
    let app = app();
    let server = run(&app);
    for name in USERS {
        let password: String = name.chars().rev().collect();
        let user = json!({"operation": "add_user", "username": name, "password": password,
            "role": name});
        operate(&server, user).await.expect(200);
    }
    for (id, name, age) in [("a", "Ann", 1), ("b", "Bob", 2)] {
        let dog = json!({"name": name, "age": age, "secret": format!("of {id}")}).to_string();
        send(&server, &as_administrator(), "PUT", &format!("/Dog/{id}"), &dog).await.expect(204);
    }
    (app, server)
}

/// Runs an operation as the component's own code, asked by the administrator.
async fn operate(server: &Server, operation: Value) -> Answer {
    send(server, &as_administrator(), "POST", "/Operate", &operation.to_string()).await
}

/// Sends a request with this `Authorization`, or without one if it is empty.
async fn send(
    server: &Server,
    authorization: &str,
    method: &str,
    path: &str,
    body: &str,
) -> Answer {
    let mut headers = Vec::new();
    if !authorization.is_empty() {
        headers.push(("authorization", authorization));
    }
    if !body.is_empty() {
        headers.push(JSON);
    }
    server.send(method, path, &headers, body).await
}
