//! An MQTT client for tests: it does exactly what it is told, acknowledgements included.

use std::net::SocketAddr;

use fastwebsockets::OpCode;
use hyper::body::Bytes;
use mqtt_proto::v5::{
    Connack, Connect, Packet, Puback, Pubcomp, Publish, Pubrec, Pubrel, RetainHandling, Subscribe,
    SubscribeReasonCode, SubscriptionOptions, Unsubscribe,
};
use mqtt_proto::{Pid, QoS, QosPid, TopicFilter, TopicName};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::socket::Socket;
use super::{DEADLINE, Server};

/// A connected client of MQTT 5.
pub struct Mqtt {
    carrier: Carrier,
    buffer: Vec<u8>,
    last_id: u16,
    pub connack: Connack,
}

/// What carries a client's packets.
enum Carrier {
    Tcp(TcpStream),
    WebSocket(Box<Socket>),
}

/// A CONNECT packet of a client that wants no session.
pub fn connect(client_id: &str) -> Connect {
    let mut connect = Connect::new(client_id.into(), 0);
    connect.clean_start = true;
    connect
}

/// A CONNECT packet of a client whose session outlives its connection by a minute.
pub fn connect_durable(client_id: &str) -> Connect {
    let mut connect = Connect::new(client_id.into(), 0);
    connect.clean_start = false;
    connect.properties.session_expiry_interval = Some(60);
    connect
}

/// What is usual for a subscription.
pub fn options(max_qos: QoS) -> SubscriptionOptions {
    SubscriptionOptions {
        max_qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::SendAtSubscribe,
    }
}

impl Server {
    pub async fn mqtt(&self, connect: Connect) -> Mqtt {
        Mqtt::connect(self.mqtt, connect).await
    }

    /// The same over a WebSocket of the HTTP port.
    pub async fn mqtt_over_web_socket(&self, connect: Connect) -> Mqtt {
        let socket = self.socket_with("/", &[("sec-websocket-protocol", "mqtt")]).await;
        Mqtt::connect_over(Carrier::WebSocket(Box::new(socket)), connect).await
    }
}

impl Mqtt {
    pub async fn connect(address: SocketAddr, connect: Connect) -> Mqtt {
        let stream = TcpStream::connect(address).await.unwrap();
        Mqtt::connect_over(Carrier::Tcp(stream), connect).await
    }

    async fn connect_over(carrier: Carrier, connect: Connect) -> Mqtt {
        let connack = Connack::new(false, mqtt_proto::v5::ConnectReasonCode::Success);
        let mut client = Mqtt { carrier, buffer: Vec::new(), last_id: 0, connack };
        client.send(&connect.into()).await;
        match client.read().await {
            Some(Packet::Connack(connack)) => client.connack = connack,
            other => panic!("{other:?}"),
        }
        client
    }

    pub async fn send(&mut self, packet: &Packet) {
        self.write(packet.encode().unwrap().as_ref()).await;
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        match &mut self.carrier {
            Carrier::Tcp(stream) => stream.write_all(bytes).await.unwrap(),
            Carrier::WebSocket(socket) => socket.write(OpCode::Binary, bytes).await,
        }
    }

    /// The next packet; `None` when the server has closed.
    pub async fn read(&mut self) -> Option<Packet> {
        tokio::time::timeout(DEADLINE, self.read_within()).await.expect("a packet in time")
    }

    async fn read_within(&mut self) -> Option<Packet> {
        loop {
            if let Ok(Some(packet)) = Packet::decode(&self.buffer) {
                let length = packet.encode_len().unwrap();
                self.buffer.drain(..length);
                return Some(packet);
            }
            match &mut self.carrier {
                Carrier::Tcp(stream) => {
                    let mut bytes = [0; 4096];
                    match stream.read(&mut bytes).await {
                        Ok(0) | Err(_) => return None,
                        Ok(count) => self.buffer.extend_from_slice(&bytes[..count]),
                    }
                }
                Carrier::WebSocket(socket) => {
                    self.buffer.extend_from_slice(&socket.try_read_binary().await?);
                }
            }
        }
    }

    fn next_id(&mut self) -> Pid {
        self.last_id += 1;
        Pid::try_from(self.last_id).unwrap()
    }

    pub async fn subscribe(&mut self, filter: &str, qos: QoS) -> SubscribeReasonCode {
        self.subscribe_with(filter, options(qos)).await
    }

    pub async fn subscribe_with(
        &mut self,
        filter: &str,
        options: SubscriptionOptions,
    ) -> SubscribeReasonCode {
        let id = self.next_id();
        let topics = vec![(TopicFilter::try_from(filter).unwrap(), options)];
        self.send(&Subscribe::new(id, topics).into()).await;
        match self.read().await {
            Some(Packet::Suback(suback)) => suback.topics[0],
            other => panic!("{other:?}"),
        }
    }

    pub async fn unsubscribe(&mut self, filter: &str) {
        let id = self.next_id();
        let topics = vec![TopicFilter::try_from(filter).unwrap()];
        self.send(&Unsubscribe::new(id, topics).into()).await;
        loop {
            match self.read().await {
                Some(Packet::Unsuback(_)) => return,
                Some(Packet::Publish(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Publishes with quality of service 1 and waits for the answer.
    pub async fn publish(&mut self, topic: &str, payload: &str) -> Puback {
        let publish = self.message(topic, payload.as_bytes(), QoS::Level1);
        self.publish_and_wait(publish).await
    }

    /// The same with the retain flag.
    pub async fn put(&mut self, topic: &str, payload: &[u8]) -> Puback {
        let publish = self.message(topic, payload, QoS::Level1);
        self.publish_and_wait(Publish { retain: true, ..publish }).await
    }

    pub async fn publish_and_wait(&mut self, publish: Publish) -> Puback {
        self.send(&publish.into()).await;
        match self.read().await {
            Some(Packet::Puback(ack)) => ack,
            other => panic!("{other:?}"),
        }
    }

    pub fn message(&mut self, topic: &str, payload: &[u8], qos: QoS) -> Publish {
        let qos_pid = match qos {
            QoS::Level0 => QosPid::Level0,
            QoS::Level1 => QosPid::Level1(self.next_id()),
            QoS::Level2 => QosPid::Level2(self.next_id()),
        };
        let topic = TopicName::try_from(topic).unwrap();
        Publish::new(qos_pid, topic, Bytes::copy_from_slice(payload))
    }

    /// The next message, not acknowledged.
    pub async fn next(&mut self) -> Publish {
        match self.read().await {
            Some(Packet::Publish(publish)) => publish,
            other => panic!("{other:?}"),
        }
    }

    /// The next message, acknowledged as its quality of service wants it.
    pub async fn next_acknowledged(&mut self) -> Publish {
        let publish = self.next().await;
        self.acknowledge(&publish).await;
        publish
    }

    pub async fn acknowledge(&mut self, publish: &Publish) {
        match publish.qos_pid {
            QosPid::Level0 => {}
            QosPid::Level1(id) => self.send(&Puback::new_success(id).into()).await,
            QosPid::Level2(id) => {
                self.send(&Pubrec::new_success(id).into()).await;
                self.until_release(id).await;
                self.send(&Pubcomp::new_success(id).into()).await;
            }
        }
    }

    /// Waits for PUBREL; no message may come between in tests that call this.
    async fn until_release(&mut self, id: Pid) {
        match self.read().await {
            Some(Packet::Pubrel(Pubrel { pid, .. })) => assert_eq!(pid, id),
            other => panic!("{other:?}"),
        }
    }

    /// The next message's topic and its JSON.
    pub async fn next_json(&mut self) -> (String, Value) {
        let publish = self.next_acknowledged().await;
        let json = serde_json::from_slice(&publish.payload);
        (
            publish.topic_name.to_string(),
            json.unwrap_or_else(|error| panic!("{error}: {publish:?}")),
        )
    }

    /// Asserts that nothing waits: an answer to a ping comes first.
    pub async fn expect_nothing(&mut self) {
        self.send(&Packet::Pingreq).await;
        assert_eq!(self.read().await, Some(Packet::Pingresp));
    }
}
