//! Blobs: making them, reading them, letting them go (`harperdb/blob.ts`).

use deno_core::{JsBuffer, ToJsBuffer, op2, v8};
use kora_resource::Error;
use kora_resource::value::Blob;

use crate::blobs::{self, Open};
use crate::error::OpError;

/// Has blobs be made by this function from now on: `(number, type, size, name) => Blob`.
#[op2(nofast)]
pub(crate) fn op_kora_blob_factory<'s, 'i>(
    scope: &mut v8::PinScope<'s, 'i>,
    factory: v8::Local<'s, v8::Value>,
) {
    if let Ok(factory) = v8::Local::<v8::Function>::try_from(factory) {
        blobs::set_factory(v8::Global::new(scope, factory));
    }
}

/// A blob of bytes that are there; its number.
#[op2(fast)]
#[smi]
pub(crate) fn op_kora_blob_of(
    #[buffer] bytes: &[u8],
    #[string] content_type: &str,
) -> Result<u32, OpError> {
    let blob = Blob::inline(content_type, bytes.to_vec());
    Ok(blobs::insert(Open::Ready(blob)).ok_or_else(unavailable)?)
}

/// A blob whose bytes are to come; its number.
#[op2(fast)]
#[smi]
pub(crate) fn op_kora_blob_begin() -> Result<u32, OpError> {
    let store = blobs::store().ok_or_else(unavailable)?;
    Ok(blobs::insert(Open::Writing(Some(store.writer()))).ok_or_else(unavailable)?)
}

/// Adds bytes; resolves when there is room for more.
#[op2]
pub(crate) async fn op_kora_blob_append(
    #[smi] number: u32,
    #[buffer] bytes: JsBuffer,
) -> Result<(), OpError> {
    let mut writer = blobs::take_writer(number).ok_or_else(gone)?;
    writer.write(&bytes).await?;
    blobs::replace(number, Open::Writing(Some(writer)));
    Ok(())
}

/// Ends a blob; resolves with its size when it is durable.
#[op2]
pub(crate) async fn op_kora_blob_finish(
    #[smi] number: u32,
    #[string] content_type: String,
) -> Result<f64, OpError> {
    let writer = blobs::take_writer(number).ok_or_else(gone)?;
    let blob = writer.finish(content_type).await?;
    let size = blob.size() as f64;
    blobs::replace(number, Open::Ready(blob));
    Ok(size)
}

/// A part of a blob's content.
#[op2]
#[serde]
pub(crate) async fn op_kora_blob_read(
    #[smi] number: u32,
    start: f64,
    length: f64,
) -> Result<ToJsBuffer, OpError> {
    let blob = blobs::get(number).ok_or_else(gone)?;
    let store = blobs::store().ok_or_else(unavailable)?;
    // JavaScript's numbers saturate here: more than there is reads to the end.
    Ok(store.read(&blob, start as u64, length as u64).await?.to_vec().into())
}

/// The text of a blob that is in memory; `undefined` for any other.
#[op2]
#[string]
pub(crate) fn op_kora_blob_text(#[smi] number: u32) -> Option<String> {
    blobs::text(number)
}

/// Lets a blob go.
#[op2(fast)]
pub(crate) fn op_kora_blob_release(#[smi] number: u32) {
    drop(blobs::release(number));
}

fn gone() -> Error {
    Error::invalid("The blob is not readable: its bytes are still coming, or were not all written")
}

fn unavailable() -> Error {
    Error::unavailable("there are no blobs here: the worker is ending")
}
