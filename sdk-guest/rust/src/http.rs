//! Outgoing HTTP, to hosts that the component's config.yaml allows (`permissions: { net: [api.example.com] }`).

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result, host};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn get(url: impl Into<String>) -> Request {
        Request { method: "GET".into(), url: url.into(), ..Request::default() }
    }

    /// A POST with a JSON body.
    pub fn post(url: impl Into<String>, body: &impl Serialize) -> Result<Request> {
        let body = serde_json::to_vec(body).map_err(Error::internal)?;
        let json = ("content-type".to_owned(), "application/json".to_owned());
        Ok(Request { method: "POST".into(), url: url.into(), headers: vec![json], body })
    }

    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Request {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends it. An answer with any status is an `Ok`.
    pub async fn send(self) -> Result<Response> {
        host::fetch(self).await
    }
}

impl Response {
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Error::new(502, format!("the answer does not fit: {error}")))
    }
}
