//! Lines in the server's log, with the component's name.

use std::fmt::Display;

use crate::host;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

pub fn trace(message: impl Display) {
    host::log(Level::Trace, message.to_string());
}

pub fn debug(message: impl Display) {
    host::log(Level::Debug, message.to_string());
}

pub fn info(message: impl Display) {
    host::log(Level::Info, message.to_string());
}

pub fn warn(message: impl Display) {
    host::log(Level::Warn, message.to_string());
}

pub fn error(message: impl Display) {
    host::log(Level::Error, message.to_string());
}
