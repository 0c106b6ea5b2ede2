//! Schemas that are wrong: each is told with its file, its line, what was expected and what was found,
//! in the log and to who asks for it; nothing else of the host is held up
//! (`spec/harper-schema.md` section 1).

use crate::harness::App;

/// A schema, the place of the mistake, and what is said of it.
const CASES: &[(&str, &str, &[&str])] = &[
    ("type Dog @table {\n  id: ID\n", "2:9", &["expected", "found the end of the file"]),
    ("type Dog @table {\n  id: }\n", "2:7", &["expected", "found `}`"]),
    ("type Dog @table {\n  name String\n}\n", "2:8", &["expected"]),
    ("tipe Dog { id: ID }", "1:1", &["expected", "found `tipe`"]),
    ("type Dog @table(expiration 5) { id: ID }", "1:28", &["expected"]),
    ("type Dog @table { id: [ID }", "1:27", &["expected"]),
    ("type Dog @table {\n  id: ID \"\n}", "2:10", &["unterminated string"]),
    (
        "type A { a: Int }\ntype A { a: Int }",
        "2:6",
        &["expected another name", "type A is declared above"],
    ),
    (
        "type A @table {\n a: Int\n a: Int }",
        "3:2",
        &["expected another name", "A has attribute a above"],
    ),
    (
        "type A @table(expiration: soon) { a: Int }",
        "1:27",
        &["expected a number of seconds as expiration", "found `soon`"],
    ),
    (
        "type A @table(eviction: -1) { a: Int }",
        "1:25",
        &["expected a number of seconds as eviction", "found `-1`"],
    ),
    (
        "type A @table(scanInterval: \"x\") { a: Int }",
        "1:29",
        &["expected a number of seconds as scanInterval", "found `x`"],
    ),
    (
        "type A @table {\n b: B @relationship(to: a)\n}\ntype B @table",
        "2:5",
        &["expected a list", "`to:`"],
    ),
    ("type A @table { b: B @relationship } type B @table", "1:22", &["expected `from:`"]),
    (
        "type A @table { a: Int @primaryKey @computed(from: \"1\") }",
        "1:17",
        &["expected a stored attribute", "a is derived"],
    ),
    (
        "type A @table {\n a: Int\n b: Int @computed(from: \"a +\")\n}",
        "3:25",
        &["the expression of b", "unexpected end"],
    ),
    (
        "type A @table { a: Int @computed(from: \"b.frob()\") }",
        "1:40",
        &["frob() is not known", "setComputedAttribute"],
    ),
    ("type A @table { a: Int @computed(from: \"new Date()\") }", "1:40", &["'new' is not known"]),
    (
        "type A @table { a: Int @indexed(type: \"HNSW\") }",
        "1:24",
        &["expected the type [Float]", "found Int"],
    ),
    (
        "type A @table { a: [Float] @indexed(type: HNSW, M: 1) }",
        "1:52",
        &["expected a number from 2 to 256 as M", "found `1`"],
    ),
    (
        "type A @table { a: [Float] @indexed(type: HNSW, distance: far) }",
        "1:59",
        &["expected cosine, euclidean or dotProduct", "found `far`"],
    ),
];

/// Schemas of which something is said, and which are served all the same: place and words.
const WARNINGS: &[(&str, &str, &str)] = &[
    (
        "type W0 @table @export { id: ID @primaryKey when: DateTime }",
        "1:51",
        "unknown type DateTime",
    ),
    (
        "type W1 @table @export { id: ID @primaryKey\n other: ID @primaryKey }",
        "2:2",
        "has the primary key id",
    ),
    (
        "type W2 @table @export { id: ID @primaryKey }\ntype Not @export { a: Int }",
        "2:10",
        "has no @table",
    ),
    (
        "type W3 @table @export { id: ID @primaryKey c: Int @computed @indexed }",
        "1:62",
        "is not indexed",
    ),
    (
        "type W4 @table @export { id: ID @primaryKey a: Int @indexed(type: BTREE) }",
        "1:67",
        "unknown type of index `BTREE`",
    ),
];

#[tokio::test]
async fn each_names_its_file_and_line_and_what_was_expected() {
    let config = "rest: true\ngraphqlSchema:\n  files: schema.graphql\n  urlPath: ";
    let mut files = vec![(
        "good/schema.graphql".to_owned(),
        "type Good @table @export { id: ID @primaryKey }".to_owned(),
    )];
    files.push(("good/config.yaml".into(), format!("{config}good\n")));
    for (index, (schema, ..)) in CASES.iter().enumerate() {
        files.push((format!("bad{index}/schema.graphql"), (*schema).to_owned()));
        files.push((format!("bad{index}/config.yaml"), format!("{config}bad{index}\n")));
    }
    for (index, (schema, ..)) in WARNINGS.iter().enumerate() {
        files.push((format!("warned{index}/schema.graphql"), (*schema).to_owned()));
        files.push((format!("warned{index}/config.yaml"), format!("{config}warned{index}\n")));
    }
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let app = App::new(&files);
    let server = app.run();
    let mut wrong = Vec::new();
    for (index, (schema, place, parts)) in CASES.iter().enumerate() {
        let answer = server.get(&format!("/bad{index}/")).await;
        let wanted = format!("bad{index}/schema.graphql:{place}: ");
        let title = match answer.status {
            500 => answer.json()["title"].as_str().unwrap_or_default().to_owned(),
            status => format!("status {status}"),
        };
        if !title.contains(&wanted) || parts.iter().any(|part| !title.contains(part)) {
            wrong.push(format!("{schema}\n  expected {wanted}{parts:?}\n  {title}"));
        } else {
            server.stderr.wait_for(&wanted);
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    for (index, (_, place, part)) in WARNINGS.iter().enumerate() {
        let wanted = format!("schema.graphql:{place}: ");
        let logged = server.stderr.wait_for(&format!("warned{index}/{wanted}"));
        let line = logged.lines().find(|line| line.contains(&format!("warned{index}/{wanted}")));
        assert!(line.is_some_and(|line| line.contains(part)), "{line:?}");
        let answer = server.get(&format!("/warned{index}/W{index}/")).await.expect(200);
        assert_eq!(answer.json(), serde_json::json!([]));
    }
    server.get("/good/Good/").await.expect(200);
}
