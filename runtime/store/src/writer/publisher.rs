//! The publisher: hands committed events to the hub, in the order of the log.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use kora_hub::{Hub, TableKey};
use kora_resource::Frame;

use crate::keys::Key;

/// One committed event and where it is to be published.
pub(crate) struct Published {
    pub table: TableKey,
    pub key: Key,
    pub frame: Arc<Frame>,
}

/// Ends with the writer, after all that it has sent.
pub(super) fn run(hub: &Hub, batches: &Receiver<Vec<Published>>) {
    while let Ok(batch) = batches.recv() {
        for Published { table, key, frame } in batch {
            hub.publish(table, &key, &frame.event.id, &frame);
        }
    }
}
