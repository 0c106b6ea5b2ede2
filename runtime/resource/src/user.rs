//! Users and their roles, as permission checks and guest code see them
//! (`spec/harper-resources.md` sections 7 and 11).
//!
//! A [`User`] is an immutable picture: who changes a user or a role makes the next one, and a request
//! keeps the picture that it began with. What a role may do is in [`permission`]; where users are kept
//! and how they prove who they are is behind [`Accounts`].

mod accounts;
mod attributes;
mod permission;
mod permission_format;
pub mod session_cookie;

pub use accounts::{Accounts, Operator};
pub use attributes::Attributes;
pub use permission::{
    Access, AccessSet, AttributePermission, Permission, StructureUser, TablePermission, TableRights,
};
pub use permission_format::PermissionError;

use std::sync::Arc;

use crate::{Map, Value};

/// Somebody who may be logged in. Never carries a password or its hash.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    pub username: String,
    /// A user that is not active can't log in.
    pub active: bool,
    pub role: Arc<Role>,
    /// When the user was added, in milliseconds since the epoch; `None` for one that is not stored.
    pub created: Option<f64>,
    /// When the user was last changed.
    pub updated: Option<f64>,
}

/// A named set of permissions.
#[derive(Debug, Clone, PartialEq)]
pub struct Role {
    pub id: String,
    /// The name.
    pub role: String,
    pub permission: Permission,
    /// When the role was added, in milliseconds since the epoch; `None` for one that is not stored.
    pub created: Option<f64>,
    /// When the role was last changed.
    pub updated: Option<f64>,
}

/// The id and name of the role that may do everything.
pub const SUPER_USER_ROLE: &str = "super_user";

impl User {
    /// A super user that is in no table: who asks from the same machine where that is enough.
    pub fn unstored_super_user(username: &str) -> User {
        User {
            username: username.to_owned(),
            active: true,
            role: Arc::new(Role::super_user()),
            created: None,
            updated: None,
        }
    }

    pub fn is_super_user(&self) -> bool {
        self.role.permission.super_user
    }

    /// What the user may do with one table.
    pub fn rights(&self, database: &str, table: &str) -> TableRights<'_> {
        self.role.permission.table(database, table)
    }

    /// The user that such an object tells of; `None` for anything else. What its role allows is read
    /// leniently: a permission that can't be understood allows nothing.
    pub fn from_value(value: &Value) -> Option<User> {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let role = value.get("role");
        let part = |name: &str| role.and_then(|role| role.get(name));
        let permission = part("permission").map(Permission::from_value);
        let role = Role {
            id: text(part("id")).unwrap_or_default(),
            role: text(part("role")).unwrap_or_default(),
            permission: permission.and_then(Result::ok).unwrap_or_default(),
            created: None,
            updated: None,
        };
        Some(User {
            username: text(value.get("username"))?,
            active: value.get("active") != Some(&Value::Bool(false)),
            role: Arc::new(role),
            created: None,
            updated: None,
        })
    }

    /// The object that guest code and the operations show: `{username, active, role: {..}}`.
    pub fn to_value(&self) -> Value {
        let mut map = Map::from_iter([
            ("username".to_owned(), Value::from(self.username.as_str())),
            ("active".to_owned(), Value::Bool(self.active)),
            ("role".to_owned(), self.role.to_value()),
        ]);
        add_times(&mut map, self.created, self.updated);
        Value::Object(map)
    }
}

impl Role {
    /// The role that may do everything.
    pub fn super_user() -> Role {
        Role {
            id: SUPER_USER_ROLE.to_owned(),
            role: SUPER_USER_ROLE.to_owned(),
            permission: Permission { super_user: true, ..Permission::default() },
            created: None,
            updated: None,
        }
    }

    /// `{id, role, permission}`.
    pub fn to_value(&self) -> Value {
        let mut map = Map::from_iter([
            ("id".to_owned(), Value::from(self.id.as_str())),
            ("role".to_owned(), Value::from(self.role.as_str())),
            ("permission".to_owned(), self.permission.to_value()),
        ]);
        add_times(&mut map, self.created, self.updated);
        Value::Object(map)
    }
}

fn add_times(map: &mut Map, created: Option<f64>, updated: Option<f64>) {
    let times = [("__createdtime__", created), ("__updatedtime__", updated)];
    for (name, time) in times {
        map.extend(time.map(|time| (name.to_owned(), Value::number(time))));
    }
}

#[cfg(test)]
mod tests;
