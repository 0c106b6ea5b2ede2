//! Hashing and checking passwords: Argon2id with its recommended parameters, 19 MiB and some ten
//! milliseconds each. On blocking threads, at most one a core at a time, so that a flood of wrong
//! passwords costs no more memory and leaves the async threads alone. Comparison in constant time.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use kora_resource::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What an unknown user's password is compared with, so that the answer takes as long: of the same
/// parameters as every hash that is made here, and of no password that anybody knows.
const NOBODYS_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9ibw$\
                            bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5bm8";

/// The threads' share.
pub(super) struct Passwords(Arc<Semaphore>);

impl Default for Passwords {
    fn default() -> Passwords {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        Passwords(Arc::new(Semaphore::new(cores)))
    }
}

impl Passwords {
    /// Waits for a turn.
    pub(super) async fn permit(&self) -> Turn {
        let permit = Arc::clone(&self.0).acquire_owned().await;
        Turn(permit.expect("the semaphore is never closed"))
    }
}

/// The right to hash or check one password.
pub(super) struct Turn(OwnedSemaphorePermit);

impl Turn {
    /// Whether the password is that of the hash. Without a hash the answer is no, after the same time.
    pub(super) async fn verify(self, password: String, hash: Option<String>) -> Result<bool> {
        self.run(move || {
            let is_known = hash.is_some();
            let hash = hash.unwrap_or_else(|| NOBODYS_HASH.to_owned());
            // What is no hash (somebody wrote the column by hand) is nobody's password.
            let Ok(hash) = PasswordHash::new(&hash) else { return Ok(false) };
            Ok(Argon2::default().verify_password(password.as_bytes(), &hash).is_ok() && is_known)
        })
        .await
    }

    /// The hash of a password, with a salt of its own, in the PHC format.
    pub(super) async fn hash(self, password: String) -> Result<String> {
        self.run(move || hash_now(&password)).await
    }

    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = self.0;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        match done.await {
            Ok(result) => result,
            // The task is never aborted, so a failed join is a panic of the work: let it go on here.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// The hash of a password, on this thread.
pub(super) fn hash_now(password: &str) -> Result<String> {
    let hashed = Argon2::default().hash_password(password.as_bytes());
    hashed
        .map(|hash| hash.to_string())
        .map_err(|error| Error::internal(format!("the password can't be hashed: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(hash: &str) -> String {
        hash.split('$').take(4).collect::<Vec<_>>().join("$")
    }

    #[test]
    fn nobody_costs_as_much_as_somebody() {
        let hash = hash_now("secret").unwrap();
        assert_eq!(parameters(NOBODYS_HASH), parameters(&hash));
        PasswordHash::new(NOBODYS_HASH).unwrap();
        assert_ne!(hash, hash_now("secret").unwrap(), "each hash has its own salt");
    }

    #[tokio::test]
    async fn only_the_password_of_the_hash_is_right() {
        let passwords = Passwords::default();
        let hash = hash_now("secret").unwrap();
        for (password, hash, expected) in [
            ("secret", Some(hash.clone()), true),
            ("Secret", Some(hash), false),
            ("secret", None, false),
            ("secret", Some("secret".to_owned()), false),
        ] {
            let turn = passwords.permit().await;
            assert_eq!(turn.verify(password.to_owned(), hash).await.unwrap(), expected);
        }
    }
}
