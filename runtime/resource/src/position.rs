//! Where a client stands in a change log, as the text that it gets and gives back.

use std::fmt;
use std::str::FromStr;

use crate::{Epoch, Error, Seq};

/// Everything of one change log up to and including `seq` has been delivered. As text, `1f-22`: the
/// epoch in hexadecimal digits, the sequence number in decimal ones. Clients treat it as opaque: it
/// is the `id:` of an SSE block, `$resume` in a URL, and what a durable MQTT session keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    pub epoch: Epoch,
    pub seq: Seq,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.epoch.0, self.seq.0)
    }
}

impl FromStr for Position {
    type Err = Error;

    /// 400 for a text that no position has.
    fn from_str(text: &str) -> Result<Position, Error> {
        let read = || {
            let (epoch, seq) = text.split_once('-')?;
            let epoch = Epoch(u64::from_str_radix(epoch, 16).ok()?);
            Some(Position { epoch, seq: Seq(seq.parse().ok()?) })
        };
        read().ok_or_else(|| Error::invalid(format!("'{text}' is not a position to resume from")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back() {
        let position = Position { epoch: Epoch(u64::MAX), seq: Seq(22) };
        assert_eq!(position.to_string(), "ffffffffffffffff-22");
        assert_eq!(position.to_string().parse::<Position>().ok(), Some(position));
        for wrong in ["", "-", "1", "1-", "g-1", "1--1", "1-2-3"] {
            assert_eq!(wrong.parse::<Position>().map_err(|error| error.status()), Err(400));
        }
    }
}
