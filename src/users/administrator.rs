//! The first administrator: a server that has no user makes one, from what it was given, what a person
//! types, or at random.

use std::io;
use std::sync::Arc;

use kora_resource::{Id, Map, Result, SUPER_USER_ROLE, Value};

use super::Users;

/// The administrator's name unless another is given; Harper's.
pub const DEFAULT_NAME: &str = "HDB_ADMIN";

/// How many random bytes a generated password is made of; two hexadecimal digits each.
const GENERATED_BYTES: usize = 12;

/// A name and a password, in clear: never logged, so it has no `Debug` of its fields.
#[derive(Clone)]
pub struct Login {
    pub username: String,
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Where the first administrator comes from.
#[derive(Debug, Clone)]
pub enum Administrator {
    Given(Login),
    /// Asks a person. Runs on a blocking thread.
    Asked(fn() -> io::Result<Login>),
    /// A random password, told once when it is stored and never again.
    Generated {
        username: String,
        tell: fn(&Login),
    },
}

/// Why there is no administrator.
#[derive(Debug, thiserror::Error)]
pub enum AdministratorError {
    #[error("the administrator's password could not be read: {0}")]
    Asking(#[from] io::Error),
    #[error("the administrator could not be stored: {0}")]
    Storing(#[from] kora_resource::Error),
    #[error("the administrator must have a name and a password that are not empty")]
    Empty,
}

impl Users {
    /// Makes the administrator if there is no user yet, and the role `super_user` if it is missing.
    pub async fn ensure_administrator(
        self: &Arc<Self>,
        administrator: Administrator,
    ) -> Result<(), AdministratorError> {
        if !self.tables.all_users()?.is_empty() {
            return Ok(());
        }
        let (login, tell): (Login, Option<fn(&Login)>) = match administrator {
            Administrator::Given(login) => (login, None),
            Administrator::Asked(ask) => match tokio::task::spawn_blocking(ask).await {
                Ok(login) => (login?, None),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
            Administrator::Generated { username, tell } => {
                (Login { username, password: random_password()? }, Some(tell))
            }
        };
        if login.username.is_empty() || login.password.is_empty() {
            return Err(AdministratorError::Empty);
        }
        self.add_user(&login, SUPER_USER_ROLE).await?;
        if let Some(tell) = tell {
            tell(&login);
        }
        Ok(())
    }

    /// Stores a user with the role of this id; the role `super_user` is made if it is missing.
    pub(super) async fn add_user(&self, login: &Login, role: &str) -> Result<()> {
        let hash = self.passwords.permit().await.hash(login.password.clone()).await?;
        let mut transaction = self.tables.store.transaction();
        if role == SUPER_USER_ROLE && self.tables.role(role)?.is_none() {
            let permission = kora_resource::Role::super_user().permission.to_value();
            let record = Map::from_iter([
                ("role".to_owned(), Value::from(role)),
                ("permission".to_owned(), permission),
            ]);
            transaction.put(&self.tables.roles, Id::from(role), record)?;
        }
        let record = Map::from_iter([
            ("username".to_owned(), Value::from(login.username.as_str())),
            ("role".to_owned(), Value::from(role)),
            ("active".to_owned(), Value::Bool(true)),
            ("password".to_owned(), Value::String(hash)),
        ]);
        transaction.create(&self.tables.users, Some(Id::from(login.username.as_str())), record)?;
        transaction.commit().await?;
        Ok(())
    }
}

fn random_password() -> io::Result<String> {
    let mut bytes = [0; GENERATED_BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
