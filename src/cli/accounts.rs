//! `kora user` and `kora role`: accounts by the data directory, while no server runs on it. On a running
//! server an application does the same by `server.operation`.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use kora::config::{DEFAULT_CREDENTIAL_LIFETIME, Sessions, default_data_directory};
use kora::users::Users;
use kora_resource::{Accounts, Map, Operator, Value};
use kora_store::{Store, StoreError, StoreOptions};

use super::administrator::new_password;

#[derive(Debug, Args)]
pub(super) struct UserCommand {
    #[command(subcommand)]
    action: UserAction,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum UserAction {
    /// Add a user; the password is asked for, or read from the input
    Add {
        name: String,
        /// The role's name
        #[arg(long, default_value = "super_user")]
        role: String,
    },
    /// List the users
    List,
    /// Give a user another password
    SetPassword { name: String },
    /// Remove a user
    Remove { name: String },
}

#[derive(Debug, Args)]
pub(super) struct RoleCommand {
    #[command(subcommand)]
    action: RoleAction,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum RoleAction {
    /// List the roles with their permissions
    List,
}

/// Which server's accounts.
#[derive(Debug, Args)]
struct Place {
    /// The folder that is served
    #[arg(long, global = true, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// Where the data lives [default: the folder .kora in DIR]
    #[arg(long, global = true, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

impl UserCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut properties = vec![];
        let operation = match self.action {
            UserAction::List => {
                let listed = self.place.operate("list_users", Vec::new())?;
                for user in items(&listed) {
                    let role = user.get("role").and_then(|role| role.get("role"));
                    let inactive = user.get("active") == Some(&Value::Bool(false));
                    let note = if inactive { "\tinactive" } else { "" };
                    println!("{}\t{}{note}", text(user.get("username")), text(role));
                }
                return Ok(());
            }
            UserAction::Add { name, role } => {
                properties.push(("username", name));
                properties.push(("role", role));
                properties.push(("password", new_password().context("no password")?));
                "add_user"
            }
            UserAction::SetPassword { name } => {
                properties.push(("username", name));
                properties.push(("password", new_password().context("no password")?));
                "alter_user"
            }
            UserAction::Remove { name } => {
                properties.push(("username", name));
                "drop_user"
            }
        };
        let answer = self.place.operate(operation, properties)?;
        println!("{}", text(answer.get("message")));
        Ok(())
    }
}

impl RoleCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let RoleAction::List = self.action;
        for role in items(&self.place.operate("list_roles", Vec::new())?) {
            let mut permission = Vec::new();
            if let Some(value) = role.get("permission") {
                kora_resource::value::json::write(value, &mut permission);
            }
            println!("{}\t{}", text(role.get("role")), String::from_utf8_lossy(&permission));
        }
        Ok(())
    }
}

impl Place {
    /// Runs an operation on the accounts in the data directory.
    fn operate(&self, operation: &str, properties: Vec<(&str, String)>) -> anyhow::Result<Value> {
        let data = self.data.clone().unwrap_or_else(|| default_data_directory(&self.dir));
        if !data.is_dir() {
            return Err(anyhow!("there is no data in {}; start the server first", data.display()));
        }
        let store = Store::open(&data, StoreOptions::default()).map_err(|error| match error {
            StoreError::Locked { .. } => anyhow!(
                "a server is running on {}: stop it, or use server.operation in an application",
                data.display()
            ),
            other => other.into(),
        })?;
        let users = Users::open(&store, Sessions::On, DEFAULT_CREDENTIAL_LIFETIME)?;
        let mut request = Map::from_iter([("operation".to_owned(), Value::from(operation))]);
        request.extend(properties.into_iter().map(|(name, value)| (name.to_owned(), value.into())));
        let answer = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("can't start the async thread")?
            .block_on(users.operate(request, Operator::Host));
        store.close();
        Ok(answer?)
    }
}

fn items(list: &Value) -> &[Value] {
    match list {
        Value::Array(items) => items,
        _ => &[],
    }
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}
