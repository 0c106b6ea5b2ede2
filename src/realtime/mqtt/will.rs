//! What a client wants said when it is gone without a word.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kora_resource::MessageProperties;
use mqtt_proto::v5::LastWill;

use super::properties;

/// A client's last will.
#[derive(Debug, Clone)]
pub(super) struct Will {
    pub(super) topic: Arc<str>,
    pub(super) payload: Bytes,
    pub(super) is_retained: bool,
    pub(super) properties: Option<Arc<MessageProperties>>,
    /// For how many seconds it is worth delivering once it is published.
    pub(super) lifetime: Option<u32>,
    /// How long the client may stay away before it is published.
    pub(super) delay: Duration,
}

impl From<LastWill> for Will {
    fn from(will: LastWill) -> Will {
        let delay = will.properties.delay_interval.unwrap_or(0);
        Will {
            topic: (&*will.topic_name).into(),
            payload: will.payload,
            is_retained: will.retain,
            lifetime: will.properties.message_expiry_interval,
            properties: properties::of_will(will.properties),
            delay: Duration::from_secs(delay.into()),
        }
    }
}
