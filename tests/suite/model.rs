//! Random changes by several clients until the server is killed, again and again: after each restart
//! queries by indexes, joins and computed attributes find what a model of the records finds.
//!
//! Some kills by default; `KORA_MODEL_KILLS=1000` goes on for long.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::harness::cases::CONFIG;
use crate::harness::client::JSON;
use crate::harness::{App, Server, rounds};

const SCHEMA: (&str, &str) = (
    "schema.graphql",
    "type Item @table @export {
  id: ID @primaryKey
  n: Int @indexed
  tags: [String] @indexed
  ownerId: ID @indexed
  owner: Owner @relationship(from: ownerId)
  double: Int @computed(from: \"n * 2\") @indexed
}
type Owner @table @export {
  id: ID @primaryKey
  name: String @indexed
  items: [Item] @relationship(to: ownerId)
}
",
);

const CLIENTS: usize = 3;
const OWNERS: usize = 3;

/// Records by their ids.
type Rows = BTreeMap<String, Value>;

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % sides
    }
}

/// Nobody else writes the records of a client.
struct Client {
    number: usize,
    dice: Dice,
    rows: Rows,
    /// What the last write would make of a record: nobody was told whether it was done.
    pending: Option<(String, Option<Value>)>,
}

impl Client {
    fn new(number: usize) -> Client {
        Client { number, dice: Dice(number as u64 + 1), rows: Rows::new(), pending: None }
    }

    /// Method, body, and what becomes of the record.
    fn change(&mut self, id: &str) -> (&'static str, String, Option<Value>) {
        let n = self.dice.below(8) as i64 - 2;
        match self.dice.below(6) {
            0 => ("DELETE", String::new(), None),
            1 => {
                let mut record = self.rows.get(id).cloned().unwrap_or_else(|| json!({"id": id}));
                record["n"] = json!(n);
                ("PATCH", json!({"n": n}).to_string(), Some(record))
            }
            _ => {
                let tags = (0..self.dice.below(3)).map(|_| ["a", "b", "c"][self.dice.below(3)]);
                let tags: Vec<_> = tags.collect();
                let owner = format!("o{}", self.dice.below(OWNERS + 1));
                let record = json!({"id": id, "n": n, "tags": tags, "ownerId": owner});
                ("PUT", record.to_string(), Some(record))
            }
        }
    }

    fn set(&mut self, id: String, record: Option<Value>) {
        match record {
            Some(record) => drop(self.rows.insert(id, record)),
            None => drop(self.rows.remove(&id)),
        }
    }

    /// Writes until nobody answers.
    async fn work(mut self, server: Arc<Server>, count: Arc<AtomicUsize>) -> Client {
        loop {
            let id = format!("{}-{}", self.number, self.dice.below(12));
            let (method, body, after) = self.change(&id);
            let headers: &[_] = if body.is_empty() { &[] } else { &[JSON] };
            match server.try_send(method, &format!("/Item/{id}"), headers, &body).await {
                Ok(answer) => {
                    assert!(answer.status < 300, "{method} {id} {body}: {answer:?}");
                    self.set(id, after);
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => {
                    self.pending = Some((id, after));
                    return self;
                }
            }
        }
    }

    /// Looks up what became of the last write: all of it or nothing.
    async fn settle(&mut self, server: &Server) {
        let Some((id, after)) = self.pending.take() else { return };
        let answer = server.get(&format!("/Item/{id}")).await;
        let found = (answer.status == 200).then(|| answer.json());
        let before = self.rows.get(&id).cloned();
        assert!(found == before || found == after, "{found:?}: {before:?} or {after:?}");
        self.set(id, found);
    }
}

async fn compare(server: &Server, rows: &Rows, round: usize) {
    let mut wrong = Vec::new();
    let mut questions: Vec<(String, Value)> = Vec::new();
    let question = |query: String, keep: &dyn Fn(&Value) -> bool| {
        let ids: Vec<_> = rows.values().filter(|row| keep(row)).map(|row| &row["id"]).collect();
        (format!("/Item/?{query}&select(id)&sort(id)"), json!(ids))
    };
    let n = |row: &Value| row["n"].as_i64().unwrap();
    for value in -2..6 {
        questions.push(question(format!("n={value}"), &|row| n(row) == value));
        questions.push(question(format!("n=ge={value}"), &|row| n(row) >= value));
        questions.push(question(format!("double=gt={value}"), &|row| n(row) * 2 > value));
        questions.push(question(format!("n=lt={value}|tags=a"), &|row| {
            n(row) < value || row["tags"].as_array().is_some_and(|tags| tags.contains(&json!("a")))
        }));
    }
    for tag in ["a", "b", "c"] {
        questions.push(question(format!("tags={tag}"), &|row| {
            row["tags"].as_array().is_some_and(|tags| tags.contains(&json!(tag)))
        }));
    }
    for owner in 0..OWNERS {
        let id = json!(format!("o{owner}"));
        questions.push(question(format!("owner.name=name{owner}"), &|row| row["ownerId"] == id));
        let items = rows.values().filter(|row| row["ownerId"] == id);
        let items: Vec<_> = items.map(|row| json!({"id": row["id"]})).collect();
        let path = format!("/Owner/o{owner}?select(items{{id}})");
        questions.push((path, json!({"items": items})));
    }
    let mut ordered: Vec<_> = rows.values().map(|row| (n(row), row["id"].clone())).collect();
    ordered.sort_by(|a, b| (b.0, b.1.as_str()).cmp(&(a.0, a.1.as_str())));
    let ordered: Vec<_> = ordered.into_iter().map(|(_, id)| id).collect();
    questions.push(("/Item/?sort(-n)&select(id)".to_owned(), json!(ordered)));
    let all: Vec<_> = rows.values().collect();
    questions.push(("/Item/".to_owned(), json!(all)));
    for (path, expected) in questions {
        let answer = server.get(&path).await;
        if answer.status != 200 || answer.json() != expected {
            wrong.push(format!("{path}: {} {}, not {expected}", answer.status, answer.body));
        }
    }
    assert!(wrong.is_empty(), "round {round}\n{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_every_kill_queries_find_what_a_model_finds() {
    let app = App::new(&[CONFIG, SCHEMA]);
    let mut clients: Vec<Client> = (0..CLIENTS).map(Client::new).collect();
    let mut moments = Dice(7);
    for round in 0..rounds("KORA_MODEL_KILLS", 4) {
        let server = Arc::new(app.run());
        let owners: Vec<_> = (0..OWNERS)
            .map(|n| json!({"id": format!("o{n}"), "name": format!("name{n}")}))
            .collect();
        server.put("/Owner/", &json!(owners).to_string()).await.expect(200);
        let count = Arc::new(AtomicUsize::new(0));
        let working: Vec<_> = clients
            .drain(..)
            .map(|client| tokio::spawn(client.work(Arc::clone(&server), Arc::clone(&count))))
            .collect();
        let die_after = 40 + moments.below(120);
        while count.load(Ordering::Relaxed) < die_after {
            tokio::task::yield_now().await;
        }
        server.kill_now();
        for client in working {
            clients.push(client.await.unwrap());
        }
        drop(server);
        let server = app.run();
        let mut rows = Rows::new();
        for client in &mut clients {
            client.settle(&server).await;
            rows.extend(client.rows.clone());
        }
        compare(&server, &rows, round).await;
        server.kill();
    }
}
