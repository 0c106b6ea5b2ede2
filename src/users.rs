//! Users, roles and sessions: tables of the database `system`, and how somebody proves who they are.
//!
//! [`Users`] is what the rest of the server sees, through [`kora_resource::Accounts`]. Every lookup
//! reads the tables, which costs a microsecond, so a change counts from the next request on however it
//! was made (by an operation, `roles.yaml`, the command line, or a component that writes
//! `databases.system.hdb_user`); what is remembered is only the slow part, that a password is right.
//! Passwords are kept as Argon2 hashes, checked on blocking threads, a few at a time.

pub mod administrator;
mod login;
mod operations;
mod passwords;
mod roles_file;
mod sessions;
mod tables;
mod verified;

use std::sync::Arc;
use std::time::Duration;

use kora_resource::{
    Accounts, Error, ErrorKind, Id, Map, Operator, ResourceFuture, Result, Role, User, Value,
};
use kora_store::{Store, StoreError};

pub use login::LoginResource;
use passwords::Passwords;
pub use roles_file::RolesFile;
use tables::{SystemTables, UserRecord};
use verified::{Credentials, Verified};

/// Whether logging in leaves a session with a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    On,
    Off,
}

/// How long a password that was found right counts without being hashed again.
pub const DEFAULT_CREDENTIAL_LIFETIME: Duration = Duration::from_secs(30);

/// The accounts of one server.
pub struct Users {
    tables: SystemTables,
    passwords: Passwords,
    verified: Verified,
    sessions: Sessions,
}

impl Users {
    /// Makes the tables if they are not there. Blocks: never call it on an async thread.
    pub fn open(
        store: &Arc<Store>,
        sessions: Sessions,
        credential_lifetime: Duration,
    ) -> Result<Arc<Users>, StoreError> {
        Ok(Arc::new(Users {
            tables: SystemTables::open(store)?,
            passwords: Passwords::default(),
            verified: Verified::new(credential_lifetime),
            sessions,
        }))
    }

    /// Checks a name and a password. 401 `Login failed`, whatever is wrong with them.
    async fn check(&self, username: String, password: String) -> Result<Arc<User>> {
        let credentials = Credentials::new(&username, &password);
        if let Some(user) = self.remembered(&username, &credentials)? {
            return Ok(user);
        }
        let permit = self.passwords.permit().await;
        // Many requests of one client begin with the same password: the first has paid for all.
        if let Some(user) = self.remembered(&username, &credentials)? {
            return Ok(user);
        }
        let stored = self.tables.user(&username)?;
        let hash = stored.as_ref().and_then(|stored| stored.password.clone());
        let is_right = permit.verify(password, hash).await?;
        match stored {
            Some(stored) if is_right && stored.active => {
                self.verified.remember(credentials, &stored);
                self.picture(&stored)
            }
            Some(_) | None => Err(Error::new(ErrorKind::Unauthenticated, "Login failed")),
        }
    }

    fn remembered(&self, username: &str, credentials: &Credentials) -> Result<Option<Arc<User>>> {
        let Some(verified) = self.verified.find(credentials) else { return Ok(None) };
        match self.tables.user(username)? {
            Some(stored) if stored.active && verified.is_of(&stored) => {
                self.picture(&stored).map(Some)
            }
            Some(_) | None => Ok(None),
        }
    }

    /// The user with their role; one whose role is gone may do nothing.
    fn picture(&self, stored: &UserRecord) -> Result<Arc<User>> {
        let role = match self.tables.role(&stored.role)? {
            Some(role) => role,
            None => Role {
                id: stored.role.clone(),
                role: stored.role.clone(),
                permission: Default::default(),
                created: None,
                updated: None,
            },
        };
        Ok(Arc::new(User {
            username: stored.username.clone(),
            active: stored.active,
            role: Arc::new(role),
            created: Some(stored.created),
            updated: Some(stored.updated),
        }))
    }
}

impl Accounts for Users {
    fn user(&self, username: &str) -> Result<Option<Arc<User>>> {
        match self.tables.user(username)? {
            Some(stored) if stored.active => self.picture(&stored).map(Some),
            Some(_) | None => Ok(None),
        }
    }

    fn authenticate(
        self: Arc<Self>,
        username: String,
        password: String,
    ) -> ResourceFuture<Arc<User>> {
        Box::pin(async move { self.check(username, password).await })
    }

    fn operate(self: Arc<Self>, operation: Map, operator: Operator) -> ResourceFuture<Value> {
        Box::pin(async move { operations::run(&self, operation, &operator).await })
    }

    fn session(&self, id: &str) -> Result<Option<Map>> {
        match self.sessions {
            Sessions::On => self.tables.session(id),
            Sessions::Off => Ok(None),
        }
    }

    fn update_session(self: Arc<Self>, id: Option<String>, changes: Map) -> ResourceFuture<String> {
        Box::pin(async move { sessions::update(&self, id, changes).await })
    }

    fn delete_session(self: Arc<Self>, id: String) -> ResourceFuture<bool> {
        Box::pin(async move {
            let mut transaction = self.tables.store.transaction();
            let existed = transaction.delete(&self.tables.sessions, &Id::String(id))?;
            transaction.commit().await?;
            Ok(existed)
        })
    }
}
