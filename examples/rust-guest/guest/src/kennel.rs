//! `Kennel`: all the verbs of REST over a table, with rules of its own.

use futures_util::StreamExt;
use kora_guest::{Body, Comparator, Error, IntoReply, Query, Reply, Result, Target, resource};
use serde::{Deserialize, Serialize};

use crate::dogs::{Dog, dogs, unknown, wanted};

pub struct Kennel;

/// What may be changed of a dog.
#[derive(Serialize, Deserialize)]
struct Changes {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    breed: Option<String>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    years: i64,
}

#[resource(public)]
impl Kennel {
    /// `GET /Kennel/rex`, or `GET /Kennel/?over=3`: a line for each dog that is older, sent as it is read.
    async fn get(&self, target: Target) -> Result<Reply> {
        if let Some(id) = target.id() {
            return dogs()?.get(id)?.map(Body).into_reply();
        }
        let mut query = Query::new().sort("name");
        if let Some(over) = target.query("over") {
            let over: i64 = over.parse().map_err(|_| {
                Error::invalid(format!("over is no number: {over}")).with_code("BadQuery")
            })?;
            query = query.filter("age", Comparator::GreaterThan, over);
        }
        let lines = dogs()?.search(&query)?;
        Ok(Reply::items(lines.map(|dog| dog.map(|dog| Line { name: dog.name, years: dog.age }))))
    }

    /// `POST /Kennel/`: a new dog; 201 with its location.
    async fn post(&self, body: Body<Dog>) -> Result<Reply> {
        if body.0.name.is_empty() {
            return Err(Error::new(422, "a dog needs a name").with_code("Nameless"));
        }
        let id = dogs()?.create(&body.0).await?;
        Reply::created(id)
    }

    async fn put(&self, target: Target, body: Body<Dog>) -> Result<()> {
        dogs()?.put(wanted(target.id())?, &body.0).await
    }

    async fn patch(&self, target: Target, body: Body<Changes>) -> Result<()> {
        let id = wanted(target.id())?;
        dogs()?.get(id)?.ok_or_else(|| unknown(id))?;
        dogs()?.patch(id, &body.0).await
    }

    async fn delete(&self, target: Target) -> Result<Body<bool>> {
        Ok(Body(dogs()?.delete(wanted(target.id())?).await?))
    }
}
