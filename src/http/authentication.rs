//! Who sends a request: `Authorization`, else a session's cookie, else the client's certificate, else
//! the trust in local clients (`spec/harper-rest.md` section 9.1).
//!
//! It sees accounts only through [`Accounts`]. A request with neither header costs two lookups in its
//! header map and nothing else.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{StatusCode, Uri};
use kora_resource::session_cookie::Site;
use kora_resource::{Accounts, Error, ErrorKind, Result, User, Value};

use super::Response;
use super::body::ResponseBody;
use super::peer::{Peer, Scheme};
use super::problem;
use crate::config::LocalClients;

/// Where requests from the same machine say that they come from elsewhere.
const FORWARDED: [HeaderName; 2] = [header::FORWARDED, HeaderName::from_static("x-forwarded-for")];

/// Tells who sends the requests of all connections.
pub(crate) struct Authentication {
    accounts: Arc<dyn Accounts>,
    local_clients: LocalClients,
}

impl Authentication {
    pub(crate) fn new(accounts: Arc<dyn Accounts>, local_clients: LocalClients) -> Authentication {
        Authentication { accounts, local_clients }
    }

    /// Whether clients on the same machine are super users unless they say who they are.
    pub(crate) fn local_clients(&self) -> LocalClients {
        self.local_clients
    }

    /// Who sends this request, where it is somebody else than the connection's client; 401 where the
    /// request says who it is and that is not true.
    pub(crate) async fn identify(
        &self,
        peer: &Peer,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Option<Peer>> {
        if let Some(authorization) = headers.get(header::AUTHORIZATION) {
            return match read_basic(authorization)? {
                Some((username, password)) => {
                    let accounts = Arc::clone(&self.accounts);
                    let user = accounts.authenticate(username, password).await?;
                    Ok(Some(peer.as_user(Some(user))))
                }
                // An empty name with an empty password stands for no credentials.
                None => Ok(Some(peer.as_user(None))),
            };
        }
        if headers.contains_key(header::COOKIE)
            && let Some(user) = self.user_of_session(peer, uri, headers)?
        {
            return Ok(Some(peer.as_user(Some(user))));
        }
        if let Some(name) = peer.certified()
            && is_direct(headers)
            && let Some(user) = self.accounts.user(name)?
        {
            return Ok(Some(peer.as_user(Some(user))));
        }
        if peer.is_trusted() && !is_direct(headers) {
            return Ok(Some(peer.as_user(None)));
        }
        Ok(None)
    }

    fn user_of_session(
        &self,
        peer: &Peer,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Option<Arc<User>>> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(header::HOST).or_else(|| uri.authority().map(|host| host.as_str()));
        let is_tls = peer.scheme() == Scheme::Https;
        let site = Site { origin: text(header::ORIGIN), host, is_tls };
        let cookies = headers.get_all(header::COOKIE).iter();
        let Some(id) = site.find(cookies.filter_map(|value| value.to_str().ok())) else {
            return Ok(None);
        };
        let Some(session) = self.accounts.session(id)? else { return Ok(None) };
        match session.get("user").and_then(Value::as_str) {
            Some(username) => self.accounts.user(username),
            None => Ok(None),
        }
    }
}

/// Whether a request from this machine is meant for its user: a proxy passes on what others ask, and
/// so does a browser that shows a page of another origin.
fn is_direct(headers: &HeaderMap) -> bool {
    if FORWARDED.iter().any(|name| headers.contains_key(name)) {
        return false;
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let of_origin = origin.split_once("://").map_or(origin, |(_scheme, host)| host);
    Some(of_origin) == host || is_loopback_name(of_origin)
}

fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The name and password of a Basic header.
fn read_basic(authorization: &HeaderValue) -> Result<Option<(String, String)>> {
    let refused = |text: &str| Error::new(ErrorKind::Unauthenticated, text);
    let text = authorization.to_str().map_err(|_| refused("Login failed"))?;
    let (scheme, credentials) = text.split_once(' ').unwrap_or((text, ""));
    if scheme.eq_ignore_ascii_case("Bearer") {
        return Err(refused("invalid token"));
    }
    if !scheme.eq_ignore_ascii_case("Basic") {
        return Err(refused("Login failed"));
    }
    let decoded = STANDARD.decode(credentials.trim()).ok();
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.ok_or_else(|| refused("Login failed"))?;
    let (name, password) = decoded.split_once(':').ok_or_else(|| refused("Login failed"))?;
    let is_empty = name.is_empty() && password.is_empty();
    Ok((!is_empty).then(|| (name.to_owned(), password.to_owned())))
}

/// Says with every 401, also of guest code, how to authenticate (`spec/harper-rest.md` section 5).
pub(crate) fn challenge(mut response: Response) -> Response {
    if response.status() == StatusCode::UNAUTHORIZED {
        let headers = response.headers_mut();
        headers.entry(header::WWW_AUTHENTICATE).or_insert(HeaderValue::from_static("Basic"));
    }
    response
}

/// The answer to a request that is not who it says it is: `{"error": ..}`, as Harper's.
pub(crate) fn refusal(error: &Error, url: &str) -> Response {
    problem::log(error, url);
    let object = Value::Object([("error".to_owned(), error.message.clone().into())].into());
    let mut text = Vec::new();
    kora_resource::value::json::write(&object, &mut text);
    let mut response = Response::new(ResponseBody::Full(Bytes::from(text)));
    *response.status_mut() =
        StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    challenge(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_headers() {
        let read = |text: &str| read_basic(&HeaderValue::from_str(text).unwrap());
        let ann = Some(("ann".to_owned(), "a:b".to_owned()));
        // ann:a:b, a colon alone, no colon, no base64
        for (header, expected) in [
            ("Basic YW5uOmE6Yg==", Ok(ann.clone())),
            ("basic  YW5uOmE6Yg==", Ok(ann)),
            ("Basic Og==", Ok(None)),
            ("Basic YW5u", Err("Login failed")),
            ("Basic !", Err("Login failed")),
            ("Basic", Err("Login failed")),
            ("Digest x", Err("Login failed")),
            ("Bearer x", Err("invalid token")),
        ] {
            let answer = read(header).map_err(|error| error.message);
            assert_eq!(answer, expected.map_err(str::to_owned), "{header}");
        }
    }

    #[test]
    fn what_others_pass_on_is_not_direct() {
        for (headers, expected) in [
            (&[][..], true),
            (&[("host", "127.0.0.1:1"), ("origin", "http://127.0.0.1:1")], true),
            (&[("host", "dogs.test"), ("origin", "http://dogs.test")], true),
            (&[("host", "localhost:1"), ("origin", "http://localhost:5173")], true),
            (&[("host", "localhost:1"), ("origin", "http://[::1]:5173")], true),
            (&[("host", "localhost:1"), ("origin", "https://evil.example")], false),
            (&[("host", "localhost:1"), ("origin", "https://localhost.evil.example")], false),
            (&[("host", "localhost:1"), ("origin", "null")], false),
            (&[("host", "localhost:1"), ("x-forwarded-for", "1.2.3.4")], false),
            (&[("host", "localhost:1"), ("forwarded", "for=1.2.3.4")], false),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, HeaderValue::from_static(value));
            }
            assert_eq!(is_direct(&map), expected, "{headers:?}");
        }
    }
}
