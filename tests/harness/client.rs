//! An HTTP client for tests: any method, any header, whole or streamed bodies.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{HeaderMap, Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::{DEADLINE, Server};

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

impl Server {
    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    /// Asks again and again until the answer is as `wanted`.
    #[track_caller]
    pub fn until(
        &self,
        path: &str,
        wanted: impl Fn(&Answer) -> bool,
    ) -> impl Future<Output = Answer> {
        let caller = std::panic::Location::caller();
        async move {
            let deadline = std::time::Instant::now() + DEADLINE;
            loop {
                let answer = self.get(path).await;
                if wanted(&answer) {
                    return answer;
                }
                assert!(std::time::Instant::now() < deadline, "{caller}: {path}: {answer:?}");
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
    }

    pub async fn put(&self, path: &str, body: &str) -> Answer {
        self.send("PUT", path, &[JSON], body).await
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        self.try_send(method, path, headers, body).await.unwrap()
    }

    /// Fails where the connection does.
    pub async fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let work = async {
            let (head, body) = self.open(method, path, headers, body).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            let body = String::from_utf8(body.into())?;
            Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
        };
        tokio::time::timeout(DEADLINE, work).await?
    }

    /// Sends any bytes and gives back any bytes.
    pub async fn send_bytes(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> (u16, HeaderMap, Bytes) {
        let work = async {
            let response = self.open_bytes(method, path, headers, body.into()).await.unwrap();
            let (head, body) = response.into_parts();
            (head.status.as_u16(), head.headers, body.collect().await.unwrap().to_bytes())
        };
        tokio::time::timeout(DEADLINE, work).await.expect("an answer in time")
    }

    /// Sends a request and leaves the response's body to be read.
    pub async fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Response<Incoming>, Box<dyn std::error::Error + Send + Sync>> {
        self.open_bytes(method, path, headers, Bytes::from(body.to_owned())).await
    }

    async fn open_bytes(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Response<Incoming>, Box<dyn std::error::Error + Send + Sync>> {
        let mut request = Request::builder().method(method).uri(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(body);
        // A client of its own: pooled connections belong to the runtime of the test that made them.
        let client: Client<HttpConnector, Full<Bytes>> =
            Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        Ok(client.request(request.body(body)?).await?)
    }

    /// Opens an event stream.
    pub async fn events(&self, path: &str) -> Events {
        self.events_after(path, None).await
    }

    /// Opens an event stream again.
    pub async fn events_after(&self, path: &str, last_id: Option<&str>) -> Events {
        let mut headers = vec![("accept", "text/event-stream")];
        headers.extend(last_id.map(|id| ("last-event-id", id)));
        let response = self.open("GET", path, &headers, "").await.unwrap();
        Events { response, last_id: last_id.map(str::to_owned), text: String::new() }
    }
}

/// A JSON body's header.
pub const JSON: (&str, &str) = ("content-type", "application/json");

/// An open event stream.
pub struct Events {
    pub response: Response<Incoming>,
    /// What a browser would give back as `Last-Event-ID`.
    pub last_id: Option<String>,
    text: String,
}

impl Events {
    /// The next block that is no comment, without its blank line; `None` at the end.
    pub async fn next_block(&mut self) -> Option<String> {
        loop {
            if let Some(block) = self.take_block() {
                return Some(block);
            }
            self.read().await?;
        }
    }

    /// Where a stream stands that has had no event: it listens from there on.
    pub async fn position(&mut self) -> String {
        loop {
            assert_eq!(self.take_block(), None);
            if let Some(position) = &self.last_id {
                return position.clone();
            }
            self.read().await.expect("a position");
        }
    }

    /// The next event that was read already. Neither comments nor bare positions are events.
    fn take_block(&mut self) -> Option<String> {
        while let Some((block, rest)) = self.text.split_once("\n\n") {
            let block = block.to_owned();
            self.text = rest.to_owned();
            if block.starts_with("id: ") {
                self.last_id = block.strip_prefix("id: ").map(str::to_owned);
            } else if !block.starts_with(':') {
                let id = block.lines().find_map(|line| line.strip_prefix("id: "));
                self.last_id = id.map(str::to_owned).or(self.last_id.take());
                return Some(block);
            }
        }
        None
    }

    async fn read(&mut self) -> Option<()> {
        let frame = tokio::time::timeout(DEADLINE, self.response.body_mut().frame()).await;
        let data = frame.expect("an event in time")?.unwrap().into_data().unwrap();
        self.text.push_str(std::str::from_utf8(&data).unwrap());
        Some(())
    }

    /// The JSON of the next block, which must have one `data` line, and it first.
    pub async fn next(&mut self) -> Value {
        let block = self.next_block().await.expect("another event");
        let data = block.lines().next().and_then(|line| line.strip_prefix("data: "));
        serde_json::from_str(data.unwrap_or_else(|| panic!("{block}"))).unwrap()
    }
}
