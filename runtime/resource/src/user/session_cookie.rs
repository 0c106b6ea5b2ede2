//! The cookie that carries a session's id: `<key>-hdb-session=<id>`
//! (`spec/harper-rest.md` section 9.2).
//!
//! The key is made of the request's `Origin`, or of its `Host` where it has none. A page of another
//! origin that makes a browser send our cookies along thereby sends none that counts: its own origin
//! names another cookie. That is the protection against cross-site request forgery.

use std::fmt::Write as _;

/// How long a browser keeps the cookie, in seconds: as long as browsers allow at most.
const MAX_AGE: u64 = 400 * 24 * 60 * 60;

/// The parts of a request that a session cookie depends on.
#[derive(Debug, Clone, Copy)]
pub struct Site<'r> {
    pub origin: Option<&'r str>,
    pub host: Option<&'r str>,
    pub is_tls: bool,
}

impl Site<'_> {
    /// The cookie's name.
    pub fn cookie_name(self) -> String {
        let site = match self.origin {
            Some(origin) => origin.split_once("://").map_or(origin, |(_scheme, host)| host),
            None => self.host.unwrap_or_default(),
        };
        let word = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
        let mut name: String = site.chars().map(word).collect();
        if !name.is_empty() {
            name.push('-');
        }
        name.push_str("hdb-session");
        name
    }

    /// The session id in the values of the request's `Cookie` headers.
    pub fn find<'c>(self, cookies: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
        let name = self.cookie_name();
        cookies.into_iter().flat_map(|header| header.split(';')).find_map(|cookie| {
            let (key, value) = cookie.trim().split_once('=')?;
            (key == name && !value.is_empty()).then_some(value)
        })
    }

    /// The value of a `Set-Cookie` header that gives a session's id to the client.
    pub fn set_cookie(self, id: &str) -> String {
        self.cookie(id, MAX_AGE)
    }

    /// The value of a `Set-Cookie` header that takes it away.
    pub fn clear_cookie(self) -> String {
        self.cookie("", 0)
    }

    fn cookie(self, id: &str, max_age: u64) -> String {
        let mut cookie =
            format!("{}={id}; Path=/; Max-Age={max_age}; HttpOnly", self.cookie_name());
        // Browsers take a secure cookie from localhost without TLS, too.
        let secure = self.is_tls || self.host.is_some_and(is_localhost);
        let site = if secure { "; SameSite=None; Secure" } else { "; SameSite=Lax" };
        // Writing to a string can't fail.
        let _ = cookie.write_str(site);
        cookie
    }
}

fn is_localhost(host: &str) -> bool {
    host.split(':').next() == Some("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Site = Site { origin: None, host: Some("dogs.example:9926"), is_tls: false };

    #[test]
    fn names_tell_sites_apart_and_an_origin_from_none_does_not() {
        assert_eq!(HERE.cookie_name(), "dogs_example_9926-hdb-session");
        let with_origin = Site { origin: Some("http://dogs.example:9926"), ..HERE };
        assert_eq!(with_origin.cookie_name(), HERE.cookie_name());
        let elsewhere = Site { origin: Some("https://evil.example"), ..HERE };
        assert_eq!(elsewhere.cookie_name(), "evil_example-hdb-session");
        let nowhere = Site { origin: None, host: None, is_tls: false };
        assert_eq!(nowhere.cookie_name(), "hdb-session");
    }

    #[test]
    fn the_id_is_found_among_other_cookies() {
        let header = "a=b; dogs_example_9926-hdb-session=x-1;evil_example-hdb-session=y";
        assert_eq!(HERE.find([header]), Some("x-1"));
        assert_eq!(HERE.find(["a=b", header]), Some("x-1"));
        let elsewhere = Site { origin: Some("null"), ..HERE };
        assert_eq!(elsewhere.find([header]), None);
        assert_eq!(HERE.find(["dogs_example_9926-hdb-session="]), None);
    }

    #[test]
    fn scripts_never_see_it_and_tls_makes_it_secure() {
        assert_eq!(
            HERE.set_cookie("x"),
            "dogs_example_9926-hdb-session=x; Path=/; Max-Age=34560000; HttpOnly; SameSite=Lax"
        );
        let secure = Site { is_tls: true, ..HERE };
        assert!(secure.set_cookie("x").ends_with("; HttpOnly; SameSite=None; Secure"));
        let local = Site { host: Some("localhost:9926"), ..HERE };
        assert!(local.set_cookie("x").ends_with("; Secure"));
        assert!(HERE.clear_cookie().contains("-hdb-session=; Path=/; Max-Age=0;"));
    }
}
