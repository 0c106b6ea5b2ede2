//! `RequestTarget` (section 5).

use serde_json::json;

use super::{check, check_named, serve};

#[tokio::test]
async fn targets_show_and_change_what_is_asked() {
    let (_app, server) = serve(include_str!("targets.ts")).await;
    let equals = |name: &str, value: &str| json!({"attribute": name, "comparator": "equals", "value": value});
    check_named(
        &server,
        "/Targets/",
        vec![
            (
                "fields",
                json!(["a b", "/a%20b", "name=Ann&age=gt=1&select(name,age)&sort(-age)&limit(2,7)", true,
                    null, [equals("name", "Ann"),
                        {"attribute": "age", "comparator": "greater_than", "value": "1"}],
                    "and", ["name", "age"], {"attribute": "age", "descending": true}, 5, 2, null]),
            ),
            (
                "plain",
                json!([true, null, "x y", [["a", "1"], ["b", "x y"]],
                    [equals("a", "1"), equals("b", "x y")]]),
            ),
            (
                "or",
                json!(["or", [equals("a", "1"), {"operator": "and", "conditions": [
                    {"attribute": "b", "comparator": "contains", "value": "x"},
                    {"attribute": ["c", "d"], "comparator": "less_than", "value": "5"}]}]]),
            ),
            ("resource", json!([null, null, "", null])),
            ("prefix", json!(["a/", true])),
            (
                "mutated",
                json!(["/?name=Bob%20%26%20Co&select(name,age)&breed=Pug",
                    "name=Bob%20%26%20Co&select(name,age)&breed=Pug", "Bob & Co",
                    [equals("name", "Bob & Co"), equals("breed", "Pug")], ["name", "age"]]),
            ),
            (
                "mutatedParts",
                json!([[{"attribute": "age", "value": 1}, equals("breed", "Pug"),
                    equals("name", "Bob")], 5, "/?name=Bob&breed=Pug&limit(5)"]),
            ),
            ("searchText", json!(["Bob", "Cy"])),
            ("searchParts", json!(["Cy"])),
            ("searchReplaced", json!(["Cy", "Bob", "Ann"])),
            ("searchAppended", json!(["Bob"])),
            ("parseError", json!([400, 400])),
            ("checkPermission", json!([[403, "Unauthorized access to resource"], "Ann", "Ann"])),
            ("objects", json!([["Cy"], "Ann", "Ann", ["Ann"], ["Bob"]])),
        ],
    )
    .await;
}

#[tokio::test]
async fn urls_become_targets() {
    let (_app, server) = serve(include_str!("targets.ts")).await;
    let shown = |id, collection, url, search, conditions, limit| {
        json!({"id": id, "collection": collection, "url": url, "search": search,
            "conditions": conditions, "limit": limit, "property": null})
    };
    let none = json!(null);
    let x = json!([{"attribute": "x", "comparator": "equals", "value": "1"}]);
    let (yes, id) = (json!(true), |id: &str| json!(id));
    check(
        &server,
        vec![
            ("GET", "/Shown", "", 200, shown(&none, &none, "", "", &none, &none)),
            ("GET", "/Shown/", "", 200, shown(&none, &yes, "/", "", &none, &none)),
            ("GET", "/Shown?x=1", "", 200, shown(&none, &yes, "?x=1", "x=1", &x, &none)),
            ("GET", "/Shown/?x=1", "", 200, shown(&none, &yes, "/?x=1", "x=1", &x, &none)),
            ("GET", "/Shown/5", "", 200, shown(&id("5"), &none, "/5", "", &none, &none)),
            ("GET", "/Shown/a/b", "", 200, shown(&id("a/b"), &none, "/a/b", "", &none, &none)),
            ("GET", "/Shown/a/", "", 200, shown(&id("a/"), &yes, "/a/", "", &none, &none)),
            (
                "GET",
                "/Shown/5?limit(3)",
                "",
                200,
                shown(&id("5"), &none, "/5?limit(3)", "limit(3)", &none, &json!(3)),
            ),
            ("GET", "/Pugs/?breed=Pug&select(name)&sort(name)", "", 200, json!(["Bob", "Cy"])),
            (
                "GET",
                "/Pugs/a",
                "",
                200,
                json!({"id": "a", "name": "Ann", "age": 1, "breed": "Pug"}),
            ),
            ("GET", "/Pugs/a.name", "", 200, json!("Ann")),
        ],
    )
    .await;
}
