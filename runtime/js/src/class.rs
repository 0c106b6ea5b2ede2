//! A JavaScript class as a [`Resource`]: what transports see of it.

use std::sync::{Arc, Weak};

use futures_util::StreamExt;
use kora_resource::schema::TableSchema;
use kora_resource::{
    BlobSink, Call, Connect, Context, Documentation, Error, Exceeded, Outgoing, Reply, ReplyBody,
    Resource, ResourceFuture, Result, Target, VerbSet,
};
use kora_store::Table;
use tokio::sync::oneshot;

use crate::exports::{Entry, ServedBy};
use crate::generation::Generation;
use crate::socket::{Consent, Opening, socket};
use crate::worker::Job;

/// One exported class of one generation.
pub(crate) struct ClassResource {
    /// Weak, since the generation owns its exports; a call keeps it alive while it runs.
    generation: Weak<Generation>,
    export: usize,
    name: String,
    verbs: VerbSet,
    table: Option<Arc<Table>>,
    served_by: ServedBy,
    documentation: Option<Arc<Documentation>>,
}

impl ClassResource {
    pub(crate) fn new(
        generation: Weak<Generation>,
        export: usize,
        entry: &Entry,
        table: Option<Arc<Table>>,
    ) -> ClassResource {
        ClassResource {
            generation,
            export,
            name: entry.class.name.clone(),
            verbs: entry.class.verbs(),
            table,
            served_by: entry.served_by.clone(),
            documentation: entry.class.documentation(),
        }
    }

    fn generation(&self) -> Result<Arc<Generation>, Error> {
        self.generation
            .upgrade()
            .ok_or_else(|| Error::unavailable("the component is being replaced, try again"))
    }

    /// The worker's answer. Past `limits.wallTime` the caller is told so; the code, which waits for something, goes on
    /// unheard.
    async fn within_wall_time<T>(
        &self,
        generation: &Generation,
        answered: oneshot::Receiver<Result<T, Error>>,
    ) -> Result<T, Error> {
        let limits = generation.limits();
        match tokio::time::timeout(limits.wall_time, answered).await {
            Ok(answer) => answer.map_err(|_| unanswered())?,
            Err(_) => Err(limits.error(Exceeded::WallTime, &self.name)),
        }
    }
}

/// The worker ended before it answered.
fn unanswered() -> Error {
    Error::unavailable("the component's worker ended before it answered, try again")
}

impl Resource for ClassResource {
    fn name(&self) -> &str {
        &self.name
    }

    fn verbs(&self) -> VerbSet {
        self.verbs
    }

    fn schema(&self) -> Option<Arc<TableSchema>> {
        self.table.as_ref().map(|table| table.schema())
    }

    fn documentation(&self) -> Option<Arc<Documentation>> {
        self.documentation.clone()
    }

    fn call(self: Arc<Self>, call: Call) -> ResourceFuture<Reply> {
        Box::pin(async move {
            let generation = self.generation()?;
            let (answer, answered) = oneshot::channel();
            let job = Job::Call { export: self.export, call, answer };
            let in_flight = generation.submit(job, Some(&self.served_by))?;
            let mut reply = self.within_wall_time(&generation, answered).await?;
            if let ReplyBody::Value(value) = &mut reply.body
                && value.has_blobs()
            {
                let shown = generation.store().blobs().with_texts(std::mem::take(value)).await?;
                reply.body = ReplyBody::Value(shown);
            }
            // The worker is needed until the last item, not only until the answer begins.
            reply.body = match reply.body {
                ReplyBody::Items(items) => ReplyBody::Items(Box::pin(items.inspect(move |_| {
                    let _ = &in_flight;
                }))),
                ReplyBody::Stream { content_type, size, chunks } => {
                    let chunks = chunks.inspect(move |_| {
                        let _ = &in_flight;
                    });
                    ReplyBody::Stream { content_type, size, chunks: Box::pin(chunks) }
                }
                whole @ (ReplyBody::Absent
                | ReplyBody::Value(_)
                | ReplyBody::Record(_)
                | ReplyBody::Raw { .. }) => whole,
            };
            Ok(reply)
        })
    }

    fn blob_sink(
        self: Arc<Self>,
        target: &Target,
        context: &Arc<Context>,
    ) -> Result<Option<Box<dyn BlobSink>>> {
        match &self.table {
            // Who may not write to the table may still be let in by the class: with a body of the
            // usual limit, not with one that fills the disk.
            Some(table) => Ok(table.clone().blob_sink(target, context).unwrap_or_default()),
            None => Ok(None),
        }
    }

    fn connect(self: Arc<Self>, connect: Connect) -> ResourceFuture<Outgoing> {
        Box::pin(async move {
            let generation = self.generation()?;
            let (socket, stream) = socket(generation.open_sockets());
            let (answer, answered) = oneshot::channel();
            let opening = Opening { socket, answer };
            let job = Job::Connect { export: self.export, connect, opening };
            let _in_flight = generation.submit(job, Some(&self.served_by))?;
            // Given up while it waits, this drops the stream: the class hears that the client is gone.
            Ok(match self.within_wall_time(&generation, answered).await? {
                Consent::Stream => Box::pin(stream) as Outgoing,
                Consent::Nothing => Box::pin(futures_util::stream::empty()),
            })
        })
    }
}
