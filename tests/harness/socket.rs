//! A WebSocket client for tests.

use fastwebsockets::{FragmentCollector, Frame, OpCode, handshake};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::header::{CONNECTION, HOST, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{HeaderMap, Request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;

use super::{DEADLINE, Server};

/// An open socket.
pub struct Socket {
    socket: FragmentCollector<TokioIo<Upgraded>>,
    pub response: HeaderMap,
}

/// How a socket was closed by the server.
#[derive(Debug, PartialEq, Eq)]
pub struct Close {
    /// `None` for a close without a code.
    pub code: Option<u16>,
    pub reason: String,
}

impl Server {
    pub async fn socket(&self, path: &str) -> Socket {
        self.socket_with(path, &[]).await
    }

    pub async fn socket_with(&self, path: &str, headers: &[(&str, &str)]) -> Socket {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let mut request = Request::builder()
            .uri(path)
            .header(HOST, self.address.to_string())
            .header(UPGRADE, "websocket")
            .header(CONNECTION, "upgrade")
            .header("Sec-WebSocket-Key", handshake::generate_key())
            .header("Sec-WebSocket-Version", "13");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let (mut socket, response) =
            handshake::client(&TokioExecutor::new(), request, stream).await.unwrap();
        socket.set_auto_close(false);
        Socket { socket: FragmentCollector::new(socket), response: response.headers().clone() }
    }
}

impl Socket {
    pub async fn send(&mut self, text: &str) {
        self.write(OpCode::Text, text.as_bytes()).await;
    }

    pub async fn write(&mut self, opcode: OpCode, payload: &[u8]) {
        let frame = Frame::new(true, opcode, None, payload.to_vec().into());
        self.socket.write_frame(frame).await.unwrap();
    }

    /// The next frame.
    pub async fn read(&mut self) -> (OpCode, Vec<u8>) {
        let frame = tokio::time::timeout(DEADLINE, self.socket.read_frame());
        let frame = frame.await.expect("a frame in time").unwrap();
        (frame.opcode, frame.payload.to_vec())
    }

    /// The next frame, which must be JSON text.
    pub async fn next(&mut self) -> Value {
        let (opcode, payload) = self.read().await;
        assert_eq!(opcode, OpCode::Text, "{:?}", String::from_utf8_lossy(&payload));
        serde_json::from_slice(&payload).unwrap()
    }

    /// The next JSON event; `None` when the connection is gone.
    pub async fn try_next(&mut self) -> Option<Value> {
        let frame = self.socket.read_frame().await.ok()?;
        (frame.opcode == OpCode::Text).then(|| serde_json::from_slice(&frame.payload).unwrap())
    }

    /// The next binary frame; `None` when the connection is closed or gone.
    pub async fn try_read_binary(&mut self) -> Option<Vec<u8>> {
        let frame = self.socket.read_frame().await.ok()?;
        (frame.opcode == OpCode::Binary).then(|| frame.payload.to_vec())
    }

    /// The server's close, which must be the next frame; answers it.
    pub async fn closed(&mut self) -> Close {
        let (opcode, payload) = self.read().await;
        assert_eq!(opcode, OpCode::Close, "{:?}", String::from_utf8_lossy(&payload));
        self.write(OpCode::Close, &payload).await;
        match payload.split_at_checked(2) {
            None => Close { code: None, reason: String::new() },
            Some((code, reason)) => Close {
                code: Some(u16::from_be_bytes([code[0], code[1]])),
                reason: String::from_utf8(reason.to_vec()).unwrap(),
            },
        }
    }
}
