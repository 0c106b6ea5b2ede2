//! What a method is called with.

use serde::de::DeserializeOwned;

use crate::encoding::decode;
use crate::{Context, Error, Id, Messages, Result};

/// One call as the host hands it over. Methods get the parts that they ask for.
#[derive(Debug)]
pub struct Call {
    pub verb: String,
    pub target: Target,
    /// The body, encoded; `None` if there was none.
    pub body: Option<Vec<u8>>,
    pub context: Context,
    /// What the client of a `connect` sends.
    pub incoming: Option<Messages>,
}

/// What the URL names: a record, a collection or the resource itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Target {
    /// What followed the resource's path: `/341?select(name)`.
    pub url: String,
    pub id: Option<Id>,
    pub is_collection: bool,
    /// `name` of `/341.name`, if the resource stands for a table that declares it.
    pub property: Option<String>,
    /// The text after `?`.
    pub search: Option<String>,
    /// What the parameters of the resource's path found in the URL: `#[resource(path = "widget/:name")]`.
    pub params: Vec<(String, String)>,
}

impl Target {
    pub fn id(&self) -> Option<&Id> {
        self.id.as_ref()
    }

    /// What the parameter `name` of the resource's path found in the URL.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of `name` in the query, as plain `name=value` pairs.
    pub fn query(&self, name: &str) -> Option<String> {
        let search = self.search.as_deref()?;
        search.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(key) == name).then(|| percent_decode(value))
        })
    }
}

/// Decodes `%2F` and `+`; what is not well formed stays as it is.
fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        let hex = |at: usize| tail.get(at).and_then(|digit| (*digit as char).to_digit(16));
        match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &tail[2..];
            }
            (b'+', _, _) => bytes.push(b' '),
            (byte, _, _) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The body of the call as a `T`, and a reply that is a `T`. 400 if a body does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Body<T>(pub T);

/// A part of a call that a method can take as a parameter.
pub trait FromCall: Sized {
    /// Whether it looks at `call.context`. For methods without such a parameter the host leaves user and request out,
    /// which makes their calls quicker.
    const READS_CONTEXT: bool = true;

    fn from_call(call: &mut Call) -> Result<Self>;
}

impl FromCall for Target {
    const READS_CONTEXT: bool = false;

    fn from_call(call: &mut Call) -> Result<Target> {
        Ok(call.target.clone())
    }
}

impl FromCall for Context {
    fn from_call(call: &mut Call) -> Result<Context> {
        Ok(call.context.clone())
    }
}

impl<T: DeserializeOwned> FromCall for Body<T> {
    const READS_CONTEXT: bool = false;

    fn from_call(call: &mut Call) -> Result<Body<T>> {
        let body = call.body.as_deref().ok_or_else(|| Error::invalid("a body is needed"))?;
        decode(body, "the body", 400).map(Body)
    }
}

impl<T: DeserializeOwned> FromCall for Option<Body<T>> {
    const READS_CONTEXT: bool = false;

    fn from_call(call: &mut Call) -> Result<Option<Body<T>>> {
        call.body.as_deref().map(|body| decode(body, "the body", 400).map(Body)).transpose()
    }
}

impl FromCall for Messages {
    const READS_CONTEXT: bool = false;

    fn from_call(call: &mut Call) -> Result<Messages> {
        Ok(call.incoming.take().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let target = Target { search: Some("a=1&b%20c=x%2Fy+z&d".into()), ..Target::default() };
        assert_eq!(target.query("a").as_deref(), Some("1"));
        assert_eq!(target.query("b c").as_deref(), Some("x/y z"));
        assert_eq!(target.query("d").as_deref(), Some(""));
        assert_eq!(target.query("e"), None);
        assert_eq!(percent_decode("100%"), "100%");
    }
}
