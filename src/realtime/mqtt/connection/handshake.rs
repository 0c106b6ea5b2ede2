//! CONNECT and CONNACK: who the client is, what both sides can take, and which session it gets.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesOrdered, SelectAll};
use mqtt_proto::Protocol;
use mqtt_proto::v5::{Connack, ConnackProperties, Connect, ConnectReasonCode, Packet};
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;

use super::super::aliases::{MOST_ALIASES, OutgoingAliases};
use super::super::client::Client;
use super::super::codec::{self, Version, reason_string};
use super::super::sessions::Mailbox;
use super::super::transport::{Arrived, Outbox};
use super::super::watching::Watching;
use super::super::will::Will;
use super::super::{Broker, PACKET_LIMIT};
use super::{Connection, MOST_PUBLISHING, Words};
use crate::config::mqtt::Nobodies;

/// How long a client may take to say CONNECT.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Waits for CONNECT and answers it. `None` for a client that was refused or says nothing.
pub(super) async fn run<W: AsyncWrite + Unpin + Send>(
    broker: &Arc<Broker>,
    client: Client,
    mut outbox: Outbox<W>,
    arrived: &mut mpsc::Receiver<Arrived>,
    mailbox: Mailbox,
) -> Option<(Connection<W>, Option<Duration>)> {
    let mut watching = Watching::begin(broker, client.address).await;
    let connect = tokio::time::timeout(CONNECT_TIMEOUT, async {
        loop {
            match arrived.recv().await? {
                Arrived::Ping(payload) => outbox.answer_ping(&payload),
                Arrived::Packet(packet) => match *packet {
                    Packet::Connect(connect) => return Some(connect),
                    _ => return None,
                },
            }
        }
    });
    let connect = connect.await.ok().flatten()?;
    let version = match connect.protocol {
        Protocol::V500 => Version::V5,
        Protocol::V310 | Protocol::V311 => Version::V3,
    };
    let admitted = match admit(broker, client, &connect, version).await {
        Ok(client) => watching.authorize(&connect, client.user.as_deref()).await.map(|()| client),
        Err(refused) => Err(refused),
    };
    match admitted {
        Ok(client) => {
            Some(accept(broker, client, outbox, mailbox, connect, version, watching).await)
        }
        Err((reason, text)) => {
            watching.refused(&connect, reason, &text).await;
            let mut connack = Connack::new(false, reason);
            connack.properties.reason_string = reason_string(&text);
            outbox.push(codec::encode(&Packet::Connack(connack), version));
            // A client that does not read its refusal is gone all the same.
            let _ = outbox.close(1000).await;
            None
        }
    }
}

async fn admit(
    broker: &Broker,
    client: Client,
    connect: &Connect,
    version: Version,
) -> Result<Client, (ConnectReasonCode, String)> {
    let refuse = |reason, text: &str| Err((reason, text.to_owned()));
    if connect.properties.auth_method.is_some() {
        let text = "Only user name and password are taken for authentication";
        return refuse(ConnectReasonCode::BadAuthMethod, text);
    }
    let is_zero = connect.properties.receive_max == Some(0);
    if is_zero || connect.properties.max_packet_size == Some(0) {
        let text = "Neither the receive maximum nor the maximum packet size can be 0";
        return refuse(ConnectReasonCode::ProtocolError, text);
    }
    if version == Version::V3 && connect.client_id.is_empty() && !connect.clean_start {
        let text = "A session that is to last needs a client identifier";
        return refuse(ConnectReasonCode::ClientIdentifierNotValid, text);
    }
    let Some(username) = &connect.username else {
        return match (&client.user, broker.admission.nobodies) {
            (Some(_), _) | (None, Nobodies::Taken) => Ok(client),
            (None, Nobodies::Refused) => refuse(ConnectReasonCode::NotAuthorized, "Must login"),
        };
    };
    let password = connect.password.as_deref().unwrap_or_default();
    match broker.authenticate(username, password).await {
        Ok(user) => Ok(Client { user: Some(user), ..client }),
        Err(error) if error.status() == 401 => {
            Err((ConnectReasonCode::BadUserNameOrPassword, error.message))
        }
        Err(error) => Err((ConnectReasonCode::UnspecifiedError, error.message)),
    }
}

async fn accept<W: AsyncWrite + Unpin + Send>(
    broker: &Arc<Broker>,
    client: Client,
    outbox: Outbox<W>,
    mailbox: Mailbox,
    connect: Connect,
    version: Version,
    mut watching: Watching,
) -> (Connection<W>, Option<Duration>) {
    let assigned = connect.client_id.is_empty().then(new_client_id);
    let client_id = assigned.clone().unwrap_or_else(|| Arc::clone(&connect.client_id));
    let expiry = connect.properties.session_expiry_interval.unwrap_or(0);
    let opened =
        broker.sessions.open(&client_id, connect.clean_start, expiry, mailbox.clone()).await;
    let user = client.user.as_deref();
    watching.connected(&connect, &client_id, user, opened.is_present).await;
    let will = connect.last_will.map(Will::from);
    broker.wills.save(&client_id, opened.connection, will.as_ref(), client.user.as_deref()).await;
    let properties = ConnackProperties {
        receive_max: Some(MOST_PUBLISHING as u16),
        max_packet_size: Some(PACKET_LIMIT as u32),
        assigned_client_id: assigned,
        topic_alias_max: Some(MOST_ALIASES),
        ..ConnackProperties::default()
    };
    let mut connack = Connack::new(opened.is_present, ConnectReasonCode::Success);
    connack.properties = properties;
    let mut connection = Connection {
        broker: Arc::clone(broker),
        outbox,
        version,
        client: Arc::new(client),
        session: opened.session,
        number: opened.connection,
        mailbox,
        will,
        receive_maximum: connect.properties.receive_max.unwrap_or(u16::MAX).into(),
        packet_limit: connect.properties.max_packet_size.unwrap_or(u32::MAX) as usize,
        words: match connect.properties.request_problem_info {
            Some(false) => Words::Unwanted,
            Some(true) | None => Words::Wanted,
        },
        aliases: Default::default(),
        outgoing: OutgoingAliases::new(connect.properties.topic_alias_max.unwrap_or(0)),
        feeds: Default::default(),
        quick: SelectAll::new(),
        tracked: SelectAll::new(),
        watching,
        publishing: FuturesOrdered::new(),
        own: Default::default(),
    };
    connection.send(&Packet::Connack(connack));
    let keep_alive = (connect.keep_alive > 0)
        .then(|| Duration::from_millis(u64::from(connect.keep_alive) * 1500));
    (connection, keep_alive)
}

fn new_client_id() -> Arc<str> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("kora-{digits}").into()
}
