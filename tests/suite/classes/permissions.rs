//! `allowRead` and its siblings (section 11). Requests over loopback come from a super user, so what
//! is seen here is what a class itself refuses.

use serde_json::{Value, json};

use super::{check, serve};

const MODULE: &str = r#"
import { Resource, tables } from "harperdb";
const asked: unknown[] = [];
const note = (name: string) => (user: any, what: any, context: any) => {
  asked.push([name, user?.username, typeof what, what?.id ?? null, context?.method]);
  return true;
};
class Verbs extends Resource {
  get() { return "read" }
  put() { return "put" }
  patch() { return "patch" }
  post() { return "post" }
  delete() { return "deleted" }
}
export class NoRead extends Verbs { allowRead() { return false } }
export class NoUpdate extends Verbs { async allowUpdate() { return false } }
export class NoCreate extends Verbs { allowCreate() { return Promise.resolve(null) } }
export class NoDelete extends Verbs { allowDelete() { return 0 } }
export class Closed extends tables.Dog {
  allowRead() { return false }
  allowCreate() { return false }
  async get(query) { return super.get(query) }
}
export class Throws extends Verbs {
  allowRead() { throw Object.assign(new Error("pay first"), { statusCode: 402 }) }
}
export class Public extends Verbs {
  static loadAsInstance = false;
  allowRead() { return false }
}
export class Noted extends Verbs {}
for (const name of ["allowRead", "allowUpdate", "allowCreate", "allowDelete"]) {
  Noted.prototype[name] = note(name);
}
export const Asked = { get: () => asked.splice(0) };
/** A check of the first class only: what it calls is not asked again. */
export class Inner extends Resource {
  allowRead() { return true }
  get() { return Closed.get("a") }
}
"#;

#[tokio::test]
async fn classes_refuse_what_they_do_not_allow() {
    let (_app, server) = serve(MODULE).await;
    for (class, refused) in [
        ("NoRead", vec!["GET"]),
        ("NoUpdate", vec!["PUT", "PATCH"]),
        ("NoCreate", vec!["POST"]),
        ("NoDelete", vec!["DELETE"]),
        ("Public", vec![]),
    ] {
        for method in ["GET", "PUT", "PATCH", "POST", "DELETE"] {
            let body = if matches!(method, "GET" | "DELETE") { "" } else { "{}" };
            let answer = super::ask(&server, method, &format!("/{class}/1"), body).await;
            let status = if refused.contains(&method) { 403 } else { 200 };
            assert_eq!(answer.status, status, "{class} {method} {answer:?}");
        }
    }
    let ann = json!({"id": "a", "name": "Ann", "age": 1, "breed": "Pug"});
    check(&server, vec![("GET", "/Inner/1", "", 200, ann)]).await;
    server.get("/Closed/a").await.expect(403);
    server.get("/Closed/").await.expect(403);
    server.put("/Closed/new", r#"{"name":"New"}"#).await.expect(403);
    server.put("/Closed/a", r#"{"name":"Ann"}"#).await.expect(204);
    server.get("/Throws/1").await.expect(402);
    check(
        &server,
        vec![
            ("GET", "/Noted/1", "", 200, json!("read")),
            ("PUT", "/Noted/1", "{}", 200, json!("put")),
            ("POST", "/Noted/1", "{}", 200, json!("post")),
            ("DELETE", "/Noted/1", "", 200, json!("deleted")),
            (
                "GET",
                "/Asked",
                "",
                200,
                json!([
                    ["allowRead", "local", "object", "1", "GET"],
                    ["allowUpdate", "local", "object", null, "PUT"],
                    ["allowCreate", "local", "object", null, "POST"],
                    ["allowDelete", "local", "object", "1", "DELETE"],
                ]),
            ),
            ("GET", "/Asked", "", 200, Value::Array(Vec::new())),
        ],
    )
    .await;
}
