//! What a client wants said when it is gone without a word.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mqtt_proto::v5::LastWill;

/// A client's last will.
#[derive(Debug, Clone)]
pub(super) struct Will {
    pub(super) topic: Arc<str>,
    pub(super) payload: Bytes,
    pub(super) is_retained: bool,
    pub(super) content_type: Option<Arc<str>>,
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
            content_type: will.properties.content_type,
            delay: Duration::from_secs(delay.into()),
        }
    }
}
