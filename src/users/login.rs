//! `login: true`: `POST /login` with `{username, password}` begins a session
//! (`spec/harper-components.md` section 2).

use std::sync::Arc;

use kora_resource::schema::TableSchema;
use kora_resource::session_cookie::Site;
use kora_resource::{
    Accounts, Call, Connect, Error, Map, Outgoing, Reply, RequestInfo, Resource, ResourceFuture,
    Result, Value, Verb, VerbSet,
};

/// The resource behind `/login`.
pub struct LoginResource {
    accounts: Arc<dyn Accounts>,
}

impl LoginResource {
    /// The path that it answers on.
    pub const PATH: &'static str = "login";

    pub fn new(accounts: Arc<dyn Accounts>) -> Arc<LoginResource> {
        Arc::new(LoginResource { accounts })
    }

    async fn login(&self, call: Call) -> Result<Reply> {
        let field = |name: &str| {
            let value = call.body.as_ref().and_then(|body| body.get(name));
            let text = value.and_then(Value::as_str).map(str::to_owned);
            text.ok_or_else(|| Error::invalid(format!("'{name}' is required")))
        };
        let (username, password) = (field("username")?, field("password")?);
        let user = Arc::clone(&self.accounts).authenticate(username, password).await?;
        let request = call.context.request.as_deref();
        let site = request.map(site_of);
        let known = request
            .zip(site)
            .and_then(|(request, site)| site.find(header(request, "cookie")).map(str::to_owned));
        let session = Map::from_iter([("user".to_owned(), Value::from(user.username.as_str()))]);
        let id = Arc::clone(&self.accounts).update_session(known, session).await?;
        let message = Map::from_iter([("message".to_owned(), Value::from("Login successful"))]);
        Ok(Reply {
            headers: site
                .map(|site| ("Set-Cookie".to_owned(), site.set_cookie(&id)))
                .into_iter()
                .collect(),
            ..Reply::value(Value::Object(message))
        })
    }
}

/// The site that a request is of.
fn site_of(request: &RequestInfo) -> Site<'_> {
    Site {
        origin: header(request, "origin").next(),
        host: request.host.as_deref(),
        is_tls: request.protocol == "https",
    }
}

fn header<'r>(request: &'r RequestInfo, name: &'r str) -> impl Iterator<Item = &'r str> {
    let of_name = move |header: &&(String, String)| header.0 == name;
    request.headers.iter().filter(of_name).map(|(_, value)| value.as_str())
}

impl Resource for LoginResource {
    fn name(&self) -> &str {
        "Login"
    }

    fn verbs(&self) -> VerbSet {
        VerbSet::default().with(Verb::Post)
    }

    fn schema(&self) -> Option<Arc<TableSchema>> {
        None
    }

    fn call(self: Arc<Self>, call: Call) -> ResourceFuture<Reply> {
        Box::pin(async move { self.login(call).await })
    }

    fn connect(self: Arc<Self>, _connect: Connect) -> ResourceFuture<Outgoing> {
        let error = Error::invalid("Nothing can be subscribed to at the login");
        Box::pin(async move { Err(error) })
    }
}
