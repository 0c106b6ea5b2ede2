//! `kora:resource/http`: outgoing requests, to hosts that the component's config.yaml names and no others.

use http_body_util::{BodyExt, Full, Limited};
use wasmtime::component::{Accessor, HasSelf};

use crate::bindings::kora::resource::http::{Host, HostWithStore, Request, Response};
use crate::bindings::kora::resource::types::Failure;
use crate::instance::State;

/// The largest body that is taken; more is an error for the guest.
const MAX_BODY: usize = 10 << 20;

impl Host for State {}

impl<T: Send> HostWithStore<T> for HasSelf<State> {
    async fn fetch(
        accessor: &Accessor<T, Self>,
        request: Request,
    ) -> wasmtime::Result<Result<Response, Failure>> {
        let info = accessor.with(|mut access| access.get().info.clone());
        Ok(send(request, &info.allowed_hosts).await)
    }
}

async fn send(request: Request, allowed: &[String]) -> Result<Response, Failure> {
    let url = request.url.clone();
    let mut builder = http::Request::builder().method(request.method.as_str()).uri(&url);
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    let body = Full::new(bytes::Bytes::from(request.body)).map_err(|never| match never {});
    let request = builder.body(body).map_err(|error| {
        failure(400, format!("the request to {url} is not well formed: {error}"))
    })?;
    let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    if !allows(allowed, &authority) {
        return Err(failure(
            403,
            format!(
                "the guest may not reach {authority}: allow it with permissions.net in config.yaml"
            ),
        ));
    }
    let unreachable = |error: String| failure(502, format!("{url} can't be reached: {error}"));
    let (response, io) = wasmtime_wasi_http::default_send_request(request, None)
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    let read = async {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY)
            .collect()
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        let headers = head.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        Ok(Response {
            status: head.status.as_u16(),
            headers: headers.collect(),
            body: body.to_bytes().to_vec(),
        })
    };
    // The connection is driven beside the body; what goes wrong with it the body's reader sees.
    let (read, _) = futures_util::future::join(read, io).await;
    read
}

fn failure(status: u16, message: String) -> Failure {
    Failure { status, code: String::new(), message }
}

/// Whether `authority` (`host` or `host:port`) is among the hosts that config.yaml names.
fn allows(allowed: &[String], authority: &str) -> bool {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    allowed.iter().any(|pattern| match pattern.strip_prefix("*.") {
        Some(domain) => host.strip_suffix(domain).is_some_and(|subdomain| subdomain.ends_with('.')),
        None => pattern == "*" || pattern == authority || pattern == host,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_hosts_are_reached() {
        let allowed =
            ["api.example.com".to_owned(), "*.test".to_owned(), "127.0.0.1:8080".to_owned()];
        for (authority, expected) in [
            ("api.example.com", true),
            ("api.example.com:8443", true),
            ("evil-api.example.com", false),
            ("a.test", true),
            ("test", false),
            ("eviltest", false),
            ("127.0.0.1:8080", true),
            ("127.0.0.1:9000", false),
            ("", false),
        ] {
            assert_eq!(allows(&allowed, authority), expected, "{authority}");
        }
        assert!(allows(&["*".to_owned()], "anything:1"));
        assert!(!allows(&[], "anything"));
    }
}
