//! Blobs as JavaScript sees them: objects made by `harperdb/blob.ts`, each with the number of what
//! stands behind it here.
//!
//! Values are converted in many places that know of no worker, so this lives beside the isolate, in
//! its thread: a worker's thread makes, uses and drops one isolate only. Blobs that JavaScript has let
//! go of are released by its garbage collection; until then their files stay.

use std::cell::RefCell;
use std::sync::Arc;

use deno_core::v8;
use kora_resource::value::{Blob, BlobContent};
use kora_store::{BlobWriter, Blobs, Store};
use slab::Slab;

use crate::values::{key, string};

/// The property that holds a blob's number.
const NUMBER: &str = "[[kora.blob]]";

struct Worker {
    blobs: Arc<Blobs>,
    open: Slab<Open>,
    /// `(number, type, size, name) -> Blob`, once there may be blobs.
    factory: Option<v8::Global<v8::Function>>,
}

/// What stands behind a blob of JavaScript.
pub(crate) enum Open {
    Ready(Blob),
    /// Its bytes are still coming; `None` while some of them are being written.
    Writing(Option<BlobWriter>),
}

thread_local! {
    static WORKER: RefCell<Option<Worker>> = const { RefCell::new(None) };
}

/// Begins the thread's work with blobs; ends it when dropped, which must be before the isolate is.
pub(crate) struct Session;

impl Session {
    pub(crate) fn begin(store: &Store) -> Session {
        let worker = Worker { blobs: Arc::clone(store.blobs()), open: Slab::new(), factory: None };
        WORKER.with_borrow_mut(|slot| *slot = Some(worker));
        Session
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Taken out first: what is dropped may look here again.
        let ended = WORKER.with_borrow_mut(Option::take);
        drop(ended);
    }
}

fn with<T>(work: impl FnOnce(&mut Worker) -> T) -> Option<T> {
    WORKER.with_borrow_mut(|slot| slot.as_mut().map(work))
}

/// Has blobs be made by `factory` from now on.
pub(crate) fn set_factory(factory: v8::Global<v8::Function>) {
    with(|worker| worker.factory = Some(factory));
}

/// The store's blobs.
pub(crate) fn store() -> Option<Arc<Blobs>> {
    with(|worker| Arc::clone(&worker.blobs))
}

pub(crate) fn insert(open: Open) -> Option<u32> {
    with(|worker| worker.open.insert(open) as u32)
}

pub(crate) fn release(number: u32) -> Option<Open> {
    with(|worker| worker.open.try_remove(number as usize)).flatten()
}

/// The blob of a number; `None` where there is none or its bytes are still coming.
pub(crate) fn get(number: u32) -> Option<Blob> {
    with(|worker| match worker.open.get(number as usize) {
        Some(Open::Ready(blob)) => Some(blob.clone()),
        Some(Open::Writing(_)) | None => None,
    })
    .flatten()
}

/// Takes the writer of a blob out to write with it.
pub(crate) fn take_writer(number: u32) -> Option<BlobWriter> {
    with(|worker| match worker.open.get_mut(number as usize) {
        Some(Open::Writing(writer)) => writer.take(),
        Some(Open::Ready(_)) | None => None,
    })
    .flatten()
}

/// Puts something else behind a number, if JavaScript still has it.
pub(crate) fn replace(number: u32, open: Open) {
    with(|worker| {
        if let Some(slot) = worker.open.get_mut(number as usize) {
            *slot = open;
        }
    });
}

/// The JavaScript object for a blob; `null` where blobs can't be made.
pub(crate) fn to_v8<'s>(scope: &mut v8::PinScope<'s, '_>, blob: &Blob) -> v8::Local<'s, v8::Value> {
    let made = with(|worker| {
        let factory = worker.factory.clone()?;
        let held = worker.blobs.hold(blob);
        Some((factory, worker.open.insert(Open::Ready(held))))
    });
    let Some((factory, number)) = made.flatten() else { return v8::null(scope).into() };
    let factory = v8::Local::new(scope, factory);
    let undefined = v8::undefined(scope).into();
    let name = match &blob.name {
        Some(name) => string(scope, name).into(),
        None => undefined,
    };
    let arguments: [v8::Local<v8::Value>; 4] = [
        v8::Integer::new(scope, number as i32).into(),
        string(scope, &blob.content_type).into(),
        v8::Number::new(scope, blob.size() as f64).into(),
        name,
    ];
    match factory.call(scope, undefined, &arguments) {
        Some(object) => object,
        None => v8::null(scope).into(),
    }
}

/// The blob that an object stands for; `None` for any other object. Costs nothing in a worker that
/// has no blobs.
pub(crate) fn from_v8(
    scope: &mut v8::PinScope<'_, '_>,
    object: v8::Local<'_, v8::Object>,
) -> Option<Blob> {
    if with(|worker| worker.open.is_empty()).unwrap_or(true) {
        return None;
    }
    let name = key(scope, NUMBER);
    let number = object.get(scope, name.into())?;
    if !number.is_int32() {
        return None;
    }
    get(u32::try_from(number.int32_value(scope)?).ok()?)
}

/// The text of a blob that is in memory.
pub(crate) fn text(number: u32) -> Option<String> {
    match get(number)?.content {
        BlobContent::Inline(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        BlobContent::File(_) => None,
    }
}
