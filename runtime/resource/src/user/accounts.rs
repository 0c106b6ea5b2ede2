//! Where users, roles and sessions are kept, as guest code and transports ask for them.

use std::sync::Arc;

use crate::{Map, ResourceFuture, Result, User, Value};

/// The users of one server. Behind a trait because this contract knows no store: the server keeps
/// them in tables, and a test may keep none.
pub trait Accounts: Send + Sync + 'static {
    /// The active user of this name, without a proof. 500 where the tables can't be read.
    fn user(&self, username: &str) -> Result<Option<Arc<User>>>;

    /// The user, if the password is theirs. 401 `Login failed` for a wrong password, an unknown user
    /// and one that is not active alike, after the same time. Costs some ten milliseconds of a core
    /// the first time and is remembered for a while.
    fn authenticate(
        self: Arc<Self>,
        username: String,
        password: String,
    ) -> ResourceFuture<Arc<User>>;

    /// Runs an operation of the operations API about users and roles
    /// (`spec/harper-components.md` section 8.2); 400 for an operation that there is none of.
    fn operate(self: Arc<Self>, operation: Map, operator: Operator) -> ResourceFuture<Value>;

    /// What a session holds; `None` if there is none of this id, or sessions are switched off.
    fn session(&self, id: &str) -> Result<Option<Map>>;

    /// Merges `changes` into a session, or begins one where `id` is `None` or unknown; answers its
    /// id. Committed by itself, whatever becomes of the request. 501 where sessions are switched off.
    fn update_session(self: Arc<Self>, id: Option<String>, changes: Map) -> ResourceFuture<String>;

    /// Ends a session; whether there was one.
    fn delete_session(self: Arc<Self>, id: String) -> ResourceFuture<bool>;
}

/// On whose behalf an operation runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Operator {
    /// A component's own code, which may do everything.
    Host,
    /// Somebody, whose role is asked; `None` for a caller who is not logged in.
    Caller(Option<Arc<User>>),
}
