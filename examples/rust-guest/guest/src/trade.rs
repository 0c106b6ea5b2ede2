//! `Trade`: several writes that happen together or not at all.

use kora_guest::{Body, Error, Result, Table, Transaction, resource};
use serde::Deserialize;

use crate::dogs::{Dog, dogs};

pub struct Trade;

/// `POST /Trade {"from": "rex", "to": "bo", "years": 2, "mode": "call"}`.
#[derive(Deserialize)]
struct Years {
    from: String,
    to: String,
    years: i64,
    #[serde(default)]
    mode: Mode,
}

/// Which transaction the writes belong to.
#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// That of the call.
    #[default]
    Call,
    /// One of its own, whose fate is not that of the call.
    Own,
}

#[resource(public)]
impl Trade {
    async fn post(&self, body: Body<Years>) -> Result<Body<[i64; 2]>> {
        let Body(years) = body;
        match years.mode {
            Mode::Call => years.give(&dogs()?).await.map(Body),
            Mode::Own => {
                let transaction = Transaction::begin();
                let given = years.give(&dogs()?.within(&transaction)).await?;
                transaction.commit().await?;
                // What is committed stays, whatever comes of the call.
                if years.years == 0 {
                    return Err(Error::new(422, "nothing was given").with_code("NoTrade"));
                }
                Ok(Body(given))
            }
        }
    }
}

impl Years {
    async fn give(&self, dogs: &Table<Dog>) -> Result<[i64; 2]> {
        dogs.add_to(&self.to, "age", self.years).await?;
        dogs.add_to(&self.from, "age", -self.years).await?;
        // Own writes are seen before they are committed.
        let age = |id: &String| Ok(dogs.get(id)?.map_or(0, |dog| dog.age));
        let ages = [age(&self.from)?, age(&self.to)?];
        if ages[0] < 0 {
            return Err(Error::new(422, "a dog can't be younger than nothing").with_code("TooYoung"));
        }
        Ok(ages)
    }
}
