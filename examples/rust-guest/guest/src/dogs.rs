//! The records of the table `Dog`.

use kora_guest::{Error, Id, Result, Table};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dog {
    pub id: String,
    pub name: String,
    #[serde(default)]
    pub age: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breed: Option<String>,
}

pub fn dogs() -> Result<Table<Dog>> {
    Table::find("Dog")
}

/// The dog that a call is about.
pub fn wanted(id: Option<&Id>) -> Result<&Id> {
    id.ok_or_else(|| Error::invalid("which dog?").with_code("NoDog"))
}

pub fn unknown(id: &Id) -> Error {
    Error::not_found(format!("there is no dog {id}")).with_code("UnknownDog")
}
