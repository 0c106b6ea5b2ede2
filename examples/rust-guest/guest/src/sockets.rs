//! Streams to clients. `Echo` answers what they send; `Watch` tells what happens to dogs.

use futures_util::{Stream, StreamExt, stream};
use kora_guest::{
    Body, EventKind, Message, Messages, Result, Subscribe, Target, resource,
};
use serde::{Deserialize, Serialize};

use crate::dogs::{Dog, dogs, wanted};

pub struct Echo;

#[derive(Deserialize)]
struct Said {
    say: String,
}

#[derive(Serialize)]
struct Heard {
    heard: String,
}

#[resource(public)]
impl Echo {
    /// A greeting, then each message back.
    async fn connect(&self, incoming: Messages) -> Result<impl Stream<Item = Result<Message>>> {
        let greeting = stream::once(async { Message::value(&"hello") });
        let echoes = incoming.typed::<Said>().map(|said| Message::value(&Heard { heard: said?.say }));
        Ok(greeting.chain(echoes))
    }
}

pub struct Watch;

#[derive(Serialize)]
struct Seen {
    kind: EventKind,
    id: kora_guest::Id,
    name: Option<String>,
}

#[resource(public)]
impl Watch {
    /// `GET /Watch/rex` as a stream: the dog, and what happens to it.
    async fn connect(&self, target: Target) -> Result<impl Stream<Item = Result<Message>>> {
        let events = dogs()?.subscribe(&Subscribe::to(wanted(target.id())?))?;
        Ok(events.map(|event| {
            let event = event?;
            let name = event.value.map(|dog: Dog| dog.name);
            Message::value(&Seen { kind: event.kind, id: event.id, name })
        }))
    }

    /// `POST /Watch/rex {...}`: tells the watchers, changes nothing.
    async fn post(&self, target: Target, body: Body<Dog>) -> Result<()> {
        dogs()?.publish(wanted(target.id())?, &body.0).await
    }

    /// The same, from MQTT clients: a message to the topic `Watch/rex`.
    async fn publish(&self, target: Target, body: Body<Dog>) -> Result<()> {
        self.post(target, body).await
    }
}
