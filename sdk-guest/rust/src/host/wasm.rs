//! The host as a guest sees it: the imports of the world, and the conversions of its exports.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;

use futures_core::Stream;
use futures_util::StreamExt;

use crate::Result;
use crate::http::{Request, Response};
use crate::log::Level;
use bindings::kora::resource::{clock, config as wit_config, http, log as wit_log, tables};

/// A sequence from the host, each item encoded.
pub(crate) type Sequence = Pin<Box<dyn Stream<Item = Result<Vec<u8>>>>>;

/// The host's handle of a table, which stays good for as long as the instance lives.
#[derive(Debug, Clone)]
pub(crate) struct Table(Rc<tables::Table>);

/// A table that was found: its database, its name, its handle.
type Found = (String, String, Table);

thread_local! {
    /// What was found before: to ask the host again costs more than to read a record. There are no more than there
    /// are tables.
    static FOUND: RefCell<Vec<Found>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
pub(crate) struct Transaction(tables::Transaction);

type Txn<'a> = Option<&'a crate::Transaction>;

fn told<T>(result: Result<T, bindings::WitFailure>) -> Result<T> {
    result.map_err(bindings::error)
}

/// Runs `f` with the host's handle of a transaction, if one is named.
macro_rules! within {
    ($txn:expr, |$handle:ident| $call:expr) => {
        match $txn {
            None => {
                let $handle: Option<&tables::Transaction> = None;
                told($call)
            }
            Some(transaction) => {
                let taken = transaction.take()?;
                let result = {
                    let $handle = Some(&taken.0);
                    told($call)
                };
                transaction.give_back(taken);
                result
            }
        }
    };
}

impl Table {
    pub(crate) fn find(database: &str, name: &str) -> Result<Table> {
        let is_it = |(of, it, _): &&Found| of == database && it == name;
        if let Some((_, _, table)) = FOUND.with_borrow(|found| found.iter().find(is_it).cloned()) {
            return Ok(table);
        }
        let table = Table(Rc::new(told(tables::Table::find(database, name))?));
        FOUND.with_borrow_mut(|found| {
            found.push((database.to_owned(), name.to_owned(), table.clone()));
        });
        Ok(table)
    }

    pub(crate) fn get(&self, txn: Txn<'_>, id: Vec<u8>) -> Result<Option<Vec<u8>>> {
        within!(txn, |txn| self.0.get(txn, &id))
    }

    pub(crate) async fn put(&self, txn: Txn<'_>, id: Vec<u8>, record: Vec<u8>) -> Result<()> {
        within!(txn, |txn| self.0.put(txn, id, record).await)
    }

    pub(crate) async fn patch(&self, txn: Txn<'_>, id: Vec<u8>, changes: Vec<u8>) -> Result<()> {
        within!(txn, |txn| self.0.patch(txn, id, changes).await)
    }

    pub(crate) async fn create(
        &self,
        txn: Txn<'_>,
        id: Option<Vec<u8>>,
        record: Vec<u8>,
    ) -> Result<Vec<u8>> {
        within!(txn, |txn| self.0.create(txn, id, record).await)
    }

    pub(crate) async fn delete(&self, txn: Txn<'_>, id: Vec<u8>) -> Result<bool> {
        within!(txn, |txn| self.0.delete(txn, id).await)
    }

    pub(crate) async fn publish(&self, txn: Txn<'_>, id: Vec<u8>, message: Vec<u8>) -> Result<()> {
        within!(txn, |txn| self.0.publish(txn, id, message).await)
    }

    pub(crate) fn search(&self, txn: Txn<'_>, query: Vec<u8>) -> Result<Sequence> {
        within!(txn, |txn| self.0.search(txn, &query)).map(sequence)
    }

    pub(crate) fn subscribe(&self, options: Vec<u8>) -> Result<Sequence> {
        told(self.0.subscribe(&options)).map(sequence)
    }
}

impl Transaction {
    pub(crate) fn begin() -> Transaction {
        Transaction(tables::Transaction::new())
    }

    pub(crate) async fn commit(self) -> Result<()> {
        told(tables::Transaction::commit(self.0).await)
    }
}

type WitSequence = (
    wit_bindgen::StreamReader<Vec<u8>>,
    wit_bindgen::FutureReader<Result<(), bindings::WitFailure>>,
);

/// The items, and then the error that ended them, if one did.
fn sequence((stream, end): WitSequence) -> Sequence {
    let end = async move { told(end.await).err().map(Err) };
    let end = futures_util::stream::once(end).filter_map(std::future::ready);
    Box::pin(stream.into_stream().map(Ok).chain(end))
}

pub(crate) fn now() -> f64 {
    clock::now()
}

pub(crate) async fn sleep(milliseconds: f64) {
    clock::sleep(milliseconds).await;
}

pub(crate) fn random(count: u32) -> Vec<u8> {
    bindings::kora::resource::random::bytes(count)
}

pub(crate) fn config() -> String {
    wit_config::get()
}

pub(crate) fn log(level: Level, message: String) {
    let level = match level {
        Level::Trace => wit_log::Level::Trace,
        Level::Debug => wit_log::Level::Debug,
        Level::Info => wit_log::Level::Info,
        Level::Warn => wit_log::Level::Warn,
        Level::Error => wit_log::Level::Error,
    };
    wit_log::log(level, &message);
}

pub(crate) async fn fetch(request: Request) -> Result<Response> {
    let Request { method, url, headers, body } = request;
    let response = told(http::fetch(http::Request { method, url, headers, body }).await)?;
    let http::Response { status, headers, body } = response;
    Ok(Response { status, headers, body })
}

/// Has panics written to the server's log, with file and line: a guest has no standard error.
fn report_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| log(Level::Error, panic.to_string())));
    });
}

#[doc(hidden)]
pub mod bindings {
    //! The world's bindings, and what `export!` needs of them.

    wit_bindgen::generate!({
        path: "../wit",
        world: "resources",
        pub_export_macro: true,
        default_bindings_module: "kora_guest::internal::bindings",
    });

    pub use self::kora::resource::types::{
        Call as WitCall, Failure as WitFailure, Reply as WitReply,
    };

    use futures_util::StreamExt;

    use self::kora::resource::types;
    use crate::call::Call;
    use crate::encoding::{decode, encode};
    use crate::reply::{Encoded, ReplyBody};
    use crate::resource::Outgoing;
    use crate::{Context, Error, Message, Messages, Reply, Request, Result, Target, User};

    pub type WitIncoming = wit_bindgen::StreamReader<Vec<u8>>;
    pub type WitOutgoing = (
        wit_bindgen::StreamReader<types::Message>,
        wit_bindgen::FutureReader<Result<(), WitFailure>>,
    );

    pub(super) fn error(failure: WitFailure) -> Error {
        Error { status: failure.status, code: failure.code, message: failure.message }
    }

    fn failure(error: Error) -> WitFailure {
        WitFailure { status: error.status, code: error.code, message: error.message }
    }

    pub fn no_resource(number: u32, resources: u32) -> WitFailure {
        failure(Error::internal(format!("there is no resource {number} of {resources}")))
    }

    /// The number of the resource, and the call in the SDK's words.
    pub fn call(call: WitCall, incoming: Option<WitIncoming>) -> Result<(u32, Call), WitFailure> {
        super::report_panics();
        let types::Target { url, id, is_collection, property, search, params } = call.target;
        let id = id.map(|id| decode(&id, "the id", 400)).transpose().map_err(failure)?;
        let context = Context {
            user: call.context.user.map(|user| User {
                username: user.username,
                super_user: user.super_user,
                role: user.role,
            }),
            request: call.context.request.map(|request| Request {
                method: request.method,
                url: request.url,
                headers: request.headers,
                protocol: request.protocol,
                host: request.host,
                ip: request.ip,
            }),
            authorize: call.context.authorize,
        };
        let sdk = Call {
            verb: call.verb,
            target: Target { url, id, is_collection, property, search, params },
            body: call.body,
            context,
            incoming: incoming.map(|incoming| Messages::new(incoming.into_stream())),
        };
        Ok((call.resource, sdk))
    }

    pub fn reply(reply: Result<Reply>) -> Result<WitReply, WitFailure> {
        let Reply { status, headers, body, created } = reply.map_err(failure)?;
        let body = match body {
            ReplyBody::Absent => types::Body::Absent,
            ReplyBody::Value(value) => types::Body::Value(value),
            ReplyBody::Raw(content_type, data) => types::Body::Raw((content_type, data)),
            ReplyBody::Items(items) => types::Body::Items(send(items)),
            ReplyBody::Pieces(content_type, pieces) => {
                let (reader, ended) = send(pieces);
                types::Body::Pieces((content_type, reader, ended))
            }
        };
        let created = created.map(|id| encode(&id)).transpose().map_err(failure)?;
        Ok(WitReply { status, headers, body, created })
    }

    /// Hands the host a sequence that goes on after the call has answered.
    fn send(mut items: Encoded) -> super::WitSequence {
        let (mut writer, reader) = wit_stream::new::<Vec<u8>>();
        let (end, ended) = wit_future::new::<Result<(), WitFailure>>(|| Ok(()));
        wit_bindgen::spawn_local(async move {
            let mut outcome = Ok(());
            while let Some(item) = items.next().await {
                match item {
                    // What comes back was not read: nobody listens any more.
                    Ok(item) => {
                        if writer.write_one(item).await.is_some() {
                            break;
                        }
                    }
                    Err(error) => {
                        outcome = Err(failure(error));
                        break;
                    }
                }
            }
            drop(writer);
            // The reader may be gone.
            drop(end.write(outcome).await);
        });
        (reader, ended)
    }

    pub fn outgoing(messages: Result<Outgoing>) -> Result<WitOutgoing, WitFailure> {
        let mut messages = messages.map_err(failure)?;
        let (mut writer, reader) = wit_stream::new::<types::Message>();
        let (end, ended) = wit_future::new::<Result<(), WitFailure>>(|| Ok(()));
        wit_bindgen::spawn_local(async move {
            let mut outcome = Ok(());
            while let Some(message) = messages.next().await {
                let message = match message {
                    Ok(Message::Value(value)) => types::Message::Value(value),
                    Ok(Message::Raw { content_type, data }) => {
                        types::Message::Raw((content_type, data))
                    }
                    Err(error) => {
                        outcome = Err(failure(error));
                        break;
                    }
                };
                // What comes back was not read: the client has left.
                if writer.write_one(message).await.is_some() {
                    break;
                }
            }
            // The guest's own cleanup comes before the end is told.
            drop(messages);
            drop(writer);
            drop(end.write(outcome).await);
        });
        Ok((reader, ended))
    }
}
