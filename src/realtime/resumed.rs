//! Going on after a position, where the resource may not be able to.
//!
//! A table's stream answers a resume with a position, or with a gap. What class code yields stands in no
//! log: a class that does not pass `target.resume` on to a table's subscription begins anew, and what
//! lies between is gone. Its client is told so, as every other one is.

use futures_util::stream::{self, StreamExt};
use kora_resource::{Message, Outgoing, Position};

/// The stream of a client that wants to go on after `resume`, with [`Message::Gap`] in front of it
/// unless it says itself where it stands.
pub(super) fn honestly(outgoing: Outgoing, resume: Option<Position>) -> Outgoing {
    // A stream that is known to be empty stays known as such.
    if resume.is_none() || outgoing.size_hint() == (0, Some(0)) {
        return outgoing;
    }
    let mut is_first = true;
    Box::pin(outgoing.flat_map(move |message| {
        let says_where = match &message {
            Ok(Message::Position(_) | Message::Gap) | Err(_) => true,
            Ok(Message::Event(_) | Message::Value(_) | Message::Raw { .. }) => false,
        };
        let gap = (std::mem::take(&mut is_first) && !says_where).then_some(Ok(Message::Gap));
        stream::iter(gap.into_iter().chain([message]))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kora_resource::{Epoch, Seq};

    #[tokio::test]
    async fn values_of_code_come_after_a_gap() {
        let position = Position { epoch: Epoch(1), seq: Seq(2) };
        let count = async |messages: Vec<Message>, resume| {
            let outgoing: Outgoing = Box::pin(stream::iter(messages.into_iter().map(Ok)));
            honestly(outgoing, resume).collect::<Vec<_>>().await.len()
        };
        let values = || vec![Message::Value(1.into()), Message::Value(2.into())];
        assert_eq!(count(values(), Some(position)).await, 3);
        assert_eq!(count(values(), None).await, 2);
        let table = vec![Message::Position(position), Message::Value(1.into())];
        assert_eq!(count(table, Some(position)).await, 2);
    }
}
