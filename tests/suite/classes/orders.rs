//! Both modes, both argument orders, static and instance methods, `super` (section 3).

use serde_json::{Value, json};

use super::{ask, check, serve};

fn told(data: Value, id: &str, own: Option<&str>) -> Value {
    json!({"data": data, "target": true, "id": id, "q": "1", "own": own})
}

#[tokio::test]
async fn arguments_come_in_the_order_that_the_class_expects() {
    let (_app, server) = serve(include_str!("orders.ts")).await;
    let body = json!({"n": 1});
    let mut rows = Vec::new();
    for (paths, methods) in [
        (
            ["/DataFirst/5?q=1", "/TargetFirst/5?q=1"],
            &["PUT", "PATCH", "POST", "GET", "DELETE"][..],
        ),
        (["/ByName/5?q=1", "/ByName/5?q=1"], &["POST", "PUT", "PATCH"][..]),
    ] {
        for path in paths {
            for &method in methods {
                let has_body = !matches!(method, "GET" | "DELETE");
                let text = if has_body { r#"{"n":1}"# } else { "" };
                let data = if has_body { body.clone() } else { Value::Null };
                rows.push((method, path, text, 200, told(data, "5", Some("5"))));
            }
        }
    }
    rows.push(("POST", "/Flagged/5?q=1", r#"{"n":1}"#, 200, told(body.clone(), "5", Some("5"))));
    let mut get = told(Value::Null, "5", None);
    get["method"] = json!("GET");
    rows.push(("GET", "/Statics/5?q=1", "", 200, get));
    let mut post = told(body.clone(), "5", None);
    post["promise"] = json!(true);
    post["user"] = json!("local");
    rows.push(("POST", "/Statics/5?q=1", r#"{"n":1}"#, 200, post));
    rows.push(("PUT", "/Statics/5?q=1", r#"{"n":1}"#, 200, told(body, "5", None)));
    rows.push(("DELETE", "/Statics/5?q=1", "", 200, told(Value::Null, "5", None)));
    rows.push((
        "QUERY",
        "/DataFirst/",
        r#"{"n":1}"#,
        200,
        json!({"data": {"n": 1}, "target": true, "id": null, "q": null, "own": null}),
    ));
    rows.push((
        "QUERY",
        "/TargetFirst/",
        r#"{"n":1}"#,
        200,
        json!({"data": {"n": 1}, "target": true, "id": null, "q": null, "own": null}),
    ));
    check(&server, rows).await;
}

#[tokio::test]
async fn super_does_what_the_table_does() {
    let (_app, server) = serve(include_str!("orders.ts")).await;
    for (class, breed, put, shown) in [
        ("StaticDog", "static", Value::Null, json!({"wrapped": true})),
        ("BareDog", "bare", Value::Null, json!({})),
        ("PassingDog", "passing", json!({"written": "x"}), json!({"loud": "XENA"})),
        ("TargetDog", "target", Value::Null, json!({"mode": "target"})),
        ("NamedDog", "named", Value::Null, json!({})),
    ] {
        let one = format!("/{class}/x");
        let all = format!("/{class}/");
        let query = format!("/{class}/?name=Ann");
        let other = format!("/{class}/none");
        let mut record = json!({"id": "x", "name": "Xena", "breed": breed});
        for (name, value) in shown.as_object().unwrap() {
            record[name] = value.clone();
        }
        let mut patched = record.clone();
        patched["age"] = json!(9);
        let put_status = if put.is_null() { 204 } else { 200 };
        let ann = json!([{"id": "a", "name": "Ann", "age": 1, "breed": "Pug"}]);
        check(
            &server,
            vec![
                ("PUT", &one, r#"{"name":"Xena"}"#, put_status, put),
                ("GET", &one, "", 200, record),
                ("PATCH", &one, r#"{"age":9}"#, 204, Value::Null),
                ("GET", &one, "", 200, patched),
                ("GET", &query, "", 200, ann),
                ("GET", &other, "", 404, Value::Null),
                ("DELETE", &one, "", 200, json!(true)),
                ("GET", &one, "", 404, Value::Null),
            ],
        )
        .await;
        let created = ask(&server, "POST", &all, r#"{"name":"New"}"#).await;
        // In target mode the answer is the handler's own; an instance tells where the record is.
        let status = if class == "TargetDog" { 200 } else { 201 };
        assert_eq!(created.status, status, "{class}: {created:?}");
        assert_eq!(created.header("location").is_some(), status == 201, "{class}: {created:?}");
        let id = created.json().as_str().unwrap().to_owned();
        assert_eq!(server.get(&format!("/Dog/{id}")).await.expect(200).json()["name"], "New");
    }
}

#[tokio::test]
async fn instances_know_their_record() {
    let (_app, server) = serve(include_str!("orders.ts")).await;
    check(
        &server,
        vec![
            (
                "GET",
                "/LiveDog/a",
                "",
                200,
                json!({"id": "a", "name": "Ann", "age": 1, "breed": "Pug", "extra": 2}),
            ),
            (
                "GET",
                "/Self/a?x=1",
                "",
                200,
                json!({
                "id": "a", "name": "Ann", "user": "local", "method": "GET",
                "url": "/Self/a?x=1", "exists": true, "updated": "number"}),
            ),
            ("GET", "/Dog/a", "", 200, json!({"id": "a", "name": "Ann", "age": 1, "breed": "Pug"})),
            ("GET", "/PostOnly/", "", 404, Value::Null),
        ],
    )
    .await;
    let refused = ask(&server, "POST", "/GetOnly/", "{}").await.expect(405);
    let title = refused.json()["title"].as_str().unwrap().to_owned();
    assert!(title.starts_with("The GetOnly does not have a post method implemented"), "{title}");
    let allow = refused.header("allow").unwrap();
    assert!(allow.contains("GET") && !allow.contains("PUT"), "{allow}");
}
