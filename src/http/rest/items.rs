//! A sequence as a body: small ones at once, large or slow ones as they come.
//!
//! An item that fails before anything was sent is an ordinary error. Later the status is gone: the
//! failure becomes the last element and the sequence ends as it should (`spec/harper-rest.md` 6.1).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use kora_resource::{Item, Items, Result};

use super::sequence::SequenceWriter;
use crate::http::body::ResponseBody;
use crate::http::problem;

/// A result up to this size is sent at once with its length.
const AT_ONCE: usize = 64 * 1024;

/// How long to wait for the end of a small result before the first of it is sent.
const FIRST_WAIT: Duration = Duration::from_millis(25);

/// The body that holds `items`.
pub(super) async fn body(items: Items, writer: SequenceWriter) -> Result<ResponseBody> {
    let mut sequence =
        Sequence { items, writer, text: Vec::with_capacity(1024), state: State::Open };
    // What was gathered stays in `sequence` when the time is over.
    match tokio::time::timeout(FIRST_WAIT, sequence.gather()).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) if sequence.state == State::Closed => {
            Ok(ResponseBody::Full(sequence.text.into()))
        }
        Ok(Ok(())) | Err(_) => Ok(ResponseBody::Streamed(Box::pin(sequence))),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The end is written; only `text` is left to send.
    Closed,
}

/// Writes items as they come.
struct Sequence {
    items: Items,
    writer: SequenceWriter,
    /// What is written and not yet sent.
    text: Vec<u8>,
    state: State,
}

impl Sequence {
    /// Writes until the end or until enough is gathered. Fails if the very first item does.
    async fn gather(&mut self) -> Result<()> {
        while self.state != State::Closed && self.text.len() < AT_ONCE {
            let item = std::future::poll_fn(|cx| self.items.as_mut().poll_next(cx)).await;
            match item {
                Some(Err(error)) if self.writer.is_empty() => return Err(error),
                item => self.write(item),
            }
        }
        Ok(())
    }

    fn write(&mut self, item: Option<Result<Item>>) {
        let written = match item {
            Some(item) => item.and_then(|item| self.writer.write(item, &mut self.text)),
            None => {
                self.writer.finish(&mut self.text);
                self.state = State::Closed;
                return;
            }
        };
        if let Err(error) = written {
            problem::log(&error, "a streamed result");
            self.writer.fail(problem::one_line(&error), &mut self.text);
            self.writer.finish(&mut self.text);
            self.state = State::Closed;
        }
    }
}

impl Stream for Sequence {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let this = self.get_mut();
        while this.state != State::Closed && this.text.len() < AT_ONCE {
            match this.items.as_mut().poll_next(cx) {
                Poll::Ready(item) => this.write(item),
                Poll::Pending => {
                    this.writer.settle(&mut this.text);
                    if this.text.is_empty() {
                        return Poll::Pending;
                    }
                    break;
                }
            }
        }
        if this.text.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(std::mem::take(&mut this.text).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;
    use futures_util::stream;
    use kora_resource::value::Format;
    use kora_resource::{Error, Value};

    fn items(items: Vec<Result<i64>>) -> Items {
        Box::pin(stream::iter(items.into_iter().map(|item| item.map(|n| Item::Value(n.into())))))
    }

    async fn bytes(format: Format, items: Items) -> Vec<u8> {
        match body(items, SequenceWriter::new(format, Vec::new())).await.unwrap() {
            ResponseBody::Full(bytes) => bytes.into(),
            ResponseBody::Streamed(chunks) => chunks.collect::<Vec<_>>().await.concat(),
            ResponseBody::Empty | ResponseBody::Piped { .. } => {
                panic!("a sequence always has a body")
            }
        }
    }

    async fn text(items: Items) -> String {
        String::from_utf8(bytes(Format::Json, items).await).unwrap()
    }

    fn json() -> SequenceWriter {
        SequenceWriter::new(Format::Json, Vec::new())
    }

    #[tokio::test]
    async fn arrays_are_whole_even_with_a_failing_item() {
        assert_eq!(text(items(vec![])).await, "[]");
        assert_eq!(text(items(vec![Ok(1), Ok(2)])).await, "[1,2]");
        let failing = items(vec![Ok(1), Err(Error::internal("lost")), Ok(3)]);
        assert_eq!(text(failing).await, r#"[1,{"error":"Error: lost"}]"#);
        assert!(body(items(vec![Err(Error::internal("lost"))]), json()).await.is_err());
    }

    #[tokio::test]
    async fn large_results_are_streamed() {
        let many = || items((0..50_000).map(Ok).collect());
        assert!(matches!(body(many(), json()).await.unwrap(), ResponseBody::Streamed(_)));
        let text = text(many()).await;
        assert!(text.starts_with("[0,1,") && text.ends_with(",49999]"));
    }

    #[tokio::test]
    async fn every_format_reads_back() {
        for format in [Format::Cbor, Format::MessagePack, Format::Ndjson, Format::Yaml] {
            let written = bytes(format, items(vec![Ok(1), Ok(2)])).await;
            let expected = Value::Array(vec![1.into(), 2.into()]);
            assert_eq!(format.decode(&written), Ok(expected), "{format}");
            let failing = bytes(format, items(vec![Ok(1), Err(Error::internal("lost"))])).await;
            assert!(String::from_utf8_lossy(&failing).contains("Error: lost"), "{format}");
        }
        let rows = bytes(Format::Csv, items((0..1000).map(Ok).collect())).await;
        assert_eq!(rows.split(|byte| *byte == b'\n').count(), 1002);
        let failing = bytes(Format::Csv, items(vec![Ok(1), Err(Error::internal("lost"))])).await;
        assert_eq!(failing, b"value\r\n1\r\nError: lost\r\n");
    }
}
