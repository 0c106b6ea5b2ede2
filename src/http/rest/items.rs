//! A sequence as a JSON array: small ones at once, large or slow ones as they come.
//!
//! An item that fails before anything was sent is an ordinary error. Later the status is gone: the
//! failure becomes the last element and the array ends as it should (`spec/harper-rest.md` 6.1).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use kora_resource::value::json;
use kora_resource::{Item, Items, Map, Result, Value};

use crate::http::body::ResponseBody;
use crate::http::problem;

/// A result up to this size is sent at once with its length.
const AT_ONCE: usize = 64 * 1024;

/// How long to wait for the end of a small result before the first of it is sent.
const FIRST_WAIT: Duration = Duration::from_millis(25);

/// The body that holds `items`.
pub(super) async fn body(items: Items) -> Result<ResponseBody> {
    let mut array = JsonArray { items, text: Vec::with_capacity(1024), state: State::Empty };
    // What was gathered stays in `array` when the time is over.
    match tokio::time::timeout(FIRST_WAIT, array.gather()).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) if array.state == State::Closed => Ok(ResponseBody::Full(array.text.into())),
        Ok(Ok(())) | Err(_) => Ok(ResponseBody::Streamed(Box::pin(array))),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not even the `[` is written.
    Empty,
    Open,
    /// The `]` is written; only `text` is left to send.
    Closed,
}

/// Writes items into an array.
struct JsonArray {
    items: Items,
    /// What is written and not yet sent.
    text: Vec<u8>,
    state: State,
}

impl JsonArray {
    /// Writes until the end or until enough is gathered. Fails if the very first item does.
    async fn gather(&mut self) -> Result<()> {
        while self.state != State::Closed && self.text.len() < AT_ONCE {
            let item = std::future::poll_fn(|cx| self.items.as_mut().poll_next(cx)).await;
            match item {
                Some(Err(error)) if self.state == State::Empty => return Err(error),
                item => self.write(item),
            }
        }
        Ok(())
    }

    fn write(&mut self, item: Option<Result<Item>>) {
        let Some(item) = item else {
            self.text.extend_from_slice(if self.state == State::Empty { b"[]" } else { b"]" });
            self.state = State::Closed;
            return;
        };
        self.text.push(if self.state == State::Empty { b'[' } else { b',' });
        self.state = State::Open;
        let written = match item {
            Ok(Item::Value(value)) => {
                json::write(&value, &mut self.text);
                Ok(())
            }
            Ok(Item::Record(record)) => record.write_json(&mut self.text),
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            problem::log(&error, "a streamed result");
            let text = Value::String(problem::one_line(&error));
            let element = Map::from_iter([("error".to_owned(), text)]);
            json::write(&Value::Object(element), &mut self.text);
            self.text.push(b']');
            self.state = State::Closed;
        }
    }
}

impl Stream for JsonArray {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let this = self.get_mut();
        while this.state != State::Closed && this.text.len() < AT_ONCE {
            match this.items.as_mut().poll_next(cx) {
                Poll::Ready(item) => this.write(item),
                Poll::Pending if this.text.is_empty() => return Poll::Pending,
                Poll::Pending => break,
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
    use kora_resource::Error;

    fn items(items: Vec<Result<i64>>) -> Items {
        Box::pin(stream::iter(items.into_iter().map(|item| item.map(|n| Item::Value(n.into())))))
    }

    async fn text(items: Items) -> String {
        match body(items).await.unwrap() {
            ResponseBody::Full(bytes) => String::from_utf8(bytes.into()).unwrap(),
            ResponseBody::Streamed(chunks) => {
                String::from_utf8(chunks.collect::<Vec<_>>().await.concat()).unwrap()
            }
            ResponseBody::Empty | ResponseBody::Piped(_) => panic!("an array always has text"),
        }
    }

    #[tokio::test]
    async fn arrays_are_whole_even_with_a_failing_item() {
        assert_eq!(text(items(vec![])).await, "[]");
        assert_eq!(text(items(vec![Ok(1), Ok(2)])).await, "[1,2]");
        let failing = items(vec![Ok(1), Err(Error::internal("lost")), Ok(3)]);
        assert_eq!(text(failing).await, r#"[1,{"error":"Error: lost"}]"#);
        assert!(body(items(vec![Err(Error::internal("lost"))])).await.is_err());
    }

    #[tokio::test]
    async fn large_results_are_streamed() {
        let many = || items((0..50_000).map(Ok).collect());
        assert!(matches!(body(many()).await.unwrap(), ResponseBody::Streamed(_)));
        let text = text(many()).await;
        assert!(text.starts_with("[0,1,") && text.ends_with(",49999]"));
    }
}
