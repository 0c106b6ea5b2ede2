//! The tables `hdb_user`, `hdb_role` and `hdb_session` of the database `system`. No URL leads to them;
//! components reach them as `databases.system.hdb_user`.

use std::path::Path;
use std::sync::Arc;

use kora_resource::{
    Error, ErrorKind, Id, Map, Permission, Query, Record, Result, Role, Value, schema,
};
use kora_store::{Store, StoreError, Table};

/// Sessions are kept as long as a browser keeps their cookie: 400 days from their last change.
const SCHEMA: &str = r#"
type hdb_user @table(database: "system") {
  username: String @primaryKey
  role: String
  active: Boolean
  password: String
  __createdtime__: Float @createdTime
  __updatedtime__: Float @updatedTime
}
type hdb_role @table(database: "system") {
  id: String @primaryKey
  role: String
  permission: Any
  __createdtime__: Float @createdTime
  __updatedtime__: Float @updatedTime
}
type hdb_session @table(database: "system", expiration: 34560000) {
  id: String @primaryKey
  user: String
}
"#;

/// How many rows a listing reads at a time.
const BATCH: usize = 256;

pub(super) struct SystemTables {
    pub(super) store: Arc<Store>,
    pub(super) users: Arc<Table>,
    pub(super) roles: Arc<Table>,
    pub(super) sessions: Arc<Table>,
}

/// A row of `hdb_user`.
#[derive(Clone)]
pub(super) struct UserRecord {
    pub(super) username: String,
    /// The id of the role.
    pub(super) role: String,
    pub(super) active: bool,
    /// The hash; `None` for a user who can't log in with a password.
    pub(super) password: Option<String>,
    /// Milliseconds since the epoch.
    pub(super) created: f64,
    pub(super) updated: f64,
}

impl SystemTables {
    pub(super) fn open(store: &Arc<Store>) -> Result<SystemTables, StoreError> {
        let parsed = schema::parse(SCHEMA, Path::new("system.graphql"));
        let schemas = parsed.expect("the schema of the system tables is well formed").tables;
        let mut tables = store.apply(&schemas)?.into_iter();
        let mut next = || tables.next().expect("one table for each type of the schema");
        Ok(SystemTables {
            users: next(),
            roles: next(),
            sessions: next(),
            store: Arc::clone(store),
        })
    }

    pub(super) fn user(&self, username: &str) -> Result<Option<UserRecord>> {
        match self.users.get(&Id::from(username)) {
            Ok(record) => record.as_ref().map(user_of).transpose(),
            // Longer than a key can be: nobody has such a name.
            Err(error) if error.kind == ErrorKind::Invalid => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn all_users(&self) -> Result<Vec<UserRecord>> {
        all(&self.users)?.iter().map(user_of).collect()
    }

    /// The role of this id.
    pub(super) fn role(&self, id: &str) -> Result<Option<Role>> {
        let record = self.roles.get(&Id::from(id))?;
        record.as_ref().map(role_of).transpose()
    }

    /// The role of this name, or else of this id.
    pub(super) fn role_named(&self, name: &str) -> Result<Option<Role>> {
        match self.all_roles()?.into_iter().find(|role| role.role == name) {
            Some(role) => Ok(Some(role)),
            None => self.role(name),
        }
    }

    pub(super) fn all_roles(&self) -> Result<Vec<Role>> {
        all(&self.roles)?.iter().map(role_of).collect()
    }

    pub(super) fn session(&self, id: &str) -> Result<Option<Map>> {
        self.sessions.get(&Id::from(id))?.map(|record| record.to_map()).transpose()
    }
}

fn all(table: &Arc<Table>) -> Result<Vec<Record>> {
    let mut search = table.search(Query::default())?;
    let mut records = Vec::new();
    loop {
        let batch = search.next_batch(BATCH)?;
        if batch.is_empty() {
            return Ok(records);
        }
        records.extend(batch.into_iter().filter_map(|item| match item {
            kora_resource::Item::Record(record) => Some(record),
            kora_resource::Item::Value(_) => None,
        }));
    }
}

fn user_of(record: &Record) -> Result<UserRecord> {
    let map = record.to_map()?;
    let text = |name: &str| map.get(name).and_then(Value::as_str).map(str::to_owned);
    Ok(UserRecord {
        username: text("username").unwrap_or_default(),
        role: text("role").unwrap_or_default(),
        // Only an explicit false locks somebody out, as in Harper.
        active: map.get("active") != Some(&Value::Bool(false)),
        password: text("password"),
        created: record.created().0,
        updated: record.version().0,
    })
}

fn role_of(record: &Record) -> Result<Role> {
    let map = record.to_map()?;
    let text = |name: &str| map.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let permission = match map.get("permission") {
        Some(permission) => Permission::from_value(permission).map_err(|error| {
            Error::internal(format!(
                "the permission of the role {} is damaged: {error}",
                text("role")
            ))
        })?,
        None => Permission::default(),
    };
    Ok(Role {
        id: text("id"),
        role: text("role"),
        permission,
        created: Some(record.created().0),
        updated: Some(record.version().0),
    })
}
