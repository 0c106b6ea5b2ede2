//! Dates of the data model.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteBuf;

/// The extension type of a date.
const DATE: i8 = 1;

/// A point in time: milliseconds since 1970, with fractions. What an attribute of type `Date` holds.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Date(pub f64);

#[derive(Serialize, Deserialize)]
#[serde(rename = "_ExtStruct")]
struct Extension((i8, ByteBuf));

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Extension((DATE, ByteBuf::from(self.0.to_be_bytes()))).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
        use serde::de::Error;
        let Extension((kind, bytes)) = Extension::deserialize(deserializer)?;
        match <[u8; 8]>::try_from(bytes.as_slice()) {
            Ok(bytes) if kind == DATE => Ok(Date(f64::from_be_bytes(bytes))),
            _ => Err(D::Error::custom(format!("extension type {kind} is no date"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_survives() {
        let bytes = rmp_serde::to_vec(&Date(1_761_843_000_000.5)).unwrap();
        assert_eq!(bytes[..3], [0xd7, 1, 0x42]);
        assert_eq!(rmp_serde::from_slice::<Date>(&bytes).unwrap(), Date(1_761_843_000_000.5));
        assert!(rmp_serde::from_slice::<Date>(&rmp_serde::to_vec(&5).unwrap()).is_err());
    }
}
