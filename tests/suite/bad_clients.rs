//! Clients that come all at once, say nothing, say it slowly, or say what makes no sense: each gets what
//! it deserves, and those who behave do not notice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mqtt_proto::v5::PubackReasonCode;
use mqtt_proto::{QoS, v3};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::harness::mqtt::{Mqtt, connect};
use crate::harness::socket::Socket;
use crate::harness::{App, DEADLINE, DOGS, Server, kora, rounds};

/// Somebody who publishes, and two who listen, on connections of their own.
struct Witness {
    publisher: Mqtt,
    socket: Socket,
    client: Mqtt,
}

impl Witness {
    async fn new(server: &Server) -> Witness {
        let mut client = server.mqtt(connect("witness")).await;
        client.subscribe("Dog/witness", QoS::Level1).await;
        let socket = server.socket("/Dog/witness").await;
        Witness { publisher: server.mqtt(connect("publisher")).await, socket, client }
    }

    /// Publishes until it is told to stop: every event comes to both, in order. How long each took.
    async fn watch(mut self, mut stop: oneshot::Receiver<()>) -> Vec<Duration> {
        let mut took = Vec::new();
        for n in 0.. {
            let began = Instant::now();
            let ack = self.publisher.publish("Dog/witness", &format!(r#"{{"age":{n}}}"#)).await;
            assert_eq!(ack.reason_code, PubackReasonCode::Success);
            assert_eq!(self.socket.next().await["value"]["age"], n);
            assert_eq!(self.client.next_json().await.1["age"], n);
            took.push(began.elapsed());
            // One event at least, however short the trouble was.
            if stop.try_recv().is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        took
    }
}

/// Runs `trouble` beside a witness, which has a thread of its own: what the trouble costs us, who make it, is
/// not the server's.
async fn unnoticed<T>(server: &Arc<Server>, trouble: impl Future<Output = T>) -> T {
    let (stop, stopped) = oneshot::channel();
    let (began, begun) = oneshot::channel();
    let witnessed = Arc::clone(server);
    let watching = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let witness = Witness::new(&witnessed).await;
            began.send(()).unwrap();
            witness.watch(stopped).await
        })
    });
    begun.await.unwrap();
    let result = trouble.await;
    stop.send(()).unwrap();
    let mut took = watching.await.unwrap();
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100];
    eprintln!("{} events, half within {:?}, 99 % within {:?}", took.len(), at(50), at(99));
    assert!(
        at(50) < Duration::from_millis(250),
        "half of the events took longer than {:?}",
        at(50)
    );
    result
}

/// What a client of each protocol says first, and how the answer begins.
fn greetings() -> [(Vec<u8>, &'static [u8]); 3] {
    let head =
        "Host: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    let key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    let web_socket = format!("GET /Dog/storm HTTP/1.1\r\n{head}{key}");
    let stream = "GET /Dog/storm HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n";
    let mut mqtt =
        v3::Packet::from(v3::Connect::new("".into(), 0)).encode().unwrap().as_ref().to_vec();
    let filter = mqtt_proto::TopicFilter::try_from("Dog/storm").unwrap();
    let id = mqtt_proto::Pid::try_from(1).unwrap();
    let subscribe = v3::Packet::from(v3::Subscribe::new(id, vec![(filter, QoS::Level0)]));
    mqtt.extend_from_slice(subscribe.encode().unwrap().as_ref());
    [
        (web_socket.into_bytes(), b"HTTP/1.1 101"),
        (stream.as_bytes().to_vec(), b"HTTP/1.1 200"),
        (mqtt, b"\x20\x02\x00\x00\x90"),
    ]
}

fn address(server: &Server, kind: usize) -> std::net::SocketAddr {
    if kind == 2 { server.mqtt } else { server.address }
}

async fn read_until(stream: &mut TcpStream, wanted: &[u8]) {
    let mut seen = Vec::new();
    let reading = async {
        while !seen.windows(wanted.len()).any(|window| window == wanted) {
            assert!(stream.read_buf(&mut seen).await.unwrap() > 0, "it was closed");
        }
    };
    let in_time = tokio::time::timeout(DEADLINE, reading).await;
    assert!(in_time.is_ok(), "not {:?}", String::from_utf8_lossy(wanted));
}

/// The next bytes are the end, or a last word and the end.
async fn is_ended(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let reading = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest));
    // A reset is an end, too.
    assert!(reading.await.is_ok(), "the server does not close the connection");
}

/// 5,000 in one burst, `KORA_STORM` for another number: WebSockets, event streams and MQTT clients.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_connections() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let room = limit.maximum.unwrap_or(u64::MAX) as usize - 200;
    let clients = rounds("KORA_STORM", 5000).min(room);
    let app = App::new(DOGS);
    let server = Arc::new(app.run());
    let storm = async {
        let mut connecting = JoinSet::new();
        for n in 0..clients {
            let (greeting, answer) = greetings()[n % 3].clone();
            let address = address(&server, n % 3);
            connecting.spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(&greeting).await.unwrap();
                read_until(&mut stream, answer).await;
                stream
            });
        }
        let began = Instant::now();
        let mut streams = connecting.join_all().await;
        eprintln!("{clients} are connected after {:?}", began.elapsed());
        // All of them hear what there is to hear.
        let name = "the eye of the storm";
        server.put("/Dog/storm", &format!(r#"{{"name":"{name}"}}"#)).await.expect(204);
        for stream in &mut streams {
            read_until(stream, name.as_bytes()).await;
        }
        // And all go at once.
        drop(streams);
    };
    unnoticed(&server, storm).await;
    let mut later = server.socket("/Dog/storm").await;
    assert_eq!(later.next().await["value"]["name"], "the eye of the storm");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_silent_or_slow_is_closed() {
    let app = App::new(DOGS);
    let mut command = kora();
    command.env("HTTP_HEADERSTIMEOUT", "1500");
    let server =
        Arc::new(Server::start_command(command, 1, &["run"], &app.directory(), &app.data()));
    let trouble = async {
        let mut closing = JoinSet::new();
        for n in 0..60 {
            let stream = TcpStream::connect(server.address).await.unwrap();
            closing.spawn(drip(
                stream,
                match n % 4 {
                    // Nothing at all, the beginning of HTTP/2, a head that never ends, one by one.
                    0 => b"".to_vec(),
                    1 => b"PRI * HT".to_vec(),
                    2 => b"GET /Dog/ HTTP/1.1\r\nHost: x\r\n".to_vec(),
                    _ => {
                        [b"GET /Dog/ HTTP/1.1\r\n".as_slice(), &b"X-A: b\r\n".repeat(9000)].concat()
                    }
                },
            ));
        }
        // Who has not said CONNECT after ten seconds is closed, too.
        for n in 0..10 {
            let mut stream = TcpStream::connect(server.mqtt).await.unwrap();
            stream.write_all(&b"\x10\x0c\x00\x04MQTT"[..n % 8]).await.unwrap();
            closing.spawn(async move { is_ended(&mut stream).await });
        }
        // One that is served before it is silent may stay.
        closing.join_all().await;
    };
    unnoticed(&server, trouble).await;
}

/// Writes a byte every 20 ms, until the server closes.
async fn drip(stream: TcpStream, bytes: Vec<u8>) {
    let (mut read, mut write) = stream.into_split();
    let writing = async move {
        for byte in bytes {
            if write.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // The connection stays open as long as the server wants.
        std::future::pending::<()>().await;
    };
    let mut rest = Vec::new();
    let reading = tokio::time::timeout(DEADLINE, read.read_to_end(&mut rest));
    tokio::select! {
        ended = reading => assert!(ended.is_ok(), "the server does not close the connection"),
        () = writing => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_is_refused() {
    let app = App::new(DOGS);
    let server = Arc::new(app.run());
    let trouble = async {
        for garbage in [&b"\x00\x01\x02\x03\r\n\r\n"[..], b"GET\r\n\r\n", b"\xff\xfe\xfd\r\n\r\n"] {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream.write_all(garbage).await.unwrap();
            is_ended(&mut stream).await;
        }
        // Frames with a zero mask, so that payloads are what they look like.
        for (what, bytes, code) in [
            ("reserved bits", &b"\xf1\x80\0\0\0\0"[..], 1002),
            ("an opcode that there is not", b"\x83\x80\0\0\0\0", 1002),
            ("a fragmented ping", b"\x09\x80\0\0\0\0", 1002),
            ("a ping that is too long", b"\x89\xfe\x00\x7e\0\0\0\0", 1002),
            ("a continuation of nothing", b"\x80\x81\0\0\0\0a", 1002),
            ("text that is no text", b"\x81\x82\0\0\0\0\xff\xfe", 1007),
            ("a frame of a terabyte", b"\x82\xff\0\0\x01\0\0\0\0\0\0\0\0\0", 1009),
            ("half a close code", b"\x88\x81\0\0\0\0\x03", 1002),
            ("a frame without a mask", b"\x81\x01a", 1002),
            ("a close code that is none", b"\x88\x82\0\0\0\0\x00\x01", 1002),
        ] {
            let mut stream = upgraded(&server).await;
            stream.write_all(bytes).await.unwrap();
            assert_eq!(close_code(&mut stream).await, Some(code), "{what}");
            is_ended(&mut stream).await;
        }
    };
    unnoticed(&server, trouble).await;
}

/// A client whose sending side is closed, and one that is gone in the middle of a frame.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_of_a_connection_is_none() {
    let app = App::new(DOGS);
    let server = Arc::new(app.run());
    let trouble = async {
        for (kind, (greeting, answer)) in greetings().into_iter().enumerate() {
            // What comes after a request is the next one to HTTP, and is not looked at before this one ends.
            let rests: &[&[u8]] = if kind == 1 { &[b""] } else { &[b"", b"\x81"] };
            for rest in rests {
                let mut stream = TcpStream::connect(address(&server, kind)).await.unwrap();
                stream.write_all(&greeting).await.unwrap();
                read_until(&mut stream, answer).await;
                stream.write_all(rest).await.unwrap();
                stream.shutdown().await.unwrap();
                is_ended(&mut stream).await;
            }
        }
    };
    unnoticed(&server, trouble).await;
}

/// One that is there, and never answers: asked after half a minute, closed after another. Only where
/// `KORA_SILENCE=1` says that there is time for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_web_socket_that_answers_no_ping_is_closed() {
    if rounds("KORA_SILENCE", 0) == 0 {
        eprintln!("SKIPPED: it takes more than a minute (KORA_SILENCE=1)");
        return;
    }
    let app = App::new(DOGS);
    let server = Arc::new(app.run());
    let mut stream = upgraded(&server).await;
    let began = Instant::now();
    read_until(&mut stream, b"\x89\x00").await;
    let asked = began.elapsed();
    let mut rest = Vec::new();
    tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    eprintln!("asked after {asked:?}, closed after {:?}", began.elapsed());
    assert!(asked > Duration::from_secs(28) && began.elapsed() > Duration::from_secs(58));
}

async fn upgraded(server: &Server) -> TcpStream {
    let (greeting, _) = &greetings()[0];
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(greeting).await.unwrap();
    read_until(&mut stream, b"\r\n\r\n").await;
    stream
}

/// The code of the close frame that comes next.
async fn close_code(stream: &mut TcpStream) -> Option<u16> {
    let mut frame = [0; 4];
    tokio::time::timeout(DEADLINE, stream.read_exact(&mut frame)).await.unwrap().ok()?;
    (frame[0] == 0x88).then(|| u16::from_be_bytes([frame[2], frame[3]]))
}
