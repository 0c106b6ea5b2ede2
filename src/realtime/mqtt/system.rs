//! The broker's own topics, `$SYS/broker/...`: what is going on, every ten seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use kora_resource::{Id, Message, Outgoing, Pattern};

use super::Broker;
use crate::PRODUCT;

/// How often the topics are published.
const INTERVAL: Duration = Duration::from_secs(10);

/// What all of them begin with.
pub(super) const PREFIX: &str = "$SYS/";

/// The stream of those topics that match; `None` where none does. Each message's content type is its
/// topic: the connection takes it apart again.
pub(super) fn subscribe(broker: &Arc<Broker>, filter: &str) -> Option<Outgoing> {
    let pattern = Pattern::parse(filter.strip_prefix(PREFIX)?).ok()?;
    let is_asked = |topic: &str| pattern.matches(&Id::from(topic));
    topics(broker).iter().any(|(topic, _)| is_asked(topic)).then_some(())?;
    let begin = (Arc::clone(broker), pattern, Vec::new(), true);
    Some(Box::pin(stream::unfold(begin, |(broker, pattern, mut waiting, is_first)| async move {
        if waiting.is_empty() {
            if !is_first {
                tokio::time::sleep(INTERVAL).await;
            }
            waiting = topics(&broker);
            waiting.retain(|(topic, _)| pattern.matches(&Id::from(*topic)));
            waiting.reverse();
        }
        let (topic, data) = waiting.pop()?;
        let message =
            Message::Raw { content_type: format!("{PREFIX}{topic}"), data: Bytes::from(data) };
        Some((Ok(message), (broker, pattern, waiting, false)))
    })))
}

fn topics(broker: &Broker) -> Vec<(&'static str, String)> {
    let counters = &broker.counters;
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed).to_string();
    vec![
        ("broker/version", format!("{PRODUCT} {}", env!("CARGO_PKG_VERSION"))),
        ("broker/uptime", format!("{} seconds", counters.started.elapsed().as_secs())),
        ("broker/clients/connected", count(&counters.connected)),
        ("broker/messages/received", count(&counters.received)),
        ("broker/messages/sent", count(&counters.sent)),
        ("broker/subscriptions/count", count(&counters.subscriptions)),
    ]
}
