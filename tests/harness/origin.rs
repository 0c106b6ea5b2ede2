//! A small HTTP server for tests: what a caching source fetches from. Counts what it is asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One such server; ends with the test's runtime.
#[derive(Clone)]
pub struct Origin {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    requests: Vec<String>,
    answers: HashMap<String, Response>,
    delay: Duration,
    status: Option<u16>,
}

/// What a path answers.
#[derive(Clone, Default)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Origin {
    pub async fn start() -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = Origin { address: listener.local_addr().unwrap(), state: Arc::default() };
        let serving = origin.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        origin
    }

    /// Has `GET path` answer this.
    pub fn answer(&self, path: &str, body: &str) {
        let kind = if body.starts_with('<') { "text/html" } else { "application/json" };
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        let response = Response { status: 200, headers, body: body.to_owned() };
        self.state.lock().unwrap().answers.insert(path.to_owned(), response);
    }

    /// Has everything answer this status; `None` for what was said of each path.
    pub fn fail(&self, status: Option<u16>) {
        self.state.lock().unwrap().status = status;
    }

    /// Has every answer wait.
    pub fn delay(&self, delay: Duration) {
        self.state.lock().unwrap().delay = delay;
    }

    /// The requests that have come: `GET /items/1`, with the body after another blank.
    pub fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    /// How many requests have come whose line begins so.
    pub fn count(&self, beginning: &str) -> usize {
        self.requests().iter().filter(|line| line.starts_with(beginning)).count()
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut bytes = Vec::new();
        let (head, length) = loop {
            let mut chunk = [0; 4096];
            match stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return,
                Ok(read) => bytes.extend_from_slice(&chunk[..read]),
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let Some(end) = text.find("\r\n\r\n") else { continue };
            let length = text[..end]
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, value)| value.trim().parse().unwrap());
            if bytes.len() >= end + 4 + length {
                break (end, length);
            }
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let line = text.lines().next().unwrap_or_default().replace(" HTTP/1.1", "");
        let body = &text[head + 4..head + 4 + length];
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let (response, delay) = {
            let mut state = self.state.lock().unwrap();
            state.requests.push(format!("{line} {body}").trim().to_owned());
            let missing = Response { status: 404, ..Response::default() };
            let known = state.answers.get(&path).cloned().unwrap_or(missing);
            let response = match state.status {
                Some(status) => Response { status, body: "failing".to_owned(), ..known },
                None if line.starts_with("GET") => known,
                None => Response { status: 200, ..Response::default() },
            };
            (response, state.delay)
        };
        tokio::time::sleep(delay).await;
        let mut text = format!("HTTP/1.1 {} x\r\nconnection: close\r\n", response.status);
        for (name, value) in &response.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("content-length: {}\r\n\r\n{}", response.body.len(), response.body));
        let _ = stream.write_all(text.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}
