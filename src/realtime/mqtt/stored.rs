//! Sessions and wills on disk, as records of two tables of the host, which this module sees as
//! [`Resource`]s (`spec/harper-realtime.md` section 8, "Sessions" and "Will").
//!
//! A session is written when its client subscribes or leaves, and while it is connected at most once
//! in some seconds. What a crash takes is therefore some acknowledgements: those messages come again.

use std::sync::Arc;

use bytes::Bytes;
use kora_resource::{
    Call, Context, Id, Item, Map, MessageProperties, Position, ReplyBody, Resource, Result, Seq,
    Target, User, Value, Verb,
};
use mqtt_proto::QoS;
use mqtt_proto::v5::{RetainHandling, SubscriptionOptions};

use super::codec::NEVER_EXPIRES;
use super::properties::now;
use super::session::{Progress, Session, Source, Stage, Subscribed};
use super::will::Will;

/// The tables; `None` where the broker keeps nothing.
#[derive(Clone)]
pub(crate) struct SessionTables {
    pub(crate) sessions: Arc<dyn Resource>,
    pub(crate) wills: Arc<dyn Resource>,
}

/// A will of a client that was connected when the host ended.
pub(super) struct Leftover {
    pub(super) client_id: String,
    pub(super) username: Option<String>,
    pub(super) will: Will,
}

/// The schemas of the tables.
pub(crate) const SCHEMAS: &str = r#"
type hdb_durable_session @table(database: "system", audit: false) {
  id: ID @primaryKey
}
type hdb_session_will @table(database: "system", audit: false) {
  id: ID @primaryKey
}
"#;

impl SessionTables {
    pub(super) async fn save(&self, session: &Session) -> Result<()> {
        put(&self.sessions, &session.client_id, to_value(session)).await
    }

    pub(super) async fn forget(&self, client_id: &str) -> Result<()> {
        delete(&self.sessions, client_id).await
    }

    /// The session of a client, unless its time is over.
    pub(super) async fn load(&self, client_id: &str) -> Result<Option<Session>> {
        let target = Target::record(Id::from(client_id));
        let reply = call(&self.sessions, Verb::Get, target, None).await?;
        let value = match reply {
            ReplyBody::Record(record) => Value::Object(record.to_map()?),
            ReplyBody::Value(value) => value,
            ReplyBody::Absent
            | ReplyBody::Items(_)
            | ReplyBody::Raw { .. }
            | ReplyBody::Stream { .. } => return Ok(None),
        };
        let is_over = number(&value, "expires").is_some_and(|expires| expires <= now());
        Ok(if is_over { None } else { from_value(client_id, &value) })
    }

    pub(super) async fn save_will(
        &self,
        client_id: &str,
        will: &Will,
        user: Option<&User>,
    ) -> Result<()> {
        let object = object([
            ("topic", Value::from(&*will.topic)),
            ("data", Value::Bytes(will.payload.clone())),
            ("retain", Value::Bool(will.is_retained)),
            ("user", user.map_or(Value::Null, |user| Value::from(user.username.as_str()))),
            ("properties", will.properties.as_ref().map_or(Value::Null, |said| said.to_value())),
            ("lifetime", will.lifetime.map_or(Value::Null, |seconds| Value::Int(seconds.into()))),
        ]);
        put(&self.wills, client_id, object).await
    }

    pub(super) async fn forget_will(&self, client_id: &str) -> Result<()> {
        delete(&self.wills, client_id).await
    }

    /// All wills that are stored.
    pub(super) async fn leftover_wills(&self) -> Result<Vec<Leftover>> {
        use futures_util::StreamExt;
        let reply = call(&self.wills, Verb::Get, Target::collection(), None).await?;
        let ReplyBody::Items(mut items) = reply else { return Ok(Vec::new()) };
        let mut wills = Vec::new();
        while let Some(item) = items.next().await {
            let value = match item? {
                Item::Record(record) => Value::Object(record.to_map()?),
                Item::Value(value) => value,
            };
            let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
            let (Some(client_id), Some(topic)) = (text("id"), text("topic")) else { continue };
            let payload = match value.get("data") {
                Some(Value::Bytes(bytes)) => bytes.clone(),
                _ => Bytes::new(),
            };
            let will = Will {
                topic: topic.into(),
                payload,
                is_retained: matches!(value.get("retain"), Some(Value::Bool(true))),
                properties: value
                    .get("properties")
                    .map(|said| Arc::new(MessageProperties::from_value(said)))
                    .filter(|said| !said.is_empty()),
                lifetime: number(&value, "lifetime").map(|seconds| seconds as u32),
                delay: std::time::Duration::ZERO,
            };
            wills.push(Leftover { client_id, username: text("user"), will });
        }
        Ok(wills)
    }
}

async fn call(
    table: &Arc<dyn Resource>,
    verb: Verb,
    target: Target,
    body: Option<Value>,
) -> Result<ReplyBody> {
    let context = Arc::new(Context::default());
    let reply = Arc::clone(table).call(Call { verb, target, body, context }).await?;
    Ok(reply.body)
}

async fn put(table: &Arc<dyn Resource>, id: &str, value: Value) -> Result<()> {
    call(table, Verb::Put, Target::record(Id::from(id)), Some(value)).await.map(drop)
}

async fn delete(table: &Arc<dyn Resource>, id: &str) -> Result<()> {
    call(table, Verb::Delete, Target::record(Id::from(id)), None).await.map(drop)
}

fn object<const N: usize>(properties: [(&str, Value); N]) -> Value {
    Value::Object(Map::from_iter(properties.map(|(name, value)| (name.to_owned(), value))))
}

fn number(value: &Value, name: &str) -> Option<f64> {
    value.get(name).and_then(Value::as_f64)
}

fn array<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    match value.get(name) {
        Some(Value::Array(items)) => items,
        _ => &[],
    }
}

fn to_value(session: &Session) -> Value {
    let expires = match session.expiry {
        NEVER_EXPIRES => Value::Null,
        seconds => Value::number(now() + f64::from(seconds) * 1000.0),
    };
    let subscriptions = session.subscriptions.iter().map(|(filter, subscribed)| {
        let Subscribed { options, id, progress } = subscribed;
        // Current records on their way are in no log: they begin again.
        let is_showing = session
            .in_flight
            .values()
            .any(|flight| flight.filter == *filter && matches!(flight.source, Source::Kept(_)));
        let sent = progress.sent.filter(|_| !is_showing);
        let pending = progress.pending.iter().map(|seq| Value::number(seq.0 as f64));
        object([
            ("topic", Value::from(&**filter)),
            ("qos", Value::Int(options.max_qos as i64)),
            ("noLocal", Value::Bool(options.no_local)),
            ("retainAsPublished", Value::Bool(options.retain_as_published)),
            ("retainHandling", Value::Int(options.retain_handling as i64)),
            ("id", id.map_or(Value::Null, |id| Value::Int(i64::from(id)))),
            ("sent", sent.map_or(Value::Null, |sent| Value::from(sent.to_string()))),
            ("pending", Value::Array(pending.collect())),
        ])
    });
    let in_flight = session.in_order().into_iter().filter_map(|(id, flight)| {
        let Source::Log(seq) = flight.source else { return None };
        Some(object([
            ("id", Value::Int(i64::from(id))),
            ("topic", Value::from(&*flight.filter)),
            ("qos", Value::Int(flight.qos as i64)),
            ("seq", Value::number(seq.0 as f64)),
            ("received", Value::Bool(flight.stage == Stage::Received)),
        ]))
    });
    let received = session.received.iter().map(|id| Value::Int(i64::from(*id)));
    object([
        ("id", Value::from(&*session.client_id)),
        ("expiry", Value::Int(i64::from(session.expiry))),
        ("expires", expires),
        ("subscriptions", Value::Array(subscriptions.collect())),
        ("inFlight", Value::Array(in_flight.collect())),
        ("received", Value::Array(received.collect())),
    ])
}

/// `None` for a record that is no session.
fn from_value(client_id: &str, value: &Value) -> Option<Session> {
    let mut session = Session::new(client_id.into(), number(value, "expiry")? as u32);
    let flag = |value: &Value, name: &str| matches!(value.get(name), Some(Value::Bool(true)));
    let qos = |value: &Value| QoS::from_u8(number(value, "qos")? as u8).ok();
    for subscription in array(value, "subscriptions") {
        let filter = subscription.get("topic")?.as_str()?;
        let options = SubscriptionOptions {
            max_qos: qos(subscription)?,
            no_local: flag(subscription, "noLocal"),
            retain_as_published: flag(subscription, "retainAsPublished"),
            retain_handling: RetainHandling::from_u8(number(subscription, "retainHandling")? as u8)?,
        };
        let sent = subscription.get("sent").and_then(Value::as_str);
        let sent: Option<Position> = sent.and_then(|sent| sent.parse().ok());
        let pending = array(subscription, "pending").iter().filter_map(Value::as_f64);
        let progress = Progress { sent, pending: pending.map(|seq| Seq(seq as u64)).collect() };
        let id = number(subscription, "id").map(|id| id as u32);
        session.subscriptions.insert(filter.into(), Subscribed { options, id, progress });
    }
    for flight in array(value, "inFlight") {
        let source = Source::Log(Seq(number(flight, "seq")? as u64));
        let filter = flight.get("topic")?.as_str()?.into();
        let stage = if flag(flight, "received") { Stage::Received } else { Stage::Sent };
        let flight_id = number(flight, "id")? as u16;
        session.restore_in_flight(flight_id, filter, qos(flight)?, stage, source);
    }
    let received = array(value, "received").iter().filter_map(Value::as_f64);
    session.received = received.map(|id| id as u16).collect();
    session.is_changed = false;
    Some(session)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realtime::mqtt::session::default_options;
    use kora_resource::Epoch;

    #[test]
    fn sessions_come_back() {
        let mut session = Session::new("client".into(), 60);
        let filter: Arc<str> = "T/+/x".into();
        session.subscribe(&filter, default_options(QoS::Level2), Some(9));
        let position = Position { epoch: Epoch(1), seq: Seq(5) };
        session.subscriptions[&filter].progress.reach(position);
        session.admit(&filter, Seq(6));
        session.admit(&filter, Seq(7));
        session.receive(2);
        session.received.insert(77);
        let back = from_value("client", &to_value(&session)).expect("a session");
        assert_eq!(back.subscriptions[&filter].progress, session.subscriptions[&filter].progress);
        assert_eq!(back.subscriptions[&filter].id, Some(9));
        assert_eq!(back.subscriptions[&filter].options, session.subscriptions[&filter].options);
        assert_eq!(format!("{:?}", back.in_order()), format!("{:?}", session.in_order()));
        assert_eq!((back.expiry, back.received), (60, session.received));
        assert!(from_value("client", &Value::Null).is_none());
    }
}
