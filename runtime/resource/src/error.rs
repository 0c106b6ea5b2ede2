//! The one error that a resource answers with, and what each kind means to a client.
//!
//! Texts and statuses follow `spec/harper-rest.md` section 7; transports turn an [`Error`] into a
//! problem object, a WebSocket close code or an SSE frame.

use crate::Value;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, said so that the client can act on it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub kind: ErrorKind,
    /// The text that the client sees as `title`.
    pub message: String,
    /// The machine-readable name: an error's `code`, or the class name of what was thrown.
    pub code: String,
    /// More about it, if there is more: the problem object's `detail`. Boxed, so that results stay
    /// small.
    pub detail: Option<Box<Value>>,
    /// The stack in the user's own source lines; for the log, never for the client.
    pub stack: Option<String>,
}

/// The kinds of failure. Each has one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// 400: the request, query, body or record is not well formed.
    Invalid,
    /// 401: nobody is logged in and the resource needs somebody.
    Unauthenticated,
    /// 403: somebody is logged in and may not.
    Forbidden,
    /// 404: no such record, attribute or resource.
    NotFound,
    /// 405: the resource has no such method.
    MethodNotAllowed(crate::VerbSet),
    /// 406: no representation that the client accepts.
    NotAcceptable,
    /// 409: the record exists, or changed under a transaction.
    Conflict,
    /// 413: more bytes than the host takes.
    TooLarge,
    /// 503: not now; trying again may help, as `Retry-After` says.
    Unavailable,
    /// 503: the code that was asked has given way to a newer version of itself; who asks again gets that.
    Replaced,
    /// 500: our fault, or that of the user's code.
    Internal,
    /// Any status that user code asked for with `statusCode`.
    Status(u16),
}

impl ErrorKind {
    /// The HTTP status of this kind.
    pub fn status(self) -> u16 {
        match self {
            ErrorKind::Invalid => 400,
            ErrorKind::Unauthenticated => 401,
            ErrorKind::Forbidden => 403,
            ErrorKind::NotFound => 404,
            ErrorKind::MethodNotAllowed(_) => 405,
            ErrorKind::NotAcceptable => 406,
            ErrorKind::Conflict => 409,
            ErrorKind::TooLarge => 413,
            ErrorKind::Unavailable | ErrorKind::Replaced => 503,
            ErrorKind::Internal => 500,
            ErrorKind::Status(status) => status,
        }
    }
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        let code = match kind {
            ErrorKind::Unauthenticated | ErrorKind::Forbidden => "AccessViolation",
            ErrorKind::Internal => "Error",
            ErrorKind::Unavailable | ErrorKind::Replaced => "ServerError",
            ErrorKind::Invalid
            | ErrorKind::NotFound
            | ErrorKind::MethodNotAllowed(_)
            | ErrorKind::NotAcceptable
            | ErrorKind::Conflict
            | ErrorKind::TooLarge
            | ErrorKind::Status(_) => "ClientError",
        };
        Error { kind, message: message.into(), code: code.to_owned(), detail: None, stack: None }
    }

    pub fn invalid(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Invalid, message)
    }

    pub fn not_found(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::NotFound, message)
    }

    pub fn conflict(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Conflict, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Unavailable, message)
    }

    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Internal, message)
    }

    /// 401 `Must login` without a user, 403 `Unauthorized access to resource` with one
    /// (`spec/harper-rest.md` section 7).
    pub fn access(context: &crate::Context) -> Error {
        match context.user {
            None => Error::new(ErrorKind::Unauthenticated, "Must login"),
            Some(_) => Error::new(ErrorKind::Forbidden, "Unauthorized access to resource"),
        }
    }

    pub fn status(&self) -> u16 {
        self.kind.status()
    }
}
