//! Where a call comes from, and the host's small services: clock, random, configuration.

use serde::de::DeserializeOwned;

use crate::{Error, Result, host};

/// Who calls, and with which request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Context {
    pub user: Option<User>,
    /// The HTTP request, or the one that opened the socket.
    pub request: Option<Request>,
    /// Whether the caller's rights count: true for what came over a transport.
    pub authorize: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    pub username: String,
    pub super_user: bool,
    pub role: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub url: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub protocol: String,
    pub host: Option<String>,
    pub ip: Option<String>,
}

impl Context {
    /// The first header of this name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = &self.request.as_ref()?.headers;
        headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Milliseconds since 1970.
pub fn now() -> f64 {
    host::now()
}

/// Waits.
pub async fn sleep(duration: std::time::Duration) {
    host::sleep(duration.as_secs_f64() * 1000.0).await;
}

/// Random bytes, fit for keys. At most 65,536.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&host::random(N as u32));
    bytes
}

/// What the component's config.yaml says below `guest`.
pub fn config<T: DeserializeOwned>() -> Result<T> {
    serde_json::from_str(&host::config())
        .map_err(|error| Error::internal(format!("`guest` in config.yaml does not fit: {error}")))
}
