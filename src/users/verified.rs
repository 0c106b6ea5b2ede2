//! Credentials that were found right a moment ago, so that a client who sends its password with every
//! request pays for the slow hash once in a while only.
//!
//! Keys are keyed digests: the memory holds no password, and what an attacker sends can't be steered
//! to a place. An entry counts only as long as the user's record is the one that it was checked
//! against, so a changed password or a removed user is noticed at once.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::tables::UserRecord;

/// How many credentials are remembered. Past it those that are over go, and if none is, all.
const CAPACITY: usize = 4_096;

/// Made anew by each process: a digest means nothing outside of it.
static KEY: LazyLock<[u8; 32]> = LazyLock::new(|| {
    let mut key = [0; 32];
    getrandom::fill(&mut key).expect("the system gives random bytes");
    key
});

/// A digest of a name and a password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Credentials([u8; 32]);

impl Credentials {
    pub(super) fn new(username: &str, password: &str) -> Credentials {
        let digest = Sha256::new()
            .chain_update(*KEY)
            .chain_update((username.len() as u64).to_le_bytes())
            .chain_update(username)
            .chain_update(password);
        Credentials(digest.finalize().into())
    }
}

/// When credentials were checked against which version of the user's record.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    version: f64,
    until: Instant,
}

impl Entry {
    /// Whether the record is still the one that was checked.
    pub(super) fn is_of(self, user: &UserRecord) -> bool {
        self.version == user.updated
    }
}

pub(super) struct Verified {
    lifetime: Duration,
    entries: Mutex<HashMap<Credentials, Entry>>,
}

impl Verified {
    pub(super) fn new(lifetime: Duration) -> Verified {
        Verified { lifetime, entries: Mutex::default() }
    }

    pub(super) fn find(&self, credentials: &Credentials) -> Option<Entry> {
        let entry = *self.entries.lock().get(credentials)?;
        (Instant::now() < entry.until).then_some(entry)
    }

    pub(super) fn remember(&self, credentials: Credentials, user: &UserRecord) {
        let now = Instant::now();
        let mut entries = self.entries.lock();
        if entries.len() >= CAPACITY {
            entries.retain(|_, entry| now < entry.until);
        }
        if entries.len() >= CAPACITY {
            entries.clear();
        }
        entries.insert(credentials, Entry { version: user.updated, until: now + self.lifetime });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(updated: f64) -> UserRecord {
        UserRecord {
            username: "ann".to_owned(),
            role: "r".to_owned(),
            active: true,
            password: None,
            created: 1.0,
            updated,
        }
    }

    #[test]
    fn an_entry_is_of_one_version_and_one_password() {
        let verified = Verified::new(Duration::from_secs(60));
        verified.remember(Credentials::new("ann", "secret"), &user(1.0));
        let entry = verified.find(&Credentials::new("ann", "secret")).unwrap();
        assert!(entry.is_of(&user(1.0)) && !entry.is_of(&user(2.0)));
        for (name, password) in [("ann", "Secret"), ("annsecret", ""), ("anns", "ecret")] {
            assert!(verified.find(&Credentials::new(name, password)).is_none());
        }
    }

    #[test]
    fn entries_end_and_are_bounded() {
        let verified = Verified::new(Duration::ZERO);
        for index in 0..=CAPACITY {
            verified.remember(Credentials::new("ann", &index.to_string()), &user(1.0));
            assert!(verified.find(&Credentials::new("ann", &index.to_string())).is_none());
        }
        assert!(verified.entries.lock().len() <= CAPACITY);
    }
}
