//! What a URL asks of a stream besides its target: the parameters that begin with `$`.
//!
//! No attribute has such a name, so that they meet neither a query nor an application's own
//! parameters. Without them a stream is what Harper's is (`spec/harper-realtime.md` sections 5 and 6).

use kora_resource::{Error, Result, StreamOptions, query};

/// Whether the events of a WebSocket carry their positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Positions {
    #[default]
    Omitted,
    /// `$positions`: each envelope has a `position`, and those that come without an event are sent
    /// as `{"type":"position","position":...}`.
    Sent,
}

/// A URL's remainder taken apart.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Asked {
    /// The remainder without the parameters of this module.
    pub(super) remainder: String,
    pub(super) options: StreamOptions,
    pub(super) positions: Positions,
}

/// Reads `$resume=POSITION`, `$positions`, `$current=false`, `$previous=COUNT`, `$since=MS`,
/// `$children` and `$filter` (the conditions of the rest of the query hold for events too). 400 for
/// another name, or a value that is not well formed.
pub(super) fn read(remainder: &str) -> Result<Asked> {
    let Some((path, search)) = remainder.split_once('?') else {
        return Ok(Asked { remainder: remainder.to_owned(), ..Asked::default() });
    };
    let mut asked = Asked::default();
    let mut is_filtered = false;
    let mut others = Vec::new();
    for parameter in search.split('&') {
        let Some(own) = parameter.strip_prefix('$').or_else(|| parameter.strip_prefix("%24"))
        else {
            others.push(parameter);
            continue;
        };
        let (name, value) = own.split_once('=').unwrap_or((own, "true"));
        let wrong = || Error::invalid(format!("'{value}' is no value of ${name}"));
        match name {
            "resume" => asked.options.resume = Some(value.parse()?),
            "positions" if value == "true" => asked.positions = Positions::Sent,
            "current" => asked.options.omit_current = !flag(value).ok_or_else(wrong)?,
            "previous" => {
                asked.options.previous_count = Some(value.parse().map_err(|_| wrong())?);
            }
            "since" => {
                let time: f64 = value.parse().map_err(|_| wrong())?;
                asked.options.start_time = Some(time).filter(|time| time.is_finite());
            }
            "children" => asked.options.only_children = flag(value).ok_or_else(wrong)?,
            "filter" => is_filtered = flag(value).ok_or_else(wrong)?,
            _ => return Err(Error::invalid(format!("There is no parameter ${own} of a stream"))),
        }
    }
    let others = others.join("&");
    if is_filtered {
        asked.options.filter = Some(query::parse(&others)?);
    }
    asked.remainder = match others.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{others}"),
    };
    Ok(asked)
}

fn flag(value: &str) -> Option<bool> {
    match value {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_parameters_are_taken_out() {
        let asked = read("/a/?$resume=1f-22&x=1&$positions&$previous=3&%24children").unwrap();
        assert_eq!(asked.remainder, "/a/?x=1");
        assert_eq!(
            asked.options.resume.map(|position| position.to_string()).as_deref(),
            Some("1f-22")
        );
        assert_eq!(asked.options.previous_count, Some(3));
        assert!(asked.options.only_children && asked.options.filter.is_none());
        assert_eq!(asked.positions, Positions::Sent);
        assert_eq!(read("/5").unwrap().remainder, "/5");
        assert_eq!(read("?$current=false").unwrap().remainder, "");
        assert!(read("/?age=gt=3&$filter").unwrap().options.filter.is_some());
        for wrong in ["?$resume=x", "?$other", "?$current=maybe", "?$previous=-1"] {
            assert_eq!(read(wrong).unwrap_err().status(), 400, "{wrong}");
        }
    }
}
