//! Keys for records that come without one (`spec/harper-schema.md` section 5).

use std::sync::Arc;

use kora_resource::schema::AttributeType;
use kora_resource::{Id, Result};
use uuid::Uuid;

use super::Table;

impl Table {
    /// A key that no record has: a UUID for strings, else the next number of a block that begins at
    /// random; a new block is begun where one runs into existing records.
    pub(crate) fn generate_id(self: &Arc<Self>) -> Result<Id> {
        let schema = self.schema();
        let bits = match schema.key_type() {
            AttributeType::String | AttributeType::Id | AttributeType::Blob => {
                return Ok(Id::String(Uuid::new_v4().to_string()));
            }
            AttributeType::Int => 30,
            AttributeType::Long
            | AttributeType::BigInt
            | AttributeType::Float
            | AttributeType::Boolean
            | AttributeType::Date
            | AttributeType::Bytes
            | AttributeType::Any
            | AttributeType::Array(..)
            | AttributeType::Object(_)
            | AttributeType::Unknown(_) => 49,
        };
        let mut last = self.generated.lock();
        loop {
            let next = match *last {
                // The upper half of the range is left for counting.
                Some(last) if last < (1 << (bits + 1)) - 1 => last + 1,
                Some(_) | None => (Uuid::new_v4().as_u128() & ((1 << bits) - 1)) as i64 + 1,
            };
            let id = Id::Number(next as f64);
            if self.get(&id)?.is_none() {
                *last = Some(next);
                return Ok(id);
            }
            *last = None;
        }
    }
}
