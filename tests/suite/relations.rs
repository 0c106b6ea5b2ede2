//! Relationships over HTTP and from classes (`spec/harper-schema.md` section 6,
//! `spec/harper-rest.md` section 4).

use serde_json::json;

use crate::harness::cases::{CONFIG, PROBE, check};
use crate::harness::{App, Server};

const SCHEMA: (&str, &str) = (
    "schema.graphql",
    r#"type Book @table @export {
  id: ID @primaryKey
  title: String @indexed
  year: Int
  authorId: ID @indexed
  author: Author @relationship(from: authorId)
  tagIds: [ID] @indexed
  tags: [Tag] @relationship(from: "tagIds")
  knownTags: [Tag] @relationship(from: tagIds, filterMissing: true)
  code: Int @indexed
  twins: [Copy] @relationship(from: code, to: code)
}
type Author @table @export {
  id: ID @primaryKey
  name: String @indexed
  age: Int
  books: [Book] @relationship(to: authorId)
  home: Home @relationship(from: homeId) @enumerable
  homeId: ID
}
type Tag @table(database: "labels") @export {
  id: ID @primaryKey
  label: String @indexed
  books: [Book] @relationship(to: tagIds)
}
type Home @table(database: "labels") { id: ID @primaryKey city: String }
type Copy @table @export { id: ID @primaryKey code: Int }
"#,
);

const LOOKS: (&str, &str) = (
    "resources/looks.ts",
    r#"import { Resource, databases, tables } from 'harperdb';
const { Author, Book } = tables;
export class Looks extends Resource {
  async get(query: any) {
    switch (this.getId()) {
      case 'one': return (await Book.get('b1')).author.name;
      case 'none': return { author: (await Book.get('b4')).author ?? 'absent' };
      case 'many': return (await Author.get('a1')).books.map((book: any) => book.title);
      case 'back': return (await Book.get('b1')).author.books[1].author.name;
      case 'list': return (await Book.get('b1')).tags.map((tag: any) => tag?.label ?? null);
      case 'known': return (await Book.get('b2')).knownTags.map((tag: any) => tag.label);
      case 'reverse': return (await databases.labels.Tag.get('t1')).books.map((book: any) => book.id);
      case 'keys': return (await Book.get('b3')).twins.map((copy: any) => copy.id);
      case 'json': return await Book.get('b1');
      case 'shown': return await Author.get('a1');
      case 'rows': {
        const names = [];
        for await (const book of Book.search({ conditions: [{ attribute: 'title', value: 'Dawn' }] })) {
          names.push(book.author?.name ?? null);
        }
        return names;
      }
    }
  }
}
export class Move extends Book {
  post(data: any) {
    (this as any).author = { id: data.author };
    return (this as any).authorId;
  }
}
export class Copied extends Resource {
  async post(data: any) {
    const book: any = await Book.get('b2');
    book.author = await Author.get(data.author);
    await Book.put('b2', { ...book });
    return (await Book.get('b2')).author.name;
  }
}
export class Refused extends Resource {
  async post() {
    const author: any = await Author.get('a1');
    author.books = [];
  }
}
"#,
);

async fn library() -> (App, Server) {
    let app = App::new(&[CONFIG, SCHEMA, PROBE, LOOKS]);
    let server = app.run();
    let fill = [
        (
            "Author",
            json!([
                {"id": "a1", "name": "Ada", "age": 40, "homeId": "h1"},
                {"id": "a2", "name": "Bo", "age": 50},
                {"id": "a3", "name": "Cy", "age": 30},
            ]),
        ),
        (
            "Book",
            json!([
                {"id": "b1", "title": "Dawn", "year": 1990, "authorId": "a1", "tagIds": ["t1", "t9", "t2"], "code": 1},
                {"id": "b2", "title": "Dusk", "year": 2000, "authorId": "a1", "tagIds": ["t2", "t9"], "code": 2},
                {"id": "b3", "title": "Noon", "year": 2010, "authorId": "a2", "tagIds": ["t1"], "code": 3},
                {"id": "b4", "title": "Dawn", "year": 2020, "authorId": "a9", "tagIds": [], "code": null},
            ]),
        ),
        ("Tag", json!([{"id": "t1", "label": "sea"}, {"id": "t2", "label": "sky"}])),
        (
            "Copy",
            json!([{"id": "c1", "code": 3}, {"id": "c2", "code": 3}, {"id": "c3", "code": 1}]),
        ),
    ];
    for (table, records) in fill {
        server.put(&format!("/{table}/"), &records.to_string()).await.expect(200);
    }
    (app, server)
}

#[tokio::test]
async fn joins_and_nested_selections() {
    let (_app, server) = library().await;
    let get = |path, expected| ("GET", path, "", 200, expected);
    check(
        &server,
        &[
            // Nothing of a relationship is shown unasked, but what is enumerable.
            get("/Copy/c1", json!({"id": "c1", "code": 3})),
            get("/Author/a2", json!({"id": "a2", "name": "Bo", "age": 50})),
            // Selections: left joins.
            get("/Book/b1?select(title,author{name})", json!({"title": "Dawn", "author": {"name": "Ada"}})),
            get("/Book/b1?select(title,author[select(name,)])", json!({"title": "Dawn", "author": {"name": "Ada"}})),
            get("/Book/b1?select(author{[id,name]})", json!({"author": ["a1", "Ada"]})),
            get("/Book/b4?select(title,author{name})", json!({"title": "Dawn"})),
            get("/Book/b1.author", json!({"id": "a1", "name": "Ada", "age": 40, "homeId": "h1"})),
            get("/Author/a1?select(name,books{title})", json!({"name": "Ada", "books": [{"title": "Dawn"}, {"title": "Dusk"}]})),
            get("/Author/a3?select(books{title})", json!({"books": []})),
            get("/Book/b1?select(tags{label})", json!({"tags": [{"label": "sea"}, null, {"label": "sky"}]})),
            get("/Book/b1?select(knownTags{label})", json!({"knownTags": [{"label": "sea"}, {"label": "sky"}]})),
            get("/Tag/t1?select(books{id})", json!({"books": [{"id": "b1"}, {"id": "b3"}]})),
            get("/Book/b3?select(twins{id})", json!({"twins": [{"id": "c1"}, {"id": "c2"}]})),
            get("/Author/?select(name,books{title,author{name}})&name=Bo", json!([{"name": "Bo", "books": [{"title": "Noon", "author": {"name": "Bo"}}]}])),
            get("/Author/a1?select(books{tags{label}})", json!({"books": [
                {"tags": [{"label": "sea"}, null, {"label": "sky"}]}, {"tags": [{"label": "sky"}, null]}]})),
            get("/Author/?select(id,books)&id=a2", json!([{"id": "a2", "books": [
                {"id": "b3", "title": "Noon", "year": 2010, "authorId": "a2", "tagIds": ["t1"], "code": 3}]}])),
            // Conditions: inner joins.
            get("/Book/?author.name=Ada&select(id)", json!(["b1", "b2"])),
            get("/Book/?author.name=Ada&title=Dusk&select(id)", json!(["b2"])),
            get("/Book/?author.age=gt=45&select(id)", json!(["b3"])),
            get("/Book/?author.age=gt=35&author.name=sw=A&select(id)", json!(["b1", "b2"])),
            get("/Book/?author.name=Nobody", json!([])),
            get("/Author/?books.title=Dawn&select(name)", json!(["Ada"])),
            get("/Author/?books.year=ge=2000&select(name)&sort(-name)", json!(["Bo", "Ada"])),
            get("/Author/?books.title=Dawn&select(name,books{title})", json!([{"name": "Ada", "books": [{"title": "Dawn"}]}])),
            get("/Author/?books.title=Dawn&books.year=2000", json!([])),
            get("/Book/?tags.label=sky&select(id)", json!(["b1", "b2"])),
            get("/Tag/?books.title=Noon&select(label)", json!(["sea"])),
            get("/Book/?twins.id=c2&select(id)", json!(["b3"])),
            get("/Author/?books.tags.label=sky&select(name)", json!(["Ada"])),
            get("/Book/?author.books.title=Dusk&select(id)", json!(["b1", "b2"])),
            get("/Book/?(author.name=Bo|title=Dusk)&select(id)&sort(id)", json!(["b2", "b3"])),
            get("/Book/?author.name!=Ada&select(id)", json!(["b3"])),
            // Order by what is related.
            get("/Book/?author.age=gt=0&sort(-author.age,title)&select(id)", json!(["b3", "b1", "b2"])),
            get("/Book/?title=Dawn&sort(author.name)&select(id)", json!(["b4", "b1"])),
            // What can't be asked.
            ("GET", "/Book/?author.nose=1", "", 404, json!("nose is not a defined attribute")),
            ("GET", "/Book/?author.age=old", "", 400, json!("Invalid value for attribute age: \"old\", expecting Int")),
            ("GET", "/Book/?author=a1", "", 400, json!("author is a relationship: a condition must name an attribute of it, as in author.id")),
            ("PUT", "/Book/b9", r#"{"author": {"id": "a1"}}"#, 400, json!("Computed property author may not be directly assigned a value")),
            // A parent that goes leaves its children.
            ("DELETE", "/Author/a2", "", 200, json!(true)),
            get("/Book/b3?select(id,author{name})", json!({"id": "b3"})),
            get("/Book/?author.name=Bo", json!([])),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_same_from_a_class() {
    let (_app, server) = library().await;
    let search =
        |table: &str, query: serde_json::Value| json!({"table": table, "query": query}).to_string();
    let by_author = search(
        "Book",
        json!({"conditions": [{"attribute": ["author", "name"], "value": "Ada"}], "select": ["id", {"name": "author", "select": ["name"]}]}),
    );
    let by_book = search(
        "Author",
        json!({"conditions": [{"attribute": ["books", "year"], "comparator": "greater_than", "value": 1995}], "sort": {"attribute": "name", "descending": true}, "select": "name"}),
    );
    let sorted = search(
        "Book",
        json!({"conditions": [{"attribute": "title", "value": "Dawn"}], "sort": {"attribute": ["author", "name"]}, "select": ["id"]}),
    );
    let look = |name, expected| ("GET", name, "", 200, expected);
    check(
        &server,
        &[
            ("POST", "/Probe/", &by_author, 200, json!([{"id": "b1", "author": {"name": "Ada"}}, {"id": "b2", "author": {"name": "Ada"}}])),
            ("POST", "/Probe/", &by_book, 200, json!(["Bo", "Ada"])),
            ("POST", "/Probe/", &sorted, 200, json!([{"id": "b4"}, {"id": "b1"}])),
            look("/Looks/one", json!("Ada")),
            look("/Looks/none", json!({"author": "absent"})),
            look("/Looks/many", json!(["Dawn", "Dusk"])),
            look("/Looks/back", json!("Ada")),
            look("/Looks/list", json!(["sea", null, "sky"])),
            look("/Looks/known", json!(["sky"])),
            look("/Looks/reverse", json!(["b1", "b3"])),
            look("/Looks/keys", json!(["c1", "c2"])),
            look("/Looks/rows", json!(["Ada", null])),
            look("/Looks/shown", json!({"id": "a1", "name": "Ada", "age": 40, "homeId": "h1"})),
            look("/Looks/json", json!({"id": "b1", "title": "Dawn", "year": 1990, "authorId": "a1", "tagIds": ["t1", "t9", "t2"], "code": 1})),
            ("POST", "/Move/b1", r#"{"author": "a3"}"#, 200, json!("a3")),
            ("GET", "/Book/b1?select(authorId,author{name})", "", 200, json!({"authorId": "a3", "author": {"name": "Cy"}})),
            ("POST", "/Copied/", r#"{"author": "a2"}"#, 200, json!("Bo")),
            ("POST", "/Refused/", "{}", 400, json!("Computed property books may not be directly assigned a value")),
        ],
    )
    .await;
}
