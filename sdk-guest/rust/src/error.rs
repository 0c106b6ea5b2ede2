//! Why a call did not succeed.

use std::fmt;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error with the status that the client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// An HTTP status, 400 to 599.
    pub status: u16,
    /// A short name that code can match; empty for the status's own.
    pub code: String,
    pub message: String,
}

impl Error {
    pub fn new(status: u16, message: impl Into<String>) -> Error {
        Error { status, code: String::new(), message: message.into() }
    }

    /// The same error with a name that code can match.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Error {
        self.code = code.into();
        self
    }

    /// 400.
    pub fn invalid(message: impl Into<String>) -> Error {
        Error::new(400, message)
    }

    /// 403.
    pub fn forbidden(message: impl Into<String>) -> Error {
        Error::new(403, message)
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Error {
        Error::new(404, message)
    }

    /// 409.
    pub fn conflict(message: impl Into<String>) -> Error {
        Error::new(409, message)
    }

    /// 500.
    pub fn internal(message: impl fmt::Display) -> Error {
        Error::new(500, message.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.status)
    }
}

impl std::error::Error for Error {}
