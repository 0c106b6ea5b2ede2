//! Relationships show and tell only what their reader may read where they lead
//! (`spec/harper-schema.md` section 6): on tables and on classes that extend them, in both modes.

use serde_json::{Value, json};

use super::{CONFIG, as_administrator, as_user, operate, run, send};
use crate::harness::{App, Server};

const SCHEMA: (&str, &str) = (
    "schema.graphql",
    "type Book @table @export {
  id: ID @primaryKey
  title: String @indexed
  authorId: ID @indexed
  author: Author @relationship(from: authorId)
  shelfId: ID
  shelf: Shelf @relationship(from: shelfId) @enumerable
}
type Author @table @export {
  id: ID @primaryKey
  name: String @indexed
  wage: Int @indexed
  books: [Book] @relationship(to: authorId)
}
type Shelf @table(database: \"house\") @export { id: ID @primaryKey room: String }
",
);

const ROLES: (&str, &str) = (
    "roles.yaml",
    "all:\n  data:\n    Book: { read: true, delete: true }\n    Author: { read: true }\n  house:\n    Shelf: { read: true }\n\
     books:\n  data:\n    Book: { read: true, delete: true }\n\
     names:\n  data:\n    Book: { read: true }\n    Author:\n      read: true\n      attributes:\n        \
     id: { read: true }\n        name: { read: true }\n",
);

const CODE: &str = "import { Resource, server, tables } from 'harperdb';
export class Operate extends Resource {
  async post(request: any) {
    return await server.operation(request, this.getContext(), false);
  }
}
export class Instance extends tables.Book {
  get(query: any) { return super.get(query); }
}
export class Target extends tables.Book {
  static loadAsInstance = false;
  get(target: any) { return super.get(target); }
}
";

async fn library() -> (App, Server) {
    let app = App::new(&[CONFIG, SCHEMA, ROLES, ("resources.ts", CODE)]);
    let server = run(&app);
    for name in ["all", "books", "names"] {
        let password: String = name.chars().rev().collect();
        let user = json!({"operation": "add_user", "username": name, "password": password,
            "role": name});
        operate(&server, user).await.expect(200);
    }
    let fill = [
        ("/Author/a", json!({"name": "Ada", "wage": 9})),
        ("/Book/b", json!({"title": "Dawn", "authorId": "a", "shelfId": "s"})),
        ("/Book/c", json!({"title": "Dusk"})),
    ];
    for (path, record) in fill {
        send(&server, &as_administrator(), "PUT", path, &record.to_string()).await.expect(204);
    }
    (app, server)
}

#[tokio::test]
async fn what_is_related_is_withheld() {
    let (_app, server) = library().await;
    let book = json!({"id": "b", "title": "Dawn", "authorId": "a", "shelfId": "s"});
    let ada = json!({"id": "a", "name": "Ada", "wage": 9});
    let named = json!({"id": "a", "name": "Ada"});
    let refused = || Err(403);
    let rows: &[(&str, [Result<Value, u16>; 3])] = &[
        ("/b", [Ok(book.clone()), Ok(book.clone()), Ok(book.clone())]),
        (
            "/b?select(title,author{name})",
            [
                Ok(json!({"title": "Dawn", "author": {"name": "Ada"}})),
                Ok(json!({"title": "Dawn"})),
                Ok(json!({"title": "Dawn", "author": {"name": "Ada"}})),
            ],
        ),
        (
            "/b?select(title,author)",
            [
                Ok(json!({"title": "Dawn", "author": ada})),
                Ok(json!({"title": "Dawn"})),
                Ok(json!({"title": "Dawn", "author": named})),
            ],
        ),
        (
            "/?title=Dawn&select(author{name,wage})",
            [
                Ok(json!([{"author": {"name": "Ada", "wage": 9}}])),
                Ok(json!([{}])),
                Ok(json!([{"author": {"name": "Ada"}}])),
            ],
        ),
        (
            "/?title=Dawn&select([title,author{name}])",
            [
                Ok(json!([["Dawn", {"name": "Ada"}]])),
                Ok(json!([["Dawn", null]])),
                Ok(json!([["Dawn", {"name": "Ada"}]])),
            ],
        ),
        ("/b.author", [Ok(ada.clone()), refused(), refused()]),
        ("/b?select(author)", [Ok(ada.clone()), refused(), refused()]),
        (
            "/b?select(author{books{title}})",
            [
                Ok(json!({"author": {"books": [{"title": "Dawn"}]}})),
                Ok(json!({})),
                Ok(json!({"author": {}})),
            ],
        ),
        ("/?author.name=Ada&select(id)", [Ok(json!(["b"])), refused(), Ok(json!(["b"]))]),
        ("/?author.wage=gt=5&select(id)", [Ok(json!(["b"])), refused(), refused()]),
        ("/?(author.wage=9|title=x)&select(id)", [Ok(json!(["b"])), refused(), refused()]),
        ("/?author.books.title=Dawn&select(id)", [Ok(json!(["b"])), refused(), refused()]),
        (
            "/?title=Dawn&sort(author.name)&select(id)",
            [Ok(json!(["b"])), refused(), Ok(json!(["b"]))],
        ),
        ("/?title=Dawn&sort(author.wage)&select(id)", [Ok(json!(["b"])), refused(), refused()]),
    ];
    let mut wrong = Vec::new();
    for path in ["/Book", "/Instance", "/Target"] {
        for (url, expected) in rows {
            for (user, expected) in ["all", "books", "names"].iter().zip(expected) {
                let url = format!("{path}{url}");
                let answer = send(&server, &as_user(user), "GET", &url, "").await;
                let shown =
                    if answer.status == 200 { Ok(answer.json()) } else { Err(answer.status) };
                if shown != *expected {
                    wrong.push(format!("{url} as {user}: {shown:?}, not {expected:?}"));
                }
            }
        }
        let query = r#"{"conditions":[{"attribute":["author","wage"],"value":9}]}"#;
        let url = format!("{path}/");
        send(&server, &as_user("names"), "QUERY", &url, query).await.expect(403);
        let url = format!("{path}/?author.wage=8");
        send(&server, &as_user("books"), "DELETE", &url, "").await.expect(403);
        send(&server, &as_user("all"), "DELETE", &url, "").await.expect(200);
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_a_schema_shows_unasked_is_withheld_too() {
    let (_app, server) = library().await;
    send(&server, &as_administrator(), "PUT", "/Shelf/s", r#"{"room":"hall"}"#).await.expect(204);
    let bare = json!({"id": "b", "title": "Dawn", "authorId": "a", "shelfId": "s"});
    let mut whole = bare.clone();
    whole["shelf"] = json!({"id": "s", "room": "hall"});
    for path in ["/Book", "/Instance", "/Target"] {
        for (user, expected) in [("all", &whole), ("books", &bare)] {
            for url in ["/b", "/?title=Dawn"] {
                let url = format!("{path}{url}");
                let answer =
                    send(&server, &as_user(user), "GET", &url, "").await.expect(200).json();
                let record = if answer.is_array() { &answer[0] } else { &answer };
                assert_eq!(record, expected, "{url} as {user}");
            }
        }
    }
}
