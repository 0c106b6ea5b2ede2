//! A table as transports see it: verbs with the semantics of `spec/harper-rest.md` sections 1 and 2.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use futures_core::Stream;
use kora_resource::query::{Explain, Select, from_value};
use kora_resource::schema::{Attribute, AttributeType, TableSchema};
use kora_resource::{
    Access, Attributes, BlobSink, Call, Connect, Context, Error, ErrorKind, Id, Map, Message,
    Outgoing, Query, Record, Reply, ReplyBody, Resource, ResourceFuture, Result, Target, Value,
    Verb, VerbSet,
};

use super::rights::{Caller, Unnamed};
use super::{Cached, Origin, Table, bulk};
use crate::subscription::{Subscribe, Subscription};
use crate::transaction::{Transaction, key_of};

/// How many records a DELETE of a collection reads at a time.
const DELETE_BATCH: usize = 256;

impl Resource for Table {
    fn name(&self) -> &str {
        &self.name
    }

    fn verbs(&self) -> VerbSet {
        // Copying and moving records is for classes to say how.
        Verb::ALL.into_iter().filter(|verb| !matches!(verb, Verb::Copy | Verb::Move)).collect()
    }

    fn schema(&self) -> Option<Arc<TableSchema>> {
        Some(Table::schema(self))
    }

    fn call(self: Arc<Self>, call: Call) -> ResourceFuture<Reply> {
        Box::pin(async move {
            let caller = Caller::new(&self, &call.context);
            let Call { verb, target, body, .. } = call;
            match verb {
                Verb::Get => self.answer(&caller, &target).await,
                Verb::Put => self.replace(&caller, target, body).await,
                Verb::Patch => self.merge(&caller, target, body).await,
                Verb::Post => self.insert(&caller, &target, body).await,
                Verb::Delete => self.remove(&caller, target).await,
                Verb::Query => self.query(&caller, &target, body),
                Verb::Publish => self.send(&caller, target, body).await,
                Verb::Copy | Verb::Move => Err(Error::new(
                    ErrorKind::MethodNotAllowed(Resource::verbs(&*self)),
                    format!(
                        "The {} does not have a {} method implemented",
                        self.name,
                        verb.method()
                    ),
                )),
            }
        })
    }

    fn blob_sink(
        self: Arc<Self>,
        target: &Target,
        context: &Arc<Context>,
    ) -> Result<Option<Box<dyn BlobSink>>> {
        let schema = Table::schema(&self);
        let holder = target.property.as_deref().unwrap_or("data");
        let is_blob = |attribute: &Attribute| attribute.ty == AttributeType::Blob;
        if !schema.attribute(holder).is_some_and(is_blob) {
            return Ok(None);
        }
        Caller::new(&self, context).require_write()?;
        Ok(Some(Box::new(self.owner().blobs().writer())))
    }

    fn connect(self: Arc<Self>, connect: Connect) -> ResourceFuture<Outgoing> {
        Box::pin(async move {
            let attributes = Caller::new(&self, &connect.context).readable()?;
            // `/T` is the whole table too, as in the v5 line.
            let options =
                Subscribe { attributes, ..Subscribe::new(connect.target, connect.options) };
            let events =
                Events { subscription: self.subscribe(options)?, incoming: connect.incoming };
            Ok(Box::pin(events) as Outgoing)
        })
    }
}

impl Table {
    async fn answer(self: &Arc<Self>, caller: &Caller, target: &Target) -> Result<Reply> {
        let schema = Table::schema(self);
        let readable = caller.readable()?;
        let mut query = target.query(Some(&schema))?;
        if let Some(property) = &target.property {
            query.select = Some(Select::Single(property.clone()));
        }
        caller.restrict(&mut query)?;
        if target.is_collection || target.id.is_none() && target.query.is_some() {
            return self.found(query);
        }
        let Some(id) = &target.id else { return Ok(Reply::value(describe(&schema, &readable))) };
        let (record, headers) = match self.is_caching() {
            true => through_cache(self.load(id, caller.context()).await?),
            false => (self.get(id)?, Vec::new()),
        };
        let Some(record) = record else { return Ok(Reply { headers, ..Reply::default() }) };
        let version = Some(record.shown_version());
        if target.property.is_none()
            && query.select.is_none()
            && let Some(mut kept) = self.kept_response(&record)?
        {
            kept.headers.extend(headers);
            return Ok(kept);
        }
        if record.has_blobs() {
            return self.answer_blobs(&record, target, &query, headers).await;
        }
        let selected = match (&target.property, &query.select) {
            (Some(_), select) => {
                self.show(&record, select.as_ref())?.filter(|value| !value.is_null())
            }
            (None, Some(select)) => self.show(&record, Some(select))?,
            (None, None) if self.shows_derived() => self.show(&record, None)?,
            (None, None) => return Ok(Reply { headers, ..Reply::record(record) }),
        };
        let body = selected.map_or(ReplyBody::Absent, ReplyBody::Value);
        Ok(Reply { version, body, headers, ..Reply::default() })
    }

    /// One record with blobs: what is a blob as a whole is streamed, texts are shown.
    async fn answer_blobs(
        self: &Arc<Self>,
        record: &Record,
        target: &Target,
        query: &Query,
        headers: Vec<(String, String)>,
    ) -> Result<Reply> {
        let mut map = record.to_map()?;
        let version = Some(record.shown_version());
        let whole = target.property.is_none() && query.select.is_none();
        let body = match (&target.property, map.get("contentType"), map.get("data")) {
            (Some(property), ..) => match map.shift_remove(property) {
                Some(Value::Blob(blob)) => self.stream_blob(&blob, ""),
                Some(value) if !value.is_null() => ReplyBody::Value(value),
                Some(_) | None => ReplyBody::Absent,
            },
            // A record that is a document: its content, with the type that it was stored with.
            (None, Some(Value::String(content_type)), Some(Value::Blob(blob))) if whole => {
                self.stream_blob(blob, content_type)
            }
            (None, ..) => {
                let selected = match &query.select {
                    Some(select) => self.show(record, Some(select))?,
                    None if self.shows_derived() => self.show(record, None)?,
                    None => Some(Value::Object(map)),
                };
                match selected {
                    Some(value) => ReplyBody::Value(self.owner().blobs().with_texts(value).await?),
                    None => ReplyBody::Absent,
                }
            }
        };
        Ok(Reply { version, body, headers, ..Reply::default() })
    }

    fn query(
        self: &Arc<Self>,
        caller: &Caller,
        target: &Target,
        body: Option<Value>,
    ) -> Result<Reply> {
        caller.require(Access::Read)?;
        let mut query = match &body {
            Some(body) => from_value(body)?,
            None => target.query(Some(&Table::schema(self)))?,
        };
        caller.restrict(&mut query)?;
        query.id_prefix.clone_from(&target.id);
        self.found(query)
    }

    fn found(self: &Arc<Self>, query: Query) -> Result<Reply> {
        let explain = query.explain;
        let search = self.search(query)?;
        Ok(match explain {
            Explain::Results => Reply::items(search.into_items()),
            Explain::Plan => Reply::value(search.explain().clone()),
        })
    }

    async fn replace(
        self: Arc<Self>,
        caller: &Caller,
        target: Target,
        body: Option<Value>,
    ) -> Result<Reply> {
        caller.require_write()?;
        let mut transaction = caller.begin_described();
        let put = |transaction: &mut Transaction, id: Id, mut record: Map| {
            caller.write(transaction, &id, &mut record, Unnamed::Dropped)?;
            transaction.put(&self, id, record)
        };
        match (target.id, body) {
            (Some(_), _) if target.is_collection => {
                return Err(Error::invalid("A PUT must name one record, or an array of records"));
            }
            (Some(id), Some(value)) if let Some(property) = target.property => {
                let mut changes = Map::from_iter([(property, value)]);
                caller.write(&mut transaction, &id, &mut changes, Unnamed::Kept)?;
                transaction.patch(&self, id, changes)?;
            }
            (Some(id), Some(Value::Object(record))) => put(&mut transaction, id, record)?,
            (None, Some(Value::Object(record))) => {
                put(&mut transaction, self.key_in(&record)?, record)?;
            }
            (None, Some(Value::Array(records))) => {
                let nulls = vec![Value::Null; records.len()];
                bulk::put(&self, caller, &mut transaction, records)?;
                transaction.commit().await?;
                return Ok(Reply::value(Value::Array(nulls)));
            }
            (_, body) => drop(object(body)?),
        }
        let seq = transaction.commit().await?.seq;
        Ok(Reply { seq, ..Reply::default() })
    }

    async fn merge(
        self: Arc<Self>,
        caller: &Caller,
        target: Target,
        body: Option<Value>,
    ) -> Result<Reply> {
        caller.require_write()?;
        let mut changes = object(body)?;
        let id = match target.id {
            Some(id) if !target.is_collection => id,
            Some(_) => return Err(Error::invalid("A PATCH must name one record")),
            None => self.key_in(&changes)?,
        };
        let mut transaction = caller.begin();
        caller.write(&mut transaction, &id, &mut changes, Unnamed::Kept)?;
        transaction.patch(&self, id, changes)?;
        transaction.commit().await?;
        Ok(Reply::default())
    }

    async fn insert(
        self: Arc<Self>,
        caller: &Caller,
        target: &Target,
        body: Option<Value>,
    ) -> Result<Reply> {
        if target.id.is_some() {
            // Making something within a record changes that record.
            caller.require(Access::Update)?;
            let verbs = self.verbs().iter().filter(|verb| *verb != Verb::Post).collect();
            return Err(Error::new(
                ErrorKind::MethodNotAllowed(verbs),
                format!(
                    "The {} does not have a post method implemented to handle HTTP method POST",
                    self.name
                ),
            ));
        }
        caller.require(Access::Insert)?;
        let mut transaction = caller.begin();
        if let Some(Value::Array(records)) = body {
            let ids = bulk::create(&self, caller, &mut transaction, records)?;
            transaction.commit().await?;
            return Ok(Reply { status: Some(201), ..Reply::value(Value::Array(ids)) });
        }
        let record = object(body)?;
        caller.insert(&record)?;
        let id = transaction.create(&self, None, record)?;
        transaction.commit().await?;
        let body = ReplyBody::Value(id.to_value());
        Ok(Reply { body, created: Some(id), ..Reply::default() })
    }

    async fn remove(self: Arc<Self>, caller: &Caller, target: Target) -> Result<Reply> {
        caller.require(Access::Delete)?;
        let schema = Table::schema(&self);
        let mut transaction = caller.begin_described();
        match &target.id {
            Some(id) if !target.is_collection => drop(transaction.delete(&self, id)?),
            Some(_) | None => {
                let mut query = target.query(Some(&schema))?;
                caller.restrict_choice(&mut query)?;
                query.select = None;
                let mut search = self.search(query)?;
                loop {
                    let records = search.next_records(DELETE_BATCH)?;
                    if records.is_empty() {
                        break;
                    }
                    for record in records {
                        let id = self.key_in(&record.to_map()?)?;
                        transaction.delete(&self, &id)?;
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
        let seq = transaction.commit().await?.seq;
        Ok(Reply { seq, ..Reply::value(Value::Bool(true)) })
    }

    async fn send(
        self: Arc<Self>,
        caller: &Caller,
        target: Target,
        body: Option<Value>,
    ) -> Result<Reply> {
        let id = target.id.unwrap_or(Id::Null);
        caller.publish(&id, body.as_ref().and_then(Value::as_object))?;
        let mut transaction = caller.begin_described();
        transaction.publish(&self, id, body.unwrap_or_default())?;
        let seq = transaction.commit().await?.seq;
        Ok(Reply { seq, ..Reply::default() })
    }

    /// The key that a record carries.
    pub(super) fn key_in(&self, record: &Map) -> Result<Id> {
        let schema = Table::schema(self);
        match record.get(&schema.primary_key) {
            Some(key) => key_of(key),
            None => Err(Error::invalid(format!(
                "Property {} is required: it is the primary key",
                schema.primary_key
            ))),
        }
    }
}

/// A record from the cache with the headers that tell how old it is, or that it was missed.
fn through_cache(cached: Cached) -> (Option<Record>, Vec<(String, String)>) {
    let header = match cached.origin {
        Origin::Cache { age } => ("Age".to_owned(), (age as u64).to_string()),
        Origin::Source => ("Server-Timing".to_owned(), "miss".to_owned()),
    };
    (cached.record, vec![header])
}

pub(super) fn object(body: Option<Value>) -> Result<Map> {
    match body {
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err(Error::invalid("A record must be an object")),
        None => Err(Error::invalid("The request has no body: a record is required")),
    }
}

/// The description of a table (`spec/harper-rest.md` section 1.3), with the attributes that may be
/// read.
fn describe(schema: &TableSchema, readable: &Attributes) -> Value {
    let attribute = |attribute: &Attribute| {
        let mut map = Map::from_iter([
            ("name".to_owned(), Value::from(attribute.name.as_str())),
            ("type".to_owned(), Value::from(attribute.ty.to_string())),
        ]);
        if attribute.name == schema.primary_key {
            map.insert("isPrimaryKey".to_owned(), Value::Bool(true));
        }
        if attribute.indexed {
            map.insert("indexed".to_owned(), Value::Bool(true));
        }
        if attribute.required {
            map.insert("nullable".to_owned(), Value::Bool(false));
        }
        Value::Object(map)
    };
    let shown = schema.attributes.iter().filter(|attribute| readable.contains(&attribute.name));
    let attributes = shown.map(attribute).collect();
    Value::Object(Map::from_iter([
        ("records".to_owned(), Value::from("./")),
        ("name".to_owned(), Value::from(schema.table.as_str())),
        ("database".to_owned(), Value::from(schema.database.as_str())),
        ("attributes".to_owned(), Value::Array(attributes)),
    ]))
}

/// A subscription as messages. What the client sends a table is not for anyone.
struct Events {
    subscription: Subscription,
    incoming: Option<kora_resource::Incoming>,
}

impl Stream for Events {
    type Item = Result<Message>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        // Read and let go, so that the transport's buffer never fills up; its end is the
        // transport's to act on.
        if let Some(incoming) = &mut this.incoming {
            let ended = loop {
                match incoming.as_mut().poll_next(cx) {
                    Poll::Ready(Some(_)) => {}
                    Poll::Ready(None) => break true,
                    Poll::Pending => break false,
                }
            };
            if ended {
                this.incoming = None;
            }
        }
        Pin::new(&mut this.subscription).poll_next(cx)
    }
}
