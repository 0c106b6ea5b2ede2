//! Tests of resources without a server: the host is a double in memory, one for each thread, so that tests that run in
//! parallel do not see each other.
//!
//! ```
//! # use kora_guest::{Body, Result, Table, Target, resource, testing};
//! # #[derive(serde::Serialize, serde::Deserialize)] struct Dog { id: String, age: u32 }
//! # struct Oldest;
//! # #[resource(path = "Oldest")]
//! # impl Oldest {
//! #     async fn get(&self) -> Result<Body<u32>> {
//! #         Ok(Body(Table::<Dog>::find("Dog")?.get("a")?.map_or(0, |dog| dog.age)))
//! #     }
//! # }
//! testing::table("Dog", &[("a", Dog { id: "a".into(), age: 7 })]);
//! let reply = testing::call(&Oldest, "get").run().unwrap();
//! assert_eq!(reply.json(), serde_json::json!(7));
//! ```

use futures_util::{Stream, StreamExt};
use serde::Serialize;
use serde_json::Value;

use crate::call::Call;
use crate::encoding::{decode, encode};
use crate::host::world;
use crate::http::{Request, Response};
use crate::log::Level;
use crate::reply::ReplyBody;
use crate::resource::Described;
use crate::{Context, Id, Message, Messages, Reply, Result, Target};

/// Makes a table (`Dog`, or `pets.Dog`) with these records.
///
/// # Panics
/// If a record can't be encoded.
pub fn table<T: Serialize>(name: &str, records: &[(&str, T)]) {
    let (database, table) = name.split_once('.').unwrap_or(("data", name));
    let value = |value: &[u8]| rmpv::decode::read_value(&mut &value[..]).expect("just encoded");
    let rows = records.iter().map(|(id, record)| {
        let record = encode(record).expect("the record can be encoded");
        let id = rmpv::Value::from(*id);
        (id.to_string(), (id, value(&record)))
    });
    world(|world| {
        world.tables.insert((database.to_owned(), table.to_owned()), rows.collect());
    });
}

/// What `config()` answers.
pub fn config(config: Value) {
    world(|world| world.config = Some(config.to_string()));
}

/// What outgoing requests are answered with.
pub fn on_fetch(answer: impl Fn(Request) -> Result<Response> + 'static) {
    world(|world| world.http = Some(Box::new(answer)));
}

/// What was logged so far.
pub fn logged() -> Vec<(Level, String)> {
    world(|world| world.logged.clone())
}

/// A call in the making.
#[derive(Debug)]
pub struct Calling<R: 'static> {
    resource: &'static R,
    call: Call,
}

/// Calls `verb` of a resource.
pub fn call<R: Described>(resource: &'static R, verb: &str) -> Calling<R> {
    let call = Call {
        verb: verb.to_owned(),
        target: Target::default(),
        body: None,
        context: Context::default(),
        incoming: None,
    };
    Calling { resource, call }
}

impl<R: Described> Calling<R> {
    /// Of the record with this key.
    #[must_use]
    pub fn id(mut self, id: impl Into<Id>) -> Self {
        let id = id.into();
        self.call.target.url = format!("/{id}");
        self.call.target.id = Some(id);
        self
    }

    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.call.target = target;
        self
    }

    /// # Panics
    /// If the body can't be encoded.
    #[must_use]
    pub fn body(mut self, body: &impl Serialize) -> Self {
        self.call.body = Some(encode(body).expect("the body can be encoded"));
        self
    }

    #[must_use]
    pub fn context(mut self, context: Context) -> Self {
        self.call.context = context;
        self
    }

    /// What the client sends.
    ///
    /// # Panics
    /// If a message can't be encoded.
    #[must_use]
    pub fn incoming(mut self, messages: &[impl Serialize]) -> Self {
        let messages: Vec<_> =
            messages.iter().map(|m| encode(m).expect("the message can be encoded")).collect();
        self.call.incoming = Some(Messages::new(futures_util::stream::iter(messages)));
        self
    }

    /// Runs the call to its end.
    pub fn run(self) -> Result<Answer> {
        block_on(async {
            let Reply { status, headers, body, created } = self.resource.handle(self.call).await?;
            let body = match body {
                ReplyBody::Absent => None,
                ReplyBody::Value(value) => Some(decode(&value, "the reply", 500)?),
                ReplyBody::Raw(_, data) => Some(String::from_utf8_lossy(&data).into_owned().into()),
                ReplyBody::Pieces(_, mut pieces) => {
                    let mut all = Vec::new();
                    while let Some(piece) = pieces.next().await {
                        all.extend(piece?);
                    }
                    Some(String::from_utf8_lossy(&all).into_owned().into())
                }
                ReplyBody::Items(mut items) => {
                    let mut all = Vec::new();
                    while let Some(item) = items.next().await {
                        all.push(decode(&item?, "an item", 500)?);
                    }
                    Some(Value::Array(all))
                }
            };
            Ok(Answer { status, headers, created, body })
        })
    }

    /// Opens the `connect`; the messages as values. It ends with the resource's stream: take from it what you need.
    pub fn connect(self) -> Result<impl Iterator<Item = Result<Value>>> {
        let mut stream = block_on(self.resource.connect(self.call))?;
        Ok(std::iter::from_fn(move || {
            block_on(stream.next()).map(|message| match message? {
                Message::Value(value) => decode(&value, "the message", 500),
                Message::Raw { data, .. } => Ok(String::from_utf8_lossy(&data).into_owned().into()),
            })
        }))
    }
}

/// What a call answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: Option<u16>,
    pub headers: Vec<(String, String)>,
    pub created: Option<Id>,
    /// A sequence is an array; bytes are text.
    pub body: Option<Value>,
}

impl Answer {
    /// The body; null if there was none.
    pub fn json(&self) -> Value {
        self.body.clone().unwrap_or_default()
    }
}

/// Runs a future of a resource. The double never waits, so this ends when the resource does.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    futures_executor::block_on(future)
}

/// All items of a stream.
pub fn collect<T>(stream: impl Stream<Item = T>) -> Vec<T> {
    block_on(stream.collect())
}
