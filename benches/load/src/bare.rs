//! What hyper does on its own: a handler that answers every request with a recorded response. Same runtime, same
//! number of threads and same bytes on the wire as the server it stands beside; the date aside, which hyper adds.

use std::convert::Infallible;
use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::http1::Response;

#[derive(Clone)]
struct Recorded {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Recorded {
    fn read(file: &Path) -> Result<Recorded> {
        let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
        let response = Response::parse(&bytes)?.context("the recorded response is cut off")?;
        let mut headers = HeaderMap::new();
        for line in std::str::from_utf8(&bytes[..response.head])?.lines().skip(1) {
            if let Some((name, value)) = line.split_once(':') {
                headers.append(
                    HeaderName::try_from(name)?,
                    HeaderValue::try_from(value.trim()).context("header value")?,
                );
            }
        }
        // hyper writes these itself.
        for own in [CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING] {
            headers.remove(own);
        }
        let body = Bytes::copy_from_slice(&bytes[response.head..response.length]);
        Ok(Recorded { status: StatusCode::from_u16(response.status)?, headers, body })
    }

    fn answer(&self) -> http::Response<Full<Bytes>> {
        let mut response = http::Response::new(Full::new(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }
}

/// Serves until killed; the first line on stdout names the address.
pub(crate) fn serve(file: &Path, threads: usize) -> Result<()> {
    let recorded = Recorded::read(file)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("bare handler successfully started: http://{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let recorded = recorded.clone();
            tokio::spawn(async move {
                let service = service_fn(|_request| {
                    let answer = recorded.answer();
                    async move { Ok::<_, Infallible>(answer) }
                });
                // The generator drops its connections at the end of a round: nothing to report.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}
