//! Computed attributes over HTTP and from classes (`spec/harper-schema.md` section 7).

use serde_json::json;

use crate::harness::cases::{CONFIG, PROBE, check};
use crate::harness::{App, Server};

fn schema(expression: &str) -> String {
    format!(
        "type Product @table @export {{
  id: ID @primaryKey
  name: String
  price: Float
  taxRate: Float
  tags: [String]
  totalPrice: Float @computed(from: \"{expression}\") @indexed
  label: String @computed(from: \"`${{name}} (${{tags.length}})`\") @enumerable
  words: [String] @computed(from: \"name.toLowerCase().split(' ')\") @indexed
  half: Float @computed(from: \"totalPrice / 2\")
  secret: String @computed
}}
"
    )
}

const CODE: (&str, &str) = (
    "resources/code.ts",
    "import { Resource, tables } from 'harperdb';
const { Product } = tables;
Product.setComputedAttribute('secret', (record: any) => record.name + '!');
export class Looks extends Resource {
  async get() {
    const product: any = await Product.get(this.getId());
    return { total: product.totalPrice, half: product.half, label: product.label, secret: product.secret };
  }
}
export class Unknown extends Resource {
  get() { Product.setComputedAttribute('name', () => 1); }
}
",
);

async fn shop(expression: &str) -> (App, Server) {
    let app = App::new(&[CONFIG, PROBE, CODE, ("schema.graphql", &schema(expression))]);
    let server = app.run();
    let products = json!([
        {"id": "1", "name": "Red Shoe", "price": 10, "taxRate": 0.5, "tags": ["a", "b"]},
        {"id": "2", "name": "Blue Shoe", "price": 20, "taxRate": 0.1, "tags": []},
        {"id": "3", "name": "Hat", "price": 7, "tags": ["c"]},
    ]);
    server.put("/Product/", &products.to_string()).await.expect(200);
    (app, server)
}

#[tokio::test]
async fn expressions_are_selected_searched_sorted_and_kept_in_step() {
    let (_app, server) = shop("price * (1 + taxRate)").await;
    let get = |path, expected| ("GET", path, "", 200, expected);
    let by_class = json!({"table": "Product", "query": {"conditions": [{"attribute": "totalPrice", "comparator": "gt", "value": 14}], "select": ["id", "totalPrice"]}}).to_string();
    check(
        &server,
        &[
            get("/Product/1", json!({"id": "1", "name": "Red Shoe", "price": 10, "taxRate": 0.5, "tags": ["a", "b"], "label": "Red Shoe (2)"})),
            get("/Product/1?select(totalPrice)", json!(15)),
            get("/Product/1.totalPrice", json!(15)),
            get("/Product/1?select(name,totalPrice,half)", json!({"name": "Red Shoe", "totalPrice": 15, "half": 7.5})),
            get("/Product/3?select(id,totalPrice)", json!({"id": "3", "totalPrice": null})),
            get("/Product/?totalPrice=15&select(id)", json!(["1"])),
            get("/Product/?totalPrice=gt=14&select(id)&sort(-totalPrice)", json!(["2", "1"])),
            get("/Product/?words=shoe&select(id)", json!(["1", "2"])),
            get("/Product/?half=7.5&select(id)", json!(["1"])),
            get("/Product/?label=sw=Hat&select(id,label)", json!([{"id": "3", "label": "Hat (1)"}])),
            get("/Product/?select(*)&limit(1)", json!([{"id": "1", "name": "Red Shoe", "price": 10, "taxRate": 0.5, "tags": ["a", "b"]}])),
            ("PATCH", "/Product/1", r#"{"price": 20}"#, 204, json!(null)),
            get("/Product/?totalPrice=15", json!([])),
            get("/Product/?totalPrice=30&select(id)", json!(["1"])),
            ("PATCH", "/Product/1", r#"{"totalPrice": 1}"#, 400, json!("Computed property totalPrice may not be directly assigned a value")),
            ("POST", "/Probe/", &by_class, 200, json!([{"id": "2", "totalPrice": 22}, {"id": "1", "totalPrice": 30}])),
            get("/Looks/1", json!({"total": 30, "half": 15, "label": "Red Shoe (2)", "secret": "Red Shoe!"})),
            ("GET", "/Unknown/", "", 400, json!("name is not a computed attribute of Product")),
            ("GET", "/Product/?secret=x", "", 400, json!("secret is computed by a function: it can be selected, not searched or sorted by")),
            ("DELETE", "/Product/1", "", 200, json!(true)),
            get("/Product/?totalPrice=30", json!([])),
        ],
    )
    .await;
}

#[tokio::test]
async fn another_expression_builds_its_index_anew() {
    let (app, server) = shop("price * 2").await;
    assert_eq!(
        server.get("/Product/?totalPrice=20&select(id)").await.expect(200).json(),
        json!(["1"])
    );
    drop(server);
    app.write("schema.graphql", &schema("price * 3"));
    let server = app.run();
    server.until("/Product/?totalPrice=30&select(id)", |answer| answer.status == 200).await;
    let cases = [
        ("GET", "/Product/?totalPrice=30&select(id)", "", 200, json!(["1"])),
        ("GET", "/Product/?totalPrice=20&select(id)", "", 200, json!([])),
    ];
    check(&server, &cases).await;
}

#[tokio::test]
async fn an_expression_that_is_not_understood_is_refused_with_its_place() {
    let app = App::new(&[CONFIG, ("schema.graphql", &schema("frob(price)"))]);
    let server = app.run();
    let answer = server.get("/Product/1").await.expect(500);
    assert!(answer.body.contains("frob() is not known"), "{}", answer.body);
    assert!(answer.body.contains("schema.graphql:7:"), "{}", answer.body);
}
