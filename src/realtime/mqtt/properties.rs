//! The properties of MQTT 5 packets that belong to a message: as the data model has them, and as the
//! headers that component code sees.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{HeaderName, HeaderValue};
use kora_resource::{MessageProperties, PayloadKind};
use mqtt_proto::v5::{PublishProperties, UserProperty, WillProperties};

/// Milliseconds since the Unix epoch.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1000.0)
}

/// What a PUBLISH packet says about its message; `None` where it says nothing.
pub(super) fn of_publish(said: PublishProperties) -> Option<Arc<MessageProperties>> {
    shared(MessageProperties {
        content_type: said.content_type,
        payload: payload_kind(said.payload_is_utf8),
        response_topic: said.response_topic.map(|topic| (&*topic).into()),
        correlation_data: said.correlation_data,
        user: user(said.user_properties),
        expires: said.message_expiry_interval.map(after),
    })
}

/// What a client says about its will. Its time begins when it is published: see [`with_lifetime`].
pub(super) fn of_will(said: WillProperties) -> Option<Arc<MessageProperties>> {
    shared(MessageProperties {
        content_type: said.content_type,
        payload: payload_kind(said.payload_is_utf8),
        response_topic: said.response_topic.map(|topic| (&*topic).into()),
        correlation_data: said.correlation_data,
        user: user(said.user_properties),
        expires: None,
    })
}

/// Properties of a message whose time of so many seconds begins now.
pub(super) fn with_lifetime(
    properties: Option<Arc<MessageProperties>>,
    seconds: Option<u32>,
) -> Option<Arc<MessageProperties>> {
    let Some(seconds) = seconds else { return properties };
    let said = properties.map(Arc::unwrap_or_clone).unwrap_or_default();
    Some(Arc::new(MessageProperties { expires: Some(after(seconds)), ..said }))
}

/// The properties as headers of the request that component code sees as its context.
pub(super) fn headers(properties: &MessageProperties) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        headers.extend(value.map(|value| (name.to_owned(), value)));
    };
    add("content-type", properties.content_type.as_deref().map(str::to_owned));
    add("response-topic", properties.response_topic.as_deref().map(str::to_owned));
    add("correlation-data", properties.correlation_data.as_ref().map(|data| STANDARD.encode(data)));
    let seconds = properties.remaining_seconds(now());
    add("message-expiry-interval", seconds.map(|seconds| seconds.to_string()));
    for (name, value) in &properties.user {
        // What can't be a header is left out: code could not even look at the others.
        if let Ok(name) = HeaderName::try_from(&**name)
            && HeaderValue::try_from(&**value).is_ok()
        {
            add(name.as_str(), Some(value.to_string()));
        }
    }
    headers
}

fn shared(properties: MessageProperties) -> Option<Arc<MessageProperties>> {
    (!properties.is_empty()).then(|| Arc::new(properties))
}

fn after(seconds: u32) -> f64 {
    now() + f64::from(seconds) * 1000.0
}

fn payload_kind(is_text: Option<bool>) -> PayloadKind {
    match is_text {
        Some(true) => PayloadKind::Text,
        Some(false) | None => PayloadKind::Unspecified,
    }
}

fn user(properties: Vec<UserProperty>) -> Vec<(Arc<str>, Arc<str>)> {
    properties.into_iter().map(|UserProperty { name, value }| (name, value)).collect()
}
