//! Errors on their way between Rust and JavaScript.

use std::borrow::Cow;

use deno_core::error::{CoreError, CoreErrorKind};
use deno_error::{AdditionalProperties, JsErrorBox, JsErrorClass, PropertyValue};
use kora_resource::{Error, ErrorKind};

use crate::values::ConvertError;

/// Why a component's code could not be loaded. Each message names the file and, where there is one,
/// the line and column in the user's own source.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The module does not compile, an import is missing, or its top level threw.
    #[error("{file}: {message}")]
    Module { file: String, message: String },
    /// Loading passed a limit, as code that never ends does.
    #[error("{application}: {message}")]
    Stopped { application: String, message: String },
    /// A worker thread could not be started or ended before it was ready.
    #[error("cannot start a worker of {application}: {message}")]
    Worker { application: String, message: String },
}

impl LoadError {
    pub(crate) fn module(file: &std::path::Path, error: &CoreError) -> LoadError {
        LoadError::Module { file: file.display().to_string(), message: describe(error) }
    }
}

/// The message with the first places of its stack, in the user's lines.
pub(crate) fn describe(error: &CoreError) -> String {
    let CoreErrorKind::Js(js) = error.as_kind() else {
        return error.to_string();
    };
    let message = js.exception_message.trim_start_matches("Uncaught ");
    let message = message.trim_start_matches("(in promise) ");
    if js.name.is_none() && js.message.is_none() && js.frames.is_empty() {
        // What the engines call an object.
        let is_object = message.starts_with("#<") || message == "[object Object]";
        let thrown = if is_object { "an object" } else { message };
        return format!("it throws {thrown}, which is no Error: nothing tells where");
    }
    let mut text = message.to_owned();
    for frame in js.frames.iter().filter(|frame| !is_host(frame.file_name.as_deref())).take(5) {
        let (Some(file), Some(line)) = (&frame.file_name, frame.line_number) else { continue };
        let file = file.strip_prefix("file://").unwrap_or(file);
        let column = frame.column_number.unwrap_or(1);
        text.push_str(&format!("\n    at {file}:{line}:{column}"));
    }
    text
}

pub(crate) fn is_host(file: Option<&str>) -> bool {
    file.is_none_or(|file| file.starts_with("ext:") || file.starts_with("node:"))
}

/// A resource error inside an op: reaches JavaScript as an exception with `statusCode`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct OpError(pub(crate) Error);

impl From<Error> for OpError {
    fn from(error: Error) -> OpError {
        OpError(error)
    }
}

impl From<JsErrorBox> for OpError {
    fn from(error: JsErrorBox) -> OpError {
        OpError(Error::invalid(error.get_message().into_owned()))
    }
}

/// What a component handed over is not data: its mistake, as any other wrong argument.
impl From<ConvertError> for OpError {
    fn from(error: ConvertError) -> OpError {
        match error {
            ConvertError::Threw(thrown) => OpError(*thrown),
            other => OpError(Error::invalid(other.to_string())),
        }
    }
}

/// What a component answered is not data: the client has done nothing wrong.
pub(crate) fn unanswerable(error: ConvertError) -> OpError {
    match error {
        ConvertError::Threw(thrown) => OpError(*thrown),
        other => OpError(Error::internal(format!("the answer can't be sent: {other}"))),
    }
}

impl JsErrorClass for OpError {
    fn get_class(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self.0.kind {
            ErrorKind::Unauthenticated | ErrorKind::Forbidden => "AccessViolation",
            ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::Replaced => "ServerError",
            ErrorKind::Invalid
            | ErrorKind::NotFound
            | ErrorKind::MethodNotAllowed(_)
            | ErrorKind::NotAcceptable
            | ErrorKind::Conflict
            | ErrorKind::TooLarge
            | ErrorKind::Status(_) => "ClientError",
        })
    }

    fn get_message(&self) -> Cow<'static, str> {
        Cow::Owned(self.0.message.clone())
    }

    fn get_additional_properties(&self) -> AdditionalProperties {
        let text =
            |name, text: &str| (Cow::Borrowed(name), PropertyValue::String(text.to_owned().into()));
        let status = PropertyValue::Number(f64::from(self.0.status()));
        let mut properties = vec![(Cow::Borrowed("statusCode"), status)];
        // An exception on its way through an op keeps its code, and its stack for the log.
        if let Some(stack) = &self.0.stack {
            properties.extend([text("code", &self.0.code), text("thrownAt", stack)]);
        }
        Box::new(properties.into_iter())
    }

    fn get_ref(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }
}
