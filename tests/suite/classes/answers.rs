//! Return values and thrown errors (section 10).

use serde_json::{Value, json};

use super::{ask, check, check_named, serve};

#[tokio::test]
async fn returned_values() {
    let (_app, server) = serve(include_str!("answers.ts")).await;
    let ann = json!({"id": "a", "name": "Ann", "age": 1, "breed": "Pug"});
    check_named(
        &server,
        "/Answers/",
        vec![
            ("string", json!("text")),
            ("empty", json!("")),
            ("number", json!(5.5)),
            ("zero", json!(0)),
            ("false", json!(false)),
            ("array", json!([1, null, null, "x"])),
            ("object", json!({"a": 1, "nested": {"b": [true]}, "nan": null})),
            ("dates", json!({"at": "1970-01-01T00:00:00.000Z", "never": null, "big": 123})),
            ("getter", json!({"shown": "by a getter"})),
            ("toJSON", json!({"as": "json"})),
            ("instance", json!({"x": 1})),
            ("set", json!([1, 2])),
            ("generator", json!([1, {"two": 2}])),
            ("asyncGenerator", json!((0..300).collect::<Vec<_>>())),
            ("searched", json!([ann])),
            ("mapped", json!(["a"])),
            ("statusAndData", json!({"status": 201, "data": {"a": 1}})),
            ("record", ann),
        ],
    )
    .await;
    assert_eq!(server.get("/Answers/big").await.expect(200).body, "18446744073709551616");
    let mut rows = Vec::new();
    for name in ["/Answers/undefined", "/Answers/null", "/Answers/promised"] {
        rows.push(("GET", name, "", 404, Value::Null));
        for method in ["PUT", "POST"] {
            rows.push((method, name, "{}", 204, Value::Null));
        }
        rows.push(("DELETE", name, "", 204, Value::Null));
    }
    rows.push(("POST", "/Answers/false", "{}", 200, json!(false)));
    rows.push(("PUT", "/Answers/generator", "{}", 200, json!([1, {"two": 2}])));
    rows.push(("HEAD", "/Answers/string", "", 200, Value::Null));
    check(&server, rows).await;
}

#[tokio::test]
async fn responses_of_one_s_own() {
    let (_app, server) = serve(include_str!("answers.ts")).await;
    let json_type = "application/json";
    for (name, status, content_type, header, body) in [
        ("withData", 202, json_type, Some(("x-a", "1")), r#"{"a":1}"#),
        ("withBody", 203, "text/x", None, "raw"),
        ("withBytes", 200, "text/y", None, "bytes"),
        ("withNothing", 302, "", Some(("location", "/elsewhere")), ""),
        ("response", 206, "text/plain;charset=UTF-8", Some(("x-made", "yes")), "made"),
        ("responseJson", 200, json_type, None, r#"{"a":1}"#),
        ("responseEmpty", 204, "", None, ""),
        ("responseStream", 200, "", None, "in parts"),
        ("bytes", 200, "application/octet-stream", None, "bytes"),
        ("buffer", 200, "application/octet-stream", None, "bytes"),
        ("blob", 200, "text/plain", None, "blob"),
        ("typed", 200, "image/svg+xml", None, "<svg/>"),
        ("typedBytes", 200, "image/x", None, "bytes"),
        ("status", 299, json_type, None, r#""with a status""#),
    ] {
        let answer = server.get(&format!("/Answers/{name}")).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{name}: {answer:?}");
        assert_eq!(answer.header("content-type").unwrap_or(""), content_type, "{name}");
        if let Some((header, value)) = header {
            assert_eq!(answer.header(header), Some(value), "{name}");
        }
    }
    let asked = [("x-asked", "this")];
    let headers = server.send("GET", "/Answers/headers", &asked, "").await.expect(200);
    assert_eq!((headers.json(), headers.header("x-set")), (json!("this"), Some("1")));
    for name in ["headers", "cookies", "responseCookies"] {
        let answer = server.send("GET", &format!("/Answers/{name}"), &asked, "").await.expect(200);
        let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1", "b=2"], "{name}");
    }
}

#[tokio::test]
async fn created_records_and_entity_tags() {
    let (_app, server) = serve(include_str!("answers.ts")).await;
    let made = ask(&server, "POST", "/Maker/", r#"{"id":"new","name":"New"}"#).await.expect(201);
    assert_eq!((made.json(), made.header("location")), (json!("new"), Some("new")));
    let put = ask(&server, "PUT", "/Maker/7", "{}").await.expect(201);
    assert_eq!((put.json(), put.header("location")), (json!("made"), Some("7/made")));

    let record = server.get("/Answers/record").await.expect(200);
    let tag = record.header("etag").expect("the tag of the record").to_owned();
    assert_eq!(server.get("/Dog/a").await.header("etag"), Some(tag.as_str()));
    let known = [("if-none-match", tag.as_str())];
    server.send("GET", "/Answers/record", &known, "").await.expect(304);
    server.put("/Dog/a", r#"{"name":"Changed"}"#).await.expect(204);
    server.send("GET", "/Answers/record", &known, "").await.expect(200);
    assert_eq!(server.get("/Answers/object").await.header("etag"), None);
}

#[tokio::test]
async fn thrown_errors() {
    let (_app, server) = serve(include_str!("answers.ts")).await;
    for (name, status, title) in [
        ("thrown", 500, "just an error"),
        ("rejected", 500, "later"),
        ("teapot", 418, "short and stout"),
        ("notFound", 404, "no such thing"),
        ("coded", 422, "own code"),
        ("thrownObject", 403, "an object"),
        ("thrownString", 500, "a string"),
        ("thrownNothing", 500, ""),
        ("strangeStatus", 500, "strange"),
        ("badHeader", 500, ""),
        ("badStatus", 500, ""),
    ] {
        for method in ["GET", "POST"] {
            let path = format!("/Answers/{name}");
            let answer = ask(&server, method, &path, if method == "GET" { "" } else { "{}" }).await;
            assert_eq!(answer.status, status, "{name}: {answer:?}");
            let problem = answer.json();
            assert!(problem["title"].as_str().unwrap().contains(title), "{name}: {problem}");
            assert_eq!(problem["status"], status, "{name}");
            assert_eq!(problem["instance"], path, "{name}");
        }
    }
    assert_eq!(server.get("/Answers/coded").await.json()["code"], "OWN");
    assert_eq!(server.get("/Answers/teapot").await.json()["type"], "error:Teapot");
    // The head is sent before the failure is known: the failure is the last element.
    let late = server.get("/Answers/lateItem").await.expect(200);
    assert!(late.body.contains("in the middle"), "{late:?}");
}
