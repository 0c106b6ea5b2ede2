//! Sessions: what a browser's cookie stands for. A row of `hdb_session` with the user's name and
//! whatever components put beside it.

use kora_resource::{Error, ErrorKind, Id, Map, Result, Value};
use uuid::Uuid;

use super::{Sessions, Users};

/// Merges changes into a session, or begins one; answers its id.
pub(super) async fn update(users: &Users, id: Option<String>, mut changes: Map) -> Result<String> {
    if users.sessions == Sessions::Off {
        let message = "Sessions are switched off (authentication.enableSessions)";
        return Err(Error::new(ErrorKind::Status(501), message));
    }
    // An id that names no session is not taken over: it may have been planted.
    let current = match id {
        Some(id) => users.tables.session(&id)?.map(|session| (id, session)),
        None => None,
    };
    let (id, mut session) = match current {
        // Whoever logs in gets a new id, so that one that was known before is worth nothing.
        Some((id, session)) if !changes_user(&session, &changes) => (id, session),
        Some((id, session)) => {
            let mut transaction = users.tables.store.transaction();
            transaction.delete(&users.tables.sessions, &Id::String(id))?;
            transaction.commit().await?;
            (Uuid::new_v4().to_string(), session)
        }
        None => (Uuid::new_v4().to_string(), Map::new()),
    };
    changes.shift_remove("id");
    session.extend(changes);
    let mut transaction = users.tables.store.transaction();
    transaction.put(&users.tables.sessions, Id::String(id.clone()), session)?;
    transaction.commit().await?;
    Ok(id)
}

/// Whether a change makes the session somebody else's.
fn changes_user(session: &Map, changes: &Map) -> bool {
    match changes.get("user") {
        None | Some(Value::Null) => false,
        Some(user) => session.get("user") != Some(user),
    }
}
