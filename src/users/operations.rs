//! The operations about users and roles (`spec/harper-components.md` section 8.2), as
//! `server.operation` and later the operations API run them.

use kora_resource::{Error, ErrorKind, Id, Map, Operator, Permission, Result, Role, User, Value};
use uuid::Uuid;

use super::Users;
use super::administrator::Login;
use super::tables::UserRecord;

/// The operations, by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    AddUser,
    AlterUser,
    DropUser,
    ListUsers,
    UserInfo,
    AddRole,
    AlterRole,
    DropRole,
    ListRoles,
}

impl Operation {
    fn of(name: &str) -> Option<Operation> {
        Some(match name {
            "add_user" => Operation::AddUser,
            "alter_user" => Operation::AlterUser,
            "drop_user" => Operation::DropUser,
            "list_users" => Operation::ListUsers,
            "user_info" => Operation::UserInfo,
            "add_role" => Operation::AddRole,
            "alter_role" => Operation::AlterRole,
            "drop_role" => Operation::DropRole,
            "list_roles" => Operation::ListRoles,
            _ => return None,
        })
    }

    /// The name of the function behind it, which refusals tell.
    fn function(self) -> &'static str {
        match self {
            Operation::AddUser => "addUser",
            Operation::AlterUser => "alterUser",
            Operation::DropUser => "dropUser",
            Operation::ListUsers => "listUsersExternal",
            Operation::UserInfo => "userInfo",
            Operation::AddRole => "addRole",
            Operation::AlterRole => "alterRole",
            Operation::DropRole => "dropRole",
            Operation::ListRoles => "listRoles",
        }
    }
}

/// Runs one operation.
pub(super) async fn run(users: &Users, request: Map, operator: &Operator) -> Result<Value> {
    let Some(name) = request.get("operation").and_then(Value::as_str) else {
        return Err(Error::invalid("Request body must include an 'operation' property."));
    };
    let Some(operation) = Operation::of(name) else {
        return Err(Error::invalid(format!("Operation '{name}' not found")));
    };
    let request = Request(&request);
    authorize(operation, operator)?;
    match operation {
        Operation::AddUser => add_user(users, request).await,
        Operation::AlterUser => alter_user(users, request).await,
        Operation::DropUser => drop_user(users, request).await,
        Operation::ListUsers => {
            let shown = users.tables.all_users()?.iter().map(|user| show(users, user)).collect();
            shown_list(shown)
        }
        Operation::UserInfo => user_info(users, request, operator),
        Operation::AddRole => add_role(users, request).await,
        Operation::AlterRole => alter_role(users, request).await,
        Operation::DropRole => drop_role(users, request).await,
        Operation::ListRoles => {
            Ok(Value::Array(users.tables.all_roles()?.iter().map(Role::to_value).collect()))
        }
    }
}

/// Everything but telling who one is oneself is for super users.
fn authorize(operation: Operation, operator: &Operator) -> Result<()> {
    match operator {
        Operator::Host => Ok(()),
        Operator::Caller(None) => Err(Error::new(ErrorKind::Unauthenticated, "Must login")),
        Operator::Caller(Some(user)) if user.is_super_user() => Ok(()),
        Operator::Caller(Some(_)) if operation == Operation::UserInfo => Ok(()),
        Operator::Caller(Some(_)) => {
            let mut error = Error::new(
                ErrorKind::Forbidden,
                "This operation is not authorized due to role restrictions and/or invalid database \
                 items",
            );
            let function = operation.function();
            let access = format!("Operation '{function}' is restricted to 'super_user' roles");
            error.detail = Some(Box::new(Value::Object(Map::from_iter([
                ("unauthorized_access".to_owned(), Value::Array(vec![access.into()])),
                ("invalid_schema_items".to_owned(), Value::Array(Vec::new())),
            ]))));
            Err(error)
        }
    }
}

/// The properties of a request.
#[derive(Clone, Copy)]
struct Request<'r>(&'r Map);

impl<'r> Request<'r> {
    /// A text that may be left out.
    fn text(self, name: &str) -> Result<Option<&'r str>> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => {
                Err(Error::invalid(format!("'{name}' is not allowed to be empty")))
            }
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Error::invalid(format!("'{name}' must be a string"))),
        }
    }

    fn required(self, name: &str) -> Result<&'r str> {
        self.text(name)?.ok_or_else(|| Error::invalid(format!("'{name}' is required")))
    }

    fn flag(self, name: &str) -> Result<Option<bool>> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(Error::invalid(format!("'{name}' must be a boolean"))),
        }
    }

    fn permission(self) -> Result<Option<Permission>> {
        match self.0.get("permission") {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match Permission::from_value(value) {
                Ok(permission) => Ok(Some(permission)),
                Err(error) => Err(Error::invalid(format!("'permission' is invalid: {error}"))),
            },
        }
    }
}

fn message(text: String) -> Result<Value> {
    Ok(Value::Object(Map::from_iter([("message".to_owned(), Value::String(text))])))
}

fn shown_list(shown: Result<Vec<Value>>) -> Result<Value> {
    shown.map(Value::Array)
}

/// A user as operations show one: without the password.
fn show(users: &Users, user: &UserRecord) -> Result<Value> {
    Ok(users.picture(user)?.to_value())
}

async fn add_user(users: &Users, request: Request<'_>) -> Result<Value> {
    let (username, password) = (request.required("username")?, request.required("password")?);
    let role = role_named(users, request.required("role")?)?;
    let active = request.flag("active")?;
    let already = || Error::conflict(format!("User {username} already exists"));
    if users.tables.user(username)?.is_some() {
        return Err(already());
    }
    let login = Login { username: username.to_owned(), password: password.to_owned() };
    users.add_user(&login, &role.id).await.map_err(|error| match error.kind {
        // Somebody else has added the user meanwhile.
        ErrorKind::Conflict => already(),
        _ => error,
    })?;
    if active == Some(false) {
        let change = Map::from_iter([("active".to_owned(), Value::Bool(false))]);
        patch(users, username, change).await?;
    }
    message(format!("{username} successfully added"))
}

async fn alter_user(users: &Users, request: Request<'_>) -> Result<Value> {
    let username = request.required("username")?;
    let mut changes = Map::new();
    if let Some(active) = request.flag("active")? {
        changes.insert("active".to_owned(), Value::Bool(active));
    }
    if let Some(role) = request.text("role")? {
        changes.insert("role".to_owned(), Value::String(role_named(users, role)?.id));
    }
    let password = request.text("password")?;
    if changes.is_empty() && password.is_none() {
        let text = "nothing to update, must supply active, role or password to update";
        return Err(Error::invalid(text));
    }
    existing(users, username)?;
    if let Some(password) = password {
        let hash = users.passwords.permit().await.hash(password.to_owned()).await?;
        changes.insert("password".to_owned(), Value::String(hash));
    }
    patch(users, username, changes).await?;
    Ok(Value::Object(Map::from_iter([
        ("message".to_owned(), Value::from("updated 1 of 1 records")),
        ("update_hashes".to_owned(), Value::Array(vec![username.into()])),
        ("skipped_hashes".to_owned(), Value::Array(Vec::new())),
    ])))
}

async fn patch(users: &Users, username: &str, changes: Map) -> Result<()> {
    let mut transaction = users.tables.store.transaction();
    transaction.patch(&users.tables.users, Id::from(username), changes)?;
    transaction.commit().await?;
    Ok(())
}

async fn drop_user(users: &Users, request: Request<'_>) -> Result<Value> {
    let username = request.required("username")?;
    existing(users, username)?;
    let mut transaction = users.tables.store.transaction();
    transaction.delete(&users.tables.users, &Id::from(username))?;
    transaction.commit().await?;
    message(format!("{username} successfully deleted"))
}

/// The caller; a super user may ask about anybody.
fn user_info(users: &Users, request: Request<'_>, operator: &Operator) -> Result<Value> {
    match (operator, request.text("username")?) {
        (Operator::Caller(Some(user)), None) => Ok(User::to_value(user)),
        (Operator::Caller(Some(user)), Some(name)) if user.username == name => {
            Ok(User::to_value(user))
        }
        (Operator::Caller(Some(user)), Some(_)) if !user.is_super_user() => {
            Err(Error::new(ErrorKind::Forbidden, "Unauthorized access to resource"))
        }
        (_, Some(name)) => show(users, &existing(users, name)?),
        (_, None) => Err(Error::invalid("'username' is required")),
    }
}

fn existing(users: &Users, username: &str) -> Result<UserRecord> {
    let missing = || Error::not_found(format!("User {username} does not exist"));
    users.tables.user(username)?.ok_or_else(missing)
}

fn role_named(users: &Users, name: &str) -> Result<Role> {
    let missing = || Error::not_found(format!("{name} role not found"));
    users.tables.role_named(name)?.ok_or_else(missing)
}

async fn add_role(users: &Users, request: Request<'_>) -> Result<Value> {
    let name = request.required("role")?;
    let permission = request.permission()?;
    let permission = permission.ok_or_else(|| Error::invalid("'permission' is required"))?;
    if users.tables.all_roles()?.iter().any(|role| role.role == name) {
        return Err(Error::conflict(format!("A role with name '{name}' already exists")));
    }
    users.put_role(&Uuid::new_v4().to_string(), name, &permission).await
}

async fn alter_role(users: &Users, request: Request<'_>) -> Result<Value> {
    let id = request.required("id")?;
    let (name, permission) = (request.text("role")?, request.permission()?);
    if name.is_none() && permission.is_none() {
        return Err(Error::invalid("nothing to update, must supply role or permission to update"));
    }
    let role = users.tables.role(id)?.ok_or_else(|| Error::not_found("Role not found"))?;
    let is_other = |other: &Role| other.id != id && Some(other.role.as_str()) == name;
    if let Some(other) = users.tables.all_roles()?.into_iter().find(is_other) {
        return Err(Error::conflict(format!("A role with name '{}' already exists", other.role)));
    }
    let permission = permission.unwrap_or(role.permission);
    users.put_role(id, name.unwrap_or(&role.role), &permission).await
}

async fn drop_role(users: &Users, request: Request<'_>) -> Result<Value> {
    let id = request.required("id")?;
    let role = users.tables.role(id)?.ok_or_else(|| Error::not_found("Role not found"))?;
    let of_role = users.tables.all_users()?.into_iter().filter(|user| user.role == id);
    let names: Vec<String> = of_role.map(|user| user.username).collect();
    if !names.is_empty() {
        let (name, names) = (role.role, names.join(","));
        let text =
            format!("Cannot drop role {name} as it has active user(s) {names} tied to this role");
        return Err(Error::conflict(text));
    }
    let mut transaction = users.tables.store.transaction();
    transaction.delete(&users.tables.roles, &Id::from(id))?;
    transaction.commit().await?;
    message(format!("{} successfully deleted", role.role))
}

impl Users {
    /// Stores a role and shows it.
    pub(super) async fn put_role(
        &self,
        id: &str,
        name: &str,
        permission: &Permission,
    ) -> Result<Value> {
        let record = Map::from_iter([
            ("role".to_owned(), Value::from(name)),
            ("permission".to_owned(), permission.to_value()),
        ]);
        let mut transaction = self.tables.store.transaction();
        transaction.put(&self.tables.roles, Id::from(id), record)?;
        transaction.commit().await?;
        let stored = self.tables.role(id)?;
        stored.map(|role| role.to_value()).ok_or_else(|| Error::internal("the role is gone again"))
    }
}
