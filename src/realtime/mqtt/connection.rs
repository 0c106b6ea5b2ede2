//! One client's connection, from CONNECT to its end. One task: it takes packets ([`inbound`]), sends
//! what its subscriptions bring ([`outbound`]) as fast as the client reads and acknowledges, and no
//! faster, and hands the session back at the end.

mod feeds;
mod handshake;
mod inbound;
mod outbound;

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesOrdered, SelectAll, StreamExt};
use kora_resource::{Result, Seq};
use mqtt_proto::QoS;
use mqtt_proto::v5::{Disconnect, DisconnectReasonCode, Packet};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::aliases::{IncomingAliases, OutgoingAliases};
use super::client::Client;
use super::codec::{self, Refusal, Version, reason_string};
use super::session::{Session, Source as Origin};
use super::sessions::{Command, Mailbox};
use super::transport::{Arrived, Ended, Outbox, Source};
use super::watching::Watching;
use super::will::Will;
use super::{Broker, Counters};
use crate::realtime::drain::Drain;
use feeds::{Fed, Feed};

/// Packets that were read and wait.
const ARRIVED: usize = 16;
/// Commands of others that wait.
const COMMANDS: usize = 32;
/// Messages of the client that are being published at the same time, and as many of quality of
/// service 2 that it has not released: our receive maximum.
pub(super) const MOST_PUBLISHING: usize = 64;
/// How often the progress of a connected client's session is stored.
const SAVING: Duration = Duration::from_secs(5);
/// How long the messages that a client has sent before it left may take.
const FINISHING: Duration = Duration::from_secs(5);

/// What became of a message that the client has published.
struct Published {
    /// Quality of service 1 or 2, with the packet's identifier.
    tracked: Option<(QoS, mqtt_proto::Pid)>,
    result: Result<Option<Seq>>,
}

/// How a connection ends.
#[derive(Debug)]
enum End {
    /// The client said so: no will.
    Clean,
    /// It is gone, or asks for its will.
    Lost,
    Refused(Refusal),
    TakenOver(oneshot::Sender<Session>),
    /// The server stops.
    Stopping,
}

/// Whether a client wants to be told in words why something failed, where it was only one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Words {
    Wanted,
    Unwanted,
}

struct Connection<W> {
    broker: Arc<Broker>,
    outbox: Outbox<W>,
    version: Version,
    client: Arc<Client>,
    session: Session,
    number: u64,
    mailbox: Mailbox,
    will: Option<Will>,
    /// How many unacknowledged messages the client allows.
    receive_maximum: usize,
    /// The largest packet that the client takes.
    packet_limit: usize,
    words: Words,
    aliases: IncomingAliases,
    outgoing: OutgoingAliases,
    feeds: HashMap<Arc<str>, Feed>,
    /// Subscriptions with quality of service 0, and those that wait for acknowledgements.
    quick: SelectAll<Fed>,
    tracked: SelectAll<Fed>,
    /// Messages on their way in, acknowledged in their order.
    publishing: FuturesOrdered<BoxFuture<'static, Published>>,
    /// Positions of what this client has published itself, for subscriptions that leave it out.
    own: HashSet<Seq>,
    watching: Watching,
}

/// Serves one client until either side ends.
pub(super) async fn run<R, W>(
    broker: Arc<Broker>,
    client: Client,
    source: Source<R>,
    outbox: Outbox<W>,
) where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    let mut drain = broker.drain.clone();
    let _open = drain.socket();
    let (sender, mut arrived) = mpsc::channel(ARRIVED);
    let mut reading = pin!(source.run(sender));
    let (sender, mut commands) = mpsc::channel(COMMANDS);
    let wanted = Arc::new(Notify::new());
    let mailbox = Mailbox { commands: sender, wanted: Arc::clone(&wanted) };
    let address = client.address;
    let handshake = handshake::run(&broker, client, outbox, &mut arrived, mailbox);
    // The packets come only while somebody reads.
    let accepted = {
        let mut handshake = pin!(handshake);
        tokio::select! {
            biased;
            accepted = &mut handshake => accepted,
            ended = &mut reading => {
                if let Ended::Refused(refusal) = ended {
                    tracing::debug!("{address} is no MQTT client: {}", refusal.text);
                }
                return;
            }
            () = drain.begun() => return,
        }
    };
    let Some((mut connection, keep_alive)) = accepted else { return };
    Counters::up(&connection.broker.counters.connected);
    let end = connection.serve(
        keep_alive,
        &mut reading,
        &mut arrived,
        (&mut commands, &wanted),
        &mut drain,
    );
    let end = Box::pin(end).await;
    let broker = Arc::clone(&connection.broker);
    Counters::down(&broker.counters.connected);
    Box::pin(connection.finish(end, &mut commands)).await;
}

impl<W: AsyncWrite + Unpin + Send> Connection<W> {
    /// Sends a packet that is no message. Reasons in words are left out where the client does not want
    /// them, or takes no packets as large as that.
    fn send(&mut self, packet: &Packet) {
        let is_last = matches!(packet, Packet::Connack(_) | Packet::Disconnect(_));
        let mut bytes = codec::encode(packet, self.version);
        if bytes.len() > self.packet_limit || self.words == Words::Unwanted && !is_last {
            bytes = codec::encode(&codec::without_words(packet.clone()), self.version);
        }
        self.outbox.push(bytes);
    }

    async fn serve(
        &mut self,
        keep_alive: Option<Duration>,
        reading: &mut (impl Future<Output = Ended> + Unpin),
        arrived: &mut mpsc::Receiver<Arrived>,
        (commands, wanted): (&mut mpsc::Receiver<Command>, &Notify),
        drain: &mut Drain,
    ) -> End {
        self.resume().await;
        if self.outbox.flush().await.is_err() {
            return End::Lost;
        }
        let mut heard = Instant::now();
        let mut saved = Instant::now();
        let mut last = None;
        let mut tick = Box::pin(tokio::time::sleep(keep_alive.unwrap_or(SAVING).min(SAVING)));
        loop {
            let has_room = self.session.has_room(self.receive_maximum);
            let takes = self.publishing.len() < MOST_PUBLISHING;
            let step = tokio::select! {
                biased;
                () = drain.begun() => return End::Stopping,
                () = wanted.notified() => return let_go(commands).await,
                Some(command) = commands.recv(), if has_room => self.obey(command),
                packet = arrived.recv(), if takes => match packet {
                    Some(packet) => {
                        heard = Instant::now();
                        self.take(packet).await
                    }
                    None => return match last {
                        Some(Ended::Refused(refusal)) => End::Refused(refusal),
                        Some(Ended::Gone) | None => End::Lost,
                    },
                },
                ended = &mut *reading, if last.is_none() => {
                    last = Some(ended);
                    Ok(())
                }
                Some(published) = self.publishing.next(), if !self.publishing.is_empty() => {
                    self.acknowledge(published);
                    Ok(())
                }
                Some((filter, message)) = self.tracked.next(),
                    if has_room && !self.tracked.is_empty() => self.bring(&filter, message),
                Some((filter, message)) = self.quick.next(), if !self.quick.is_empty() => {
                    self.bring(&filter, message)
                }
                () = &mut tick => {
                    let now = Instant::now();
                    if keep_alive.is_some_and(|limit| now - heard >= limit) {
                        let text = "Nothing was heard for one and a half keep-alive intervals";
                        Err(Refusal::new(DisconnectReasonCode::KeepAliveTimeout, text).into())
                    } else {
                        if self.session.is_durable() && now - saved >= SAVING {
                            saved = now;
                            self.save().await;
                        }
                        let next = keep_alive.map_or(now + SAVING, |limit| heard + limit);
                        tick.as_mut().reset(next.min(now + SAVING));
                        Ok(())
                    }
                }
            };
            if let Err(end) = step {
                return end;
            }
            // What else is at hand goes out in the same write.
            while self.publishing.len() < MOST_PUBLISHING
                && self.outbox.has_room()
                && let Ok(packet) = arrived.try_recv()
            {
                heard = Instant::now();
                if let Err(end) = self.take(packet).await {
                    return end;
                }
            }
            while let Some(Some(published)) = self.publishing.next().now_or_never() {
                self.acknowledge(published);
            }
            if let Err(end) = self.bring_what_is_ready() {
                return end;
            }
            if self.outbox.flush().await.is_err() {
                return End::Lost;
            }
        }
    }

    /// Sends what the subscriptions have ready, up to one batch.
    fn bring_what_is_ready(&mut self) -> std::result::Result<(), End> {
        while self.outbox.has_room() {
            let has_room = self.session.has_room(self.receive_maximum);
            let tracked = match has_room && !self.tracked.is_empty() {
                true => self.tracked.next().now_or_never().flatten(),
                false => None,
            };
            let next = match tracked {
                None if self.quick.is_empty() => None,
                None => self.quick.next().now_or_never().flatten(),
                some => some,
            };
            let Some((filter, message)) = next else { break };
            self.bring(&filter, message)?;
        }
        Ok(())
    }

    fn obey(&mut self, command: Command) -> std::result::Result<(), End> {
        match command {
            Command::TakeOver(reply) => Err(End::TakenOver(reply)),
            Command::Deliver(loan) => {
                self.bring_shared(*loan);
                Ok(())
            }
        }
    }

    async fn save(&mut self) {
        let broker = Arc::clone(&self.broker);
        broker.sessions.save(&self.session).await;
        self.session.is_changed = false;
    }

    /// Says goodbye, lets go of everything and sees to the will.
    async fn finish(mut self, end: End, commands: &mut mpsc::Receiver<Command>) {
        // What the client has sent before it left counts.
        let finishing = async {
            while let Some(published) = self.publishing.next().await {
                self.acknowledge(published);
            }
        };
        drop(tokio::time::timeout(FINISHING, finishing).await);
        if let End::Refused(refusal) = &end {
            self.watching.failed(&refusal.text).await;
        }
        let goodbye = match &end {
            End::Clean | End::Lost => None,
            End::Refused(refusal) => Some((refusal.reason, refusal.text.as_str())),
            End::TakenOver(_) => {
                Some((DisconnectReasonCode::SessionTakenOver, "The client has connected again"))
            }
            End::Stopping => {
                Some((DisconnectReasonCode::ServerShuttingDown, "The server is stopping"))
            }
        };
        if let Some((reason, text)) = goodbye {
            let mut disconnect = Disconnect::new(reason);
            disconnect.properties.reason_string = reason_string(text);
            self.send(&Packet::Disconnect(disconnect));
        }
        let code = if matches!(end, End::Stopping) { 1001 } else { 1000 };
        let closing = tokio::time::timeout(Duration::from_secs(2), self.outbox.close(code));
        if !matches!(closing.await, Ok(Ok(()))) {
            tracing::debug!("an MQTT connection was cut");
        }
        for (filter, feed) in self.feeds.drain() {
            feed.stop();
            Counters::down(&self.broker.counters.subscriptions);
            if feed.is_shared {
                self.broker.groups.leave(&filter, self.number);
            }
        }
        self.give_back_loans();
        let (broker, client_id) = (self.broker, Arc::clone(&self.session.client_id));
        let expiry = Duration::from_secs(self.session.expiry.into());
        let will = self.will.filter(|_| !matches!(end, End::Clean));
        // The client is back, or will be once the server is: what is stored of the will stays.
        let is_stopping = matches!(end, End::Stopping);
        let was_last = match end {
            End::TakenOver(reply) => match reply.send(self.session) {
                Ok(()) => false,
                Err(session) => broker.sessions.close(self.number, session, commands).await,
            },
            End::Clean | End::Lost | End::Refused(_) | End::Stopping => {
                broker.sessions.close(self.number, self.session, commands).await
            }
        };
        while let Ok(command) = commands.try_recv() {
            if let Command::Deliver(loan) = command {
                loan.give_back();
            }
        }
        let Some(will) = will.filter(|_| !is_stopping) else { return };
        let delay = will.delay.min(expiry);
        if delay.is_zero() {
            broker.publish_will(&client_id, Some(self.number), self.client, will).await;
        } else if was_last {
            let (publisher, client) = (Arc::clone(&broker), self.client);
            let (id, number) = (Arc::clone(&client_id), self.number);
            let task = tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                publisher.publish_will(&id, Some(number), client, will).await;
            });
            broker.sessions.await_will(&client_id, task.abort_handle());
        }
    }

    /// Has others get the shared messages that this client has not acknowledged.
    fn give_back_loans(&mut self) {
        let is_loan = |origin: &Origin| matches!(origin, Origin::Shared(_));
        let flights = self.session.in_order().into_iter();
        let ids: Vec<u16> =
            flights.filter(|(_, flight)| is_loan(&flight.source)).map(|(id, _)| id).collect();
        for id in ids {
            if let Some(flight) = self.session.settle(id)
                && let Origin::Shared(loan) = flight.source
                && flight.stage == super::session::Stage::Sent
            {
                loan.give_back();
            }
        }
    }
}

/// Waits for who wants the session; shared messages on their way here go to others.
async fn let_go(commands: &mut mpsc::Receiver<Command>) -> End {
    while let Some(command) = commands.recv().await {
        match command {
            Command::TakeOver(reply) => return End::TakenOver(reply),
            Command::Deliver(loan) => loan.give_back(),
        }
    }
    End::Lost
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> End {
        End::Refused(refusal)
    }
}
