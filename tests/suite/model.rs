//! Random changes by several clients until the server is killed, again and again: after each restart
//! records, queries by indexes, joins and computed attributes, both sides of transactions, sums, blobs,
//! another database and the history are what a model says.
//!
//! Some kills by default; `KORA_MODEL_KILLS=1000` goes on for long, `KORA_MODEL_MINUTES=60` for so long.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

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
type Visit @table(database: \"other\") @export { id: ID @primaryKey n: Int @indexed }
type Left @table @export { id: ID @primaryKey n: Int }
type Right @table @export { id: ID @primaryKey n: Int @indexed }
type Sum @table @export { id: ID @primaryKey n: Int }
type Document @table @export { id: ID @primaryKey contentType: String data: Blob }
",
);

/// `POST /Both/` writes two tables in one transaction, `POST /Add/` counts in a record that all clients
/// share, `POST /Told/` answers the history of items after a time; times are texts, which lose nothing
/// on their way through JSON.
const CLASSES: (&str, &str) = (
    "resources/classes.ts",
    "import { Resource, tables } from 'harperdb';
export class Both extends Resource {
  static loadAsInstance = false;
  async post(_: any, record: any) {
    await tables.Left.put(record);
    await tables.Right.put(record);
  }
}
export class Add extends Resource {
  static loadAsInstance = false;
  async post(_: any, { by }: any) {
    const sum = await tables.Sum.update('all');
    sum.addTo('n', by);
  }
}
export class Told extends Resource {
  static loadAsInstance = false;
  async post(_: any, { after }: any) {
    const told = [];
    for await (const { type, id, value, version } of tables.Item.getHistory(Number(after))) {
      // The start is included.
      if (version > Number(after)) told.push([type, id, value?.n, String(version)]);
    }
    return told;
  }
}
",
);

const CLIENTS: usize = 3;
const OWNERS: usize = 3;
/// How many items, and how many of each other kind, a client has.
const OWN: usize = 12;

/// Records by their paths; documents by their content.
type Rows = BTreeMap<String, Value>;

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % sides
    }
}

/// What becomes of one record, `None` if it is deleted.
type Effect = (String, Option<Value>);

/// A request, and what becomes of records if it is carried out: of all of them, or of none.
struct Change {
    method: &'static str,
    path: String,
    content_type: &'static str,
    body: String,
    effects: Vec<Effect>,
    /// What it adds to the sum of all clients.
    adds: i64,
}

/// Nobody else writes the records of a client.
struct Client {
    number: usize,
    dice: Dice,
    rows: Rows,
    /// How many changes of an item were acknowledged since the history was last looked at.
    told: BTreeMap<String, usize>,
    /// Items whose last change shows in the history alone, if it was done.
    unsure: Vec<String>,
    sum: i64,
    /// The last write: nobody was told whether it was done.
    pending: Option<Change>,
}

impl Client {
    fn new(number: usize) -> Client {
        let dice = Dice(number as u64 + 1);
        let (rows, told) = Default::default();
        Client { number, dice, rows, told, unsure: Vec::new(), sum: 0, pending: None }
    }

    fn small(&mut self) -> i64 {
        self.dice.below(8) as i64 - 2
    }

    fn item(&mut self, id: &str) -> Value {
        let tags = (0..self.dice.below(3)).map(|_| ["a", "b", "c"][self.dice.below(3)]);
        let tags: Vec<_> = tags.collect();
        let owner = format!("o{}", self.dice.below(OWNERS + 1));
        json!({"id": id, "n": self.small(), "tags": tags, "ownerId": owner})
    }

    fn change(&mut self) -> Change {
        let id = format!("{}-{}", self.number, self.dice.below(OWN));
        let path = |table: &str| format!("/{table}/{id}");
        let json = "application/json";
        let change = |method, path, body: Value, effects| {
            let body = if body.is_null() { String::new() } else { body.to_string() };
            Change { method, path, content_type: json, body, effects, adds: 0 }
        };
        let n = self.small();
        match self.dice.below(14) {
            0 | 1 => {
                let table = ["Item", "Item", "Visit", "Document"][self.dice.below(4)];
                change("DELETE", path(table), Value::Null, vec![(path(table), None)])
            }
            2 | 3 => {
                let mut record =
                    self.rows.get(&path("Item")).cloned().unwrap_or_else(|| json!({"id": id}));
                record["n"] = json!(n);
                let effects = vec![(path("Item"), Some(record))];
                change("PATCH", path("Item"), json!({"n": n}), effects)
            }
            4 => {
                let ids = (0..OWN).map(|item| format!("{}-{item}", self.number));
                let ids: Vec<_> = ids.collect();
                let some = ids.iter().filter(|_| self.dice.below(3) == 0);
                let some: Vec<_> = some.collect();
                let mut records: Vec<Value> = some.into_iter().map(|id| self.item(id)).collect();
                if records.is_empty() {
                    records.push(self.item(&id));
                }
                let effect = |record: &Value| {
                    let id = record["id"].as_str().unwrap();
                    (format!("/Item/{id}"), Some(record.clone()))
                };
                let effects = records.iter().map(effect).collect();
                change("PUT", "/Item/".to_owned(), json!(records), effects)
            }
            5 => {
                let record = json!({"id": id, "n": n});
                let effects =
                    [path("Left"), path("Right")].map(|path| (path, Some(record.clone())));
                change("POST", "/Both/".to_owned(), record, effects.into())
            }
            6 => {
                let effects = Vec::new();
                Change { adds: n, ..change("POST", "/Add/".to_owned(), json!({"by": n}), effects) }
            }
            7 => {
                let record = json!({"id": id, "n": n});
                change("PUT", path("Visit"), record.clone(), vec![(path("Visit"), Some(record))])
            }
            8 => {
                // Some are files beside the database, some not.
                let content = format!("{n}").repeat(1000 * (1 + self.dice.below(20)));
                let effects = vec![(path("Document"), Some(json!(content)))];
                let content_type = "image/png";
                let body = content;
                Change { content_type, body, ..change("PUT", path("Document"), json!(0), effects) }
            }
            _ => {
                let record = self.item(&id);
                change("PUT", path("Item"), record.clone(), vec![(path("Item"), Some(record))])
            }
        }
    }

    fn set(&mut self, change: Change) {
        self.sum += change.adds;
        for (path, record) in change.effects {
            let is_told = record.is_some() || self.rows.contains_key(&path);
            if path.starts_with("/Item/") && is_told {
                *self.told.entry(path.clone()).or_default() += 1;
            }
            match record {
                Some(record) => drop(self.rows.insert(path, record)),
                None => drop(self.rows.remove(&path)),
            }
        }
    }

    /// Writes until nobody answers.
    async fn work(mut self, server: Arc<Server>, count: Arc<AtomicUsize>) -> Client {
        loop {
            let change = self.change();
            let Change { method, path, content_type, body, .. } = &change;
            let headers = [("content-type", *content_type)];
            let headers: &[_] = if body.is_empty() { &[] } else { &headers };
            match server.try_send(method, path, headers, body).await {
                Ok(answer) => {
                    assert!(answer.status < 300, "{method} {path} {body}: {answer:?}");
                    self.set(change);
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => {
                    self.pending = Some(change);
                    return self;
                }
            }
        }
    }

    /// Looks up what became of the last write: all of it or nothing. Sums are looked at by all together.
    async fn settle(&mut self, server: &Server) {
        let Some(change) = self.pending.take_if(|change| change.adds == 0) else { return };
        let mut found = Vec::new();
        for (path, _) in &change.effects {
            found.push(fetched(server, path).await);
        }
        let before: Vec<_> =
            change.effects.iter().map(|(path, _)| self.rows.get(path).cloned()).collect();
        let after: Vec<_> = change.effects.iter().map(|(_, record)| record.clone()).collect();
        assert!(found == before || found == after, "{found:?}: {before:?} or {after:?}");
        if before == after {
            self.unsure.extend(change.effects.into_iter().map(|(path, _)| path));
        } else if found == after {
            self.set(change);
        }
    }
}

/// A record, or the content of a document.
async fn fetched(server: &Server, path: &str) -> Option<Value> {
    let answer = server.get(path).await;
    match answer.status {
        200 if path.starts_with("/Document/") => Some(json!(answer.body)),
        200 => Some(answer.json()),
        404 => None,
        _ => panic!("{path}: {answer:?}"),
    }
}

/// Queries, and what they must answer.
fn questions(rows: &Rows) -> Vec<(String, Value)> {
    let of = |table: &str| {
        let prefix = format!("/{table}/");
        let rows = rows.iter().filter(|(path, _)| path.starts_with(&prefix));
        rows.map(|(_, row)| row).collect::<Vec<_>>()
    };
    let items = of("Item");
    let mut questions: Vec<(String, Value)> = Vec::new();
    let question = |query: String, keep: &dyn Fn(&Value) -> bool| {
        let ids: Vec<_> = items.iter().filter(|row| keep(row)).map(|row| &row["id"]).collect();
        (format!("/Item/?{query}&select(id)&sort(id)"), json!(ids))
    };
    let n = |row: &Value| row["n"].as_i64().unwrap();
    let has = |row: &Value, tag: &str| {
        row["tags"].as_array().is_some_and(|tags| tags.contains(&json!(tag)))
    };
    for value in -2..6 {
        questions.push(question(format!("n={value}"), &|row| n(row) == value));
        questions.push(question(format!("n=ge={value}"), &|row| n(row) >= value));
        questions.push(question(format!("double=gt={value}"), &|row| n(row) * 2 > value));
        questions
            .push(question(format!("n=lt={value}|tags=a"), &|row| n(row) < value || has(row, "a")));
        let range = format!("n=gt={value}&n=le={}&tags=b", value + 3);
        questions
            .push(question(range, &|row| n(row) > value && n(row) <= value + 3 && has(row, "b")));
        let groups = format!("(n={value}|tags=c)&(n=ne=0|ownerId=o1)");
        questions.push(question(groups, &|row| {
            (n(row) == value || has(row, "c")) && (n(row) != 0 || row["ownerId"] == "o1")
        }));
        let visits = of("Visit").into_iter().filter(|row| n(row) == value);
        let visits: Vec<_> = visits.collect();
        questions.push((format!("/Visit/?n={value}&sort(id)"), json!(visits)));
    }
    for tag in ["a", "b", "c"] {
        questions.push(question(format!("tags={tag}"), &|row| has(row, tag)));
    }
    for owner in 0..OWNERS {
        let id = json!(format!("o{owner}"));
        questions.push(question(format!("owner.name=name{owner}"), &|row| row["ownerId"] == id));
        let items = items.iter().filter(|row| row["ownerId"] == id);
        let items: Vec<_> = items.map(|row| json!({"id": row["id"]})).collect();
        let path = format!("/Owner/o{owner}?select(items{{id}})");
        questions.push((path, json!({"items": items})));
    }
    let mut ordered: Vec<_> = items.iter().map(|row| (n(row), row["id"].clone())).collect();
    ordered.sort_by(|a, b| (b.0, b.1.as_str()).cmp(&(a.0, a.1.as_str())));
    let ordered: Vec<_> = ordered.into_iter().map(|(_, id)| id).collect();
    questions.push(("/Item/?sort(-n)&select(id)".to_owned(), json!(ordered)));
    let page: Vec<_> = ordered.iter().skip(3).take(5).collect();
    questions.push(("/Item/?sort(-n)&select(id)&limit(3,8)".to_owned(), json!(page)));
    for table in ["Item", "Visit", "Left", "Right"] {
        questions.push((format!("/{table}/"), json!(of(table))));
    }
    questions
}

async fn compare(server: &Server, rows: &Rows, round: usize) {
    let mut wrong = Vec::new();
    for (path, expected) in questions(rows) {
        let answer = server.get(&path).await;
        if answer.status != 200 || answer.json() != expected {
            wrong.push(format!("{path}: {} {}, not {expected}", answer.status, answer.body));
        }
    }
    for (path, content) in rows.iter().filter(|(path, _)| path.starts_with("/Document/")) {
        if fetched(server, path).await.as_ref() != Some(content) {
            wrong.push(format!("{path} is not what was put"));
        }
    }
    assert!(wrong.is_empty(), "round {round}\n{}", wrong.join("\n"));
}

/// Every change of an item after `time` is told once, and the last one is its state. Answers the time
/// of the last one.
async fn compare_history(server: &Server, clients: &mut [Client], time: Value) -> Value {
    let mut told: BTreeMap<String, (usize, Value)> = BTreeMap::new();
    let after = json!({"after": time}).to_string();
    let entries = server.send("POST", "/Told/", &[JSON], &after).await.expect(200).json();
    let entries = entries.as_array().unwrap();
    for entry in entries {
        let path = format!("/Item/{}", entry[1].as_str().unwrap());
        let last = if entry[0] == "delete" { Value::Null } else { entry[2].clone() };
        let (count, state) = told.entry(path).or_default();
        (*count, *state) = (*count + 1, last);
    }
    let mut expected = BTreeMap::new();
    for client in clients.iter_mut() {
        for (path, count) in std::mem::take(&mut client.told) {
            let state = client.rows.get(&path).map(|row| row["n"].clone()).unwrap_or_default();
            expected.insert(path, (count, state));
        }
    }
    for path in clients.iter_mut().flat_map(|client| client.unsure.drain(..)) {
        let known = expected.get(&path).map_or(0, |(count, _): &(usize, Value)| *count);
        match told.get_mut(&path) {
            Some((count, _)) if known == 0 && *count == 1 => drop(told.remove(&path)),
            Some((count, _)) if *count == known + 1 => *count = known,
            Some(_) | None => {}
        }
    }
    assert_eq!(told, expected);
    entries.last().map_or(time, |last| last[3].clone())
}

/// All that were acknowledged are in it, and of those that nobody knows of any.
async fn compare_sum(server: &Server, clients: &mut [Client]) {
    let found = server.get("/Sum/all").await.expect(200).json()["n"].as_i64().unwrap();
    let sum: i64 = clients.iter().map(|client| client.sum).sum();
    let unknown: Vec<i64> =
        clients.iter_mut().filter_map(|client| Some(client.pending.take()?.adds)).collect();
    let possible = (0..1 << unknown.len()).map(|some: usize| {
        let added = unknown.iter().enumerate().filter(|(at, _)| some & 1 << at != 0);
        sum + added.map(|(_, by)| by).sum::<i64>()
    });
    assert!(possible.into_iter().any(|sum| sum == found), "{found}: {sum} and some of {unknown:?}");
    clients[0].sum += found - sum;
}

/// The files of blobs in use, and of none else.
async fn compare_files(app: &App, rows: &Rows) {
    let contents = rows.iter().filter(|(path, _)| path.starts_with("/Document/"));
    let files = contents.filter(|(_, content)| content.as_str().unwrap().len() > 4096).count();
    let deadline = Instant::now() + Duration::from_secs(20);
    while count_files(&app.data().join("data/blobs")) != files {
        assert!(Instant::now() < deadline, "not {files} files of blobs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(count_files(&app.data().join("staging")), 0);
}

fn count_files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { count_files(&entry.path()) } else { 1 }).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_every_kill_queries_find_what_a_model_finds() {
    let app = App::new(&[CONFIG, SCHEMA, CLASSES]);
    let mut clients: Vec<Client> = (0..CLIENTS).map(Client::new).collect();
    let mut moments = Dice(7);
    let minutes = Duration::from_secs(60 * rounds("KORA_MODEL_MINUTES", 0) as u64);
    let kills = if minutes.is_zero() { rounds("KORA_MODEL_KILLS", 4) } else { usize::MAX };
    let began = Instant::now();
    let mut time = json!("0");
    for round in 0..kills {
        if !minutes.is_zero() && began.elapsed() > minutes {
            println!("{round} kills");
            return;
        }
        let server = Arc::new(app.run());
        let owners: Vec<_> = (0..OWNERS)
            .map(|n| json!({"id": format!("o{n}"), "name": format!("name{n}")}))
            .collect();
        server.put("/Owner/", &json!(owners).to_string()).await.expect(200);
        if round == 0 {
            server.put("/Sum/all", r#"{"n":0}"#).await.expect(204);
        }
        let count = Arc::new(AtomicUsize::new(0));
        let working: Vec<_> = clients
            .drain(..)
            .map(|client| tokio::spawn(client.work(Arc::clone(&server), Arc::clone(&count))))
            .collect();
        let die_after = 40 + moments.below(120);
        while count.load(Ordering::Relaxed) < die_after {
            assert!(working.iter().all(|client| !client.is_finished()), "a client has ended");
            tokio::time::sleep(Duration::from_millis(1)).await;
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
        compare_sum(&server, &mut clients).await;
        compare(&server, &rows, round).await;
        time = compare_history(&server, &mut clients, time).await;
        compare_files(&app, &rows).await;
        server.kill();
    }
}
