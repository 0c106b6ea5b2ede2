//! Primary keys.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A record's key, or a topic's name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Id {
    Int(i64),
    Number(f64),
    Text(String),
    Parts(Vec<Id>),
}

impl Id {
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Id::Text(text) => Some(text),
            Id::Int(_) | Id::Number(_) | Id::Parts(_) => None,
        }
    }

    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Id::Int(number) => Some(*number),
            Id::Number(_) | Id::Text(_) | Id::Parts(_) => None,
        }
    }
}

/// By hand: what serde derives for an untagged enum makes an error of each kind that does not fit, for each call.
impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
        struct IdVisitor;

        impl<'de> Visitor<'de> for IdVisitor {
            type Value = Id;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key: a text, a number or a list of them")
            }

            fn visit_i64<E>(self, number: i64) -> Result<Id, E> {
                Ok(Id::Int(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Id, E> {
                Ok(i64::try_from(number).map_or(Id::Number(number as f64), Id::Int))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Id, E> {
                Ok(Id::Number(number))
            }

            fn visit_str<E>(self, text: &str) -> Result<Id, E> {
                Ok(Id::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Id, E> {
                Ok(Id::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Id, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = list.next_element()? {
                    parts.push(part);
                }
                Ok(Id::Parts(parts))
            }
        }

        deserializer.deserialize_any(IdVisitor)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Int(number) => number.fmt(f),
            Id::Number(number) => number.fmt(f),
            Id::Text(text) => text.fmt(f),
            Id::Parts(parts) => f.debug_list().entries(parts).finish(),
        }
    }
}

impl From<&str> for Id {
    fn from(text: &str) -> Id {
        Id::Text(text.to_owned())
    }
}

impl From<String> for Id {
    fn from(text: String) -> Id {
        Id::Text(text)
    }
}

impl From<&String> for Id {
    fn from(text: &String) -> Id {
        Id::Text(text.clone())
    }
}

impl From<i64> for Id {
    fn from(number: i64) -> Id {
        Id::Int(number)
    }
}

impl From<i32> for Id {
    fn from(number: i32) -> Id {
        Id::Int(number.into())
    }
}

impl From<u32> for Id {
    fn from(number: u32) -> Id {
        Id::Int(number.into())
    }
}

impl From<&Id> for Id {
    fn from(id: &Id) -> Id {
        id.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::{decode, encode};

    #[test]
    fn keys_of_every_kind_come_back_as_they_were() {
        let parts = Id::Parts(vec![Id::from("a"), Id::Int(-1), Id::Parts(Vec::new())]);
        for id in [Id::from("341"), Id::Int(i64::MIN), Id::Int(7), Id::Number(0.5), parts] {
            assert_eq!(decode::<Id>(&encode(&id).unwrap(), "the id", 400).unwrap(), id);
        }
        let large: Id = decode(&encode(&u64::MAX).unwrap(), "the id", 400).unwrap();
        assert_eq!(large, Id::Number(u64::MAX as f64));
        let error = decode::<Id>(&encode(&true).unwrap(), "the id", 400).unwrap_err();
        assert!(error.message.contains("a key: a text"), "{}", error.message);
    }
}
