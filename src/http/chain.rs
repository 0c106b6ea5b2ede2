//! The middleware of all components in one order, and a request's way through it
//! (`spec/harper-components.md` section 4.2).
//!
//! A [`Chain`] is part of a snapshot and immutable. Neighbouring listeners of one component make a
//! [`Run`], which enters that component once; behind the last run is the router's own work. Everything
//! runs on the connection's task: a component only sends steps, so when the client goes away the whole
//! passage is dropped. A server without middleware has no chain and pays nothing for it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode, Uri};
use kora_resource::middleware::{self, Body, Listener, Middleware, Origin, Place, Step};
use kora_resource::{Error, RequestInfo, Result, User};

use super::Response;
use super::body::ResponseBody;
use super::peer::Peer;
use super::request_body::RequestBody;
use super::router::Router;
use super::{authentication, compression, problem};

/// The listeners of all components in the order in which requests pass them.
#[derive(Default)]
pub struct Chain {
    runs: Vec<Run>,
}

/// Neighbouring listeners of one component.
struct Run {
    middleware: Arc<dyn Middleware>,
    listeners: Vec<usize>,
    side: Side,
}

/// On which side of authentication a run stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// `runFirst`: nobody has looked at the request's credentials yet.
    Before,
    Behind,
}

impl Side {
    fn of(listener: &Listener) -> Side {
        match listener.place {
            Place::First => Side::Before,
            Place::Registered | Place::Last => Side::Behind,
        }
    }
}

/// Whether it is settled who sends a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The connection's client, until somebody looks at what the request says.
    Unknown,
    /// The client that comes with it: by its credentials, or by what middleware said.
    Known,
}

/// What middleware has made of a request, as an extension of it: the components' own objects for it.
#[derive(Clone, Default)]
pub(crate) struct Passed {
    pub(crate) origins: Vec<Origin>,
}

/// The path of the resource that has answered, as an extension of the response.
#[derive(Clone)]
pub(crate) struct HandlerPath(pub(crate) String);

impl Chain {
    /// Puts the listeners of all components, which are in order of loading, into one order: the first
    /// ones, those in order of registration, the last ones; then each `before` and `after` by name.
    pub fn new(components: &[Arc<dyn Middleware>]) -> Chain {
        let mut order: Vec<(usize, usize)> = Vec::new();
        for (number, component) in components.iter().enumerate() {
            order.extend((0..component.listeners().len()).map(|listener| (number, listener)));
        }
        let of = |(component, listener): (usize, usize)| -> &Listener {
            &components[component].listeners()[listener]
        };
        order.sort_by_key(|at| of(*at).place);
        for at in order.clone() {
            let listener = of(at);
            let is_named =
                |other: (usize, usize), name: &String| of(other).name.as_ref() == Some(name);
            let from = order.iter().position(|other| *other == at);
            let Some(from) = from else { continue };
            let to = match (&listener.before, &listener.after) {
                (Some(name), _) => {
                    order.iter().position(|other| is_named(*other, name)).filter(|to| *to < from)
                }
                (None, Some(name)) => {
                    order.iter().rposition(|other| is_named(*other, name)).filter(|to| *to > from)
                }
                (None, None) => None,
            };
            if let Some(to) = to {
                let moved = order.remove(from);
                order.insert(to, moved);
            }
        }
        let mut runs: Vec<Run> = Vec::new();
        let mut last = None;
        for (component, listener) in order {
            let side = Side::of(of((component, listener)));
            match runs.last_mut() {
                Some(run) if last == Some((component, side)) => run.listeners.push(listener),
                _ => runs.push(Run {
                    middleware: components[component].clone(),
                    listeners: vec![listener],
                    side,
                }),
            }
            last = Some((component, side));
        }
        Chain { runs }
    }

    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}

impl Run {
    /// The listeners that are for this request. What their own conditions say in detail, the
    /// component looks at again: the request may have changed by then.
    fn concerned(&self, request: &Parts) -> Vec<usize> {
        let listeners = self.middleware.listeners();
        let might = |listener: &Listener| {
            let path = request.uri.path().trim_start_matches('/');
            listener.url_path.as_ref().is_none_or(|prefix| path.starts_with(prefix.as_str()))
                && (listener.media_types.is_empty() || names_type(&request.headers, listener))
        };
        self.listeners.iter().copied().filter(|number| might(&listeners[*number])).collect()
    }
}

/// Whether the request sends or accepts one of the listener's media types.
fn names_type(headers: &HeaderMap, listener: &Listener) -> bool {
    [header::ACCEPT, header::CONTENT_TYPE]
        .iter()
        .flat_map(|name| headers.get_all(name))
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            let value = value.to_ascii_lowercase();
            listener.media_types.iter().any(|media_type| value.contains(media_type))
        })
}

/// Sends a request through what of the chain begins at run `at`, and then to the router.
pub(crate) fn pass<'a>(
    router: &'a Router,
    chain: &'a Chain,
    at: usize,
    request: Request<RequestBody>,
    peer: &'a Peer,
    asker: Asker,
) -> BoxFuture<'a, Response> {
    Box::pin(async move {
        let (parts, body) = request.into_parts();
        let mut runs = chain.runs.iter().enumerate().skip(at);
        let concerned = runs.find_map(|(at, run)| {
            let listeners = run.concerned(&parts);
            (!listeners.is_empty()).then_some((at, run, listeners))
        });
        let Some((at, run, listeners)) = concerned else {
            return router.route(Request::from_parts(parts, body), peer, asker).await;
        };
        let (mut identified, mut asker) = (None, asker);
        if run.side == Side::Behind {
            let request = Request::from_parts(parts.clone(), ());
            identified = match router.identify(peer, asker, &request).await {
                Ok(identified) => identified,
                Err(error) if is_upgrade(&parts) => {
                    problem::log(&error, &parts.uri.to_string());
                    Some(peer.as_user(None))
                }
                Err(error) => return authentication::refusal(&error, &parts.uri.to_string()),
            };
            asker = Asker::Known;
        }
        let peer = identified.as_ref().unwrap_or(peer);
        let passage = Passage { router, chain, next: at + 1, peer, asker };
        let mut response = match passage.run(run, &listeners, &parts, body).await {
            Ok(response) => response,
            Err(error) => problem::response(&error, &parts.uri.to_string()),
        };
        if parts.extensions.get::<Passed>().is_none() {
            compress(&mut response, &parts.headers, router);
        }
        authentication::challenge(response)
    })
}

/// Compresses what the outermost listener has answered: inside of it, bodies are as they were made.
fn compress(response: &mut Response, request: &HeaderMap, router: &Router) {
    let was_encoded = response.headers().contains_key(header::CONTENT_ENCODING);
    compression::apply(response, request, router.compress_from);
    let headers = response.headers_mut();
    if !was_encoded && headers.contains_key(header::CONTENT_ENCODING) {
        let varies = HeaderValue::from_static("Accept-Encoding");
        headers.entry(header::VARY).or_insert(varies);
    }
}

/// A request in one run.
struct Passage<'a> {
    router: &'a Router,
    chain: &'a Chain,
    /// The run behind this one.
    next: usize,
    peer: &'a Peer,
    asker: Asker,
}

impl Passage<'_> {
    async fn run(
        &self,
        run: &Run,
        listeners: &[usize],
        parts: &Parts,
        body: RequestBody,
    ) -> Result<Response> {
        let Passed { origins } = parts.extensions.get::<Passed>().cloned().unwrap_or_default();
        let info = Arc::new(self.peer.request_info(parts));
        let user = match self.asker {
            Asker::Known => self.peer.user().cloned(),
            Asker::Unknown => None,
        };
        let request = middleware::Request {
            info: info.clone(),
            body: body.into_middleware(),
            user: user.clone(),
            is_web_socket: is_upgrade(parts),
            origins,
        };
        // Declared before the steps, so dropped after them: middleware whose `next` fails because the client has
        // gone must find that its steps go nowhere, or it passes for having answered.
        let mut waiting;
        let mut steps = run.middleware.handle(listeners, request)?;
        while let Some(step) = steps.next().await {
            match step {
                Step::Next { request, respond } => {
                    waiting = Some(respond);
                    let changed = (!is_same(&request.user, &user))
                        .then(|| self.peer.as_user(request.user.clone()));
                    let response = match restored(parts, &info, request) {
                        Ok(request) => self.go_on(request, changed).await,
                        Err(error) => problem::response(&error, &info.url),
                    };
                    if let Some(respond) = waiting.take() {
                        respond(to_middleware(response));
                    }
                }
                Step::Answer(Ok(Some(response))) => {
                    return from_middleware(response, &parts.method);
                }
                Step::Answer(Ok(None)) => {
                    return Ok(problem::with_text(StatusCode::NOT_FOUND, "Not found\n"));
                }
                Step::Answer(Err(error)) => return Err(error),
            }
        }
        Err(Error::unavailable("the component's worker ended before it answered, try again"))
    }

    /// What lies behind this run; `changed` is who the listeners say is asking.
    async fn go_on(&self, request: Request<RequestBody>, changed: Option<Peer>) -> Response {
        let (peer, asker) = match &changed {
            Some(changed) => (changed, Asker::Known),
            None => (self.peer, self.asker),
        };
        pass(self.router, self.chain, self.next, request, peer, asker).await
    }
}

fn is_same(one: &Option<Arc<User>>, other: &Option<Arc<User>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

fn is_upgrade(parts: &Parts) -> bool {
    // The library looks at whole requests: one is made only where it may be an upgrade.
    parts.headers.contains_key(header::UPGRADE)
        && fastwebsockets::upgrade::is_upgrade_request(&Request::from_parts(parts.clone(), ()))
}

/// The request as middleware has handed it on; what it did not touch is as it came.
fn restored(
    original: &Parts,
    before: &Arc<RequestInfo>,
    request: middleware::Request,
) -> Result<Request<RequestBody>> {
    let middleware::Request { info, body, user: _, is_web_socket: _, origins } = request;
    let mut parts = original.clone();
    if !Arc::ptr_eq(before, &info) {
        parts.method = Method::from_bytes(info.method.as_bytes())
            .map_err(|_| unusable(format!("the method {:?}", info.method)))?;
        if info.url != before.url {
            let mut uri = parts.uri.into_parts();
            let url = info.url.parse().map_err(|_| unusable(format!("the URL {:?}", info.url)))?;
            uri.path_and_query = Some(url);
            parts.uri =
                Uri::from_parts(uri).map_err(|_| unusable(format!("the URL {:?}", info.url)))?;
        }
        if info.headers != before.headers {
            parts.headers = header_map(&info.headers)?;
        }
    }
    parts.extensions.insert(Passed { origins });
    Ok(Request::from_parts(parts, body.into()))
}

fn unusable(what: String) -> Error {
    Error::internal(format!("middleware has handed on a request with {what}, which is none"))
}

fn header_map(pairs: &[(String, String)]) -> Result<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(pairs.len());
    for (name, value) in pairs {
        let bad = |_| unusable(format!("the header {name}: {value:?}"));
        let name = HeaderName::try_from(name).map_err(|_| bad(()))?;
        headers.append(name, HeaderValue::try_from(value).map_err(|_| bad(()))?);
    }
    Ok(headers)
}

fn to_middleware(response: Response) -> middleware::Response {
    let (parts, body) = response.into_parts();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    middleware::Response {
        status: parts.status.as_u16(),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), text(value)))
            .collect(),
        body: match body {
            ResponseBody::Empty => Body::Empty,
            ResponseBody::Full(bytes) => Body::Full(bytes),
            ResponseBody::Streamed(chunks) => Body::Stream(Box::pin(chunks.map(Ok))),
            ResponseBody::Piped { chunks, .. } => Body::Stream(chunks),
        },
        handler_path: parts.extensions.get::<HandlerPath>().map(|path| path.0.clone()),
    }
}

fn from_middleware(response: middleware::Response, method: &Method) -> Result<Response> {
    let middleware::Response { status, headers, body, handler_path: _ } = response;
    let status = StatusCode::from_u16(status)
        .map_err(|_| Error::internal(format!("middleware answered with the status {status}")))?;
    let mut headers = header_map(&headers)?;
    let body = match body {
        Body::Empty => ResponseBody::Empty,
        Body::Full(bytes) => ResponseBody::Full(bytes),
        // One that fails midway cuts the connection: the part must not pass for the whole.
        Body::Stream(chunks) => {
            ResponseBody::Piped { size: None, chunks: Box::pin(chunks.inspect(log_failure)) }
        }
    };
    // The length is that of the body as it is now; only HEAD tells of a body that is not sent.
    if *method != Method::HEAD || !matches!(body, ResponseBody::Empty) {
        headers.remove(header::CONTENT_LENGTH);
    }
    headers.remove(header::TRANSFER_ENCODING);
    let mut response =
        Response::new(if *method == Method::HEAD { ResponseBody::Empty } else { body });
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// The status is sent already: nobody but the log can be told why.
fn log_failure(chunk: &Result<Bytes>) {
    if let Err(error) = chunk {
        problem::log(error, "a response of middleware");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kora_resource::middleware::Steps;

    struct Named(Vec<Listener>);

    impl Middleware for Named {
        fn listeners(&self) -> &[Listener] {
            &self.0
        }

        fn handle(&self, _: &[usize], _: middleware::Request) -> Result<Steps> {
            Err(Error::unavailable("only its order is looked at"))
        }
    }

    fn listener(name: &str) -> Listener {
        Listener { name: Some(name.to_owned()), ..Listener::default() }
    }

    fn order(components: Vec<Vec<Listener>>) -> Vec<String> {
        let components: Vec<Arc<dyn Middleware>> = components
            .into_iter()
            .map(|listeners| Arc::new(Named(listeners)) as Arc<dyn Middleware>)
            .collect();
        let chain = Chain::new(&components);
        let names = chain.runs.iter().flat_map(|run| {
            run.listeners.iter().map(|at| run.middleware.listeners()[*at].name.clone().unwrap())
        });
        names.collect()
    }

    #[test]
    fn places_come_first_then_registration_then_names() {
        let first = Listener { place: Place::First, ..listener("first") };
        let last = Listener { place: Place::Last, ..listener("last") };
        let before_a = Listener { before: Some("a".into()), ..listener("before a") };
        let after_d = Listener { after: Some("d".into()), ..listener("after d") };
        let lost = Listener { before: Some("nobody".into()), ..listener("lost") };
        assert_eq!(
            order(vec![
                vec![last, listener("a"), after_d, listener("b")],
                vec![listener("c"), before_a, listener("d"), first, lost],
            ]),
            ["first", "before a", "a", "b", "c", "d", "after d", "lost", "last"]
        );
    }
}
