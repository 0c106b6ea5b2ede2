//! `roles.yaml`: the roles that an application brings (`spec/harper-components.md` section 2.3).
//!
//! Each start and each reload creates them or brings them up to date; none is ever removed. What is
//! wrong with one role is reported with its file and line and leaves the others alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kora_resource::schema::TableSchema;
use kora_resource::{Map, Permission, Value};
use kora_store::Store;
use serde_yaml_ng::Value as Yaml;

use super::Users;

/// The roles of one file.
pub struct RolesFile {
    path: PathBuf,
    text: String,
}

impl RolesFile {
    /// Reads the file. Blocks.
    pub fn read(path: &Path) -> std::io::Result<RolesFile> {
        Ok(RolesFile { path: path.to_owned(), text: std::fs::read_to_string(path)? })
    }

    /// Stores the roles; answers what is wrong with the file, one sentence each that begins with file
    /// and line. A role that names tables or attributes that do not exist is stored all the same: they
    /// may come.
    pub async fn apply(&self, users: &Arc<Users>, store: &Arc<Store>) -> Vec<String> {
        let mut problems = Vec::new();
        let roles = match self.roles() {
            Ok(roles) => roles,
            Err(problem) => return vec![problem],
        };
        for (name, value) in roles {
            // `{permission: {..}}`, or the permission itself.
            let (value, mut place) = match value.get("permission") {
                Some(permission) => (permission, vec![name.as_str(), "permission"]),
                None => (&value, vec![name.as_str()]),
            };
            match Permission::from_value(value) {
                Err(error) => {
                    place.extend(error.path.iter().map(String::as_str));
                    problems.push(self.at(&place, &format!("the role {name}: {error}")));
                }
                Ok(permission) => {
                    problems.extend(self.unknown_names(&name, &place, &permission, store));
                    if let Err(error) = self.store(users, &name, &permission).await {
                        problems.push(self.at(&place, &format!("the role {name}: {error}")));
                    }
                }
            }
        }
        problems
    }

    fn roles(&self) -> Result<Map, String> {
        let document: Yaml = serde_yaml_ng::from_str(&self.text).map_err(|error| {
            let line = error.location().map_or(1, |location| location.line());
            format!("{}:{line}: {error}", self.path.display())
        })?;
        match value_of(document) {
            Value::Object(roles) => Ok(roles),
            Value::Null => Ok(Map::new()),
            _ => Err(format!("{}:1: expected `role: permissions` lines", self.path.display())),
        }
    }

    async fn store(
        &self,
        users: &Users,
        name: &str,
        permission: &Permission,
    ) -> kora_resource::Result<()> {
        let known = users.tables.role_named(name)?;
        if known.as_ref().is_some_and(|role| role.permission == *permission) {
            return Ok(());
        }
        let id = known.map_or_else(|| name.to_owned(), |role| role.id);
        users.put_role(&id, name, permission).await?;
        Ok(())
    }

    /// Sentences about tables and attributes that a permission names and nobody has declared.
    fn unknown_names(
        &self,
        role: &str,
        place: &[&str],
        permission: &Permission,
        store: &Store,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        for (database, tables) in &permission.databases {
            for (table, granted) in tables {
                let of_table = [place, &[database.as_str(), table.as_str()]].concat();
                let Some(known) = store.table(database, table) else {
                    let text = format!(
                        "the role {role} names the table {database}.{table}, which does not exist"
                    );
                    problems.push(self.at(&of_table, &text));
                    continue;
                };
                let schema: Arc<TableSchema> = known.schema();
                for attribute in &granted.attributes {
                    if schema.attribute(&attribute.name).is_none() {
                        let name = &attribute.name;
                        let place = [&of_table[..], &["attributes", name.as_str()]].concat();
                        let text = format!(
                            "the role {role} names the attribute {name}, which {database}.{table} \
                             does not declare"
                        );
                        problems.push(self.at(&place, &text));
                    }
                }
            }
        }
        problems
    }

    fn at(&self, place: &[&str], text: &str) -> String {
        format!("{}:{}: {text}", self.path.display(), line_of(&self.text, place))
    }
}

/// The line, from 1, of the value that a path of keys leads to; that of the innermost key that can be
/// found, since YAML can be written in more ways than by lines.
fn line_of(text: &str, path: &[&str]) -> usize {
    let mut found = 0;
    let mut depth = None;
    for key in path {
        let below = text.lines().enumerate().skip(found).find(|(_, line)| {
            let indent = line.len() - line.trim_start().len();
            depth.is_none_or(|depth| indent > depth) && names(line, key)
        });
        let Some((index, line)) = below else { continue };
        found = index + 1;
        depth = Some(line.len() - line.trim_start().len());
    }
    found.max(1)
}

/// Whether a line begins with this key, or is the list entry that names this attribute.
fn names(line: &str, key: &str) -> bool {
    let line = line.trim_start().trim_start_matches("- ");
    let line = line.strip_prefix("attribute_name:").unwrap_or(line).trim_start();
    let line = line.trim_start_matches(['"', '\'']);
    line.strip_prefix(key).is_some_and(|rest| {
        let rest = rest.trim_start_matches(['"', '\'']).trim_start();
        rest.is_empty() || rest.starts_with(':')
    })
}

/// YAML as a value of the data model; keys that are no strings become their text.
fn value_of(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => Value::Bool(flag),
        Yaml::Number(number) => number.as_f64().map_or(Value::Null, Value::number),
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => Value::Array(items.into_iter().map(value_of).collect()),
        Yaml::Mapping(mapping) => {
            let pairs = mapping.into_iter().filter_map(|(key, value)| {
                let key = match key {
                    Yaml::String(key) => key,
                    Yaml::Number(key) => key.to_string(),
                    Yaml::Bool(key) => key.to_string(),
                    Yaml::Null | Yaml::Sequence(_) | Yaml::Mapping(_) | Yaml::Tagged(_) => {
                        return None;
                    }
                };
                Some((key, value_of(value)))
            });
            Value::Object(pairs.collect())
        }
        Yaml::Tagged(tagged) => value_of(tagged.value),
    }
}

#[cfg(test)]
mod tests {
    use super::line_of;

    #[test]
    fn lines_of_nested_keys() {
        let text = "# roles\nreader:\n  data:\n    Dog:\n      read: true\n      attributes:\n        \
                    name: {read: true}\nwriter:\n  data:\n    Dog:\n      attribute_permissions:\n        \
                    - attribute_name: age\n          read: yes\n";
        for (path, line) in [
            (&["reader"][..], 2),
            (&["reader", "data", "Dog", "read"], 5),
            (&["reader", "data", "Dog", "attributes", "name"], 7),
            (&["writer", "data", "Dog"], 10),
            (&["writer", "data", "Dog", "attributes", "age"], 12),
            (&["nobody"], 1),
        ] {
            assert_eq!(line_of(text, path), line, "{path:?}");
        }
    }
}
