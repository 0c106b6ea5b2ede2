//! What answers on the paths of something that could not be loaded: 500 with the reason, so that
//! the person who made the mistake sees it in the browser and not only in the log.

use std::sync::Arc;

use kora_resource::schema::TableSchema;
use kora_resource::{
    Call, Connect, Error, Outgoing, Reply, Resource, ResourceFuture, Verb, VerbSet,
};

/// A resource whose every call fails with one message.
#[derive(Debug)]
pub(super) struct FailedResource {
    name: String,
    message: String,
}

impl FailedResource {
    pub(super) fn new(name: impl Into<String>, message: impl Into<String>) -> Arc<FailedResource> {
        Arc::new(FailedResource { name: name.into(), message: message.into() })
    }
}

impl Resource for FailedResource {
    fn name(&self) -> &str {
        &self.name
    }

    fn verbs(&self) -> VerbSet {
        Verb::ALL.into_iter().collect()
    }

    fn schema(&self) -> Option<Arc<TableSchema>> {
        None
    }

    fn call(self: Arc<Self>, _call: Call) -> ResourceFuture<Reply> {
        Box::pin(async move { Err(Error::internal(&self.message)) })
    }

    fn connect(self: Arc<Self>, _connect: Connect) -> ResourceFuture<Outgoing> {
        Box::pin(async move { Err(Error::internal(&self.message)) })
    }
}
