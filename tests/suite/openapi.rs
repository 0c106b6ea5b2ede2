//! `/openapi` (`spec/harper-rest.md` section 11.1).

use std::collections::HashSet;

use serde_json::Value;

use crate::harness::App;

fn app() -> App {
    App::new(&[
        (
            "config.yaml",
            "rest: true\ngraphqlSchema: { files: schema.graphql }\njsResource: { files: resources.js }\n",
        ),
        (
            "schema.graphql",
            "\"\"\"What is kept\"\"\"\ntype TableName @table @export {\n  id: ID @primaryKey\n  \"how it is called\"\n  name: String!\n  inner: Int @hidden\n  count: Int\n  at: Date\n  \
             home: Home\n  tags: [String]\n}\ntype Home {\n  city: String\n}\n\
             type Key @table @export(name: \"api/keys\") {\n  code: Int @primaryKey\n}\n\
             type Unseen @table @export @hidden {\n  id: ID @primaryKey\n}\n\
             type Private @table {\n  id: ID @primaryKey\n}\n",
        ),
        (
            "resources.js",
            "export class Greeting extends Resource {\n  static description = 'Says hello';\n  \
             static properties = { text: { type: 'string' } };\n  \
             static outputSchemas = { get: { type: 'object', properties: { text: { type: 'string' } } } };\n  \
             get() { return { text: 'hello' }; }\n}\n\
             export class Secret extends Resource { static hidden = true; get() {} }\n",
        ),
    ])
}

#[tokio::test]
async fn the_document_names_what_is_exported() {
    let app = app();
    let server = app.run();
    let answer = server.get("/openapi").await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document = answer.json();
    assert_eq!(document["openapi"], "3.0.3");
    assert_eq!(document["info"]["title"], "Kora HTTP REST interface");
    assert_eq!(document["servers"][0]["url"], server.url(""));
    let paths = document["paths"].as_object().unwrap();
    for (path, methods) in [
        ("/TableName/", "delete get options post"),
        ("/TableName/{id}", "delete get options patch put"),
        ("/TableName/{id}.{property}", "get"),
        ("/api/keys/{code}", "delete get options patch put"),
        ("/Greeting/", "description get options"),
    ] {
        let item = paths.get(path).unwrap_or_else(|| panic!("{path} in {document}"));
        let mut found: Vec<&str> = item.as_object().unwrap().keys().map(String::as_str).collect();
        found.sort_unstable();
        let wanted: Vec<&str> = methods.split(' ').collect();
        for wanted in &wanted {
            assert!(found.contains(wanted), "{path}: {found:?}");
        }
    }
    assert!(
        !paths
            .keys()
            .any(|path| ["Secret", "Private", "Unseen"].iter().any(|name| path.contains(name)))
    );
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["TableName"]["required"], serde_json::json!(["name"]));
    assert_eq!(schemas["TableName"]["properties"]["count"]["type"], "integer");
    assert_eq!(paths["/TableName/"]["description"], "What is kept");
    assert_eq!(schemas["TableName"]["properties"]["name"]["description"], "how it is called");
    assert!(schemas["TableName"]["properties"].get("inner").is_none());
    assert_eq!(schemas["TableName"]["properties"]["home"]["$ref"], "#/components/schemas/Home");
    assert_eq!(schemas["Greeting"]["properties"]["text"]["type"], "string");
    let answer = &paths["/Greeting/"]["get"]["responses"]["200"]["content"]["application/json"];
    assert_eq!(answer["schema"]["properties"]["text"]["type"], "string");
    let query: Vec<&str> = paths["/TableName/"]["get"]["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|parameter| parameter["name"].as_str().unwrap())
        .collect();
    assert_eq!(query, ["id", "name", "count", "at", "home", "tags"]);
    for scheme in ["basicAuth", "bearerAuth"] {
        assert_eq!(document["components"]["securitySchemes"][scheme]["type"], "http");
    }
    server.send("POST", "/openapi", &[], "").await.expect(404);
}

/// The rules of the OpenAPI 3.0.3 specification that a generator can break.
#[tokio::test]
async fn the_document_follows_the_rules_of_openapi() {
    let app = app();
    let server = app.run();
    let document = server.get("/openapi").await.expect(200).json();
    let known: HashSet<String> = document["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
        .map(|name| {
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)), "{name}");
            format!("#/components/schemas/{name}")
        })
        .collect();
    check_references(&document, &known);
    const METHODS: [&str; 8] =
        ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
    for (path, item) in document["paths"].as_object().unwrap() {
        assert!(path.starts_with('/'), "{path}");
        let in_template: HashSet<&str> =
            path.split('{').skip(1).map(|part| part.split('}').next().unwrap()).collect();
        for (method, operation) in item.as_object().unwrap() {
            if method == "description" || method == "summary" {
                continue;
            }
            assert!(METHODS.contains(&method.as_str()), "{path} {method}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(!responses.is_empty(), "{path} {method}");
            for (status, response) in responses {
                assert!(status.len() == 3 && status.parse::<u16>().is_ok(), "{status}");
                assert!(response["description"].is_string(), "{path} {method} {status}");
                if let Some(content) = response.get("content") {
                    assert!(content.as_object().unwrap().keys().all(|name| name.contains('/')));
                }
            }
            let mut seen = HashSet::new();
            let mut in_path = HashSet::new();
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let (name, place) =
                    (parameter["name"].as_str().unwrap(), parameter["in"].as_str().unwrap());
                assert!(seen.insert((name, place)), "{path} {method}: {name} twice");
                assert!(parameter["schema"].is_object(), "{path} {method} {name}");
                if place == "path" {
                    assert_eq!(parameter["required"], true, "{path} {method} {name}");
                    in_path.insert(name);
                }
            }
            assert_eq!(in_path, in_template, "{path} {method}");
            if let Some(body) = operation.get("requestBody") {
                assert!(!body["content"].as_object().unwrap().is_empty(), "{path} {method}");
            }
        }
    }
}

fn check_references(value: &Value, known: &HashSet<String>) {
    match value {
        Value::Object(object) => {
            if let Some(reference) = object.get("$ref") {
                assert!(known.contains(reference.as_str().unwrap()), "{reference}");
            }
            object.values().for_each(|value| check_references(value, known));
        }
        Value::Array(items) => items.iter().for_each(|item| check_references(item, known)),
        _ => {}
    }
}
