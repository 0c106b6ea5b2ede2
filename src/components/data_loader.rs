//! `dataLoader`: records in YAML and JSON files, written into tables on every load
//! (`spec/harper-components.md` section 2.4).
//!
//! A file says what a table shall have at least; what people did since stays. For each record that a
//! file brought, a table of the host keeps a hash of what the file said and the version that was
//! written. A record of a file is
//! - left out while its hash is the one that is kept, also if it was deleted since;
//! - patched if the hash has changed and the record is still at the version that was written;
//! - left alone if somebody wrote to the record, or made it;
//! - written if there is neither a hash nor a record.
//!
//! What can't be loaded is told with file and line and keeps nothing else from loading. A load that
//! is cut off goes on where it was with the next one.

use std::io;
use std::path::Path;
use std::sync::Arc;

use kora_resource::schema::{self, TableSchema};
use kora_resource::value::{Format, json, yaml};
use kora_resource::{Error, Id, Map, Result, Value, Version};
use kora_store::{Store, Table};
use sha2::{Digest, Sha256};

use super::application::run_blocking;
use crate::config::file_set::FileSet;

/// The table of hashes, under Harper's name.
const HASHES: &str = "type Hash @table(database: \"system\", table: \"hdb_dataloader_hash\") { \
                      id: ID @primaryKey hash: String version: Float }";

/// How many records are committed together.
const BATCH: usize = 1000;

/// Loads all files of an application; what went wrong, each with file and line.
pub(super) async fn load(files: FileSet, directory: &Path, store: &Arc<Store>) -> Vec<String> {
    let mut problems = Vec::new();
    let folder = directory.to_owned();
    let listed = match run_blocking(move || files.list(&folder)).await {
        Ok(listed) => listed,
        Err(error) => return vec![format!("{}: dataLoader: {error}", directory.display())],
    };
    if listed.is_empty() {
        return problems;
    }
    let hashes = match make_table(store, HASHES).await {
        Ok(hashes) => hashes,
        Err(error) => return vec![format!("dataLoader: {}", error.message)],
    };
    for file in listed {
        let shown = file.path.display();
        let read = {
            let path = file.path.clone();
            run_blocking(move || std::fs::read_to_string(path)).await
        };
        match read.map_err(unreadable).and_then(|text| DataFile::parse(&file.path, &text)) {
            Ok(data) => {
                let mut loading = Loading { data: &data, hashes: &hashes, problems: Vec::new() };
                if let Err(error) = loading.run(store).await {
                    problems.push(format!("{shown}:1: {}", error.message));
                }
                let found = loading.problems.into_iter();
                problems.extend(found.map(|(line, message)| format!("{shown}:{line}: {message}")));
            }
            Err((line, message)) => problems.push(format!("{shown}:{line}: {message}")),
        }
    }
    problems
}

fn unreadable(error: io::Error) -> (usize, String) {
    (1, format!("can't be read: {error}"))
}

/// What one file says.
#[derive(Debug)]
struct DataFile {
    database: String,
    table: String,
    records: Vec<Value>,
    /// Where each record begins, from 1; perhaps fewer than records.
    lines: Vec<usize>,
}

impl DataFile {
    /// The error is a line and a message.
    fn parse(path: &Path, text: &str) -> Result<DataFile, (usize, String)> {
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        let format = if is_json { Format::Json } else { Format::Yaml };
        let line_of_error = match format {
            Format::Json => json::parse(text.as_bytes()).err().map(|error| error.line),
            _ => yaml::parse(text).err().map(|error| error.line),
        };
        let document = format
            .decode(text.as_bytes())
            .map_err(|error| (line_of_error.unwrap_or(1), error.to_string()))?;
        let wrong = |message: &str| (1, format!("expected {message}"));
        let mut document = document
            .into_object()
            .ok_or_else(|| wrong("`table:` and `records:`, and perhaps `database:`"))?;
        let database = match document.shift_remove("database") {
            None | Some(Value::Null) => "data".to_owned(),
            Some(Value::String(name)) => name,
            Some(_) => return Err(wrong("the name of a database in `database`")),
        };
        let Some(Value::String(table)) = document.shift_remove("table") else {
            return Err(wrong("the name of a table in `table`"));
        };
        let Some(Value::Array(records)) = document.shift_remove("records") else {
            return Err(wrong("a list of records in `records`"));
        };
        Ok(DataFile { database, table, records, lines: yaml::item_lines(text, "records") })
    }

    fn line(&self, index: usize) -> usize {
        self.lines.get(index).copied().unwrap_or(1)
    }
}

/// One file on its way into its table.
struct Loading<'a> {
    data: &'a DataFile,
    hashes: &'a Arc<Table>,
    /// Lines and messages.
    problems: Vec<(usize, String)>,
}

/// What is to be done with one record.
enum Step {
    Nothing,
    Put(Map),
    Patch(Map),
    /// It is as the file says already: only the hash is missing.
    Adopt(Version),
}

impl Loading<'_> {
    async fn run(&mut self, store: &Arc<Store>) -> Result<()> {
        let table = self.table(store).await?;
        let indexes: Vec<usize> = (0..self.data.records.len()).collect();
        for batch in indexes.chunks(BATCH) {
            self.load_batch(store, &table, batch).await?;
        }
        Ok(())
    }

    /// The table, made with the key `id` if no schema has declared it.
    async fn table(&self, store: &Arc<Store>) -> Result<Arc<Table>> {
        let DataFile { database, table, .. } = self.data;
        if let Some(known) = store.table(database, table) {
            return Ok(known);
        }
        let quoted = |text: &str| {
            let mut out = Vec::new();
            json::write_string(text, &mut out);
            String::from_utf8_lossy(&out).into_owned()
        };
        let declaration = format!(
            "type Loaded @table(database: {}, table: {}) {{ id: ID @primaryKey }}",
            quoted(database),
            quoted(table)
        );
        make_table(store, &declaration).await
    }

    async fn load_batch(
        &mut self,
        store: &Arc<Store>,
        table: &Arc<Table>,
        batch: &[usize],
    ) -> Result<()> {
        let mut records = store.transaction();
        let mut written: Vec<(Id, String)> = Vec::new();
        let mut adopted: Vec<(Id, String, Version)> = Vec::new();
        for index in batch {
            let prepared = self.prepare(table, *index).and_then(|(key, hash, id, step)| {
                match step {
                    Step::Nothing => {}
                    Step::Put(record) => {
                        records.put(table, id, record)?;
                        written.push((key, hash));
                    }
                    Step::Patch(changes) => {
                        records.patch(table, id, changes)?;
                        written.push((key, hash));
                    }
                    Step::Adopt(version) => adopted.push((key, hash, version)),
                }
                Ok(())
            });
            if let Err(error) = prepared {
                let message = format!("{}: {}", self.data.table, error.message);
                self.problems.push((self.data.line(*index), message));
            }
        }
        let committed = records.commit().await?;
        let version = committed.version.unwrap_or_default();
        adopted.extend(written.into_iter().map(|(key, hash)| (key, hash, version)));
        let mut kept = store.transaction();
        for (key, hash, version) in adopted {
            let entry = Map::from_iter([
                ("hash".to_owned(), Value::String(hash)),
                ("version".to_owned(), Value::number(version.0)),
            ]);
            kept.put(self.hashes, key, entry)?;
        }
        kept.commit().await?;
        Ok(())
    }

    /// The key and the hash that are kept for a record, its id, and what is to be done.
    fn prepare(&self, table: &Arc<Table>, index: usize) -> Result<(Id, String, Id, Step)> {
        let Some(record) = self.data.records[index].as_object() else {
            return Err(Error::invalid("A record must be an object"));
        };
        let schema = table.schema();
        let id = record.get(&schema.primary_key).filter(|id| !id.is_null()).ok_or_else(|| {
            let key = &schema.primary_key;
            Error::invalid(format!("Property {key} is required: it is the primary key"))
        })?;
        let key = self.key(id);
        let id = self.id(&schema, id)?;
        let hash = hash_of(&Value::Object(record.clone()));
        let known = self.hashes.get(&key)?.map(|entry| entry.to_map()).transpose()?;
        let current = table.get(&id)?;
        let step = match (known, current) {
            (Some(known), _) if known.get("hash") == Some(&Value::String(hash.clone())) => {
                Step::Nothing
            }
            (Some(known), Some(current)) => {
                let written = known.get("version").and_then(Value::as_f64);
                match written == Some(current.version().0) {
                    true => Step::Patch(record.clone()),
                    false => Step::Nothing,
                }
            }
            // Deleted by somebody.
            (Some(_), None) => Step::Nothing,
            (None, Some(current)) => {
                let present = current.to_map()?;
                let is_same = record.iter().all(|(name, value)| present.get(name) == Some(value));
                if is_same { Step::Adopt(current.version()) } else { Step::Nothing }
            }
            (None, None) => Step::Put(record.clone()),
        };
        Ok((key, hash, id, step))
    }

    fn id(&self, schema: &TableSchema, id: &Value) -> Result<Id> {
        match id {
            // A key that YAML reads as a number may be declared as a text.
            Value::Int(n) => schema.coerce_id(&n.to_string()),
            id => Id::from_value(id)
                .ok_or_else(|| Error::invalid("The primary key must be a string or a number")),
        }
    }

    /// Under which the hash of a record is kept. Hashed itself, since keys have a limit.
    fn key(&self, id: &Value) -> Id {
        let DataFile { database, table, .. } = self.data;
        let name = [Value::from(database.as_str()), Value::from(table.as_str()), id.clone()];
        Id::String(hash_of(&Value::Array(name.into())))
    }
}

/// A hash of a value's JSON, in hexadecimal.
fn hash_of(value: &Value) -> String {
    let mut text = Vec::new();
    json::write(value, &mut text);
    Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes the one table that `declaration` declares, or finds it.
async fn make_table(store: &Arc<Store>, declaration: &str) -> Result<Arc<Table>> {
    let parsed = schema::parse(declaration, Path::new("dataLoader"))
        .map_err(|error| Error::invalid(error.to_string()))?;
    let store = store.clone();
    let made = run_blocking(move || store.apply(&parsed.tables)).await;
    let tables = made.map_err(|error| Error::invalid(error.to_string()))?;
    tables.into_iter().next().ok_or_else(|| Error::internal("no table was made"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, text: &str) -> Result<DataFile, (usize, String)> {
        DataFile::parse(Path::new(name), text)
    }

    #[test]
    fn files_name_a_table_and_its_records() {
        let file = parse("a.yaml", "table: Dog\nrecords:\n  - id: 1\n  - id: 2\n").unwrap();
        assert_eq!((file.database.as_str(), file.table.as_str()), ("data", "Dog"));
        assert_eq!((file.records.len(), file.line(1)), (2, 4));
        let file = parse("a.json", r#"{"database":"x","table":"Dog","records":[]}"#).unwrap();
        assert_eq!((file.database.as_str(), file.records.len()), ("x", 0));
    }

    #[test]
    fn what_is_wrong_has_a_line() {
        for (name, text, line) in [
            ("a.yaml", "table: Dog\nrecords: [\n", 3),
            ("a.json", "{\n\"table\": }", 2),
            ("a.yaml", "records: []\n", 1),
            ("a.yaml", "table: Dog\nrecords: 5\n", 1),
            ("a.yaml", "- 1\n", 1),
        ] {
            assert_eq!(parse(name, text).unwrap_err().0, line, "{text}");
        }
    }
}
