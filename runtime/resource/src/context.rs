//! Who calls, by what request. Travels with every [`crate::Call`] and every [`crate::Connect`].

use std::net::IpAddr;
use std::sync::Arc;

use crate::User;

/// The request behind a call, for code that wants to see it (`spec/harper-resources.md` section 7).
#[derive(Debug, Clone)]
pub struct RequestInfo {
    pub method: String,
    /// Path and query, with the leading `/`.
    pub url: String,
    /// Names in lower case, in the order of arrival; one entry a header line.
    pub headers: Vec<(String, String)>,
    pub protocol: &'static str,
    pub host: Option<String>,
    pub ip: Option<IpAddr>,
    pub http_version: &'static str,
}

/// The surroundings of one call.
#[derive(Debug, Clone, Default)]
pub struct Context {
    pub user: Option<Arc<User>>,
    pub request: Option<Arc<RequestInfo>>,
    /// Whether the resource must check permissions: true for what came over a transport, false for
    /// what the host or a component's own code calls.
    pub authorize: bool,
    /// What the request asks of a caching table.
    pub cache: crate::CacheControl,
    /// What middleware made of the request, by component (see [`crate::middleware`]).
    pub origins: Vec<crate::middleware::Origin>,
    /// What the publisher says about the message that the call publishes or writes.
    pub properties: Option<Arc<crate::MessageProperties>>,
}
