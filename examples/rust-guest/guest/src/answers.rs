//! `Answers`: what an answer can be besides a value. `Motto`: what config.yaml says.

use futures_util::stream;
use kora_guest::{Body, Context, Error, IntoReply, Reply, Result, Target, config, log, resource};
use serde::{Deserialize, Serialize};

pub struct Answers;

#[derive(Serialize)]
struct Who {
    header: Option<String>,
    method: Option<String>,
    url: Option<String>,
}

#[resource(public)]
impl Answers {
    async fn get(&self, target: Target, context: Context) -> Result<Reply> {
        match target.query("kind").as_deref() {
            Some("number") => Body(42).into_reply(),
            Some("text") => Body("a text").into_reply(),
            Some("list") => Body([1.5, 2.0, -3.0]).into_reply(),
            Some("raw") => Ok(Reply::raw("image/svg+xml", "<svg/>")),
            Some("status") => Ok(Body("accepted").into_reply()?.with_status(202)),
            Some("header") => Ok(Body("with a header").into_reply()?.with_header("x-dog", "rex")),
            Some("who") => Body(Who {
                header: context.header("x-asked").map(str::to_owned),
                method: context.request.as_ref().map(|request| request.method.clone()),
                url: context.request.as_ref().map(|request| request.url.clone()),
            })
            .into_reply(),
            Some("pieces") => {
                let pieces = ["in ", "three ", "parts"].map(|piece| Ok(piece.as_bytes().to_vec()));
                Ok(Reply::pieces("text/plain", stream::iter(pieces)))
            }
            Some("items") => Ok(Reply::items(stream::iter((0..300).map(Ok)))),
            Some("teapot") => Err(Error::new(418, "short and stout").with_code("Teapot")),
            Some("broken") => {
                log::error("about to fail");
                Err(Error::internal("broken").with_code("Broken"))
            }
            _ => Ok(Reply::absent()),
        }
    }
}

pub struct Motto;

#[derive(Deserialize)]
struct Settings {
    motto: String,
}

#[resource(public)]
impl Motto {
    async fn get(&self) -> Result<Body<String>> {
        Ok(Body(config::<Settings>()?.motto))
    }
}
