//! The same questions for both languages: statuses, bodies and the headers that the contract names.

use serde_json::{Value, json};

use super::Twins;
use crate::harness::client::{Answer, JSON};

/// Method, path, body; status and body of the answer.
type Row = (&'static str, &'static str, &'static str, u16, Value);

/// Checks every row on both servers, in order, and that both answer with the same headers.
async fn ask(twins: &Twins, rows: Vec<Row>) {
    for (method, path, body, status, expected) in rows {
        let mut answers: Vec<Answer> = Vec::new();
        for (language, server) in twins.each() {
            let headers: &[(&str, &str)] = if body.is_empty() { &[] } else { &[JSON] };
            let answer = server.send(method, path, headers, body).await;
            assert_eq!(answer.status, status, "{language}: {method} {path}: {answer:?}");
            let shown = if answer.body.is_empty() { Value::Null } else { answer.json() };
            // Of a problem object the code and the message are the contract.
            let shown = match shown.get("title") {
                Some(title) => json!([shown["code"], title]),
                None => shown,
            };
            assert_eq!(shown, expected, "{language}: {method} {path}");
            answers.push(answer);
        }
        for header in ["content-type", "location", "allow", "x-dog"] {
            assert_eq!(
                answers[0].header(header),
                answers[1].header(header),
                "{header} of {method} {path}"
            );
        }
        assert_eq!(answers[0].body, answers[1].body, "{method} {path}");
    }
}

#[tokio::test]
async fn verbs_and_tables() {
    let twins = Twins::serve();
    let rex = json!({"id": "rex", "name": "Rex", "age": 3});
    let no_dog = json!(["UnknownDog", "there is no dog bo"]);
    ask(
        &twins,
        vec![
            ("GET", "/Birthday/rex", "", 404, Value::Null),
            ("GET", "/Birthday/", "", 400, json!(["NoDog", "which dog?"])),
            ("POST", "/Kennel/", r#"{"id":"rex","name":"Rex","age":3}"#, 201, json!("rex")),
            ("GET", "/Birthday/rex", "", 200, rex.clone()),
            ("GET", "/Kennel/rex", "", 200, rex.clone()),
            ("GET", "/Dog/rex", "", 200, rex),
            ("POST", "/Birthday/rex", "", 200, json!({"id": "rex", "name": "Rex", "age": 4})),
            ("POST", "/Birthday/bo", "", 404, no_dog.clone()),
            (
                "POST",
                "/Kennel/",
                r#"{"id":"bo","name":""}"#,
                422,
                json!(["Nameless", "a dog needs a name"]),
            ),
            (
                "PUT",
                "/Kennel/bo",
                r#"{"id":"bo","name":"Bo","age":2,"breed":"Pug"}"#,
                204,
                Value::Null,
            ),
            ("PATCH", "/Kennel/bo", r#"{"name":"Bobo"}"#, 204, Value::Null),
            (
                "GET",
                "/Kennel/bo",
                "",
                200,
                json!({"id": "bo", "name": "Bobo", "age": 2, "breed": "Pug"}),
            ),
            (
                "GET",
                "/Kennel/",
                "",
                200,
                json!([{"name": "Bobo", "years": 2}, {"name": "Rex", "years": 4}]),
            ),
            ("GET", "/Kennel/?over=2", "", 200, json!([{"name": "Rex", "years": 4}])),
            ("GET", "/Kennel/?over=many", "", 400, json!(["BadQuery", "over is no number: many"])),
            ("DELETE", "/Kennel/bo", "", 200, json!(true)),
            ("DELETE", "/Kennel/bo", "", 200, json!(false)),
            ("PATCH", "/Kennel/bo", r#"{"name":"Bobo"}"#, 404, no_dog),
        ],
    )
    .await;
}

#[tokio::test]
async fn transactions() {
    let twins = Twins::serve();
    let young = json!(["TooYoung", "a dog can't be younger than nothing"]);
    ask(
        &twins,
        vec![
            ("PUT", "/Dog/rex", r#"{"name":"Rex","age":3}"#, 204, Value::Null),
            ("PUT", "/Dog/bo", r#"{"name":"Bo","age":1}"#, 204, Value::Null),
            ("POST", "/Trade/", r#"{"from":"rex","to":"bo","years":2}"#, 200, json!([1, 3])),
            ("GET", "/Dog/rex", "", 200, json!({"id": "rex", "name": "Rex", "age": 1})),
            // Nothing of a call that fails is kept.
            ("POST", "/Trade/", r#"{"from":"rex","to":"bo","years":2}"#, 422, young.clone()),
            ("GET", "/Dog/rex", "", 200, json!({"id": "rex", "name": "Rex", "age": 1})),
            ("GET", "/Dog/bo", "", 200, json!({"id": "bo", "name": "Bo", "age": 3})),
            // Nor of a transaction of one's own.
            ("POST", "/Trade/", r#"{"from":"rex","to":"bo","years":2,"mode":"own"}"#, 422, young),
            ("GET", "/Dog/bo", "", 200, json!({"id": "bo", "name": "Bo", "age": 3})),
            (
                "POST",
                "/Trade/",
                r#"{"from":"bo","to":"rex","years":1,"mode":"own"}"#,
                200,
                json!([2, 2]),
            ),
            (
                "POST",
                "/Trade/",
                r#"{"from":"bo","to":"rex","years":0,"mode":"own"}"#,
                422,
                json!(["NoTrade", "nothing was given"]),
            ),
            ("GET", "/Dog/bo", "", 200, json!({"id": "bo", "name": "Bo", "age": 2})),
        ],
    )
    .await;
}

#[tokio::test]
async fn answers() {
    let twins = Twins::serve();
    ask(
        &twins,
        vec![
            ("GET", "/Answers/?kind=number", "", 200, json!(42)),
            ("GET", "/Answers/?kind=text", "", 200, json!("a text")),
            ("GET", "/Answers/?kind=list", "", 200, json!([1.5, 2, -3])),
            ("GET", "/Answers/?kind=status", "", 202, json!("accepted")),
            ("GET", "/Answers/?kind=header", "", 200, json!("with a header")),
            ("GET", "/Answers/?kind=items", "", 200, json!((0..300).collect::<Vec<_>>())),
            ("GET", "/Answers/?kind=teapot", "", 418, json!(["Teapot", "short and stout"])),
            ("GET", "/Answers/?kind=broken", "", 500, json!(["Broken", "broken"])),
            ("GET", "/Answers/", "", 404, Value::Null),
        ],
    )
    .await;
    for (language, server) in twins.each() {
        let raw = server.get("/Answers/?kind=raw").await.expect(200);
        assert_eq!(
            (raw.header("content-type"), raw.body.as_str()),
            (Some("image/svg+xml"), "<svg/>")
        );
        let pieces = server.get("/Answers/?kind=pieces").await.expect(200);
        let shown = (pieces.header("content-type"), pieces.body.as_str());
        assert_eq!(shown, (Some("text/plain"), "in three parts"), "{language}");
        let who = server.send("GET", "/Answers/?kind=who", &[("x-asked", "this")], "").await;
        assert_eq!(
            who.expect(200).json(),
            json!({"header": "this", "method": "GET", "url": "/Answers/?kind=who"}),
            "{language}"
        );
    }
    // What a resource does not have; the texts name the HTTP method as tables do.
    for (method, path) in [("PUT", "/Birthday/rex"), ("POST", "/Answers/"), ("DELETE", "/Answers/")]
    {
        let mut answers = Vec::new();
        for (_, server) in twins.each() {
            let answer = server.send(method, path, &[JSON], "{}").await.expect(405);
            answers
                .push((answer.json()["title"].clone(), answer.header("allow").map(str::to_owned)));
        }
        assert_eq!(answers[0], answers[1], "{method} {path}");
    }
    twins.rust.stderr.wait_for("about to fail");
    let motto = twins.rust.get("/Motto/").await.expect(200);
    assert_eq!(motto.json(), "every dog has its day");
}

#[tokio::test]
async fn changes_of_one_record_at_the_same_time_all_count() {
    const CALLS: usize = 50;
    let twins = Twins::serve();
    for (language, server) in twins.each() {
        server.put("/Dog/rex", r#"{"name":"Rex","age":0}"#).await.expect(204);
        let calls = (0..CALLS).map(|_| server.send("POST", "/Birthday/rex", &[], ""));
        let answers = futures_util::future::join_all(calls).await;
        let mut ages: Vec<i64> = answers
            .into_iter()
            .map(|answer| answer.expect(200).json()["age"].as_i64().unwrap())
            .collect();
        ages.sort_unstable();
        assert_eq!(ages, (1..=CALLS as i64).collect::<Vec<_>>(), "{language}");
    }
}

#[test]
fn the_twins_have_one_schema() {
    let twin = include_str!("../../../examples/rust-guest/typescript/schema.graphql");
    assert_eq!(super::SCHEMA.1, twin);
}
