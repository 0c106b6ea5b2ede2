//! Middleware: guest code that stands before everything that answers HTTP (`server.http`,
//! `spec/harper-components.md` section 4.2).
//!
//! A [`Middleware`] is one component's listeners. The host asks [`Middleware::listeners`] for their
//! names and conditions, puts those of all components into one order, and hands a request to a run of
//! neighbouring listeners by [`Middleware::handle`]. What comes back is a stream of [`Step`]s: the
//! listeners call `next` (the host goes on with the request as they left it and gives its response
//! back), and in the end they answer. All I/O stays with the host: a step carries a request or a
//! response with a body that is read only by who wants to see it. Dropping the stream is the client's
//! going away.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;

use crate::{RequestInfo, Result, User};

/// Names the guest's own object for a request, so that a call of the same component that comes out of
/// it finds that object again. Only who made it can read it.
pub type Origin = Arc<dyn Any + Send + Sync>;

/// Chunks of a body as they come. An error is its last item.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// What a component answers to a request, as one stream of steps.
pub type Steps = Pin<Box<dyn Stream<Item = Step> + Send>>;

/// One component's listeners.
pub trait Middleware: Send + Sync + 'static {
    /// In order of registration; a listener is named by its place here.
    fn listeners(&self) -> &[Listener];

    /// Sends a request through `listeners`, one after the other.
    ///
    /// # Errors
    /// The component can't take the request now (its queue is full, or it is being replaced).
    fn handle(&self, listeners: &[usize], request: Request) -> Result<Steps>;
}

/// How a listener was registered: the options of `server.http`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listener {
    pub name: Option<String>,
    /// Goes before the listener of this name.
    pub before: Option<String>,
    /// Goes after the listener of this name.
    pub after: Option<String>,
    pub place: Place,
    /// Only for paths below this one, without slashes at its ends; the listener sees the rest only.
    pub url_path: Option<String>,
    /// Only for requests to this host name (without a port).
    pub host: Option<String>,
    /// Only for requests that send or accept one of these media types; empty for all requests.
    pub media_types: Vec<String>,
}

/// Where a listener stands among all of them, before names are looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// `runFirst: true`.
    First,
    /// In order of registration.
    #[default]
    Registered,
    /// Next to what it stands before: the host's own REST and static files.
    Last,
}

/// A request on its way.
#[derive(Debug)]
pub struct Request {
    pub info: Arc<RequestInfo>,
    pub body: Body,
    pub user: Option<Arc<User>>,
    pub is_web_socket: bool,
    /// The objects of the components whose listeners it has passed.
    pub origins: Vec<Origin>,
}

/// A response on its way back.
#[derive(Debug, Default)]
pub struct Response {
    pub status: u16,
    /// In order; several of one name are several lines.
    pub headers: Vec<(String, String)>,
    pub body: Body,
    /// The path of the resource that answered, if one did.
    pub handler_path: Option<String>,
}

/// A body: there already, or still to come.
#[derive(Default)]
pub enum Body {
    #[default]
    Empty,
    Full(Bytes),
    Stream(ByteStream),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Empty => f.write_str("Empty"),
            Body::Full(bytes) => write!(f, "Full({} bytes)", bytes.len()),
            Body::Stream(_) => f.write_str("Stream(..)"),
        }
    }
}

/// What the listeners do with a request.
pub enum Step {
    /// `next(request)`: go on with it and give the response to `respond`. May come more than once.
    Next { request: Request, respond: Box<dyn FnOnce(Response) + Send> },
    /// The end: their response. `None` is an answer of nothing: 404.
    Answer(Result<Option<Response>>),
}
