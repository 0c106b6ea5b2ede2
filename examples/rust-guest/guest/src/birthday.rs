//! `Birthday`: reads a record, changes it and writes it back, safely beside others who do the same.

use kora_guest::{Body, Result, Target, resource};

use crate::dogs::{Dog, dogs, unknown, wanted};

pub struct Birthday;

#[resource(public)]
impl Birthday {
    /// `GET /Birthday/rex`: the dog, or 404.
    async fn get(&self, target: Target) -> Result<Option<Body<Dog>>> {
        Ok(dogs()?.get(wanted(target.id())?)?.map(Body))
    }

    /// `POST /Birthday/rex`: a year older. Concurrent birthdays all count: the host runs the call again if the record
    /// has changed meanwhile.
    async fn post(&self, target: Target) -> Result<Body<Dog>> {
        let (dogs, id) = (dogs()?, wanted(target.id())?);
        let mut dog = dogs.get(id)?.ok_or_else(|| unknown(id))?;
        dog.age += 1;
        dogs.put(id, &dog).await?;
        Ok(Body(dog))
    }
}

#[cfg(test)]
mod tests {
    use kora_guest::testing;

    use super::*;

    #[test]
    fn a_birthday_makes_a_year_older() {
        let rex = Dog { id: "rex".into(), name: "Rex".into(), age: 3, breed: None };
        testing::table("Dog", &[("rex", rex)]);
        let older = testing::call(&Birthday, "post").id("rex").run().unwrap();
        assert_eq!(older.json()["age"], 4);
        assert_eq!(testing::call(&Birthday, "get").id("rex").run().unwrap().json()["age"], 4);
        assert_eq!(testing::call(&Birthday, "post").id("bo").run().unwrap_err().status, 404);
        assert_eq!(testing::call(&Birthday, "post").run().unwrap_err().status, 400);
    }
}
