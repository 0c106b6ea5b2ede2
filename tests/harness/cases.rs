//! Tables of requests and what they must answer.

use serde_json::Value;

use super::Server;
use super::client::JSON;

/// Method, path, body (empty: none), status, JSON of the answer (null: none).
pub type Case<'c> = (&'c str, &'c str, &'c str, u16, Value);

/// Sends each in turn and compares what comes back; all differences are told at once. An answer that
/// is a problem object is compared by its `title`.
pub async fn check(server: &Server, cases: &[Case<'_>]) {
    let mut wrong = Vec::new();
    for (method, path, body, status, expected) in cases {
        let headers: &[_] = if body.is_empty() { &[] } else { &[JSON] };
        let answer = server.send(method, path, headers, body).await;
        let shown = match answer.body.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        };
        let shown = match shown.get("title") {
            Some(title) if answer.status >= 400 => title.clone(),
            _ => shown,
        };
        if answer.status != *status || shown != *expected {
            wrong.push(format!(
                "{method} {path} {body}\n  expected {status} {expected}\n  answered {} {shown}",
                answer.status
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The class of the test applications that runs a search from code: `POST /Probe/` with
/// `{table, query}` answers the rows.
pub const PROBE: (&str, &str) = (
    "resources/probe.ts",
    "import { Resource, databases, tables } from 'harperdb';
export class Probe extends Resource {
  async post(data: any) {
    const table = (data.database ? databases[data.database] : tables)[data.table];
    const found = table.search(data.query);
    if (data.query.explain) return found;
    const rows = [];
    for await (const row of found) rows.push(row);
    return rows;
  }
}
",
);

pub const CONFIG: (&str, &str) = (
    "config.yaml",
    "rest: true\ngraphqlSchema: { files: '*.graphql' }\njsResource: { files: 'resources/*.ts' }\n",
);
