//! The resources of this component. Each `#[resource]` answers at its name: over REST, WebSocket and Server-Sent Events.

use futures_util::{Stream, StreamExt};
use kora_guest::{Body, Error, Message, Result, Subscribe, Table, Target, resource};
use serde::{Deserialize, Serialize};

/// A record of the table `Dog` in ../schema.graphql.
#[derive(Serialize, Deserialize)]
struct Dog {
    id: String,
    name: String,
    #[serde(default)]
    age: u32,
}

struct Birthday;

#[resource(public)]
impl Birthday {
    /// `POST /Birthday/rex`: makes the dog a year older.
    async fn post(&self, target: Target) -> Result<Body<Dog>> {
        let dogs = Table::<Dog>::find("Dog")?;
        let id = target.id().ok_or_else(|| Error::invalid("which dog?"))?;
        let mut dog = dogs.get(id)?.ok_or_else(|| Error::not_found(format!("there is no dog {id}")))?;
        dog.age += 1;
        dogs.put(id, &dog).await?;
        Ok(Body(dog))
    }

    /// A WebSocket or an event stream at `/Birthday`: the name of each dog that gets older.
    async fn connect(&self) -> Result<impl Stream<Item = Result<Message>>> {
        let events = Table::<Dog>::find("Dog")?.subscribe(&Subscribe::default().from_now())?;
        Ok(events.map(|event| Message::value(&event?.value.map(|dog| dog.name))))
    }
}

kora_guest::export!(Birthday);

#[cfg(test)]
mod tests {
    use kora_guest::testing;

    use super::*;

    #[test]
    fn a_birthday_makes_a_year_older() {
        testing::table("Dog", &[("rex", Dog { id: "rex".into(), name: "Rex".into(), age: 3 })]);
        let answer = testing::call(&Birthday, "post").id("rex").run().unwrap();
        assert_eq!(answer.json()["age"], 4);
    }
}
