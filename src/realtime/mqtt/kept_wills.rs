//! The wills of connected clients on disk, for the case that the host ends before they do.
//!
//! A client that comes back at once leaves its will while the one of its last connection is still being published. Each
//! stored will therefore belongs to a connection, and only that connection's end takes it away.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use kora_resource::User;
use tokio::sync::Mutex;

use super::sessions::report;
use super::stored::{Leftover, SessionTables};
use super::will::Will;

/// How many clients' wills are written at a time, so that a storm of them shares commits.
const SIDE_BY_SIDE: usize = 64;

/// Which connection's will is stored, by client.
type Owners = HashMap<Arc<str>, u64>;

/// Keeps nothing where the broker has no tables.
pub(super) struct KeptWills {
    tables: Option<SessionTables>,
    /// By a hash of the client's id; locked while the table is written, so that writes of one client are in order.
    owners: [Mutex<Owners>; SIDE_BY_SIDE],
}

impl KeptWills {
    pub(super) fn new(tables: Option<SessionTables>) -> KeptWills {
        KeptWills { tables, owners: std::array::from_fn(|_| Mutex::default()) }
    }

    fn owners(&self, client_id: &str) -> &Mutex<Owners> {
        let mut hasher = DefaultHasher::new();
        client_id.hash(&mut hasher);
        &self.owners[hasher.finish() as usize % SIDE_BY_SIDE]
    }

    /// What `connection` leaves in place of what the client's last one has left, if it leaves anything.
    pub(super) async fn save(
        &self,
        client_id: &Arc<str>,
        connection: u64,
        will: Option<&Will>,
        user: Option<&User>,
    ) {
        let Some(tables) = &self.tables else { return };
        let mut owners = self.owners(client_id).lock().await;
        match will {
            Some(will) => {
                owners.insert(Arc::clone(client_id), connection);
                report(client_id, tables.save_will(client_id, will, user).await);
            }
            None if owners.remove(client_id).is_some() => {
                report(client_id, tables.forget_will(client_id).await);
            }
            None => {}
        }
    }

    /// Forgets what `connection` has left, or with `None` what is left over from a run of the host before this one.
    pub(super) async fn forget(&self, client_id: &str, connection: Option<u64>) {
        let Some(tables) = &self.tables else { return };
        let mut owners = self.owners(client_id).lock().await;
        if owners.get(client_id).copied() == connection {
            owners.remove(client_id);
            report(client_id, tables.forget_will(client_id).await);
        }
    }

    /// All that are stored.
    pub(super) async fn all(&self) -> Vec<Leftover> {
        let Some(tables) = &self.tables else { return Vec::new() };
        tables.leftover_wills().await.unwrap_or_else(|error| {
            tracing::error!("the wills of MQTT clients can't be read: {error}");
            Vec::new()
        })
    }
}
