//! Values between guest and host: MessagePack, structs as maps with their field names.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    rmp_serde::to_vec_named(value)
        .map_err(|error| Error::internal(format!("a value can't be encoded: {error}")))
}

/// `what` it is that does not fit, for the message; `status` of the error.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8], what: &str, status: u16) -> Result<T> {
    rmp_serde::from_slice(bytes)
        .map_err(|error| Error::new(status, format!("{what} does not fit: {error}")))
}
