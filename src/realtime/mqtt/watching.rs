//! Component code that watches the broker (`server.mqtt`, `spec/harper-realtime.md` section 8): told of
//! each client's connection, login and going away, and asked whether it may connect.
//!
//! A component that uses `server.mqtt` has a resource for it that no topic names. Each client is a stream
//! of it: one worker sees all of that client, in order, and the end of the stream is its going away. A
//! component that fails or is replaced sees nothing more of the client; only one that is asked and does
//! not answer keeps it out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use kora_resource::{
    Connect, Context, Map, Message, Opens, Outgoing, StreamOptions, Target, User, Value,
};
use mqtt_proto::v5::{Connect as ConnectPacket, ConnectReasonCode, UserProperty};
use tokio::runtime::Handle;

use super::Broker;
use crate::realtime::inbox::{self, Sender};

/// How long code may take to let a client in.
const ANSWER: Duration = Duration::from_secs(10);

/// Who watches one client. Dropping it tells them that the client is gone.
#[derive(Default)]
pub(super) struct Watching(Vec<Watcher>);

struct Watcher {
    messages: Sender,
    answers: Outgoing,
}

/// The end of its messages is what code hears last: it gets to the end of what it was told already, also
/// of a client that left at once.
impl Drop for Watching {
    fn drop(&mut self) {
        for Watcher { messages, mut answers } in self.0.drain(..) {
            drop(messages);
            // Only at the end of the process there is no runtime, and nobody left to tell.
            if let Ok(runtime) = Handle::try_current() {
                let rest = async move { while answers.next().await.is_some() {} };
                runtime.spawn(tokio::time::timeout(ANSWER, rest));
            }
        }
    }
}

/// Why code does not let a client in.
pub(super) type Objection = (ConnectReasonCode, String);

impl Watching {
    /// Tells of a connection.
    pub(super) async fn begin(broker: &Broker, address: SocketAddr) -> Watching {
        let resources = broker.components.snapshot().mqtt_watchers.clone();
        let mut watchers = Vec::with_capacity(resources.len());
        for resource in resources {
            let (messages, inbox) = inbox::new();
            let incoming: kora_resource::Incoming = Box::pin(inbox);
            let connect = Connect {
                target: Target::default(),
                context: Arc::new(Context::default()),
                incoming: Some(incoming),
                opens: Opens::Connect,
                options: StreamOptions::default(),
            };
            match resource.connect(connect).await {
                Ok(answers) => watchers.push(Watcher { messages, answers }),
                Err(error) => tracing::warn!("server.mqtt is not told of {address}: {error}"),
            }
        }
        let mut watching = Watching(watchers);
        let socket = object([
            ("remoteAddress", Value::from(address.ip().to_canonical().to_string())),
            ("remotePort", Value::Int(address.port().into())),
        ]);
        watching.tell("connection", || vec![("socket", socket)]).await;
        watching
    }

    /// Whether all who watch let the client in.
    pub(super) async fn authorize(
        &mut self,
        packet: &ConnectPacket,
        user: Option<&User>,
    ) -> Result<(), Objection> {
        self.tell("authorize", || vec![("packet", describe(packet)), ("user", value_of(user))])
            .await;
        for watcher in &mut self.0 {
            let busy = |text: &str| (ConnectReasonCode::ServerUnavailable, text.to_owned());
            let answer = tokio::time::timeout(ANSWER, watcher.answers.next()).await;
            let answer = match answer {
                Ok(Some(Ok(Message::Value(answer)))) => answer,
                Ok(Some(Ok(_)) | None) => return Err(busy("The component gave no answer")),
                Ok(Some(Err(error))) => return Err(busy(&error.message)),
                Err(_) => return Err(busy("The component does not answer in time")),
            };
            if !matches!(answer.get("allowed"), Some(Value::Bool(true))) {
                return Err(objection(&answer));
            }
        }
        Ok(())
    }

    /// The client is in.
    pub(super) async fn connected(
        &mut self,
        packet: &ConnectPacket,
        client_id: &str,
        user: Option<&User>,
        session_present: bool,
    ) {
        let parts = || {
            let mut packet = describe(packet);
            if let Value::Object(packet) = &mut packet {
                packet.insert("clientId".to_owned(), Value::from(client_id));
            }
            let is_present = Value::Bool(session_present);
            vec![("packet", packet), ("user", value_of(user)), ("sessionPresent", is_present)]
        };
        self.tell("connected", parts).await;
    }

    /// The client was refused.
    pub(super) async fn refused(
        &mut self,
        packet: &ConnectPacket,
        reason: ConnectReasonCode,
        why: &str,
    ) {
        let parts = || {
            let code = Value::Int(i64::from(reason as u8));
            vec![("packet", describe(packet)), ("code", code), ("message", Value::from(why))]
        };
        self.tell("auth-failed", parts).await;
    }

    /// The client has broken the protocol.
    pub(super) async fn failed(&mut self, why: &str) {
        self.tell("error", || vec![("message", Value::from(why))]).await;
    }

    // Exclusive, since the answers of a watcher can't be shared between threads.
    async fn tell(&mut self, kind: &str, parts: impl FnOnce() -> Vec<(&'static str, Value)>) {
        if self.0.is_empty() {
            return;
        }
        let mut message = Map::from_iter([("type".to_owned(), Value::from(kind))]);
        message.extend(parts().into_iter().map(|(name, value)| (name.to_owned(), value)));
        let message = Value::Object(message);
        for Watcher { messages, .. } in &mut self.0 {
            messages.send(message.clone(), message.approximate_size()).await;
        }
    }
}

/// What code has thrown: its `code` is the reason code, if it is one.
fn objection(answer: &Value) -> Objection {
    let code = answer.get("code").and_then(Value::as_f64).map(|code| code as u8);
    let reason = code.and_then(ConnectReasonCode::from_u8);
    let reason = reason.filter(|reason| *reason != ConnectReasonCode::Success);
    let message = answer.get("message").and_then(Value::as_str).unwrap_or("Not authorized");
    (reason.unwrap_or(ConnectReasonCode::NotAuthorized), message.to_owned())
}

/// CONNECT with the names of the package `mqtt-packet`.
fn describe(packet: &ConnectPacket) -> Value {
    let version = match packet.protocol {
        mqtt_proto::Protocol::V310 => 3,
        mqtt_proto::Protocol::V311 => 4,
        mqtt_proto::Protocol::V500 => 5,
    };
    let text = |text: &Option<Arc<str>>| text.as_deref().map_or(Value::Null, Value::from);
    let will = packet.last_will.as_ref().map(|will| {
        object([
            ("topic", Value::from(&*will.topic_name)),
            ("payload", Value::Bytes(will.payload.clone())),
            ("qos", Value::Int(will.qos as i64)),
            ("retain", Value::Bool(will.retain)),
        ])
    });
    let pair =
        |UserProperty { name, value }: &UserProperty| (name.to_string(), Value::from(&**value));
    let user_properties = packet.properties.user_properties.iter().map(pair).collect();
    let expiry = packet.properties.session_expiry_interval;
    object([
        ("cmd", Value::from("connect")),
        ("protocolId", Value::from(if version == 3 { "MQIsdp" } else { "MQTT" })),
        ("protocolVersion", Value::Int(version)),
        ("clean", Value::Bool(packet.clean_start)),
        ("clientId", Value::from(&*packet.client_id)),
        ("keepalive", Value::Int(packet.keep_alive.into())),
        ("username", text(&packet.username)),
        ("password", packet.password.clone().map_or(Value::Null, Value::Bytes)),
        ("will", will.unwrap_or(Value::Null)),
        (
            "properties",
            object([
                ("sessionExpiryInterval", expiry.map_or(Value::Null, |it| Value::Int(it.into()))),
                ("userProperties", Value::Object(user_properties)),
            ]),
        ),
    ])
}

fn value_of(user: Option<&User>) -> Value {
    user.map_or(Value::Null, User::to_value)
}

fn object<const N: usize>(properties: [(&str, Value); N]) -> Value {
    Value::Object(Map::from_iter(properties.map(|(name, value)| (name.to_owned(), value))))
}
