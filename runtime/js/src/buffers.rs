//! The memory of an isolate's ArrayBuffers, which lies outside the engine's heap: counted here, and bounded by
//! `limits.memory` like the heap, each for itself. Code that is refused a buffer, also after the engine has collected its
//! garbage, is stopped at its next step.
//!
//! Only V8 is given this allocator; QuickJS takes buffers from the memory that it counts anyway. Memory that code maps
//! in other ways is not counted: growable buffers past their first size, and WebAssembly's.
//!
//! `unsafe`: the engine calls by a table of C functions and keeps the counter alive by a raw reference.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use deno_core::v8;

use crate::watchdog::{Pulse, places};

/// What V8 wants the memory aligned to.
const ALIGNMENT: usize = 16;

/// Counts the buffers of one isolate. Used by its thread, and by those of the engine that free.
struct Buffers {
    limit: usize,
    used: AtomicUsize,
    /// Whether the last one was refused.
    refused: AtomicBool,
    pulse: Arc<Pulse>,
}

/// The allocator of an isolate whose buffers may hold `limit` bytes together. What asks for more is stopped.
pub(crate) fn allocator(limit: usize, pulse: &Arc<Pulse>) -> v8::UniqueRef<v8::Allocator> {
    let (used, refused) = (AtomicUsize::new(0), AtomicBool::new(false));
    let buffers = Buffers { limit, used, refused, pulse: pulse.clone() };
    // SAFETY: the engine calls `drop_buffers` once, when it needs the reference no more.
    unsafe { v8::new_rust_allocator(Arc::into_raw(Arc::new(buffers)), &TABLE) }
}

/// Whether the engine fears for its heap, whose limit is given, only for buffers: it counts them towards the heap where
/// it judges what its collections bring, so that those that it runs to make room for a buffer look useless. Whether the
/// buffer is given to the code decides what becomes of it; the heap needs no more room than the least that is any.
pub(crate) fn look_like_heap(pulse: &Pulse, limit: usize) -> bool {
    pulse.is_refused() && places::heap_in_use().is_some_and(|bytes| bytes < limit / 2)
}

static TABLE: v8::RustAllocatorVtable<Buffers> =
    v8::RustAllocatorVtable { allocate, allocate_uninitialized, free, drop: drop_buffers };

impl Buffers {
    /// Counts `bytes` more; whether there is room for them. The engine asks again after it has collected garbage.
    fn take(&self, bytes: usize) -> bool {
        let add = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.limit);
        let is_taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok();
        match (is_taken, self.refused.swap(!is_taken, Ordering::Relaxed)) {
            (true, true) => self.pulse.grant(),
            (true, false) => {}
            (false, _) => self.pulse.refuse(places::here()),
        }
        is_taken
    }
}

fn layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes.max(1), ALIGNMENT).ok()
}

extern "C" fn allocate(buffers: &Buffers, bytes: usize) -> *mut c_void {
    reserve(buffers, bytes, std::alloc::alloc_zeroed)
}

extern "C" fn allocate_uninitialized(buffers: &Buffers, bytes: usize) -> *mut c_void {
    reserve(buffers, bytes, std::alloc::alloc)
}

/// Null where there is no room: the engine throws a `RangeError` then.
fn reserve(buffers: &Buffers, bytes: usize, from: unsafe fn(Layout) -> *mut u8) -> *mut c_void {
    let Some(layout) = layout(bytes) else { return ptr::null_mut() };
    if !buffers.take(bytes) {
        return ptr::null_mut();
    }
    // SAFETY: the layout is at least one byte long.
    let memory = unsafe { from(layout) };
    if memory.is_null() {
        buffers.used.fetch_sub(bytes, Ordering::Relaxed);
    }
    memory.cast()
}

unsafe extern "C" fn free(buffers: &Buffers, memory: *mut c_void, bytes: usize) {
    let Some(layout) = layout(bytes) else { return };
    buffers.used.fetch_sub(bytes, Ordering::Relaxed);
    // SAFETY: the engine gives back what `reserve` gave it, with the length that it had asked for.
    unsafe { std::alloc::dealloc(memory.cast(), layout) };
}

unsafe extern "C" fn drop_buffers(buffers: *const Buffers) {
    // SAFETY: this is the reference that `allocator` gave away.
    drop(unsafe { Arc::from_raw(buffers) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_freed_makes_room_again() {
        let (used, refused) = (AtomicUsize::new(0), AtomicBool::new(false));
        let buffers = Buffers { limit: 100, used, refused, pulse: Arc::default() };
        let first = allocate(&buffers, 60);
        assert!(!first.is_null());
        assert!(allocate(&buffers, 60).is_null() && allocate(&buffers, 101).is_null());
        // SAFETY: as the engine would.
        unsafe { free(&buffers, first, 60) };
        assert!(!allocate_uninitialized(&buffers, 60).is_null());
        assert!(!buffers.refused.load(Ordering::Relaxed));
    }
}
