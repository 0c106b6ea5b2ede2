//! Primary keys.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A record's key, or a topic's name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
