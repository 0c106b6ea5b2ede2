//! Every form of the query language, in URLs and as objects (`spec/harper-rest.md` sections 3 and 4,
//! `spec/harper-resources.md` section 6).

use serde_json::{Value, json};

use crate::harness::cases::{CONFIG, PROBE, check};
use crate::harness::client::JSON;
use crate::harness::{App, Server};

const SCHEMA: (&str, &str) = (
    "schema.graphql",
    "type Dog @table @export {
  id: ID @primaryKey
  name: String @indexed
  age: Int @indexed
  weight: Float
  good: Boolean
  born: Date @indexed
  tags: [String] @indexed
  big: BigInt
  any: Any @indexed
  home: Home
  lt: Int
}
type Home { city: String number: Int }
type Plain @table @export { id: ID @primaryKey price: Int }
",
);

/// Hands the query of its own URL on to the table.
const THROUGH: (&str, &str) = (
    "resources/through.ts",
    "import { RequestTarget, Resource, tables } from 'harperdb';
export class Through extends Resource {
  static loadAsInstance = false;
  get(target: any) {
    return tables.Dog.search(target);
  }
  post(_target: any, data: any) {
    return tables.Dog.search(new RequestTarget('/?' + data.query));
  }
}
",
);

async fn kennel() -> (App, Server) {
    let app = App::new(&[CONFIG, SCHEMA, PROBE, THROUGH]);
    let server = app.run();
    let dogs = json!([
        {"id": "1", "name": "Ace", "age": 3, "weight": 1.5, "good": true, "born": "2020-01-01", "tags": ["a", "b"], "any": 1, "home": {"city": "Oslo", "number": 1}},
        {"id": "2", "name": "Bo (x)", "age": 7, "weight": 20, "good": false, "born": "2021-01-01T12:00:00Z", "tags": ["b"], "any": "1", "home": {"city": "Rome", "number": 2}},
        {"id": "3", "name": "Cleo", "age": 5, "weight": 8, "good": true, "tags": [], "any": true, "big": 12345678901234567890u64},
        {"id": "4", "name": "Ace", "age": null, "any": null},
    ]);
    server.put("/Dog/", &dogs.to_string()).await.expect(200);
    server
        .put(
            "/Plain/",
            r#"[{"id":"a","price":50},{"id":"b","price":150},{"id":"a b","price":null}]"#,
        )
        .await
        .expect(200);
    (app, server)
}

#[tokio::test]
async fn urls_and_targets_handed_on() {
    let (_app, server) = kennel().await;
    let rows: &[(&str, Value)] = &[
        ("name=Ace", json!(["1", "4"])),
        ("name==Ace", json!(["1", "4"])),
        ("name===Ace", json!(["1", "4"])),
        ("name=eq=Ace", json!(["1", "4"])),
        ("name!=Ace", json!(["2", "3"])),
        ("name!==Ace", json!(["2", "3"])),
        ("name=ne=Ace", json!(["2", "3"])),
        ("name==A*", json!(["1", "4"])),
        ("name=sw=B", json!(["2"])),
        ("name=starts_with=B", json!(["2"])),
        ("name=ew=o", json!(["3"])),
        ("name=ct=le", json!(["3"])),
        ("name=not_contains=e", json!(["2"])),
        ("name=not_starts_with=A", json!(["2", "3"])),
        ("name=not_ends_with=e", json!(["2", "3"])),
        ("name=in=(Cleo,Ace)", json!(["1", "3", "4"])),
        ("name=includes=(Cleo)", json!(["3"])),
        ("name=not_in=(Cleo,Ace)", json!(["2"])),
        ("name=not_equal=Ace", json!(["2", "3"])),
        ("name=Bo%20%28x%29", json!(["2"])),
        ("[name=Bo (x)]", json!(["2"])),
        ("age<5", json!(["1"])),
        ("age<=5", json!(["1", "3"])),
        ("age>5", json!(["2"])),
        ("age>=5", json!(["2", "3"])),
        ("age=lt=5", json!(["1"])),
        ("age=le=5", json!(["1", "3"])),
        ("age=gt=5", json!(["2"])),
        ("age=ge=5", json!(["2", "3"])),
        ("age=greaterThan=5", json!(["2"])),
        ("age=greater_than_equal=5", json!(["2", "3"])),
        ("age=between=(3,5)", json!(["1", "3"])),
        ("age=not_between=(3,5)", json!(["2", "4"])),
        ("age=ge=3&=lt=7", json!(["1", "3"])),
        ("age=ge=3&age=lt=7", json!(["1", "3"])),
        ("age==null", json!(["4"])),
        ("age!=null", json!(["1", "2", "3"])),
        ("age==number:5", json!(["3"])),
        ("age==number:$5", json!(["3"])),
        ("good=true", json!(["1", "3"])),
        ("good==boolean:false", json!(["2"])),
        ("born=gt=2020-06-01", json!(["2"])),
        ("born==date:2021-01-01T12%3A00%3A00.000Z", json!(["2"])),
        ("born==date:1577836800000", json!(["1"])),
        ("weight=gt=1.4&weight=lt=9", json!(["1", "3"])),
        ("big=12345678901234567890", json!(["3"])),
        ("tags=b", json!(["1", "2"])),
        ("tags[]=a", json!(["1"])),
        ("tags=in=(a,b)", json!(["1", "2"])),
        ("any==1", json!(["1"])),
        ("any=1", json!(["2"])),
        ("any==string:1", json!(["2"])),
        ("any==true", json!(["3"])),
        ("home.city=Rome", json!(["2"])),
        ("home.number=ge=1", json!(["1", "2"])),
        ("name=Ace&age=3", json!(["1"])),
        ("name=Cleo|age=3", json!(["1", "3"])),
        ("name=Cleo|age=3|tags=b", json!(["1", "2", "3"])),
        ("good=true&(age=3|age=7)", json!(["1"])),
        ("(name=Ace&age=3)|(name=Cleo&age=5)", json!(["1", "3"])),
        ("[name=Ace|[age=5|age=7]]&good=true", json!(["1", "3"])),
        ("limit(2)", json!(["1", "2"])),
        ("limit(1,3)", json!(["2", "3"])),
        ("name=Ace&limit(1)", json!(["1"])),
        ("id=ge=2&id=lt=4", json!(["2", "3"])),
        // Wildcards and empty values.
        ("name==*", json!(["1", "2", "3", "4"])),
        ("name=eq=Cl*", json!(["3"])),
        ("name==*Ace*", json!([])),
        ("name=A*", json!([])),
        ("name=", json!([])),
        ("age=", json!(["4"])),
        ("age=null", json!(["4"])),
        // What a value is taken for.
        ("any===number:1", json!([])),
        ("any==number:1", json!(["1"])),
        ("any==boolean:true", json!(["3"])),
        ("any==boolean:yes", json!([])),
        ("any==null", json!(["4"])),
        ("name==string:Bo%20%28x%29", json!(["2"])),
        ("name==Bo+%28x%29", json!([])),
        ("born=2020-01-01", json!(["1"])),
        ("born==2020-01-01T00%3A00%3A00", json!(["1"])),
        ("born=1577836800000", json!(["1"])),
        ("born=lt=date:2021-01-01", json!(["1"])),
        // Names: a dot that is encoded is no path, encoded letters are letters.
        ("n%61me=Cleo", json!(["3"])),
        ("home.c%69ty=Rome", json!(["2"])),
        // Nulls: any value but one, missing attributes, too.
        ("big!=5", json!(["1", "2", "3", "4"])),
        ("born!=null", json!(["1", "2"])),
        ("age=le=5", json!(["1", "3"])),
        // Arrays match by any element, a record once.
        ("tags=sw=a|tags=sw=b", json!(["1", "2"])),
        ("tags=ge=a", json!(["1", "2"])),
        ("tags=ct=b", json!(["1", "2"])),
    ];
    let mut wrong = Vec::new();
    for (query, expected) in rows {
        let query = query.replace(' ', "%20");
        for path in ["Dog", "Through"] {
            let path = format!("/{path}/?{query}&select(id)&sort(id)");
            // `<` and `>` are not allowed in a URL: HTTP's parser refuses them before anyone else.
            let answer = if query.contains(['<', '>']) {
                let body = json!({"query": format!("{query}&select(id)&sort(id)")}).to_string();
                server.send("POST", "/Through/", &[JSON], &body).await
            } else {
                server.get(&path).await
            };
            if answer.status != 200 || answer.json() != *expected {
                wrong.push(format!("{path}: {} {}", answer.status, answer.body));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    let get = |path, expected| ("GET", path, "", 200, expected);
    check(
        &server,
        &[
            // Nothing but pairs: a form, in which + is a space.
            get("/Plain/?id=a+b", json!([{"id": "a b", "price": null}])),
            get("/Plain/?price=gt=100&lt=200&select(id)", json!(["b"])),
            get("/Dog/?sort(-age)&select(age)", json!([7, 5, 3, null])),
            get(
                "/Dog/?sort(name,-age)&select([name,age])",
                json!([["Ace", 3], ["Ace", null], ["Bo (x)", 7], ["Cleo", 5]]),
            ),
            get("/Dog/?sort(+name)&limit(1,2)&select(name)", json!(["Ace"])),
            get("/Dog/?good=true&sort(home.number)&select(id)", json!(["3", "1"])),
            get("/Dog/?name=Cleo&select(id,)", json!([{"id": "3"}])),
            get("/Dog/?name=Cleo&select(id,age)", json!([{"id": "3", "age": 5}])),
            get("/Dog/?age=7&select(home{city})", json!([{"home": {"city": "Rome"}}])),
            get("/Dog/?age=7&select(id,home[select(city)])", json!([{"id": "2", "home": "Rome"}])),
            get("/Dog/1?select(name)", json!("Ace")),
            get("/Dog/1?select($id,name)", json!({"$id": "1", "name": "Ace"})),
            get("/Dog/1.name", json!("Ace")),
            get("/Dog/1.home", json!({"city": "Oslo", "number": 1})),
            ("GET", "/Dog/3.home", "", 404, json!(null)),
            get("/Dog/?select(name,)&limit(1)", json!([{"name": "Ace"}])),
            get("/Dog/?age=7&select([id,home{[number,city]}])", json!([["2", [2, "Rome"]]])),
            get(
                "/Dog/?age=7&select(home{city},$id)",
                json!([{"home": {"city": "Rome"}, "$id": "2"}]),
            ),
            get("/Dog/4?select(*)", json!({"id": "4", "name": "Ace", "age": null, "any": null})),
            get(
                "/Dog/4?select($record)",
                json!({"id": "4", "name": "Ace", "age": null, "any": null}),
            ),
            get("/Dog/4?select(id,$expiresAt,nothing)", json!({"id": "4"})),
            get("/Dog/?id=4&select([id,nothing])", json!([["4", null]])),
            // By an index, in its order; of one value, by the key; nulls are before everything.
            get("/Dog/?age=ge=3&select(age)", json!([3, 5, 7])),
            get("/Dog/?name=Ace&select(id)", json!(["1", "4"])),
            get(
                "/Dog/?sort(any)&select([id,any])",
                json!([["4", null], ["3", true], ["1", 1], ["2", "1"]]),
            ),
            // Calls stand anywhere and are no conditions.
            get("/Dog/?select(id)&limit(1)&name=Ace&sort(-age)", json!(["1"])),
            get("/Dog/?name=Cleo|limit(3)|age=3&select(id)&sort(id)", json!(["1", "3"])),
            get("/Dog/?limit(0)", json!([])),
            get("/Dog/?limit(1,1)", json!([])),
            get("/Dog/?limit(3,9)&select(id)", json!(["4"])),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_place() {
    let (_app, server) = kennel().await;
    let mut wrong = Vec::new();
    for (query, status, part) in [
        ("nose=1", 404, "nose is not a defined attribute"),
        ("sort(weight)", 404, "weight is not indexed and not combined with any other conditions"),
        ("age=old", 400, "Invalid value for attribute age: \"old\", expecting Int"),
        (
            "name=a&age=1|age=2",
            400,
            "Can not mix operators within a condition grouping at position 12",
        ),
        ("(name=a", 400, "expected ')' at position 7"),
        ("[name=a", 400, "expected ']' at position 7"),
        ("name=a)", 400, "unexpected token ')' at position 6"),
        ("name(", 400, "unknown query function call name"),
        ("group-by(name)", 400, "group-by is not implemented"),
        ("name==*a*b", 400, "wildcard can only be used at the end of a string"),
        ("name=like=a", 400, "Unknown query comparator \"like\""),
        ("name==what:1", 400, "Unknown type what"),
        ("age=in=5", 400, "\"in\" comparator requires an array value"),
        ("age=gt=1&=gt=2", 400, "Invalid chained condition"),
        ("name.=1", 400, "attribute must be specified"),
        ("=1", 400, "attribute must be specified"),
        ("limit(a)", 400, "limit expects"),
        ("name&(age=1)", 400, "no attribute comparison"),
        ("limit(1,2,3)", 400, "limit expects"),
        ("select(name", 400, "expected ')'"),
        ("age==old", 400, "Invalid value for attribute age"),
        ("born=gt=soon", 400, "Invalid value for attribute born"),
        (
            "good==boolean:true&age=between=(1)",
            400,
            "\"between\" comparator requires an array of two values",
        ),
        ("age=gt=1&=lt=5&=lt=3", 400, "chained conditions"),
        ("a%2Eb==1", 404, "a.b is not a defined attribute"),
        ("sort(nose)", 404, "nose is not"),
        ("name==date:soon", 400, "date"),
        ("age==number:many", 400, "number"),
    ] {
        for path in ["Dog", "Through"] {
            let answer = server.get(&format!("/{path}/?{query}")).await;
            if answer.status != status || !answer.body.contains(&part.replace('"', "\\\"")) {
                wrong.push(format!("{path} {query}: {} {}", answer.status, answer.body));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn objects_from_code_and_by_query() {
    let (_app, server) = kennel().await;
    let one = |comparator: &str, attribute: &str, value: Value| json!({"conditions": [{"attribute": attribute, "comparator": comparator, "value": value}]});
    let negated = |comparator: &str, value: Value| json!({"conditions": [{"attribute": "age", "comparator": comparator, "value": value, "negated": true}]});
    let rows = [
        (json!({"conditions": [["name", "Ace"]]}), json!(["1", "4"])),
        (json!({"conditions": {"attribute": "name", "value": "Ace"}}), json!(["1", "4"])),
        (
            json!({"conditions": [{"search_attribute": "name", "search_type": "equals", "search_value": "Ace"}]}),
            json!(["1", "4"]),
        ),
        (one("equal", "age", json!(5)), json!(["3"])),
        (one("not_equals", "name", json!("Ace")), json!(["2", "3"])),
        (one("less_than", "age", json!(5)), json!(["1"])),
        (one("less_than_equal", "age", json!("5")), json!(["1", "3"])),
        (one("greater_than", "age", json!(5)), json!(["2"])),
        (one("greaterThanEqual", "age", json!(5)), json!(["2", "3"])),
        (one("contains", "name", json!("le")), json!(["3"])),
        (one("endsWith", "name", json!("o")), json!(["3"])),
        (one("between", "age", json!([3, 5])), json!(["1", "3"])),
        (one("gele", "age", json!([3, 5])), json!(["1", "3"])),
        (one("gelt", "age", json!([3, 5])), json!(["1"])),
        (one("gtle", "age", json!([3, 5])), json!(["3"])),
        (one("gtlt", "age", json!([3, 7])), json!(["3"])),
        (one("in", "age", json!([3, 7])), json!(["1", "2"])),
        (one("not_in", "age", json!([3, 7])), json!(["3", "4"])),
        (one("equals", "age", json!(null)), json!(["4"])),
        (negated("in", json!([3, 7])), json!(["3", "4"])),
        (negated("between", json!([3, 5])), json!(["2", "4"])),
        (negated("equals", json!(3)), json!(["2", "3", "4"])),
        (
            json!({"operator": "or", "conditions": [["age", 3], {"operator": "and", "conditions": [["name", "Ace"], ["age", null]]}]}),
            json!(["1", "4"]),
        ),
        (json!({"conditions": [{"attribute": ["home", "city"], "value": "Rome"}]}), json!(["2"])),
        (
            json!({"conditions": [{"attribute": "born", "comparator": "gt", "value": "2020-06-01"}]}),
            json!(["2"]),
        ),
        (
            json!({"conditions": [["extra", 1]], "allowConditionsOnDynamicAttributes": true}),
            json!([]),
        ),
        (json!({"limit": 2, "offset": 1}), json!(["2", "3"])),
        (
            json!({"conditions": [["name", "Ace"], ["age", 3]], "enforceExecutionOrder": true}),
            json!(["1"]),
        ),
    ];
    for (query, expected) in rows {
        let mut query = query;
        query["select"] = json!("id");
        query["sort"] = json!({"attribute": "id"});
        let by_class = json!({"table": "Dog", "query": query}).to_string();
        let by_method = query.to_string();
        let cases = [
            ("POST", "/Probe/", &*by_class, 200, expected.clone()),
            ("QUERY", "/Dog/", &*by_method, 200, expected),
        ];
        check(&server, &cases).await;
    }
    let refused = [
        (
            json!({"conditions": [["weight", 1]], "allowFullScan": false}),
            404,
            "\"weight\" is not indexed, can not search for this attribute",
        ),
        (
            json!({"conditions": [{"attribute": "name", "comparator": "contains", "value": "a"}], "allowFullScan": false}),
            403,
            "The condition on \"name\" needs a full table scan, which is not allowed",
        ),
        (
            json!({"conditions": [{"attribute": "name", "comparator": "like", "value": "a"}]}),
            400,
            "Unknown query comparator \"like\"",
        ),
        (
            json!({"conditions": [{"attribute": "age", "comparator": "gt", "negated": true, "value": 1}]}),
            400,
            "The comparator \"gt\" can not be negated",
        ),
        (
            json!({"conditions": [{"attribute": "age", "comparator": "gele", "value": 1}]}),
            400,
            "\"gele\" comparator requires an array of two values",
        ),
        (json!({"operator": "xor"}), 400, "The operator of a query must be 'and' or 'or'"),
        (json!({"conditions": [["nose", 1]]}), 404, "nose is not a defined attribute"),
    ];
    for (query, status, message) in refused {
        let by_class = json!({"table": "Dog", "query": query}).to_string();
        let by_method = query.to_string();
        let cases = [
            ("POST", "/Probe/", &*by_class, status, json!(message)),
            ("QUERY", "/Dog/", &*by_method, status, json!(message)),
        ];
        check(&server, &cases).await;
    }
}

#[tokio::test]
async fn plans_are_explained() {
    let (_app, server) = kennel().await;
    let plans = [
        (json!({"conditions": [["name", "Ace"]]}), "the index of name"),
        (json!({"conditions": [["id", "1"], ["name", "Ace"]]}), "the primary key"),
        (json!({"conditions": [["name", "Ace"], ["age", 7], ["weight", 1]]}), "the index of age"),
        (
            json!({"operator": "or", "conditions": [["name", "Ace"], ["age", 7]]}),
            "the index of name, then the index of age",
        ),
        (json!({"operator": "or", "conditions": [["name", "Ace"], ["weight", 7]]}), "all records"),
        (json!({"sort": {"attribute": "age"}, "limit": 1}), "the index of age"),
        (json!({"conditions": [["weight", 1]]}), "all records"),
    ];
    for (mut query, access) in plans {
        query["explain"] = json!(true);
        let plan = server.send("QUERY", "/Dog/", &[JSON], &query.to_string()).await;
        let plan = plan.expect(200).json();
        assert_eq!(plan["access"], access, "{query} {plan}");
        let body = json!({"table": "Dog", "query": query}).to_string();
        let from_code = server.send("POST", "/Probe/", &[JSON], &body).await;
        assert_eq!(from_code.expect(200).json(), plan);
    }
}
