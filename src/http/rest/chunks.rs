//! Bytes that a resource gives piece by piece: a short body at once with its length, any other as it
//! comes.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use kora_resource::{Chunks, Result};

use crate::http::body::ResponseBody;

/// A body up to this size is sent at once with its length.
const AT_ONCE: usize = 64 * 1024;

/// How long to wait for the end of a short body before the first of it is sent.
const FIRST_WAIT: Duration = Duration::from_millis(25);

/// The body that holds `chunks`. An error is one of the first of them: nothing was sent yet.
pub(super) async fn body(mut chunks: Chunks) -> Result<ResponseBody> {
    let mut gathered = BytesMut::new();
    let gathering = async {
        while gathered.len() < AT_ONCE {
            match chunks.next().await {
                Some(chunk) => gathered.extend_from_slice(&chunk?),
                None => return Ok::<_, kora_resource::Error>(true),
            }
        }
        Ok(false)
    };
    // What was gathered stays when the time is over.
    let ended = tokio::time::timeout(FIRST_WAIT, gathering).await.unwrap_or(Ok(false))?;
    let gathered = gathered.freeze();
    if ended {
        return Ok(ResponseBody::Full(gathered));
    }
    let first: Vec<Result<Bytes>> =
        if gathered.is_empty() { Vec::new() } else { vec![Ok(gathered)] };
    Ok(ResponseBody::Piped { size: None, chunks: Box::pin(stream::iter(first).chain(chunks)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kora_resource::Error;

    fn chunks(chunks: Vec<Result<&'static str>>) -> Chunks {
        Box::pin(stream::iter(chunks.into_iter().map(|chunk| chunk.map(Bytes::from))))
    }

    #[tokio::test]
    async fn short_bodies_have_a_length_and_open_ones_are_piped() {
        let whole = body(chunks(vec![Ok("a"), Ok("b")])).await.unwrap();
        assert!(matches!(whole, ResponseBody::Full(bytes) if bytes == "ab"));
        assert!(body(chunks(vec![Ok("a"), Err(Error::internal("lost"))])).await.is_err());
        let open = Box::pin(chunks(vec![Ok("a")]).chain(stream::pending()));
        let piped = body(open).await.unwrap();
        let ResponseBody::Piped { mut chunks, .. } = piped else { panic!("not piped") };
        assert_eq!(chunks.next().await.unwrap().unwrap(), "a");
    }
}
